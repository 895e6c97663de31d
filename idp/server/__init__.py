"""Serving: the processes, their threads, and what happens when they start and end."""

from idp.server.scratch import is_running
from idp.server.serve import run

__all__ = ["is_running", "run"]
