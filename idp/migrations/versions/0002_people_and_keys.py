"""people, sessions, API keys, personal tokens, mail, protected APIs.

Revision ID: 0002
Revises: 0001
"""

import uuid
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "attempt_count",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("window_ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_attempt_count")),
    )
    with op.batch_alter_table("attempt_count", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_attempt_count_window_ends_at"), ["window_ends_at"], unique=False)

    op.create_table(
        "mail_message",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("occasion", sa.String(length=200), nullable=False),
        sa.Column("realm", sa.String(length=64), nullable=False),
        sa.Column("template", sa.String(length=40), nullable=False),
        sa.Column("sealed", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.String(length=300), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mail_message")),
        sa.UniqueConstraint("occasion", name=op.f("uq_mail_message_occasion")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("mail_message", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_mail_message_done_at"), ["done_at"], unique=False)
        batch_op.create_index(
            "ix_mail_message_due",
            ["due_at"],
            unique=False,
            sqlite_where=sa.text("done_at IS NULL"),
            postgresql_where=sa.text("done_at IS NULL"),
        )

    op.create_table(
        "reset_request",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reset_request")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "protected_api",
        sa.Column("realm_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("audience", sa.String(length=255), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["realm_id"], ["realm.id"], name=op.f("fk_protected_api_realm_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_protected_api")),
        sa.UniqueConstraint("realm_id", "name", name=op.f("uq_protected_api_realm_id_name")),
        sa.UniqueConstraint("uid", name=op.f("uq_protected_api_uid")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "user_account",
        sa.Column("realm_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=254), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("first_name", sa.String(length=100), nullable=False),
        sa.Column("last_name", sa.String(length=100), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("password_changed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("signed_out_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("api_key_hours", sa.Integer(), nullable=True),
        sa.Column("last_sign_in_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["realm_id"], ["realm.id"], name=op.f("fk_user_account_realm_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_account")),
        sa.UniqueConstraint("realm_id", "name", name=op.f("uq_user_account_realm_id_name")),
        sa.UniqueConstraint("uid", name=op.f("uq_user_account_uid")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("user_account", schema=None) as batch_op:
        batch_op.create_index("ix_user_account_name", ["name"], unique=False)

    op.create_table(
        "user_group",
        sa.Column("realm_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("description", sa.String(length=500), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["realm_id"], ["realm.id"], name=op.f("fk_user_group_realm_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_group")),
        sa.UniqueConstraint("realm_id", "name", name=op.f("uq_user_group_realm_id_name")),
        sa.UniqueConstraint("uid", name=op.f("uq_user_group_uid")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "api_key",
        sa.Column("realm_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("application_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("description", sa.String(length=500), nullable=False),
        sa.Column("public_part", sa.String(length=20), nullable=False),
        sa.Column("pepper_id", sa.String(length=8), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoke_reason", sa.String(length=500), nullable=False),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column("projects", sa.JSON(), nullable=False),
        sa.Column("frozen", sa.JSON(), nullable=True),
        sa.Column("addresses", sa.JSON(), nullable=False),
        sa.Column("rate_per_minute", sa.Integer(), nullable=True),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("replaces_id", sa.Integer(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_address", sa.String(length=64), nullable=False),
        sa.Column("use_count", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(user_id IS NULL) <> (application_id IS NULL)", name=op.f("ck_api_key_one_owner")),
        sa.ForeignKeyConstraint(
            ["application_id"], ["application.id"], name=op.f("fk_api_key_application_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["pepper_id"], ["pepper.id"], name=op.f("fk_api_key_pepper_id")),
        sa.ForeignKeyConstraint(["realm_id"], ["realm.id"], name=op.f("fk_api_key_realm_id")),
        sa.ForeignKeyConstraint(["replaces_id"], ["api_key.id"], name=op.f("fk_api_key_replaces_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_api_key_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("public_part", name=op.f("uq_api_key_public_part")),
        sa.UniqueConstraint("uid", name=op.f("uq_api_key_uid")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("api_key", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_api_key_application_id"), ["application_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_api_key_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_api_key_realm_id"), ["realm_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_api_key_replaces_id"), ["replaces_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_api_key_user_id"), ["user_id"], unique=False)

    op.create_table(
        "membership",
        sa.Column("group_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["user_group.id"], name=op.f("fk_membership_group_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_membership_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("group_id", "user_id", name=op.f("pk_membership")),
    )
    with op.batch_alter_table("membership", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_membership_user_id"), ["user_id"], unique=False)

    op.create_table(
        "one_time_link",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("public_part", sa.String(length=20), nullable=False),
        sa.Column("pepper_id", sa.String(length=8), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["pepper_id"], ["pepper.id"], name=op.f("fk_one_time_link_pepper_id")),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_one_time_link_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_one_time_link")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("one_time_link", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_one_time_link_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(
            "ix_one_time_link_live",
            ["public_part"],
            unique=False,
            sqlite_where=sa.text("used_at IS NULL"),
            postgresql_where=sa.text("used_at IS NULL"),
        )
        batch_op.create_index(batch_op.f("ix_one_time_link_user_id"), ["user_id"], unique=False)

    op.create_table(
        "personal_token",
        sa.Column("realm_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("pepper_id", sa.String(length=8), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_from", sa.String(length=64), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["pepper_id"], ["pepper.id"], name=op.f("fk_personal_token_pepper_id")),
        sa.ForeignKeyConstraint(["realm_id"], ["realm.id"], name=op.f("fk_personal_token_realm_id")),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_personal_token_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_personal_token")),
        sa.UniqueConstraint("uid", name=op.f("uq_personal_token_uid")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("personal_token", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_personal_token_realm_id"), ["realm_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_personal_token_user_id"), ["user_id"], unique=False)

    op.create_table(
        "user_session",
        sa.Column("realm_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("auth_method", sa.String(length=20), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("token_jti", sa.String(length=32), nullable=False),
        sa.Column("refreshed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("agent", sa.String(length=200), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["realm_id"], ["realm.id"], name=op.f("fk_user_session_realm_id")),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_user_session_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_session")),
        sa.UniqueConstraint("uid", name=op.f("uq_user_session_uid")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("user_session", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_user_session_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_user_session_realm_id"), ["realm_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_user_session_user_id"), ["user_id"], unique=False)

    _add_columns()
    _number_realms()
    _give_permissions()


def _add_columns() -> None:
    for column in (
        sa.Column("session_hours", sa.Integer(), server_default="12", nullable=False),
        sa.Column("api_key_hours", sa.Integer(), server_default="2160", nullable=False),
        sa.Column("personal_token_limit", sa.Integer(), server_default="50", nullable=False),
        sa.Column("personal_token_seconds", sa.Integer(), server_default="31536000", nullable=False),
        sa.Column("personal_token_choice", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("contract_number", sa.Integer(), nullable=True),
    ):
        op.add_column("realm", column)
    op.create_index("uq_realm_contract_number", "realm", ["contract_number"], unique=True)
    op.add_column("role", sa.Column("permissions", sa.JSON(), server_default="[]", nullable=False))


def _number_realms() -> None:
    op.execute("UPDATE realm SET contract_number = 10000000 + id")


_RESOURCES = (
    "realm", "roles", "projects", "grants", "applications", "users", "api-keys", "sessions", "personal-tokens", "keys",
)  # fmt: skip # a list of words
_READING = [*(f"{resource}:read" for resource in _RESOURCES), "audit:read"]
_PROJECT = ["applications:read", "grants:read", "projects:read", "projects:write", "roles:read", "users:read"]
_PERMISSIONS = {
    "administrator": [*_READING, *(f"{resource}:write" for resource in _RESOURCES)],
    "auditor": _READING,
    "editor": _PROJECT,
    "project-administrator": [*_PROJECT, "grants:write"],
    "researcher": ["projects:read"],
    "viewer": ["projects:read"],
}
_NEW_ROLES = {
    "auditor": "Reads everything of the realm, and changes nothing.",
    "project-administrator": "Decides who works in the projects it is granted.",
}


def _give_permissions() -> None:
    """Say what the built-in roles permit, and add the new ones, unless a realm has a role of that name already."""
    role = sa.table(
        "role",
        sa.column("realm_id", sa.Integer),
        sa.column("name", sa.String),
        sa.column("description", sa.String),
        sa.column("built_in", sa.Boolean),
        sa.column("permissions", sa.JSON),
        sa.column("uid", sa.String),
        sa.column("created_at", sa.DateTime(timezone=True)),
    )
    connection = op.get_bind()
    for name, permissions in _PERMISSIONS.items():
        built_in = sa.and_(role.c.name == name, role.c.built_in)
        connection.execute(role.update().where(built_in).values(permissions=sorted(permissions)))
    taken = {(row.realm_id, row.name) for row in connection.execute(sa.select(role.c.realm_id, role.c.name))}
    for (realm_id,) in connection.execute(sa.text("SELECT id FROM realm")).all():
        for name, description in _NEW_ROLES.items():
            if (realm_id, name) not in taken:
                connection.execute(
                    role.insert().values(
                        realm_id=realm_id,
                        name=name,
                        description=description,
                        built_in=True,
                        permissions=sorted(_PERMISSIONS[name]),
                        uid=str(uuid.uuid4()),
                        created_at=datetime.now(UTC),
                    )
                )


def downgrade() -> None:
    raise NotImplementedError("restore the backup that was made before the upgrade")
