"""tokens that applications were issued and refused, by the day.

Revision ID: 0015
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # a version before does not count in it: its rows go with their application all the same
    op.create_table(
        "daily_use",
        sa.Column("application_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.DateTime(timezone=True), nullable=False),
        sa.Column("issued", sa.BigInteger(), nullable=False),
        sa.Column("refused", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"], ["application.id"], name=op.f("fk_daily_use_application_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("application_id", "day", name=op.f("pk_daily_use")),
    )
    op.create_index(op.f("ix_daily_use_day"), "daily_use", ["day"])


def downgrade() -> None:
    op.drop_table("daily_use")
