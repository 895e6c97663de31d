"""What this machine has seen of the trails: kept in the data folder, where whoever rules the database does not rule.

A database can be put back, and be made to look as if a trail had never begun. So each machine remembers how far it has seen each
trail come, and finds a trail doubtful that has come less far, or another way. A machine without that memory begins it.
"""

import contextlib
import fcntl
import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from idp import runtime
from idp.trail.chain import Standing

_log = logging.getLogger(__name__)


def seen() -> dict[str, Standing]:
    """Return how far this machine has seen each trail come."""
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
        return {realm: Standing(*standing) for realm, standing in json.loads(_path().read_text()).items()}
    return {}


def remember(standings: Mapping[str, Standing]) -> None:
    """Remember how far trails have come. Where that cannot be written, it is logged, and sealing goes on."""
    try:
        with _alone():
            found = {**seen(), **standings}
            draft = _path().with_suffix(f".{os.getpid()}")
            draft.write_text(json.dumps(found))
            draft.replace(_path())
    except OSError as error:
        _log.error("what was seen of the audit trails cannot be remembered in %s: %s", _path(), error.strerror)


def forget() -> None:
    """Forget all of it: the database was put back on purpose."""
    _path().unlink(missing_ok=True)


def memory_file(data_dir: Path) -> Path:
    """Return the file that a machine keeps it in."""
    return data_dir / "audit.seen"


def _path() -> Path:
    return memory_file(runtime.current().settings.data_dir)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    with _path().with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
