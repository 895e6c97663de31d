"""The check that reverse proxies make for each request to a protected API. See docs/gateway.md for how to set them up."""

from flask import Flask

from idp.gateway.check import check_page
from idp.gateway.express import GatewayExpress

__all__ = ["register"]


def register(app: Flask) -> None:
    """Add `/gateway/check/…` to the application, ahead of Flask."""
    app.add_url_rule("/gateway/check", view_func=check_page, methods=["GET"])
    app.wsgi_app = GatewayExpress(app)  # type: ignore[method-assign]  # the way Flask documents for middleware
