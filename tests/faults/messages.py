"""What is told to others, over a network that delays and swallows: mail, notices of sign-outs, and security events."""

import json
import secrets
import statistics
import threading
import time
import urllib.parse
from base64 import urlsafe_b64decode
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import KeySet

from tests.browsing import DONE, NotSignedInError, Person
from tests.called import Called, being_called
from tests.faults.drills import Drill, Result, finish, is_long, serving
from tests.faults.history import Act, History, p99
from tests.faults.load import ALGORITHMS, Load, ask
from tests.faults.surroundings import Fleet, Postgres, Wire, postgres
from tests.mail.conftest import Mailbox
from tests.serving import Server, wait_until

CLIENTS = ("load-told-one", "load-told-two")
"""Applications that want to be told of sign-outs."""

SESSION_REVOKED = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
INVITED, RESET = "An account has been created for you", "Choose a new password"
USER_FACING = (Act.ISSUE, Act.CHECK, Act.USE, Act.REDEEM, Act.CREATE, Act.SIGN_IN, Act.COME_BACK, Act.SIGN_OUT, Act.ASK_MAIL)

CAUSES = (Act.SIGN_OUT, Act.ASK_MAIL)
"""What somebody is told of."""

Told = tuple[str, ...]
"""What somebody is to be told: its kind, who, and of what."""


@dataclass
class Others:
    """Those who are told, and the network to each of them."""

    mailbox: Mailbox
    applications: Called
    receiver: Called
    wires: dict[str, Wire] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ports = {
            "mail": self.mailbox.controller.port,
            "notices": self.applications.server_address[1],
            "events": self.receiver.server_address[1],
        }
        self.wires = {name: Wire(port) for name, port in ports.items()}

    def url(self, name: str) -> str:
        """Return where they are reached, by their network."""
        return f"http://127.0.0.1:{self.wires[name].port}/told"

    @property
    def settings(self) -> dict[str, str]:
        """Return what nodes must know of them."""
        return {
            "IDP_SMTP_HOST": "127.0.0.1",
            "IDP_SMTP_PORT": str(self.wires["mail"].port),
            "IDP_SMTP_SECURITY": "none",
            "IDP_OUTBOUND_PRIVATE": "true",
            "IDP_TRUSTED_PROXIES": "127.0.0.1",  # for an address can ask for no more than some resets in an hour
        }

    def delay(self, seconds: float) -> None:
        """Have everything come later, in both directions."""
        for wire in self.wires.values():
            wire.delay(seconds)

    def swallow(self) -> None:
        """Pass nothing on: a black hole."""
        for wire in self.wires.values():
            wire.swallow()

    def mute(self) -> None:
        """Pass on what is said to them, and nothing of what they answer. What was swallowed is lost."""
        for wire in self.wires.values():
            wire.mute()
            wire.cut()
            wire.swallow(swallows=False)

    def heal(self) -> None:
        """Pass everything on again. What was answered meanwhile is lost."""
        for wire in self.wires.values():
            wire.cut()
            wire.mute(is_mute=False)

    def came(self, keys: KeySet | None = None) -> Iterator[tuple[Told, str]]:
        """Yield what has come, as often as it has, with the id by which whoever is told can see that it is the same.

        :param keys: what tokens are to be verified with; None for not at all.
        """
        for addressees, message in list(self.mailbox.mails):
            yield ("mail", *addressees, message["Subject"]), message["Message-ID"]
        for heard in list(self.applications.heard):
            said = _claims(urllib.parse.parse_qs(heard.body)["logout_token"][0], keys)
            yield ("notice", said["aud"], said["sid"]), said["jti"]
        for heard in list(self.receiver.heard):
            said = _claims(heard.body, keys)
            about = said["sub_id"].get("session", {}).get("id", "")
            yield ("event", said["aud"], about or json.dumps(said["sub_id"])), said["jti"]

    def close(self) -> None:
        """End the network."""
        for wire in self.wires.values():
            wire.close()


@contextmanager
def others() -> Iterator[Others]:
    """Have a mail server, applications and a receiver of events, and a network to each, until the block ends."""
    with ExitStack() as stack:
        mailbox = Mailbox()
        mailbox.controller.start()
        stack.callback(mailbox.controller.stop)
        found = Others(mailbox, stack.enter_context(being_called(200)), stack.enter_context(being_called(202)))
        stack.callback(found.close)
        yield found


def _claims(token: str, keys: KeySet | None) -> dict[str, Any]:
    """Return what a token says, which must be signed with a key of the set."""
    if keys is not None:
        return jwt.decode(token, keys, algorithms=ALGORITHMS).claims
    part = token.split(".")[1]
    said: dict[str, Any] = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return said


class Occasions:
    """People who sign out, and such as are mailed something, all the time: what somebody is to be told of."""

    def __init__(self, made_at: Server, history: History, urls: Callable[[], Sequence[str]], told: Others) -> None:
        """Create who does it, and those who are told.

        :param made_at: a node that serves, at which it is done.
        :param urls: returns the addresses of the nodes.
        """
        self._history, self._urls, self._home = history, urls, made_at.url
        self._path = made_at.endpoint("").removeprefix(made_at.url)
        self._prefix, self._made = secrets.token_hex(3), 0
        self._stop = threading.Event()
        self.expected: set[Told] = set()
        """What has to come: what caused it was acknowledged."""
        for name in CLIENTS:
            options = ("--kind", "native", "--redirect-uri", DONE, "--backchannel-logout-uri", told.url("notices"))
            made_at.idp("applications", "create", "--realm", "acme", *options, name)
        made_at.idp("roles", "create", "--realm", "acme", "load-listener")
        made_at.idp("roles", "permit", "--realm", "acme", "load-listener", "signals:receive")
        token = made_at.token(made_at.create_application("load-receiver", "--role", "load-listener")).json["access_token"]
        delivery = {"method": "urn:ietf:rfc:8935", "endpoint_url": told.url("events")}
        body = json.dumps({"delivery": delivery, "events_requested": [SESSION_REVOKED]}).encode()
        answer = ask("POST", f"{made_at.issuer()}/protocol/ssf/streams", body, _json(token))
        assert answer.status == 201, answer.body
        clerk = made_at.create_application("load-clerk", "--role", "administrator", "--audience", made_at.issuer())
        self._authority = made_at.token(clerk).json["access_token"]
        self._threads = [threading.Thread(target=self._go_on, args=(act,), daemon=True) for act in (self._sign_out, self._write)]

    @property
    def url(self) -> str:
        """Return the address of a node."""
        return secrets.choice(self._urls())

    def endpoint(self, name: str) -> str:
        """Return the address of an endpoint at one."""
        return f"{self.url}{self._path}{name}"

    def start(self) -> "Occasions":
        """Begin."""
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        """End, when what was begun is answered."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _go_on(self, act: Callable[[], None]) -> None:
        while not self._stop.wait(0.3):
            act()

    def _sign_out(self) -> None:
        """Sign in to each application, and out."""
        person = Person(self, origin=self._home)
        try:
            tokens = {}
            for person.client_id in CLIENTS:
                tokens[person.client_id] = person.redeem(person.code("openid")).json["id_token"]
        except (NotSignedInError, OSError, HTTPException, KeyError):
            return  # the load has such calls, and they are judged there
        sid: str = _claims(tokens[person.client_id], None)["sid"]
        begun, status = time.monotonic(), 0
        try:
            query = urllib.parse.urlencode({"id_token_hint": tokens[person.client_id]})
            status, _, _ = person.open(f"{self.endpoint('logout')}?{query}")
        except (OSError, HTTPException):
            pass
        self._history.add(Act.SIGN_OUT, sid, begun, status, granted=status == 200)
        if status == 200:
            self.expected |= {("notice", name, sid) for name in CLIENTS} | {("event", "load-receiver", sid)}

    def _write(self) -> None:
        """Have somebody be invited, who then asks for a new password."""
        self._made += 1
        address = f"p{self._made}-{self._prefix}@example.test"
        invited = json.dumps({"spec": {"emailId": address}}).encode()
        if self._ask("v1/users", invited, _json(self._authority), address, 201):
            self.expected.add(("mail", address, INVITED))
            forgotten = json.dumps({"emailId": address, "org": "acme"}).encode()
            if self._ask("v1/auth/user/password/reset", forgotten, _json(), address, 204):
                self.expected.add(("mail", address, RESET))

    def _ask(self, path: str, body: bytes, headers: dict[str, str], address: str, good: int) -> bool:
        begun = time.monotonic()
        answer = ask("POST", f"{self.url}/{path}", body, headers)
        said = answer.body[:120].decode(errors="replace")
        self._history.add(Act.ASK_MAIL, address, begun, answer.status, granted=answer.status == good, detail=said)
        return answer.status == good


def _json(token: str = "") -> dict[str, str]:
    own = {"Authorization": f"Bearer {token}"} if token else {}
    somewhere = ".".join(["10", *(str(secrets.randbelow(254) + 1) for _ in range(3))])
    return {"Content-Type": "application/json", "X-Forwarded-For": somewhere} | own


def bring_forward(database: Postgres) -> None:
    """Have everything that was put off be due at once: a drill has no hour to wait, and no minute."""
    database.execute("UPDATE logout_notice SET due_at = due_at - interval '1 hour'")
    database.execute("UPDATE mail_message SET due_at = due_at - interval '1 hour' WHERE done_at IS NULL")
    database.execute("UPDATE signal_stream SET push_at = push_at - interval '1 hour'")


def swallowed_messages(folder: Path, times: float = 1) -> Result:
    """The network to a mail server, to applications and to a receiver of events delays, swallows everything, and then their answers (14)."""
    with others() as told, postgres() as make:
        database = make().create()
        with serving(Fleet(folder, database.url(), told.settings), 2) as (fleet, load), ExitStack() as stack:
            occasions = Occasions(fleet.nodes[0], load.history, fleet.urls, told).start()
            stack.callback(occasions.stop)  # if it is not reached below
            seconds = 30.0 if is_long(times) else 5.5  # an application may take five for each step, and a mail server twenty
            quiet = seconds if is_long(times) else 2.0
            windows = {"before": (time.monotonic(), 0.0)}
            _go_on(load, quiet)
            told.delay(0.1)  # there and back: 200 ms
            windows["while it is delayed"] = (time.monotonic(), 0.0)
            _go_on(load, quiet)
            windows["while it is swallowed"] = (time.monotonic(), 0.0)
            told.delay(0.0)
            told.swallow()
            _go_on(load, seconds)
            windows["while answers are swallowed"] = (time.monotonic(), 0.0)
            told.mute()
            if not is_long(times):
                bring_forward(database)
            _go_on(load, 10.0 if is_long(times) else quiet)
            healed = time.monotonic()
            told.heal()
            begun = [since for since, _ in windows.values()]
            windows = dict(zip(windows, zip(begun, [*begun[1:], healed], strict=True), strict=True))
            waited = len(occasions.expected - {each for each, _ in told.came()})
            occasions.stop()
            took = _wait_for_all(occasions.expected, told, load, None if is_long(times) else database) - healed
            result = finish(
                load,
                fleet,
                waiting_when_it_came_back=str(waited),
                all_delivered=f"{took:.1f} s later",
                **_deliveries(occasions.expected, told),
                **{f"p99_{name}": f"{_p99(load.history, *window) * 1000:.0f} ms" for name, window in windows.items()},
            )
            keys = KeySet.import_key_set(ask("GET", fleet.nodes[0].endpoint("certs")).json)
            result.findings.extend(judge(occasions.expected, told.came(keys)))
            if is_long(times):  # in two seconds, a busy machine makes people wait for itself
                result.findings.extend(_waiting_people(load.history, windows))
            if not waited:
                result.findings.append("nothing waited for the network, so nothing was tried again")
            return result


def _go_on(load: Load, seconds: float) -> None:
    """Let it run for so long, and until there was some of what somebody is told of: a busy machine takes longer for that."""
    begun = time.monotonic()
    load.run(seconds)

    def has_some() -> bool:
        return all(sum(event.begun > begun for event in load.history.of(act)) > 1 for act in CAUSES)

    wait_until(has_some, "what somebody is told of")


def _wait_for_all(expected: Iterable[Told], told: Others, load: Load, database: Postgres | None) -> float:
    """Wait until everything has come, or longer than that can take; return when that was.

    :param database: where what was put off can be brought forward; None where that is waited for.
    """
    end = time.monotonic() + (240.0 if database is None else 20.0)
    while set(expected) - {each for each, _ in told.came()} and time.monotonic() < end:
        if database is not None:
            bring_forward(database)
        load.run(1.0)
    return time.monotonic()


def _p99(history: History, since: float, until: float) -> float:
    return p99(event for event in history.of(*USER_FACING) if since <= event.begun < until)


def _deliveries(expected: Iterable[Told], told: Others) -> dict[str, str]:
    """Return of each kind how many there were, and how many of them have come more than once."""
    times: dict[Told, int] = defaultdict(int)
    for each, _ in told.came():
        times[each] += 1
    figures = {}
    for kind in ("mail", "notice", "event"):
        wanted = [each for each in expected if each[0] == kind]
        came = sum(each in times for each in wanted)
        figures[f"{kind}s"] = f"{came} of {len(wanted)} delivered, {sum(times[each] > 1 for each in wanted)} more than once"
    return figures


def judge(expected: Iterable[Told], came: Iterable[tuple[Told, str]]) -> list[str]:
    """Return what is wrong with what has come: what is missing, and what does not look the same each time.

    :param came: each delivery with the id by which whoever is told can recognise it.
    """
    ids: dict[Told, set[str]] = defaultdict(set)
    of: dict[str, set[Told]] = defaultdict(set)
    for each, known_by in came:
        ids[each].add(known_by)
        of[known_by].add(each)
    missing = [f"{' '.join(each)} was acknowledged, and has not come" for each in expected if each not in ids]
    unlike = [f"{' '.join(each)} has come under {len(known)} ids" for each, known in ids.items() if len(known) > 1]
    return missing + unlike + [f"{len(each)} have come under the id {known}" for known, each in of.items() if len(each) > 1]


def _waiting_people(history: History, windows: dict[str, tuple[float, float]]) -> Iterator[str]:
    """Find calls that have waited for somebody who is told, or have failed because of them."""
    for act in CAUSES:
        took = {
            name: [event.ended - event.begun for event in history.of(act) if since <= event.begun < until]
            for name, (since, until) in windows.items()
        }
        before, swallowed = took["before"], took["while it is swallowed"]
        if statistics.median(swallowed) > statistics.median(before) + 1.0:
            yield f"to {act} took {statistics.median(swallowed):.1f} s while the network has swallowed everything"
    yield from (f"failed, which the network to others is no reason for: {event}" for event in history.failed()[:5])


DRILLS: dict[str, Drill] = {"the network to mail and to applications swallows": swallowed_messages}
