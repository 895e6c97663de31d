"""Opening what a process works on: settings, master keys, the database, what is known in memory.

A command needs no more than this; a worker adds the URLs (`idp.app`).
"""

from collections.abc import Callable
from typing import Any

from flask import Flask

from idp import (
    access,
    apikeys,
    applications,
    audit,
    client_documents,
    federation,
    kept_answers,
    keys,
    keysets,
    mail,
    nodes,
    organisations,
    personal_tokens,
    protected_apis,
    ratelimit,
    realms,
    recall,
    runtime,
    sessions,
    signals,
    tokens,
    trail,
    users,
    vault,
)
from idp.db import db, engine_options, engine_url, make_engine_apart, prepare_engine, renew_connections
from idp.feed import Feed
from idp.master_keys import load_master_keys
from idp.redaction import keep_out_of_logs
from idp.runtime import Runtime
from idp.settings import Settings
from idp.statements import watch_statements

DOMAINS = (
    access, apikeys, applications, audit, client_documents, federation, kept_answers, keys, keysets, mail, nodes,
    organisations, personal_tokens, protected_apis, ratelimit, realms, recall, sessions, signals, tokens, trail, users, vault,
)  # fmt: skip # a list of words
"""All that have tables, which refer to one another; that seal something, which the master key is rotated for (`vault`); or that
act when others change (`feed.react`). Whoever opens the database must have them all."""


class _Application(Flask):
    """A Flask application without coroutines."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function as it is. Flask's looks at each one, each time, whether it is a coroutine."""
        return func


def open_app(settings: Settings) -> Flask:
    """Make an application for one process that has no URLs. The database must have been set up, see `idp.setup`.

    :raises MasterKeyError: the master key file is missing or unusable, or an outside key that it needs.
    """
    keep_out_of_logs(settings.credentials)
    app = _Application("idp", static_folder=None)
    app.config["SQLALCHEMY_DATABASE_URI"] = engine_url(settings)
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(settings)
    master_keys = load_master_keys(settings.master_key_file, settings.outside)
    db.init_app(app)
    with app.app_context():
        engine = db.engine
    prepare_engine(engine)
    apart = make_engine_apart(settings)
    for each in (engine, apart):
        watch_statements(each, settings.slow_query_seconds)
    feed = Feed(apart, settings.cache_size, on_break=lambda: renew_connections(engine))
    app.extensions["realmgate.feed"] = feed
    app.extensions["realmgate"] = Runtime(settings=settings, master_keys=master_keys, feed=feed)
    return app


def close_app(app: Flask) -> None:
    """Give back the database connections that an application holds."""
    with app.app_context():
        runtime.current().close()
        db.session.remove()
        db.engine.dispose()
