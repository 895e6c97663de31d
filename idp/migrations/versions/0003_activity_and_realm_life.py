"""counts of what goes on by the hour, and the life of realms.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "activity_count",
        sa.Column("realm", sa.String(length=64), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tag", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.String(length=120), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("realm", "hour", "tag", "reason", name=op.f("pk_activity_count")),
    )
    op.create_index(op.f("ix_activity_count_hour"), "activity_count", ["hour"])
    searched = sa.text("tag <> 'client:token:issue'")
    for column in ("actor", "target"):
        op.create_index(
            f"ix_audit_event_{column}", "audit_event", ["realm", column, "id"], sqlite_where=searched, postgresql_where=searched
        )
    op.add_column("realm", sa.Column("pending", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("realm", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_application_secret_expires_at", "application_secret", ["expires_at"])


def downgrade() -> None:
    raise NotImplementedError("restore the backup that was made before the upgrade")
