"""what was taken back of tokens that verifiers check by themselves.

Revision ID: 0020
Revises: 0019
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "recall_clock",
        sa.Column("realm_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["realm_id"], ["realm.id"], name=op.f("fk_recall_clock_realm_id")),
        sa.PrimaryKeyConstraint("realm_id", name=op.f("pk_recall_clock")),
    )
    op.create_table(
        "recall_cause",
        sa.Column("realm_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("mark", sa.String(length=16), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("lifted", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["realm_id"], ["realm.id"], name=op.f("fk_recall_cause_realm_id")),
        sa.PrimaryKeyConstraint("realm_id", "kind", "mark", name=op.f("pk_recall_cause")),
    )
    op.create_index("ix_recall_cause_at", "recall_cause", ["at"])
    op.create_index("ix_recall_cause_realm_id_position", "recall_cause", ["realm_id", "position"])


def downgrade() -> None:
    for name in ("recall_cause", "recall_clock"):
        op.drop_table(name)
