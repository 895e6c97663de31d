"""What one process holds besides the database: its settings, the master keys, and what it knows in memory."""

from dataclasses import dataclass, field
from typing import Any, cast

from flask import current_app

from idp.feed import Feed
from idp.master_keys import MasterKeys
from idp.settings import Settings


@dataclass(frozen=True)
class Runtime:
    """Made once by `idp.opening`."""

    settings: Settings
    master_keys: MasterKeys
    feed: Feed
    peppers: dict[str, bytes] = field(default_factory=dict, repr=False)
    extensions: dict[str, Any] = field(default_factory=dict)
    """What domains further up keep for the process, by their names."""

    def close(self) -> None:
        """Give back what domains keep for the process: threads, say."""
        for extension in self.extensions.values():
            if hasattr(extension, "close"):
                extension.close()
        self.feed.close()


def current() -> Runtime:
    """Return the runtime of the application in whose context this runs."""
    return cast("Runtime", current_app.extensions["realmgate"])
