"""the hash chain of the audit trail, sign-ups, purged realms, kept answers, rates of applications, times of changes.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "audit_batch",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("realm", sa.String(length=64), nullable=False),
        sa.Column("number", _BIG, nullable=False),
        sa.Column("total", _BIG, nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event_ids", sa.LargeBinary(), nullable=False),
        sa.Column("digests", sa.LargeBinary(), nullable=False),
        sa.Column("head", sa.String(length=64), nullable=False),
        sa.Column("checkpoint", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_batch")),
        sa.UniqueConstraint("realm", "number", name=op.f("uq_audit_batch_realm_number")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "audit_sealing",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("turn", _BIG, nullable=False),
        sa.Column("next_event", _BIG, nullable=False),
        sa.Column("gaps", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_sealing")),
    )
    # what was written before this version is sealed at the first start of it
    op.execute("INSERT INTO audit_sealing (id, turn, next_event, gaps) VALUES (1, 0, 1, '[]')")
    op.create_table(
        "audit_delivery",
        sa.Column("destination", sa.String(length=300), nullable=False),
        sa.Column("realm", sa.String(length=64), nullable=False),
        sa.Column("number", _BIG, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("destination", "realm", name=op.f("pk_audit_delivery")),
    )
    op.create_table(
        "kept_answer",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("sealed", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_kept_answer")),
    )
    op.create_index(op.f("ix_kept_answer_created_at"), "kept_answer", ["created_at"])
    op.create_table(
        "purged_realm",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("purged_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("public_keys", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_purged_realm")),
    )
    op.create_table(
        "sign_up",
        sa.Column("sealed", sa.String(), nullable=False),
        sa.Column("public_part", sa.String(length=20), nullable=False),
        sa.Column("pepper_id", sa.String(length=8), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["pepper_id"], ["pepper.id"], name=op.f("fk_sign_up_pepper_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_up")),
        sa.UniqueConstraint("uid", name=op.f("uq_sign_up_uid")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_sign_up_expires_at"), "sign_up", ["expires_at"])
    op.create_index(op.f("ix_sign_up_public_part"), "sign_up", ["public_part"])
    op.add_column("application", sa.Column("rate_per_second", sa.Integer(), nullable=True))
    op.add_column("realm", sa.Column("purging", sa.Boolean(), server_default=sa.false(), nullable=False))
    for table in ("role", "project", "access_grant", "user_group"):
        op.add_column(table, sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True))
    for table in ("application", "user_account"):
        op.create_index(f"ix_{table}_realm_id", table, ["realm_id"])  # for lists in the order of creation
    _make_append_only()


def _make_append_only() -> None:
    """Have the database itself refuse to change or delete a batch."""
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_batch_no_{verb.lower()} BEFORE {verb} ON audit_batch "
                "BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END"
            )
        return
    op.execute(
        "CREATE TRIGGER audit_batch_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_batch "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_event_append_only()"
    )


def downgrade() -> None:
    raise NotImplementedError("restore the backup that was made before the upgrade")
