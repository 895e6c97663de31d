"""The console: web pages for administrators, operators and everybody with credentials. Pages by group, one group a file."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Flask

from idp.console import applications, secrets, sign_in
from idp.console.assets import serve_asset
from idp.console.errors import answer_error
from idp.console.headers import PREFIX, add_headers
from idp.console.render import set_up_templates
from idp.wire.edges import answer_errors

__all__ = ["register"]

_REALM = "/console/realms/<realm>"

_ROUTES: tuple[tuple[str, str, Callable[..., Any]], ...] = (
    ("GET", "/console/assets/<digest>/<name>", serve_asset),
    ("GET", "/console/", sign_in.front),
    ("GET POST", "/console/sign-in", sign_in.sign_in),
    ("POST", "/console/sign-out", sign_in.sign_out),
    ("GET POST", "/console/first-start", sign_in.first_start),
    ("GET POST", "/console/invitation/<code>", sign_in.invitation),
    ("GET POST", "/console/reset/<code>", sign_in.reset),
    ("GET POST", "/console/forgotten", sign_in.forgotten),
    ("GET", f"{_REALM}/applications", applications.list_applications),
    ("GET POST", f"{_REALM}/applications/new", applications.new_application),
    ("GET POST", f"{_REALM}/applications/<name>", applications.show_application),
    ("GET POST", f"{_REALM}/applications/<name>/try", applications.try_application),
    ("GET POST", f"{_REALM}/applications/<name>/disable", applications.disable_application),
    ("POST", f"{_REALM}/applications/<name>/enable", applications.enable_application),
    ("GET POST", f"{_REALM}/applications/<name>/delete", applications.delete_application),
    ("GET POST", f"{_REALM}/applications/<name>/secrets/new", secrets.new_secret),
    ("GET POST", f"{_REALM}/applications/<name>/secrets/<secret>/retire", secrets.retire_secret),
)


def register(app: Flask) -> None:
    """Add the pages below `/console` to the application."""
    app.register_blueprint(Blueprint("console", __name__, template_folder="templates"))
    set_up_templates(app)
    for methods, path, view in _ROUTES:
        app.add_url_rule(path, f"console {path}", view, methods=methods.split())
    answer_errors(app, f"{PREFIX}/", answer_error)
    add_headers(app)
