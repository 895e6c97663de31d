"""Serving: the processes, their threads, and what happens when they start and end."""

from idp.server.serve import run

__all__ = ["run"]
