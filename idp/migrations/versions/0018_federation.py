"""issuers that a realm trusts, the rules that tie what they say to applications, and assertions that were used up.

Revision ID: 0018
Revises: 0017
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "trusted_issuer",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("realm_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("description", sa.String(length=500), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("preset", sa.String(length=20), nullable=False),
        sa.Column("issuer", sa.String(length=500), nullable=False),
        sa.Column("key_source", sa.String(length=10), nullable=False),
        sa.Column("jwks_url", sa.String(length=500), nullable=False),
        sa.Column("jwks", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("audiences", sa.JSON(), nullable=False),
        sa.Column("replay", sa.String(length=10), nullable=True),
        sa.Column("longest_life_seconds", sa.Integer(), nullable=True),
        sa.Column("longest_age_seconds", sa.Integer(), nullable=True),
        sa.Column("leeway_seconds", sa.Integer(), nullable=False),
        sa.Column("token_seconds", sa.Integer(), nullable=False),
        sa.Column("keep_keys_hours", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fetched_keys", sa.JSON(), nullable=False),
        sa.Column("fetched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fetch_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("wanted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fetch_error", sa.String(length=300), nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["realm_id"], ["realm.id"], name=op.f("fk_trusted_issuer_realm_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trusted_issuer")),
        sa.UniqueConstraint("realm_id", "issuer", name=op.f("uq_trusted_issuer_realm_id_issuer")),
        sa.UniqueConstraint("realm_id", "name", name=op.f("uq_trusted_issuer_realm_id_name")),
        sa.UniqueConstraint("uid", name=op.f("uq_trusted_issuer_uid")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_trusted_issuer_fetch_at", "trusted_issuer", ["fetch_at"])
    op.create_table(
        "federation_rule",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("realm_id", sa.Integer(), nullable=False),
        sa.Column("issuer_id", sa.Integer(), nullable=False),
        sa.Column("application_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("description", sa.String(length=500), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("mode", sa.String(length=10), nullable=False),
        sa.Column("lines", sa.JSON(), nullable=False),
        sa.Column("pin_claim", sa.String(length=200), nullable=False),
        sa.Column("pin", sa.String(length=64), nullable=False),
        sa.Column("token_seconds", sa.Integer(), nullable=True),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column("projects", sa.JSON(), nullable=False),
        sa.Column("frozen", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"], ["application.id"], name=op.f("fk_federation_rule_application_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["issuer_id"], ["trusted_issuer.id"], name=op.f("fk_federation_rule_issuer_id")),
        sa.ForeignKeyConstraint(["realm_id"], ["realm.id"], name=op.f("fk_federation_rule_realm_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_federation_rule")),
        sa.UniqueConstraint("realm_id", "name", name=op.f("uq_federation_rule_realm_id_name")),
        sa.UniqueConstraint("uid", name=op.f("uq_federation_rule_uid")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_federation_rule_application_id", "federation_rule", ["application_id"])
    op.create_index("ix_federation_rule_issuer_id_pin", "federation_rule", ["issuer_id", "pin"])
    op.create_table(
        "federated_person",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("realm_id", sa.Integer(), nullable=False),
        sa.Column("issuer_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["issuer_id"], ["trusted_issuer.id"], name=op.f("fk_federated_person_issuer_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["realm_id"], ["realm.id"], name=op.f("fk_federated_person_realm_id")),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_federated_person_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_federated_person")),
        sa.UniqueConstraint("issuer_id", "subject", name=op.f("uq_federated_person_issuer_id_subject")),
        sa.UniqueConstraint("uid", name=op.f("uq_federated_person_uid")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_federated_person_realm_id", "federated_person", ["realm_id"])
    op.create_index("ix_federated_person_user_id", "federated_person", ["user_id"])
    op.create_table(
        "used_foreign_assertion",
        sa.Column("issuer_id", sa.Integer(), nullable=False),
        sa.Column("jti_hash", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["issuer_id"], ["trusted_issuer.id"], name=op.f("fk_used_foreign_assertion_issuer_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("issuer_id", "jti_hash", name=op.f("pk_used_foreign_assertion")),
    )
    op.create_index("ix_used_foreign_assertion_expires_at", "used_foreign_assertion", ["expires_at"])


def downgrade() -> None:
    for name in ("used_foreign_assertion", "federated_person", "federation_rule", "trusted_issuer"):
        op.drop_table(name)
