"""What a data folder remembers of the last time that it was served: the public URL, and the address that was listened on.

It is a hint for commands in another terminal, and never overrides what is set.
"""

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from idp.settings.file import is_trusted

FILE = "last-served.json"
NAMES = ("public_url", "host", "port")


def recall(data_dir: Path) -> dict[str, Any]:
    """Return what a data folder remembers, by the names of the settings; nothing if that cannot be trusted."""
    with contextlib.suppress(OSError, ValueError), (data_dir / FILE).open("rb") as file:
        content = json.load(file) if is_trusted(os.fstat(file.fileno())) else None
        if isinstance(content, dict) and set(content) == set(NAMES):
            return content
    return {}


def remember(data_dir: Path, served: Mapping[str, Any]) -> None:
    """Note how a data folder is served now. Where that cannot be written, it is not remembered.

    :param served: the values of `NAMES`.
    """
    draft = data_dir / f".{FILE}.{os.getpid()}.new"
    with contextlib.suppress(OSError):
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump({name: served[name] for name in NAMES}, file)
        draft.replace(data_dir / FILE)
