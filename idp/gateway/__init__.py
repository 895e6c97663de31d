"""The check that reverse proxies make for each request to a protected API. See docs/gateway.md for how to set them up."""

from flask import Flask

from idp.gateway.check import check, check_page, refuse
from idp.web.edges import Edge, Limit, register_edge
from idp.web.express import add_fast_path

__all__ = ["register"]


def register(app: Flask) -> None:
    """Add `/gateway/check/…` to the application, ahead of Flask, whatever the method: it is the one of the checked request."""
    app.add_url_rule("/gateway/check", view_func=check_page, methods=["GET"])
    register_edge(app, Edge("gateway", ("/gateway/check/",), Limit.ITS_OWN, lambda error: refuse(error, "")))
    add_fast_path(app, "/gateway/check/", check)
