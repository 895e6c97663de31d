"""The Flask application: an ordered list of set-up calls and nothing else."""

from flask import Flask, Request, Response
from flask.sessions import SessionInterface, SessionMixin

from idp import api, compat, console, gateway, management, protocol, sign_in
from idp.opening import close_app, open_app
from idp.settings import Settings
from idp.web.below_path import mount_below
from idp.web.headers import SafeAnswers
from idp.web.limits import register_limits
from idp.web.url_rules import UrlRule

__all__ = ["close_app", "create_app"]


class _NoSessions(SessionInterface):
    """Programs have no session: nothing is read from cookies, and none is set."""

    def open_session(self, app: Flask, request: Request) -> SessionMixin | None:  # noqa: ARG002 (Flask passes it)
        """Open none."""
        return self.make_null_session(app)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Save none."""

    def is_null_session(self, obj: object) -> bool:  # noqa: ARG002 (Flask passes it)
        """Spare Flask the saving."""
        return True


def create_app(settings: Settings) -> Flask:
    """Make the application for one process that serves. The database must have been set up, see `idp.setup`.

    :raises MasterKeyError: the master key file is missing or unusable.
    """
    app = open_app(settings)
    app.session_interface = _NoSessions()
    app.url_rule_class = UrlRule
    app.url_map.strict_slashes = True
    app.url_map.redirect_defaults = app.url_map.merge_slashes = False
    protocol.register(app)
    api.register(app)
    compat.register(app)
    gateway.register(app)
    console.register(app)
    sign_in.register(app)
    management.register(app)
    register_limits(app)
    app.wsgi_app = SafeAnswers(app.wsgi_app, settings.public_url)  # type: ignore[method-assign]
    mount_below(app, settings.public_path)
    return app
