"""an index by which applications are found by any part of their name or description.

It is what each database has for that: a table of FTS5 whose tokens are three letters, kept by triggers, or a GIN index on a
list of these. A version before writes and reads as ever: it neither names the index nor has to keep it.

Revision ID: 0016
Revises: 0015
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_NEW = "INSERT INTO application_text (rowid, name, description) VALUES (new.id, new.name, new.description);"
_OLD = (
    "INSERT INTO application_text (application_text, rowid, name, description) "
    "VALUES ('delete', old.id, old.name, old.description);"
)


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        # letters of English alone are folded, by the one rule that is the same on every server. The index itself is built after
        # this, while others write
        op.execute(
            "CREATE FUNCTION grams_of(value text) RETURNS text[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$ "
            "DECLARE letters text[] := string_to_array(lower(value COLLATE \"C\"), NULL); found text[] := '{}'; "
            "BEGIN FOR n IN 1 .. cardinality(letters) - 2 LOOP found[n] := letters[n] || letters[n + 1] || letters[n + 2]; "
            "END LOOP; RETURN found; END $$"
        )
        return
    if not connection.exec_driver_sql("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'").first():
        return  # a build of SQLite without it finds what it found, and takes longer
    op.execute(
        "CREATE VIRTUAL TABLE application_text USING fts5("
        "name, description, content='application', content_rowid='id', tokenize='trigram')"
    )
    op.execute(f"CREATE TRIGGER application_text_new AFTER INSERT ON application BEGIN {_NEW} END")
    op.execute(f"CREATE TRIGGER application_text_gone AFTER DELETE ON application BEGIN {_OLD} END")
    op.execute(f"CREATE TRIGGER application_text_other AFTER UPDATE OF name, description ON application BEGIN {_OLD} {_NEW} END")
    op.execute("INSERT INTO application_text (application_text) VALUES ('rebuild')")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP INDEX IF EXISTS ix_application_grams")
        op.execute("DROP FUNCTION grams_of(text)")
        return
    for trigger in ("new", "gone", "other"):
        op.execute(f"DROP TRIGGER IF EXISTS application_text_{trigger}")
    op.execute("DROP TABLE IF EXISTS application_text")
