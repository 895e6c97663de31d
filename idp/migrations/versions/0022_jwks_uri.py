"""public keys that applications publish at a URL.

Revision ID: 0022
Revises: 0021
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("application", sa.Column("jwks_uri", sa.String(length=1000), nullable=True))
    op.create_table(
        "application_key_set",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("application_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fetched_keys", sa.JSON(), nullable=False),
        sa.Column("fetched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fetch_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("wanted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fetch_error", sa.String(length=300), nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["application_id"], ["application.id"], name=op.f("fk_application_key_set_application_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application_key_set")),
        sa.UniqueConstraint("application_id", name=op.f("uq_application_key_set_application_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_application_key_set_fetch_at", "application_key_set", ["fetch_at"])


def downgrade() -> None:
    op.drop_table("application_key_set")
    op.drop_column("application", "jwks_uri")
