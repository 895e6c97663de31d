"""Fifty who try at once what works once: codes, tokens, proofs, links, and the last tries before a lock."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.faults.drills import Drill, Result, is_long
from tests.faults.surroundings import Fleet, postgres
from tests.forking import PROJECT
from tests.mail.conftest import Mailbox
from tests.storms import LOCKED_AFTER, PARALLEL, SETTINGS, Crowd, Prizes

ROUNDS = 200
"""Of each kind, at one node and at two, in the long form."""

ROUNDS_TO_FIND = 4
"""Of each kind, for a bug that was planted."""

LONGEST = 3600.0
"""Seconds after which the long form ends, half of them at one node, however busy the machine is: it then had fewer rounds, and says so."""

TOLD_EVERY = 20
"""Rounds after which the long form says how far it is."""


@contextmanager
def stormy(folder: Path, source: Path = PROJECT) -> Iterator[tuple[Fleet, Prizes]]:
    """One node on PostgreSQL, to which another may be added, and all that works once there."""
    mailbox = Mailbox()
    mailbox.controller.start()
    mail = {"IDP_SMTP_HOST": "127.0.0.1", "IDP_SMTP_PORT": str(mailbox.controller.port), "IDP_SMTP_SECURITY": "none"}
    try:
        with postgres() as make:
            fleet = Fleet(folder, make().create().url(), SETTINGS | mail | {"IDP_MAIL_FROM": "Realmgate <id@acme.example>"})
            try:
                yield fleet, Prizes(fleet.add(source), mailbox)
            finally:
                fleet.kill()
    finally:
        mailbox.controller.stop()


def storms(folder: Path, times: float = 1) -> Result:
    """What works once is tried by fifty at the same moment, at one node and at two (12)."""
    most = ROUNDS if is_long(times) else 1
    findings: list[str] = []
    right, rounds = Counter[str](), {}
    with stormy(folder) as (fleet, prizes):
        prizes.invite(2 * most)
        every = prizes.storms()
        for nodes in (1, 2):
            while len(fleet.nodes) < nodes:
                fleet.add()
            begun, rounds[nodes] = time.monotonic(), 0
            with closing(Crowd(fleet.urls())) as crowd:
                while rounds[nodes] < most and time.monotonic() < begun + LONGEST / 2:
                    for storm in every:
                        found = storm.round(crowd)
                        right[storm.kind] += not found
                        findings += [f"at {nodes} nodes, {problem}" for problem in found]
                    rounds[nodes] += 1
                    if rounds[nodes] % TOLD_EVERY == 0:
                        print(f"  {rounds[nodes]} rounds at {nodes} nodes: {len(findings)} findings", flush=True)
        trail = fleet.nodes[0].run("audit", "verify")
        if trail.returncode:
            findings.append(f"the audit trail: {trail.stdout}{trail.stderr}")
    total = sum(rounds.values()) * len(every)
    return Result(
        findings,
        {
            "rounds": f"{total} of {PARALLEL} calls, {rounds[1]} of each kind at one node of two workers, and {rounds[2]} at two",
            "as they should be": f"{right.total()}: " + ", ".join(f"{kind} {count}" for kind, count in right.items()),
            "wrong passwords that were looked at": f"at most {LOCKED_AFTER} of {PARALLEL} in each round",
        },
    )


def find_winners(folder: Path, source: Path) -> str:
    """Return the first thing that is wrong with some rounds at a node of another source tree; empty for nothing."""
    with stormy(folder, source) as (fleet, prizes), closing(Crowd(fleet.urls())) as crowd:
        prizes.invite(ROUNDS_TO_FIND)
        every = prizes.storms()
        return next((found[0] for storm in every * ROUNDS_TO_FIND if (found := storm.round(crowd))), "")


DRILLS: dict[str, Drill] = {"fifty try at once what works once": storms}
