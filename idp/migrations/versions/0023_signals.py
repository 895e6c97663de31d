"""streams of security events to receivers outside; the permission to receive them.

Revision ID: 0023
Revises: 0022
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "signal_stream",
        sa.Column("realm_id", sa.Integer(), nullable=False),
        sa.Column("application_id", sa.Integer(), nullable=False),
        sa.Column("description", sa.String(length=500), nullable=False),
        sa.Column("events_requested", sa.JSON(), nullable=True),
        sa.Column("method", sa.String(length=20), nullable=False),
        sa.Column("endpoint_url", sa.String(length=1000), nullable=False),
        sa.Column("sealed_header", sa.String(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("status_reason", sa.String(length=300), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("push_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claim", sa.String(length=36), nullable=False),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.String(length=300), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"], ["application.id"], name=op.f("fk_signal_stream_application_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["realm_id"], ["realm.id"], name=op.f("fk_signal_stream_realm_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signal_stream")),
        sa.UniqueConstraint("uid", name=op.f("uq_signal_stream_uid")),
        sqlite_autoincrement=True,
    )
    for column in ("realm_id", "application_id", "push_at"):
        op.create_index(f"ix_signal_stream_{column}", "signal_stream", [column])
    op.create_table(
        "signal_event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("stream_id", sa.Integer(), nullable=False),
        sa.Column("jti", sa.String(length=36), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event_type", sa.String(length=120), nullable=False),
        sa.Column("subject", sa.JSON(), nullable=False),
        sa.Column("told", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["stream_id"], ["signal_stream.id"], name=op.f("fk_signal_event_stream_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signal_event")),
        sa.UniqueConstraint("jti", name=op.f("uq_signal_event_jti")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_signal_event_stream_id_id", "signal_event", ["stream_id", "id"])
    role = sa.table("role", sa.column("id"), sa.column("name"), sa.column("built_in"), sa.column("permissions", sa.JSON))
    connection = op.get_bind()
    administrators = sa.select(role.c.id, role.c.permissions).where(role.c.name == "administrator", role.c.built_in)
    for row in connection.execute(administrators).all():
        changed = sorted({*row.permissions, "signals:receive"})
        connection.execute(role.update().where(role.c.id == row.id).values(permissions=changed))


def downgrade() -> None:
    for name in ("signal_event", "signal_stream"):
        op.drop_table(name)
