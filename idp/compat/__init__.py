"""The APIs of other systems whose clients are served here: one file each, thin over the same domains."""

from flask import Flask

from idp.compat import ionos, nks, palette, rafay, runai

__all__ = ["register"]


def register(app: Flask) -> None:
    """Add the URLs of every contract to the application."""
    ionos.register(app)
    nks.register(app)
    palette.register(app)
    rafay.register(app)
    runai.register(app)
