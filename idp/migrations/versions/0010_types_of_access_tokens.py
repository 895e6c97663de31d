"""what the access tokens of realms and applications call themselves.

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("realm", sa.Column("access_token_type", sa.String(length=10), server_default="at+jwt", nullable=False))
    op.add_column("application", sa.Column("access_token_type", sa.String(length=10), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("restore the backup that was made before the upgrade")
