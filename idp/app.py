"""The Flask application: an ordered list of set-up calls and nothing else."""

from flask import Flask, Request, Response
from flask.sessions import SessionInterface, SessionMixin

from idp import api, compat, console, gateway, management, protocol, runtime
from idp.crypto import load_master_keys
from idp.db import db, engine_options, engine_url, make_engine_apart, prepare_engine, renew_connections
from idp.feed import Feed
from idp.redaction import keep_out_of_logs
from idp.runtime import Runtime
from idp.settings import Settings
from idp.wire.below_path import mount_below
from idp.wire.headers import SafeAnswers


class _NoSessions(SessionInterface):
    """Programs have no session: nothing is read from cookies, and none is set."""

    def open_session(self, app: Flask, request: Request) -> SessionMixin | None:  # noqa: ARG002
        """Open none."""
        return self.make_null_session(app)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Save none."""

    def is_null_session(self, obj: object) -> bool:  # noqa: ARG002
        """Spare Flask the saving."""
        return True


def create_app(settings: Settings) -> Flask:
    """Make the application for one process. The database must have been set up, see `idp.setup`.

    :raises MasterKeyError: the master key file is missing or unusable.
    :raises SettingsError: the public URL has a path that cannot be served below.
    """
    keep_out_of_logs(settings.credentials)
    app = Flask("idp", static_folder=None)
    app.config["SQLALCHEMY_DATABASE_URI"] = engine_url(settings)
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(settings)
    app.session_interface = _NoSessions()
    app.url_map.strict_slashes = True
    app.url_map.redirect_defaults = app.url_map.merge_slashes = False
    master_keys = load_master_keys(settings.master_key_file)
    db.init_app(app)
    with app.app_context():
        engine = db.engine
    prepare_engine(engine)
    feed = Feed(make_engine_apart(settings), settings.cache_size, on_break=lambda: renew_connections(engine))
    app.extensions["realmgate.feed"] = feed
    app.extensions["realmgate"] = Runtime(settings=settings, master_keys=master_keys, feed=feed)
    protocol.register(app)
    api.register(app)
    compat.register(app)
    gateway.register(app)
    console.register(app)
    management.register(app)
    app.wsgi_app = SafeAnswers(app.wsgi_app, settings.public_url)  # type: ignore[method-assign]
    mount_below(app, settings.public_path)
    return app


def close_app(app: Flask) -> None:
    """Give back the database connections that an application holds."""
    with app.app_context():
        runtime.current().close()
        db.session.remove()
        db.engine.dispose()
