"""Handing events over: by polling (RFC 8936), or by pushing them (RFC 8935), each in the order in which it has happened."""

import json
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, exists, select, update

from idp import clock, keys, outbound, realms, runtime
from idp.applications import Application, KnownApplication, known_application
from idp.db import commit, db, reading
from idp.errors import StorageUnavailableError
from idp.outbound import OutboundError, Reach
from idp.realms import KnownRealm, Realm
from idp.signals.models import Method, SignalEvent, SignalStream, Status
from idp.signals.streams import header_of, may_receive
from idp.telemetry import count

ALGORITHM = "RS256"
"""What events are signed with, whatever the realm's tokens are (CAEP Interoperability Profile §2.5)."""

TYPE = "secevent+jwt"
"""RFC 8417 §2.3."""

MOST_AT_ONCE = 100
"""Events of one answer to a receiver that polls, and of one turn of pushing."""

LEASE = timedelta(minutes=15)
"""How long a stream belongs to the worker that pushes: longer than pushing one turn's events takes. One that dies leaves it to
the next after that."""

WAITS = (2, 10, 30, 120, 600, 1800, 3600)
"""Seconds between one try to push and the next; the last again and again, until the stream is ended."""

_ACCEPTED = {200, 202, 204}
"""RFC 8935 §2.2 has 202; receivers answer the others, too."""

_REFUSED = 400
"""RFC 8935 §2.3: the receiver has read the event, and cannot use it."""

_PASSING = frozenset({"authentication_failed", "access_denied"})
"""Refusals that are about this server and not about the event: it is sent again (RFC 8935 §2.4)."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Taken:
    """What a receiver that polls gets."""

    sets: dict[str, str]
    """Signed events by `jti`."""
    is_more: bool


def settle(stream: SignalStream, acknowledged: Collection[str], errors: Mapping[str, str]) -> None:
    """Forget events that a receiver has taken, or cannot use (RFC 8936 §2.4).

    :param errors: what is wrong with those that it cannot use, by `jti`.
    """
    stream.used_at = clock.now()
    if errors:
        jti, error = next(iter(errors.items()))
        stream.last_error = f"{len(errors)} refused by the receiver, such as {jti[:36]}: {error}"[:300]
    done = [*acknowledged, *errors]
    if done:
        db.session.execute(delete(SignalEvent).where(SignalEvent.stream_id == stream.id, SignalEvent.jti.in_(done)))


def take(realm: KnownRealm, receiver: KnownApplication, stream: SignalStream, most: int) -> Taken:
    """Return the oldest events of a stream that its receiver has not acknowledged; none while it is paused."""
    if stream.status == Status.PAUSED.value:
        return Taken({}, is_more=False)
    query = select(SignalEvent).where(SignalEvent.stream_id == stream.id).order_by(SignalEvent.id).limit(most + 1)
    found = db.session.scalars(query).all()
    return Taken({each.jti: write(realm, receiver, each) for each in found[:most]}, is_more=len(found) > most)


def write(realm: KnownRealm, receiver: KnownApplication, event: SignalEvent) -> str:
    """Return an event as a signed token: never with `sub` and `exp`, so that no API takes it for one of access (SSF §4.1)."""
    claims = {
        "iss": realm.issuer,
        "jti": event.jti,
        "iat": int(event.at.timestamp()),
        "aud": receiver.client_id,
        "sub_id": event.subject,
        "events": {event.event_type: event.told},
    }
    return keys.key_ring(realm).signer(ALGORITHM, clock.timestamp()).sign(TYPE, json.dumps(claims, separators=(",", ":")))


def push_events(limit: int = 20) -> int:
    """Push what waits in streams whose turn it is, and return how many events were taken.

    Each stream is claimed in one statement, so that one worker pushes it, one event after the other. If it is killed between the
    answer and noting it, the event is pushed again, with the same `jti`.
    """
    pushed = 0
    runtime.current().feed.confirm()
    for _ in range(limit):
        stream_id = _claim()
        if stream_id is None:
            break
        try:
            pushed += _push_all(stream_id)
        except StorageUnavailableError:
            raise
        except Exception:  # noqa: BLE001 (a stream that cannot be pushed stands in the way of no other)
            _log.exception("a stream could not be pushed")
            db.session.rollback()
            _put_off(stream_id, "This server could not push it. Its log has the particulars.")
    return pushed


def _claim() -> int | None:
    now = clock.now()
    waits = exists(select(SignalEvent.id).where(SignalEvent.stream_id == SignalStream.id))
    is_due = (
        (SignalStream.push_at <= now)
        & (SignalStream.method == Method.PUSH.value)
        & (SignalStream.status != Status.PAUSED.value)
        & waits
    )
    due = select(SignalStream.id).where(is_due).order_by(SignalStream.push_at).limit(1)
    with reading() as session:
        if session.scalar(due) is None:
            return None  # the usual case, found out without keeping a writer waiting
    claiming = update(SignalStream).where(SignalStream.id == due.scalar_subquery(), SignalStream.push_at <= now)
    claimed = db.session.execute(
        claiming.values(push_at=now + LEASE, tries=SignalStream.tries + 1)
        .returning(SignalStream.id)
        .execution_options(synchronize_session=False)
    ).scalar_one_or_none()
    commit()
    return claimed


@dataclass(frozen=True, slots=True)
class _Push:
    """An event that is ready to be pushed."""

    id: int
    jti: str
    written: str


def _push_all(stream_id: int) -> int:
    """Push what waits in a claimed stream until it is empty, the turn is over, or something goes wrong."""
    read = _read(stream_id)
    if read is None:
        _put_off(stream_id, "The application may not receive events: it is disabled, or has no role that permits it.")
        return 0
    url, headers, pushes = read
    settings = runtime.current().settings
    reach = Reach(private=settings.outbound_private, networks=settings.outbound_networks)
    for number, each in enumerate(pushes):
        problem = _push(url, headers, each, reach)
        count("realmgate_signals_pushed", 1, "put off" if problem else "delivered")
        if problem:
            _log.warning("an event was not pushed to %s: %s", url[:100], problem)
            _put_off(stream_id, problem)
            return number
        db.session.execute(delete(SignalEvent).where(SignalEvent.id == each.id))
        commit()
    done = {"push_at": clock.now(), "used_at": clock.now(), "tries": 0, "last_error": ""}
    db.session.execute(update(SignalStream).where(SignalStream.id == stream_id).values(done))
    commit()
    return len(pushes)


def _read(stream_id: int) -> tuple[str, dict[str, str], list[_Push]] | None:
    """Return where to push what; None if the receiver may not have it. No transaction is left open while somebody is called."""
    query = select(SignalStream, Application.name, Realm.name)
    query = query.join(Application, Application.id == SignalStream.application_id).join(Realm, Realm.id == SignalStream.realm_id)
    row = db.session.execute(query.where(SignalStream.id == stream_id)).first()
    if row is None:
        return None
    stream, name, realm_name = row
    realm = realms.known_realm(runtime.current(), realm_name)
    receiver = known_application(realm, name) if realm is not None else None
    if realm is None or receiver is None or not may_receive(receiver):
        db.session.rollback()
        return None
    events = select(SignalEvent).where(SignalEvent.stream_id == stream_id).order_by(SignalEvent.id).limit(MOST_AT_ONCE)
    pushes = [_Push(each.id, each.jti, write(realm, receiver, each)) for each in db.session.scalars(events)]
    headers, url = {"Accept": "application/json"}, stream.endpoint_url
    if authorization := header_of(stream):
        headers["Authorization"] = authorization
    db.session.rollback()
    return url, headers, pushes


def _push(url: str, headers: dict[str, str], push: _Push, reach: Reach) -> str:
    """Push an event; return why it has to be pushed again, or nothing."""
    try:
        answer = outbound.post(url, push.written.encode(), headers | {"Content-Type": f"application/{TYPE}"}, reach=reach)
    except OutboundError as error:
        return str(error)
    if answer.status in _ACCEPTED:
        return ""
    if answer.status == _REFUSED:
        code = _error_in(answer.content)
        if code and code not in _PASSING:
            _log.warning("event %s was refused by %s: %s", push.jti, url[:100], code)
            return ""  # it would refuse it again
        return f"status 400, {code or 'without an error code of RFC 8935'}"
    return f"status {answer.status}"


def _error_in(content: bytes) -> str:
    """Return the error code that a receiver names (RFC 8935 §2.3); empty if it names none."""
    try:
        said = json.loads(content)
    except ValueError:
        return ""
    error = said.get("err") if isinstance(said, dict) else None
    return error[:100] if isinstance(error, str) and error.isprintable() else ""


def _put_off(stream_id: int, problem: str) -> None:
    tries = db.session.scalar(select(SignalStream.tries).where(SignalStream.id == stream_id)) or 1
    again_at = clock.now() + timedelta(seconds=WAITS[min(tries, len(WAITS)) - 1])
    changes: dict[str, Any] = {"push_at": again_at, "last_error": problem[:300]}
    db.session.execute(update(SignalStream).where(SignalStream.id == stream_id).values(changes))
    commit()
