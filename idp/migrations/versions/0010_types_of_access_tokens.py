"""what access tokens call themselves, and which pages may read what an application is answered.

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
    op.add_column("application", sa.Column("web_origins", sa.JSON(), server_default="[]", nullable=False))


def downgrade() -> None:
    raise NotImplementedError("restore the backup that was made before the upgrade")
