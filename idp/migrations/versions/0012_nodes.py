"""nodes that know of each other, marks in the change feed, and which versions a schema serves.

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table("schema_floor", sa.Column("oldest", sa.String(length=32), primary_key=True))
    for table in ("change", "change_clock"):
        op.add_column(
            table, sa.Column("mark", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), server_default="0", nullable=False)
        )
    op.create_table(
        "node",
        sa.Column("id", sa.String(length=36), primary_key=True),
        sa.Column("workers", sa.Integer(), nullable=False),
        sa.Column("seen_at", _MOMENT, nullable=False),
    )
    op.create_index("ix_node_seen_at", "node", ["seen_at"])
    op.create_table(
        "turn",
        sa.Column("name", sa.String(length=40), primary_key=True),
        sa.Column("begun_at", _MOMENT, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("turn")
    op.drop_table("node")
    for table in ("change", "change_clock"):
        op.drop_column(table, "mark")
    op.drop_table("schema_floor")
