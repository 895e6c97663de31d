"""What docs/reliability.md says that migrations lock, as PostgreSQL itself has it."""

import re
from typing import Any

import sqlalchemy as sa
from alembic import command

from idp.migrations import schema
from tests.serving import PROJECT

ROW = re.compile(r"^\| (\d{4}) \| (.*) \| .* \|$", re.MULTILINE)
FIRST = "0012"
"""From this one on, a migration may meet nodes that serve."""

KEEPS_WAITING = {
    "AccessExclusiveLock": "exclusively",
    "ExclusiveLock": "so that it is not written",
    "ShareRowExclusiveLock": "so that it is not written",
    "ShareLock": "so that it is not written",
}
"""Locks that readers or writers wait for, and what the page calls them."""

_LOCKS = """
    SELECT c.relname, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
    WHERE l.pid = pg_backend_pid() AND l.granted AND c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
"""


def said() -> dict[str, str]:
    """Return what the page says that each migration locks."""
    return dict(ROW.findall((PROJECT / "docs" / "reliability.md").read_text()))


def locked_by(connection: sa.Connection, revision: str) -> dict[str, set[str]]:
    """Migrate to a schema; return the tables of before that others had to wait for meanwhile, by how the page calls that."""
    before = set(sa.inspect(connection).get_table_names())
    config = schema.alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
    found: dict[str, set[str]] = {}
    for table, mode in connection.execute(sa.text(_LOCKS)):
        if table in before - {"alembic_version"} and mode in KEEPS_WAITING:
            found.setdefault(table, set()).add(KEEPS_WAITING[mode])
    return found


def test_release_before_this_one_works_on_this_schema(database_url: str) -> None:
    """It does not know of what is new, and has to be able to remove what that refers to."""
    assert schema.known_revisions()[-2] == schema.OLDEST_SERVED
    engine = sa.create_engine(database_url.replace("postgresql://", "postgresql+psycopg://", 1))
    config = schema.alembic_config()
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, schema.OLDEST_SERVED)
            before = set(sa.inspect(connection).get_table_names())
            command.upgrade(config, "head")
            now = sa.inspect(connection)
            stay = {
                f"{table}.{key['constrained_columns'][0]}"
                for table in set(now.get_table_names()) - before
                for key in now.get_foreign_keys(table)
                if key["referred_table"] in before and key["options"].get("ondelete") not in {"CASCADE", "SET NULL"}
            }
    finally:
        engine.dispose()
    assert stay == set(), "rows that keep a release of before from removing what they refer to"


def test_page_names_every_table_that_a_migration_locks(database_url: str) -> None:
    told, engine = said(), sa.create_engine(database_url.replace("postgresql://", "postgresql+psycopg://", 1))
    missing: list[Any] = []
    try:
        for revision in schema.known_revisions():
            with engine.begin() as connection:
                locked = locked_by(connection, revision)
            if revision < FIRST:
                continue
            row = told.get(revision, "")
            for table, ways in locked.items():
                way = "exclusively" if "exclusively" in ways else "so that it is not written"
                if f"`{table}`" not in row or way not in row:
                    missing.append((revision, table, way))
    finally:
        engine.dispose()
    assert [f"{revision}: `{table}`, {way}" for revision, table, way in missing] == []
