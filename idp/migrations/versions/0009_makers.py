"""who has made applications, users, roles and projects.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("application", "user_account", "role", "project"):
        op.add_column(table, sa.Column("created_by", sa.String(length=200), server_default="", nullable=False))


def downgrade() -> None:
    raise NotImplementedError("restore the backup that was made before the upgrade")
