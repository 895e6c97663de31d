"""keysets and their leases; the permissions for them.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_PERMISSIONS = {
    "administrator": {"keysets:read", "keysets:write", "keysets:lease"},
    "auditor": {"keysets:read"},
}
"""What built-in roles permit from this version on."""


def upgrade() -> None:
    op.create_table(
        "keyset",
        sa.Column("realm_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("description", sa.String(length=500), nullable=False),
        sa.Column("category", sa.String(length=20), nullable=False),
        sa.Column("entity", sa.String(length=40), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("max_lease_seconds", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sealed_data_key", sa.String(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["realm_id"], ["realm.id"], name=op.f("fk_keyset_realm_id")),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_keyset_user_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_keyset")),
        sa.UniqueConstraint("realm_id", "category", "entity", "name", name=op.f("uq_keyset_realm_id_category_entity_name")),
        sa.UniqueConstraint("uid", name=op.f("uq_keyset_uid")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_keyset_realm_id"), "keyset", ["realm_id"])
    op.create_index("ix_keyset_realm_id_name", "keyset", ["realm_id", "name"])
    op.create_index(op.f("ix_keyset_user_id"), "keyset", ["user_id"])
    op.create_table(
        "keyset_project",
        sa.Column("keyset_id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["keyset_id"], ["keyset.id"], name=op.f("fk_keyset_project_keyset_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_keyset_project_project_id")),
        sa.PrimaryKeyConstraint("keyset_id", "project_id", name=op.f("pk_keyset_project")),
    )
    op.create_index(op.f("ix_keyset_project_project_id"), "keyset_project", ["project_id"])
    op.create_table(
        "keyset_key",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("keyset_id", sa.Integer(), nullable=False),
        sa.Column("key_type", sa.String(length=20), nullable=False),
        sa.Column("fingerprint", sa.String(length=100), nullable=False),
        sa.Column("sealed_value", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["keyset_id"], ["keyset.id"], name=op.f("fk_keyset_key_keyset_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_keyset_key")),
        sa.UniqueConstraint("keyset_id", "key_type", name=op.f("uq_keyset_key_keyset_id_key_type")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "keyset_version",
        sa.Column("keyset_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("free_since", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["keyset_id"], ["keyset.id"], name=op.f("fk_keyset_version_keyset_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("keyset_id", "number", name=op.f("pk_keyset_version")),
    )
    op.create_table(
        "lease",
        sa.Column("realm_id", sa.Integer(), nullable=False),
        sa.Column("keyset_id", sa.Integer(), nullable=False),
        sa.Column("keyset_uid", sa.String(length=36), nullable=False),
        sa.Column("keyset_name", sa.String(length=200), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("application_id", sa.Integer(), nullable=False),
        sa.Column("application_uid", sa.String(length=36), nullable=False),
        sa.Column("client_id", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_reason", sa.String(length=500), nullable=False),
        sa.Column("ended_by", sa.String(length=200), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["realm_id"], ["realm.id"], name=op.f("fk_lease_realm_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lease")),
        sa.UniqueConstraint("uid", name=op.f("uq_lease_uid")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_lease_realm_id"), "lease", ["realm_id"])
    op.create_index("ix_lease_keyset_id_version", "lease", ["keyset_id", "version"])
    op.create_index(op.f("ix_lease_ended_at"), "lease", ["ended_at"])
    live = sa.text("ended_at IS NULL")
    op.create_index("ix_lease_live", "lease", ["realm_id", "client_id", "expires_at"], sqlite_where=live, postgresql_where=live)
    _give_permissions()


def _give_permissions() -> None:
    role = sa.table("role", sa.column("id"), sa.column("name"), sa.column("built_in"), sa.column("permissions", sa.JSON))
    connection = op.get_bind()
    for name, added in _PERMISSIONS.items():
        rows = connection.execute(sa.select(role.c.id, role.c.permissions).where(role.c.name == name, role.c.built_in)).all()
        for row in rows:
            changed = role.update().where(role.c.id == row.id).values(permissions=sorted({*row.permissions, *added}))
            connection.execute(changed)


def downgrade() -> None:
    raise NotImplementedError("restore the backup that was made before the upgrade")
