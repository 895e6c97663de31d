"""The pages on which people sign in to applications: the authorization endpoint, consent, signing out. No script is needed."""

from flask import Blueprint, Flask

from idp.sign_in.authorize import agree, authorize, choose, sign_in
from idp.sign_in.device import decide, enter_code, sign_in_for_device
from idp.sign_in.logout import confirm_logout, logout
from idp.sign_in.pages import ASSETS, PREFIX, answer_error, answered, logo
from idp.web.edges import Edge, Limit, register_edge

__all__ = ["register"]


def register(app: Flask) -> None:
    """Add the pages to the application: two where the protocol has them, the others below `/sign-in`."""
    app.register_blueprint(Blueprint("sign_in", __name__, template_folder="templates"))
    base = "/auth/realms/<realm>/protocol/openid-connect"
    for path, view, methods in (
        (f"{base}/auth", authorize, ["GET", "POST"]),
        (f"{base}/logout", logout, ["GET", "POST"]),
        (f"{PREFIX}/<realm>", sign_in, ["POST"]),
        (f"{PREFIX}/<realm>/account", choose, ["POST"]),
        (f"{PREFIX}/<realm>/consent", agree, ["POST"]),
        (f"{PREFIX}/<realm>/sign-out", confirm_logout, ["POST"]),
        ("/device", enter_code, ["GET", "POST"]),
        ("/device/<realm>", sign_in_for_device, ["POST"]),
        ("/device/<realm>/decide", decide, ["POST"]),
    ):
        app.add_url_rule(path, f"sign_in {path}", answered(view), methods=methods)
    app.add_url_rule(f"{PREFIX}/assets/<digest>/<name>", "sign_in asset", ASSETS.serve)
    app.add_url_rule(f"{PREFIX}/logos/<realm>/<digest>", "sign_in logo", logo)
    register_edge(app, Edge("sign-in", (f"{PREFIX}/", "/device"), Limit.ITS_OWN, answer_error))
