"""people sign in to applications: their kinds, authorizations, consent, pushed requests, devices.

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    _add_columns()
    op.create_table(
        "app_authorization",
        *_identity(),
        sa.Column("realm_id", sa.Integer(), sa.ForeignKey("realm.id", name="fk_app_authorization_realm_id"), nullable=False),
        *_references("app_authorization", "user_account", "application"),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("session_uid", sa.String(length=36), nullable=False),
        sa.Column("sid", sa.String(length=36), nullable=False),
        sa.Column("scope", sa.String(length=2000), nullable=False),
        sa.Column("resource", sa.String(length=255), nullable=False),
        sa.Column("named", sa.JSON(), nullable=False),
        sa.Column("auth_time", _MOMENT, nullable=False),
        sa.Column("auth_method", sa.String(length=20), nullable=False),
        sa.Column("pepper_id", sa.String(length=8), sa.ForeignKey("pepper.id", name="fk_app_authorization_pepper_id")),
        sa.Column("seed", sa.LargeBinary(length=32), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("rotated_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.Column("ended_at", _MOMENT),
        sa.Column("ended_by", sa.String(length=40), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.UniqueConstraint("uid", name="uq_app_authorization_uid"),
        sa.UniqueConstraint("code_hash", name="uq_app_authorization_code_hash"),
        sqlite_autoincrement=True,
    )
    for column in ("user_id", "application_id", "session_uid", "expires_at"):
        op.create_index(f"ix_app_authorization_{column}", "app_authorization", [column])
    op.create_table(
        "consent",
        sa.Column("id", sa.Integer(), primary_key=True),
        *_references("consent", "user_account", "application"),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("given_at", _MOMENT),
        sa.Column("taken_back_at", _MOMENT),
        sa.UniqueConstraint("user_id", "application_id", name="uq_consent_user_id_application_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_consent_application_id", "consent", ["application_id"])
    op.create_table(
        "pushed_request",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("reference_hash", sa.String(length=64), nullable=False),
        sa.Column("realm_id", sa.Integer(), sa.ForeignKey("realm.id", name="fk_pushed_request_realm_id"), nullable=False),
        *_references("pushed_request", "application"),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.UniqueConstraint("reference_hash", name="uq_pushed_request_reference_hash"),
        sqlite_autoincrement=True,
    )
    for column in ("application_id", "expires_at"):
        op.create_index(f"ix_pushed_request_{column}", "pushed_request", [column])
    op.create_table(
        "device_request",
        *_identity(),
        sa.Column("realm_id", sa.Integer(), sa.ForeignKey("realm.id", name="fk_device_request_realm_id"), nullable=False),
        *_references("device_request", "application"),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("user_code", sa.String(length=8), nullable=False),
        sa.Column("scope", sa.String(length=2000), nullable=False),
        sa.Column("resource", sa.String(length=255), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("interval", sa.Integer(), nullable=False),
        sa.Column("asked_at", _MOMENT),
        *_references("device_request", "user_account", nullable=True),
        sa.Column("approved", sa.Boolean()),
        sa.Column("decided_at", _MOMENT),
        sa.Column("auth_time", _MOMENT),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.UniqueConstraint("uid", name="uq_device_request_uid"),
        sa.UniqueConstraint("code_hash", name="uq_device_request_code_hash"),
        sa.UniqueConstraint("user_code", name="uq_device_request_user_code"),
        sqlite_autoincrement=True,
    )
    for column in ("application_id", "user_id", "expires_at"):
        op.create_index(f"ix_device_request_{column}", "device_request", [column])
    op.create_table(
        "registration_token",
        *_identity(),
        sa.Column("realm_id", sa.Integer(), sa.ForeignKey("realm.id", name="fk_registration_token_realm_id"), nullable=False),
        sa.Column("description", sa.String(length=500), nullable=False),
        sa.Column("public_part", sa.String(length=20), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("kinds", sa.JSON(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("most", sa.Integer(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.Column("revoked_at", _MOMENT),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.UniqueConstraint("uid", name="uq_registration_token_uid"),
        sa.UniqueConstraint("token_hash", name="uq_registration_token_token_hash"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_registration_token_realm_id", "registration_token", ["realm_id"])
    _create_registration()
    op.create_table(
        "logout_notice",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("realm_id", sa.Integer(), sa.ForeignKey("realm.id", name="fk_logout_notice_realm_id"), nullable=False),
        *_references("logout_notice", "application"),
        sa.Column("subject", sa.String(length=36), nullable=False),
        sa.Column("session_uid", sa.String(length=36), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("due_at", _MOMENT, nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sqlite_autoincrement=True,
    )
    for column in ("application_id", "due_at"):
        op.create_index(f"ix_logout_notice_{column}", "logout_notice", [column])


def _create_registration() -> None:
    of_token = sa.ForeignKey("registration_token.id", name="fk_registration_token_id", ondelete="CASCADE")
    op.create_table(
        "registration",
        sa.Column("id", sa.Integer(), primary_key=True),
        *_references("registration", "application"),
        sa.Column("token_id", sa.Integer(), of_token, nullable=False),
        sa.Column("method", sa.String(length=30), nullable=False),
        sa.Column("seen_at", _MOMENT, nullable=False),
        sa.Column("access_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.UniqueConstraint("application_id", name="uq_registration_application_id"),
        sa.UniqueConstraint("access_hash", name="uq_registration_access_hash"),
        sqlite_autoincrement=True,
    )
    for column in ("token_id", "created_at"):
        op.create_index(f"ix_registration_{column}", "registration", [column])


def _add_columns() -> None:
    for column, default in (
        ("person_token_seconds", "900"),
        ("refresh_idle_hours", "336"),
        ("refresh_hours", "2160"),
        ("refresh_overlap_seconds", "10"),
    ):
        op.add_column("realm", sa.Column(column, sa.Integer(), server_default=default, nullable=False))
    for column, kind in (
        ("brand_color", sa.String(length=7)),
        ("brand_logo", sa.Text()),
        *((name, sa.String(length=500)) for name in ("help_url", "privacy_url", "terms_url")),
    ):
        op.add_column("realm", sa.Column(column, kind, server_default="", nullable=False))
    for column in ("pushed_requests", "registration"):
        op.add_column("realm", sa.Column(column, sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("application", sa.Column("kind", sa.String(length=10), server_default="machine", nullable=False))
    op.add_column("application", sa.Column("display_name", sa.String(length=200), server_default="", nullable=False))
    for column in ("redirect_uris", "post_logout_redirect_uris", "grant_types", "scopes"):
        op.add_column("application", sa.Column(column, sa.JSON(), server_default="[]", nullable=False))
    for column in ("privacy_url", "terms_url"):
        op.add_column("application", sa.Column(column, sa.String(length=500), server_default="", nullable=False))
    op.add_column("application", sa.Column("backchannel_logout_uri", sa.String(length=1000)))
    for column in ("consent", "pushed_requests", "signed_userinfo"):
        op.add_column("application", sa.Column(column, sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("one_time_link", sa.Column("email", sa.String(length=254), server_default="", nullable=False))
    op.add_column("user_account", sa.Column("email_verified", sa.Boolean(), server_default=sa.false(), nullable=False))


def _identity() -> tuple[sa.Column[int], sa.Column[str], sa.Column[object]]:
    return (
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
    )


def _references(table: str, *others: str, nullable: bool = False) -> tuple[sa.Column[int], ...]:
    columns = {"user_account": "user_id", "application": "application_id"}
    return tuple(
        sa.Column(
            columns[other],
            sa.Integer(),
            sa.ForeignKey(f"{other}.id", name=f"fk_{table}_{columns[other]}", ondelete="CASCADE"),
            nullable=nullable,
        )
        for other in others
    )


def downgrade() -> None:
    raise NotImplementedError("restore the backup that was made before the upgrade")
