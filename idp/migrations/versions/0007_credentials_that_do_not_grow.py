"""what limits secrets, public keys and mail addresses that others chose, and which personal token another was made with.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("application", sa.Column("jwks_frozen", sa.JSON(), nullable=True))
    op.add_column("user_account", sa.Column("email_limited", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("application_secret", sa.Column("frozen", sa.JSON(), nullable=True))
    op.add_column("personal_token", sa.Column("made_with", sa.String(length=36), server_default="", nullable=False))
    op.create_index(op.f("ix_personal_token_made_with"), "personal_token", ["made_with"])


def downgrade() -> None:
    raise NotImplementedError("restore the backup that was made before the upgrade")
