"""indexes of the API keys of a realm in the orders that their list has, and of those that few are; of disabled applications.

They are built after this, while others write; see `idp.migrations.schema.build_slow_indexes`. The version before neither names
them nor has to keep them.

Revision ID: 0025
Revises: 0024
"""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing else changes."""


def downgrade() -> None:
    for which in ("name", "expires_at", "last_used_at", "use_count", "inactive", "revoked", "narrowed"):
        op.execute(f"DROP INDEX IF EXISTS ix_api_key_realm_id_{which}")
    op.execute("DROP INDEX IF EXISTS ix_application_disabled")
