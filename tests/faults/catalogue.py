"""The faults by their numbers, and what shows that the server survives each: a drill, or a test that needs no load."""

import re
from collections.abc import Iterator

from tests.faults import clocks, drills, messages, overload, proxied, soak, storming
from tests.faults.drills import Drill

FAULTS = {
    1: "workers are killed",
    2: "a server is killed with all its workers",
    3: "the database crashes",
    4: "the database stands still",
    5: "the database is lost, and a standby promoted",
    6: "Valkey is killed, or emptied",
    7: "Valkey is slow",
    8: "the disk is full",
    9: "a clock is wrong, or jumps",
    10: "signing keys are replaced",
    11: "nodes of two releases replace each other",
    12: "fifty try at once what works once",
    13: "ten times as many sign-ins as can be checked",
    14: "the network delays, swallows, or cuts",
    15: "all of it, for long",
}

DRILLS: dict[str, Drill] = (
    drills.DRILLS | messages.DRILLS | clocks.DRILLS | proxied.DRILLS | storming.DRILLS | overload.DRILLS | soak.DRILLS
)

LONG_ONLY = {
    "workers are killed",
    "workers are killed behind HAProxy",
    "nodes of two releases replace each other",
    "nodes of two releases replace each other behind nginx",
}
"""Drills that `make test` leaves out, as it has the same one with another proxy, or with one."""

TESTS = {
    2: {"what was used up before a kill is used up after it": "tests/flows/test_one_winner.py"},
    8: {"PostgreSQL says that its disk is full": "tests/flows/test_outages.py"},
    9: {
        "ten minutes, eleven hours or 400 days ahead or behind: nothing is removed, and the node is not ready": "tests/flows/test_clocks.py",
        "thirty seconds are right enough": "tests/flows/test_clocks.py",
    },
    12: {
        "codes, refresh tokens and device codes, on SQLite too": "tests/flows/test_one_winner.py",
        "links": "tests/api/test_links.py",
        "session tokens": "tests/api/test_sessions.py",
        "assertions, secrets that work once": "tests/protocol/test_client_auth.py",
        "tokens for registration": "tests/sign_in/test_registration.py",
    },
    14: {
        "notices of sign-outs are sent again": "tests/sign_in/test_backchannel.py",
        "mail is sent again": "tests/mail/test_mail.py",
    },
}
"""What shows it beside drills, or without one: what is tried, and where."""


def numbers_of(drill: Drill) -> list[int]:
    """Return the numbers of the faults that a drill has, which its description ends or is interspersed with."""
    return [int(number) for group in re.findall(r"\(([\d, ]+)\)", drill.__doc__ or "") for number in group.split(",")]


def shown_by(number: int) -> Iterator[str]:
    """Yield what shows that a fault is survived: names of drills, and what tests try."""
    yield from (name for name, drill in DRILLS.items() if number in numbers_of(drill))
    yield from (f"{what} (`{path}`)" for what, path in TESTS.get(number, {}).items())


def program_of(name: str) -> str:
    """Return the program that a drill needs besides Python's packages; empty for none."""
    return (
        "nginx"
        if name in soak.DRILLS
        else next((each for each in ("nginx", "haproxy") if each in name.lower()), "faketime" if name in clocks.DRILLS else "")
    )
