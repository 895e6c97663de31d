"""The schema of the database and its history (Alembic)."""

from idp.migrations.schema import (
    UNFINISHED_COPY,
    SchemaError,
    alembic_config,
    build_slow_indexes,
    database_lock,
    drift,
    is_for_search,
    is_later_that_serves,
    known_revisions,
    newest,
    refuse_unfinished,
    revision,
    take_turn,
    upgrade,
)

__all__ = [
    "UNFINISHED_COPY",
    "SchemaError",
    "alembic_config",
    "build_slow_indexes",
    "database_lock",
    "drift",
    "is_for_search",
    "is_later_that_serves",
    "known_revisions",
    "newest",
    "refuse_unfinished",
    "revision",
    "take_turn",
    "upgrade",
]
