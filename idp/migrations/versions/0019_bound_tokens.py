"""tokens that are bound to a key: proofs that were used, what refresh tokens are bound to, who needs that; security profiles.

Revision ID: 0019
Revises: 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "used_proof",
        sa.Column("proof", sa.String(length=74), nullable=False),
        sa.PrimaryKeyConstraint("proof", name=op.f("pk_used_proof")),
        sqlite_with_rowid=False,
    )
    op.add_column("app_authorization", sa.Column("confirmation", sa.JSON(), server_default="{}", nullable=False))
    for name in ("dpop_bound_access_tokens", "dpop_nonces", "tls_client_certificate_bound_access_tokens"):
        op.add_column("application", sa.Column(name, sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("application", sa.Column("profile", sa.String(length=10), nullable=True))
    op.add_column("realm", sa.Column("profile", sa.String(length=10), server_default="plain", nullable=False))


def downgrade() -> None:
    op.drop_column("realm", "profile")
    op.drop_column("application", "profile")
    for name in ("tls_client_certificate_bound_access_tokens", "dpop_nonces", "dpop_bound_access_tokens"):
        op.drop_column("application", name)
    op.drop_column("app_authorization", "confirmation")
    op.drop_table("used_proof")
