"""applications that describe themselves at a URL, and APIs that are open to all applications.

Revision ID: 0021
Revises: 0020
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("realm", sa.Column("client_documents", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("realm", sa.Column("open_audiences", sa.JSON(), server_default="[]", nullable=False))
    op.add_column("application", sa.Column("document_url", sa.String(length=255), server_default="", nullable=False))
    op.create_table(
        "client_document",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("application_id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("fetched_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fresh_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"], ["application.id"], name=op.f("fk_client_document_application_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_client_document")),
        sa.UniqueConstraint("application_id", name=op.f("uq_client_document_application_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_client_document_created_at", "client_document", ["created_at"])


def downgrade() -> None:
    op.drop_table("client_document")
    op.drop_column("application", "document_url")
    op.drop_column("realm", "open_audiences")
    op.drop_column("realm", "client_documents")
