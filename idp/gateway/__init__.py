"""The check that reverse proxies make for each request to a protected API. See docs/gateway.md for how to set them up."""

from flask import Flask

from idp.gateway.check import check, check_page, refuse
from idp.gateway.metadata import PATH, metadata
from idp.web.cross_origin import add_public_document
from idp.web.edges import Edge, Limit, register_edge
from idp.web.express import add_fast_path

__all__ = ["register"]


def register(app: Flask) -> None:
    """Add the check and the metadata of protected APIs to the application.

    `/gateway/check/…` is ahead of Flask, whatever the method: it is the one of the checked request.
    """
    app.add_url_rule("/gateway/check", view_func=check_page, methods=["GET"])
    add_public_document(app, PATH, metadata, "metadata of a protected API")
    register_edge(app, Edge("gateway", ("/gateway/check/",), Limit.ITS_OWN, lambda error: refuse(error, "")))
    add_fast_path(app, "/gateway/check/", check)
