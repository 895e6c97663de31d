"""marks and cuts of the audit trail, and how long its token events are kept.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_REFUSAL = "the audit trail is append-only"
_CUTTING = "(SELECT cutting FROM audit_sealing WHERE id = 1)"


def upgrade() -> None:
    op.create_table(
        "audit_mark",
        sa.Column("realm", sa.String(length=64), nullable=False),
        sa.Column("sealed", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("realm", name=op.f("pk_audit_mark")),
    )
    op.create_table(
        "audit_cut",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("realm", sa.String(length=64), nullable=False),
        sa.Column("first", _BIG, nullable=False),
        sa.Column("last", _BIG, nullable=False),
        sa.Column("kept_ids", sa.LargeBinary(), nullable=False),
        sa.Column("kept_digests", sa.LargeBinary(), nullable=False),
        sa.Column("statement", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_cut")),
        sa.UniqueConstraint("realm", "last", name=op.f("uq_audit_cut_realm_last")),
        sqlite_autoincrement=True,
    )
    op.add_column("audit_sealing", sa.Column("cutting", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("realm", sa.Column("audit_days", sa.Integer(), server_default="365", nullable=False))
    op.add_column("realm", sa.Column("tokens_from", sa.DateTime(timezone=True), nullable=True))
    _let_nobody_but_a_cut_remove()


def _let_nobody_but_a_cut_remove() -> None:
    """Have the database refuse to change what is sealed, and to remove it outside of a cut."""
    tables = ("audit_event", "audit_batch")
    if op.get_bind().dialect.name == "sqlite":
        refuse = f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
        for table in tables:
            op.execute(f"DROP TRIGGER {table}_no_delete")
            op.execute(f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} WHEN NOT {_CUTTING} {refuse}")
        for verb in ("UPDATE", "DELETE"):
            op.execute(f"CREATE TRIGGER audit_cut_no_{verb.lower()} BEFORE {verb} ON audit_cut {refuse}")
        return
    op.execute(
        "CREATE FUNCTION audit_remove_by_cut() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN IF NOT {_CUTTING} THEN RAISE EXCEPTION '{_REFUSAL}'; END IF; RETURN NULL; END $$"
    )
    for table in tables:
        op.execute(f"DROP TRIGGER {table}_append_only ON {table}")
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_event_append_only()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION audit_remove_by_cut()"
        )
    op.execute(
        "CREATE TRIGGER audit_cut_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_cut "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_event_append_only()"
    )


def downgrade() -> None:
    raise NotImplementedError("restore the backup that was made before the upgrade")
