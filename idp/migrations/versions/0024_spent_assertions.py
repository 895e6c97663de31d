"""assertions that were used up, whatever becomes of their signer; by which link a person is known; what is set of documents.

Revision ID: 0024
Revises: 0023
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_CHUNK = 500

_USED = {
    # applications that describe themselves are called by the URL
    "application": "SELECT a.realm_id, CASE a.document_url WHEN '' THEN a.name ELSE a.document_url END, u.jti_hash, u.expires_at "
    "FROM used_assertion u JOIN application a ON a.id = u.application_id",
    "issuer": "SELECT t.realm_id, t.issuer, u.jti_hash, u.expires_at "
    "FROM used_foreign_assertion u JOIN trusted_issuer t ON t.id = u.issuer_id",
}


def upgrade() -> None:
    spent = op.create_table(
        "spent_assertion",
        sa.Column("realm_id", sa.Integer(), nullable=False),
        sa.Column("mark", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["realm_id"], ["realm.id"], name=op.f("fk_spent_assertion_realm_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("realm_id", "mark", name=op.f("pk_spent_assertion")),
    )
    op.create_index("ix_spent_assertion_expires_at", "spent_assertion", ["expires_at"])
    connection = op.get_bind()
    found: list[dict[str, Any]] = []
    for row in _marked(connection):
        found.append(row)
        if len(found) >= _CHUNK:
            connection.execute(spent.insert(), found)
            found = []
    if found:
        connection.execute(spent.insert(), found)
    for column in ("wanted_at", "tried_at"):
        op.add_column("client_document", sa.Column(column, sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_client_document_wanted_at", "client_document", ["wanted_at"])
    op.add_column("client_document", sa.Column("listed", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("client_document", sa.Column("applied", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("client_document", sa.Column("set_here", sa.JSON(), server_default="{}", nullable=False))
    op.add_column("app_authorization", sa.Column("link_uid", sa.String(length=36), server_default="", nullable=False))


def _marked(connection: sa.Connection) -> Iterator[dict[str, Any]]:
    """Yield what was used up until now; see `spent_assertions.mark_of`."""
    expires = sa.column("expires_at", sa.DateTime(timezone=True))
    for signer, query in _USED.items():
        typed = sa.text(query).columns(sa.column("realm_id"), sa.column("name"), sa.column("jti_hash"), expires)
        for realm_id, name, jti_hash, expires_at in connection.execute(typed).all():
            mark = hashlib.sha256(f"{signer}\0{name}\0{jti_hash}".encode()).hexdigest()
            yield {"realm_id": realm_id, "mark": mark, "expires_at": expires_at}


def downgrade() -> None:
    op.drop_column("app_authorization", "link_uid")
    op.drop_index("ix_client_document_wanted_at", "client_document")
    for column in ("set_here", "applied", "listed", "tried_at", "wanted_at"):
        op.drop_column("client_document", column)
    op.drop_table("spent_assertion")
