"""how long the tokens of a realm's applications live, and an index by which users are found by any part of their names.

The index is as that of 0016 for applications: the version before neither names it nor has to keep it.

Revision ID: 0017
Revises: 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_NEW = (
    "INSERT INTO user_account_text (rowid, name, first_name, last_name) VALUES (new.id, new.name, new.first_name, new.last_name);"
)
_OLD = (
    "INSERT INTO user_account_text (user_account_text, rowid, name, first_name, last_name) "
    "VALUES ('delete', old.id, old.name, old.first_name, old.last_name);"
)


def upgrade() -> None:
    op.add_column("realm", sa.Column("token_seconds", sa.Integer(), server_default="36000", nullable=False))
    op.add_column("application", sa.Column("token_seconds", sa.Integer(), nullable=True))
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        return  # the index itself is built after this, while others write
    if not connection.exec_driver_sql("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'").first():
        return  # a build of SQLite without it finds what it found, and takes longer
    op.execute(
        "CREATE VIRTUAL TABLE user_account_text USING fts5("
        "name, first_name, last_name, content='user_account', content_rowid='id', tokenize='trigram')"
    )
    op.execute(f"CREATE TRIGGER user_account_text_new AFTER INSERT ON user_account BEGIN {_NEW} END")
    op.execute(f"CREATE TRIGGER user_account_text_gone AFTER DELETE ON user_account BEGIN {_OLD} END")
    op.execute(
        "CREATE TRIGGER user_account_text_other AFTER UPDATE OF name, first_name, last_name ON user_account "
        f"BEGIN {_OLD} {_NEW} END"
    )
    op.execute("INSERT INTO user_account_text (user_account_text) VALUES ('rebuild')")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP INDEX IF EXISTS ix_user_account_grams")
    else:
        for trigger in ("new", "gone", "other"):
            op.execute(f"DROP TRIGGER IF EXISTS user_account_text_{trigger}")
        op.execute("DROP TABLE IF EXISTS user_account_text")
    op.drop_column("application", "token_seconds")
    op.drop_column("realm", "token_seconds")
