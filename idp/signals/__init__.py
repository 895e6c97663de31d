"""Security events for receivers outside: a transmitter of the Shared Signals Framework 1.0 with events of CAEP 1.0."""

from idp.signals.delivery import MOST_AT_ONCE, push_events, settle, take
from idp.signals.models import Method, SignalEvent, SignalStream, Status
from idp.signals.polls import newest
from idp.signals.streams import (
    RECEIVE,
    check_unchanged,
    create_stream,
    delete_stream,
    describe,
    end_stuck_streams,
    find_stream,
    get_stream,
    may_receive,
    read_wanted,
    replace_stream,
    set_status,
    stream_listing,
    streams_of,
    update_stream,
    verify_stream,
    waiting_in,
)

__all__ = [
    "MOST_AT_ONCE",
    "RECEIVE",
    "Method",
    "SignalEvent",
    "SignalStream",
    "Status",
    "check_unchanged",
    "create_stream",
    "delete_stream",
    "describe",
    "end_stuck_streams",
    "find_stream",
    "get_stream",
    "may_receive",
    "newest",
    "push_events",
    "read_wanted",
    "replace_stream",
    "set_status",
    "settle",
    "stream_listing",
    "streams_of",
    "take",
    "update_stream",
    "verify_stream",
    "waiting_in",
]
