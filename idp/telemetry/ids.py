"""The id of a request: in its answer, in every log line about it, and in the error that it ends with; and that of its trace."""

import os
import re
from contextvars import ContextVar

_CURRENT: ContextVar[str] = ContextVar("request_id", default="")
_TRACE: ContextVar[str] = ContextVar("trace_id", default="")
_FOREIGN = re.compile(r"[A-Za-z0-9._-]{8,64}")


def request_id() -> str:
    """Return the id of the request that is being served; empty outside of one."""
    return _CURRENT.get()


def trace_id() -> str:
    """Return the id of the trace that the request which is being served belongs to; empty where traces are not sent."""
    return _TRACE.get()


def begin_trace(value: str) -> None:
    """Note which trace the request belongs to."""
    _TRACE.set(value)


def begin_request(given: str | None) -> str:
    """Give the request an id: the one that a trusted proxy has given it, if that is a plain one, or a new one."""
    value = given if given is not None and _FOREIGN.fullmatch(given) else os.urandom(8).hex()
    _CURRENT.set(value)
    return value
