"""how long the tokens of a realm's applications live, and those of one of them.

Revision ID: 0017
Revises: 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("realm", sa.Column("token_seconds", sa.Integer(), server_default="36000", nullable=False))
    op.add_column("application", sa.Column("token_seconds", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("application", "token_seconds")
    op.drop_column("realm", "token_seconds")
