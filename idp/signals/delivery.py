"""Handing events over: by polling (RFC 8936), or by pushing them (RFC 8935), each in the order in which it has happened."""

import json
import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import delete, exists, select, update

from idp import clock, keys, outbound, realms, runtime
from idp.applications import Application, KnownApplication, known_application
from idp.db import commit, db, reading
from idp.errors import StorageUnavailableError
from idp.feed import Cache
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
"""Events of one answer to a receiver that polls."""

MOST_WRITTEN = 2_000
"""Signed events that each worker remembers, a KB each."""

LEASE = timedelta(minutes=1)
"""How long a stream belongs to the worker that pushes, counted anew with each event: longer than pushing one takes. One that dies
leaves it to the next after that."""

LONGEST_TURN = 20.0
"""Seconds after which it is another stream's turn."""

DELIVERED, REFUSED, PUT_OFF = "delivered", "refused", "put off"
"""What can become of an event that is pushed."""

WAITS = (2, 10, 30, 120, 600, 1800, 3600)
"""Seconds between one try to push and the next; the last again and again, until the stream is ended. A receiver that says when it
wants to be asked again is asked no earlier, but not later than after the last either."""

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


@dataclass(frozen=True, slots=True)
class _Held:
    """An event as it waits."""

    jti: str
    at: int
    event_type: str
    subject: dict[str, Any]
    told: dict[str, Any]

    @classmethod
    def of(cls, event: SignalEvent) -> "_Held":
        """Return what a row says."""
        return cls(event.jti, int(event.at.timestamp()), event.event_type, event.subject, event.told)


def take(realm: KnownRealm, receiver: KnownApplication, stream: SignalStream, most: int) -> Taken:
    """Return the oldest events of a stream that its receiver has not acknowledged; none while it is paused.

    This ends the transaction: nobody waits while events are signed.
    """
    if stream.status == Status.PAUSED.value:
        db.session.rollback()
        return Taken({}, is_more=False)
    query = select(SignalEvent).where(SignalEvent.stream_id == stream.id).order_by(SignalEvent.id).limit(most + 1)
    found = [_Held.of(each) for each in db.session.scalars(query)]
    db.session.rollback()
    return Taken({each.jti: write(realm, receiver, each) for each in found[:most]}, is_more=len(found) > most)


def write(realm: KnownRealm, receiver: KnownApplication, event: _Held) -> str:
    """Return an event as a signed token: never with `sub` and `exp`, so that no API takes it for one of access (SSF §4.1).

    One that is asked for again is not signed again, as long as the key is the same.
    """
    signer = keys.key_ring(realm).signer(ALGORITHM, clock.timestamp())
    kept: Cache[str] = realm.runtime.extensions.setdefault("signals-written", Cache(MOST_WRITTEN))
    key = f"{signer.kid} {event.jti}"
    return kept.get(key) or kept.load(key, lambda: signer.sign(TYPE, _claims(realm, receiver, event)))


def _claims(realm: KnownRealm, receiver: KnownApplication, event: _Held) -> str:
    claims = {
        "iss": realm.issuer,
        "jti": event.jti,
        "iat": event.at,
        "aud": receiver.client_id,
        "sub_id": event.subject,
        "events": {event.event_type: event.told},
    }
    return json.dumps(claims, separators=(",", ":"))


def push_events(limit: int = 20) -> int:
    """Push what waits in streams whose turn it is, and return how many events were taken.

    Each stream is claimed in one statement, so that one worker pushes it, one event after the other. If it is killed between the
    answer and noting it, the event is pushed again, with the same `jti`.
    """
    pushed = 0
    for _ in range(limit):
        runtime.current().feed.confirm()
        turn = _claim()
        if turn is None:
            break
        try:
            pushed += _push_all(turn)
        except StorageUnavailableError:
            raise
        except Exception:  # noqa: BLE001 (a stream that cannot be pushed stands in the way of no other)
            _log.exception("a stream could not be pushed")
            db.session.rollback()
            _put_off(turn, "This server could not push it. Its log has the particulars.")
    return pushed


@dataclass(frozen=True, slots=True)
class _Turn:
    """A stream that was claimed to be pushed."""

    stream_id: int
    claim: str


def _claim() -> _Turn | None:
    now = clock.now()
    waits = exists(select(SignalEvent.id).where(SignalEvent.stream_id == SignalStream.id))
    is_free = SignalStream.claimed_until.is_(None) | (SignalStream.claimed_until <= now)
    is_due = (
        (SignalStream.push_at <= now)
        & is_free
        & (SignalStream.method == Method.PUSH.value)
        & (SignalStream.status != Status.PAUSED.value)
    )
    due = select(SignalStream.id).where(is_due & waits).order_by(SignalStream.push_at).limit(1)
    with reading() as session:
        if session.scalar(due) is None:
            return None  # the usual case, found out without keeping a writer waiting
    claim = str(uuid4())
    claiming = update(SignalStream).where(SignalStream.id == due.scalar_subquery(), is_due)
    claimed = db.session.execute(
        claiming.values(claim=claim, claimed_until=now + LEASE)
        .returning(SignalStream.id)
        .execution_options(synchronize_session=False)
    ).scalar_one_or_none()
    commit()
    return _Turn(claimed, claim) if claimed is not None else None


@dataclass(frozen=True, slots=True)
class _Push:
    """An event that is ready to be pushed."""

    id: int
    jti: str
    url: str
    headers: dict[str, str]
    written: str


def _push_all(turn: _Turn) -> int:
    """Push what waits in a claimed stream until it is empty, the turn is over, or something goes wrong."""
    settings = runtime.current().settings
    reach = Reach(private=settings.outbound_private, networks=settings.outbound_networks)
    pushed, end = 0, time.monotonic() + LONGEST_TURN
    while time.monotonic() < end:
        runtime.current().feed.confirm()
        push = _next(turn)
        if push is None:
            break
        if isinstance(push, str):
            _put_off(turn, push)
            return pushed
        answered = _push(push, reach)
        count("realmgate_signals_pushed", 1, answered.outcome)
        if answered.problem:
            _log.warning("event %s was not taken by %s: %s", push.jti, push.url[:100], answered.problem)
        if answered.outcome == PUT_OFF:
            _put_off(turn, answered.problem, answered.retry_after)
            return pushed
        pushed += answered.outcome == DELIVERED
        db.session.execute(delete(SignalEvent).where(SignalEvent.id == push.id))
        now = clock.now()
        _own(turn, used_at=now, claimed_until=now + LEASE, tries=0, last_error=answered.problem[:300])
        commit()
    _own(turn, push_at=clock.now(), claimed_until=None)
    commit()
    return pushed


def _own(turn: _Turn, **values: Any) -> bool:
    """Change the stream of a turn; tell whether it is still the turn's."""
    changing = update(SignalStream).where(SignalStream.id == turn.stream_id, SignalStream.claim == turn.claim).values(values)
    done = changing.returning(SignalStream.id).execution_options(synchronize_session=False)
    return db.session.execute(done).first() is not None


def _next(turn: _Turn) -> _Push | str | None:
    """Return the next event and where to push it; None if there is none, or no turn any more; why it has to wait, otherwise.

    What its receiver and others have changed since the last one counts, and no transaction is left open while somebody is called.
    """
    query = select(SignalStream, Application.name, Realm.name)
    query = query.join(Application, Application.id == SignalStream.application_id).join(Realm, Realm.id == SignalStream.realm_id)
    row = db.session.execute(query.where(SignalStream.id == turn.stream_id, SignalStream.claim == turn.claim)).first()
    if row is None:
        db.session.rollback()
        return None
    stream, name, realm_name = row
    realm = realms.known_realm(runtime.current(), realm_name)
    receiver = known_application(realm, name) if realm is not None else None
    if realm is None or receiver is None or not may_receive(receiver):
        db.session.rollback()
        return "The application may not receive events: it is disabled, or has no role that permits it."
    next_one = select(SignalEvent).where(SignalEvent.stream_id == turn.stream_id).order_by(SignalEvent.id).limit(1)
    event = db.session.scalar(next_one)
    if event is None or stream.status == Status.PAUSED.value or stream.method != Method.PUSH.value:
        db.session.rollback()
        return None
    headers, url = {"Accept": "application/json", "Content-Type": f"application/{TYPE}"}, stream.endpoint_url
    if authorization := header_of(stream):
        headers["Authorization"] = authorization
    found = _Push(event.id, event.jti, url, headers, write(realm, receiver, _Held.of(event)))
    db.session.rollback()
    return found


@dataclass(frozen=True, slots=True)
class _End:
    """What has become of a push."""

    outcome: str
    problem: str = ""
    """What is wrong; empty for nothing."""
    retry_after: int = 0
    """Seconds after which the receiver wants to be asked again; 0 if it does not say."""


def _push(push: _Push, reach: Reach) -> _End:
    """Push an event."""
    try:
        answer = outbound.post(push.url, push.written.encode(), push.headers, reach=reach)
    except OutboundError as error:
        return _End(PUT_OFF, str(error))
    if answer.status in _ACCEPTED:
        return _End(DELIVERED)
    problem = f"status {answer.status}"
    if answer.status == _REFUSED:
        code = _error_in(answer.problem)
        if code and code not in _PASSING:
            return _End(REFUSED, f"{push.jti} was refused: {code}")  # it would refuse it again
        problem = f"status 400, {code or 'without an error code of RFC 8935'}"
    return _End(PUT_OFF, problem, answer.retry_after)


def _error_in(content: bytes) -> str:
    """Return the error code that a receiver names (RFC 8935 §2.3); empty if it names none."""
    try:
        said = json.loads(content)
    except ValueError:
        return ""
    error = said.get("err") if isinstance(said, dict) else None
    return error[:100] if isinstance(error, str) and error.isprintable() else ""


def _put_off(turn: _Turn, problem: str, retry_after: int = 0) -> None:
    tries = (db.session.scalar(select(SignalStream.tries).where(SignalStream.id == turn.stream_id)) or 0) + 1
    wait = min(max(WAITS[min(tries, len(WAITS)) - 1], retry_after), WAITS[-1])
    _own(turn, push_at=clock.now() + timedelta(seconds=wait), tries=tries, last_error=problem[:300], claimed_until=None)
    commit()
