"""Streams, as their receivers set them up (SSF §8.1). Each belongs to an application of the realm, and nobody else sees it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select

from idp import access, audit, clock, vault
from idp.applications import Application, KnownApplication, check_logout_uri
from idp.audit import Tag
from idp.db import db, is_uid
from idp.errors import IdpError, InvalidValueError, Kind, NotFoundError
from idp.paging import Listing
from idp.realms import KnownRealm, Realm
from idp.signals.events import EVENTS_SUPPORTED, STREAM_UPDATED, VERIFICATION, Event, opaque
from idp.signals.models import Method, SignalEvent, SignalStream, Status
from idp.signals.recording import enqueue_for
from idp.written import one_line

RECEIVE = "signals:receive"
"""The permission to receive events."""

MOST_STREAMS = 10
"""Streams of one receiver."""

MOST_TYPES = 50
LONGEST_TYPE = 200
LONGEST_HEADER = 4_000
LONGEST_STATE = 1_000
LONGEST_REASON = 300

VERIFY_EVERY = 10
"""Seconds between two events that a receiver asks for to try its stream with."""

MOST_HELD = 10_000
"""Events that a stream keeps for a receiver that does not take them. Of more, those about single tokens are dropped: anybody can
revoke tokens of their own, as many as they like, and nobody is to be kept from what else happens by that."""

MOST_BY_FAR = 100_000
"""Of so many that are left then, the stream is ended."""

KEEP = timedelta(days=7)
"""How long it keeps them."""


class TooManyStreamsError(IdpError):
    """The receiver has as many streams as it may."""

    kind = Kind.CONFLICT


class StreamDisabledError(IdpError):
    """Nothing goes through the stream."""

    kind = Kind.CONFLICT


class TooSoonError(IdpError):
    """An event to try a stream with was asked for a moment ago."""

    kind, retry_after = Kind.TOO_MANY, VERIFY_EVERY


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a receiver says of a stream. Of what it does not say, None."""

    events_requested: list[str] | None = None
    method: Method | None = None
    endpoint_url: str = ""
    """Of a stream that is pushed; where one is polled is not for its receiver to say."""
    header: str | None = None
    description: str | None = None


def read_wanted(said: Mapping[str, Any]) -> Wanted:
    """Return what a receiver says of a stream.

    :raises InvalidValueError: something of it is not usable.
    """
    requested = said.get("events_requested")
    if requested is not None:
        is_list = isinstance(requested, list) and len(requested) <= MOST_TYPES
        if not is_list or not all(isinstance(each, str) and len(each) <= LONGEST_TYPE for each in requested):
            raise InvalidValueError(f"events_requested takes at most {MOST_TYPES} types of events, each a URI.")
    description = said.get("description")
    if description is not None:
        if not isinstance(description, str):
            raise InvalidValueError("description takes a text.")
        description = one_line(description)[:500]
    delivery = said.get("delivery")
    if delivery is None:
        return Wanted(requested, description=description)
    if not isinstance(delivery, dict):
        raise InvalidValueError("delivery takes an object with a method.")
    return _read_delivery(delivery, requested, description)


def _read_delivery(delivery: Mapping[str, Any], requested: list[str] | None, description: str | None) -> Wanted:
    try:
        method = Method(str(delivery.get("method")))
    except ValueError:
        raise InvalidValueError("delivery takes the methods urn:ietf:rfc:8935 (push) and urn:ietf:rfc:8936 (poll).") from None
    url, header = delivery.get("endpoint_url", ""), delivery.get("authorization_header")
    if not isinstance(url, str) or not isinstance(header, str | None):
        raise InvalidValueError("endpoint_url and authorization_header of delivery take texts.")
    if method is Method.POLL:
        return Wanted(requested, method, description=description)
    try:
        check_logout_uri(url)
    except ValueError as error:
        raise InvalidValueError(f"endpoint_url of delivery {error}") from None
    if header is not None and not (header.isascii() and header.isprintable() and len(header) <= LONGEST_HEADER):
        raise InvalidValueError(f"authorization_header takes printable characters of ASCII, at most {LONGEST_HEADER}.")
    return Wanted(requested, method, url, header, description)


def may_receive(application: KnownApplication) -> bool:
    """Tell whether an application may receive events: it works, and has a role on the realm that permits it."""
    return application.enabled and access.may(application.held_roles, RECEIVE)


def create_stream(realm: KnownRealm, receiver: KnownApplication, wanted: Wanted) -> SignalStream:
    """Create a stream. Without a method, it is polled (SSF §8.1.1.1).

    :raises TooManyStreamsError: the receiver has as many as it may.
    """
    # one at a time for each receiver: two at once could both see the last free place
    db.session.execute(select(Application.id).where(Application.id == receiver.id).with_for_update(key_share=True)).one()
    count = select(func.count()).select_from(SignalStream).where(SignalStream.application_id == receiver.id)
    if (db.session.scalar(count) or 0) >= MOST_STREAMS:
        raise TooManyStreamsError(f"A receiver has at most {MOST_STREAMS} streams. Change or delete one of them.")
    stream = SignalStream(
        realm_id=realm.id,
        application_id=receiver.id,
        events_requested=wanted.events_requested,
        description=wanted.description or "",
        method=Method.POLL.value,
        endpoint_url="",
        sealed_header="",
    )
    db.session.add(stream)
    db.session.flush()
    _set_delivery(stream, wanted)
    _record(Tag.SIGNAL_STREAM_CREATE, realm, stream)
    return stream


def streams_of(receiver: KnownApplication) -> Sequence[SignalStream]:
    """Return the streams of a receiver, oldest first."""
    query = select(SignalStream).where(SignalStream.application_id == receiver.id)
    return db.session.scalars(query.order_by(SignalStream.id)).all()


def get_stream(receiver: KnownApplication, uid: object) -> SignalStream:
    """Return a stream of a receiver by its id.

    :raises NotFoundError: the receiver has none.
    """
    found = None
    if isinstance(uid, str) and is_uid(uid):
        found = db.session.scalar(
            select(SignalStream).where(SignalStream.application_id == receiver.id, SignalStream.uid == uid.lower())
        )
    if found is None:
        raise NotFoundError("This receiver has no stream with this stream_id.")
    return found


def update_stream(realm: KnownRealm, stream: SignalStream, wanted: Wanted) -> None:
    """Change what a receiver says anew of a stream, and nothing else (SSF §8.1.1.3)."""
    if wanted.events_requested is not None:
        stream.events_requested = wanted.events_requested
    if wanted.description is not None:
        stream.description = wanted.description
    _set_delivery(stream, wanted)
    _touch(stream)
    _record(Tag.SIGNAL_STREAM_UPDATE, realm, stream)


def replace_stream(realm: KnownRealm, stream: SignalStream, wanted: Wanted) -> None:
    """Set all that a receiver says of a stream anew; what it leaves out, it does not say any more (SSF §8.1.1.4)."""
    stream.events_requested = wanted.events_requested
    stream.description = wanted.description or ""
    _set_delivery(stream, wanted if wanted.method is not None else Wanted(method=Method.POLL))
    _touch(stream)
    _record(Tag.SIGNAL_STREAM_UPDATE, realm, stream)


def delete_stream(realm: KnownRealm | Realm, stream: SignalStream) -> None:
    """Delete a stream, with what waits in it."""
    _record(Tag.SIGNAL_STREAM_DELETE, realm, stream)
    _drop_events(stream)
    db.session.delete(stream)


def set_status(realm: KnownRealm, stream: SignalStream, status: Status, reason: str) -> None:
    """Set what becomes of the events of a stream, as its receiver wishes (SSF §8.1.2.2)."""
    if status is Status.DISABLED:
        _drop_events(stream)
    stream.status, stream.status_reason = status.value, one_line(reason)[:LONGEST_REASON]
    _touch(stream)
    _record(Tag.SIGNAL_STREAM_UPDATE, realm, stream)


def verify_stream(stream: SignalStream, state: str | None) -> None:
    """Send an event through a stream by which its receiver can tell that it works (SSF §8.1.4.2).

    :param state: what it says, if anything.
    :raises TooSoonError: one was asked for a moment ago.
    :raises StreamDisabledError: nothing goes through it.
    """
    if stream.status == Status.DISABLED.value:
        raise StreamDisabledError("The stream is disabled, so nothing goes through it. Enable it first.")
    now = clock.now()
    if stream.verified_at is not None and now - stream.verified_at < timedelta(seconds=VERIFY_EVERY):
        raise TooSoonError(f"An event to try this stream with was asked for a moment ago. Ask again in {VERIFY_EVERY} seconds.")
    stream.verified_at = now
    _touch(stream)
    enqueue_for(stream, Event(VERIFICATION, opaque(stream.uid), {} if state is None else {"state": state}))


def end_stuck_streams() -> None:
    """End the streams whose receivers have not taken anything for days, or left far too much; tell them that (SSF §8.1.5)."""
    of_tokens = SignalEvent.subject["format"].as_string() == "jwt_id"
    full = select(SignalEvent.stream_id).group_by(SignalEvent.stream_id).having(func.count() > MOST_HELD)
    for stream_id in db.session.scalars(full).all():
        db.session.execute(delete(SignalEvent).where(SignalEvent.stream_id == stream_id, of_tokens))
    oldest = select(SignalEvent.stream_id, func.min(SignalEvent.at).label("at"), func.count().label("count"))
    waiting = oldest.group_by(SignalEvent.stream_id).subquery()
    is_stuck = (waiting.c.at < clock.now() - KEEP) | (waiting.c.count > MOST_BY_FAR)
    query = (
        select(SignalStream, Realm)
        .join(waiting, waiting.c.stream_id == SignalStream.id)
        .join(Realm, Realm.id == SignalStream.realm_id)
        .where(is_stuck)
    )
    for stream, realm in db.session.execute(query).all():
        _drop_events(stream)
        if stream.status == Status.DISABLED.value:
            continue  # nor has it taken that it was ended
        stream.status = Status.DISABLED.value
        stream.status_reason = f"Events were not taken for {KEEP.days} days, or more than {MOST_BY_FAR:,} waited."
        told = {"status": stream.status, "reason": stream.status_reason}
        enqueue_for(stream, Event(STREAM_UPDATED, opaque(stream.uid), told))
        _record(Tag.SIGNAL_STREAM_END, realm, stream)


def describe(realm: KnownRealm, receiver: KnownApplication, stream: SignalStream, poll_url: str) -> dict[str, Any]:
    """Return the configuration of a stream, with what its receiver has said of it (SSF §8.1.1).

    :param poll_url: where it is polled.
    """
    delivery = {"method": stream.method, "endpoint_url": stream.endpoint_url or poll_url}
    told: dict[str, Any] = {
        "stream_id": stream.uid,
        "iss": realm.issuer,
        "aud": receiver.client_id,
        "delivery": delivery,
        "events_supported": list(EVENTS_SUPPORTED),
        "events_delivered": stream.events_delivered,
        "min_verification_interval": VERIFY_EVERY,
    }
    if stream.events_requested is not None:
        told["events_requested"] = stream.events_requested
    if stream.description:
        told["description"] = stream.description
    return told


def check_unchanged(said: Mapping[str, Any], told: Mapping[str, Any]) -> None:
    """See that what a receiver repeats of what it cannot decide is as it is (SSF §8.1.1.3).

    :raises InvalidValueError: it says something else.
    """
    fixed = ("iss", "aud", "events_supported", "events_delivered", "min_verification_interval")
    for name in fixed:
        if name in said and said[name] != told[name]:
            raise InvalidValueError(f"{name} is not for the receiver to say. Leave it out, or send it as it is.")
    delivery = said.get("delivery")
    if isinstance(delivery, dict) and delivery.get("method") == Method.POLL.value:
        url = delivery.get("endpoint_url")
        if url and told["delivery"]["method"] == Method.POLL.value and url != told["delivery"]["endpoint_url"]:
            raise InvalidValueError("Where a stream is polled is not for the receiver to say. Leave endpoint_url out.")


def stream_listing(realm: Realm) -> Listing:
    """Return the streams of a realm as a list in pages."""
    return Listing(select(SignalStream).where(SignalStream.realm_id == realm.id), SignalStream.id, {})


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits in a stream."""

    count: int
    """Events that were not taken yet."""
    oldest: datetime | None
    """When the oldest of them has happened."""


def waiting_in(stream: SignalStream) -> Waiting:
    """Return what waits in a stream."""
    query = select(func.count(), func.min(SignalEvent.at)).where(SignalEvent.stream_id == stream.id)
    return Waiting(*db.session.execute(query).one())


def find_stream(realm: Realm, uid: str) -> SignalStream:
    """Return a stream of a realm by its id, whoever receives it.

    :raises NotFoundError: there is none.
    """
    of_realm = select(SignalStream).where(SignalStream.realm_id == realm.id, SignalStream.uid == uid.lower())
    stream = db.session.scalar(of_realm)
    if stream is None:
        raise NotFoundError("There is no stream with this id.")
    return stream


def header_of(stream: SignalStream) -> str:
    """Return the header `Authorization` that goes with what is pushed; empty for none."""
    return vault.unseal(stream.sealed_header, context=_context(stream.uid)).decode() if stream.sealed_header else ""


def _set_delivery(stream: SignalStream, wanted: Wanted) -> None:
    """Set how events are delivered. The header stays with the place that it is for: it is not told, so it cannot be sent back."""
    if wanted.method is None:
        return
    if wanted.header is not None or wanted.endpoint_url != stream.endpoint_url:
        stream.sealed_header = vault.seal(wanted.header.encode(), context=_context(stream.uid)) if wanted.header else ""
    stream.method, stream.endpoint_url = wanted.method.value, wanted.endpoint_url


def _touch(stream: SignalStream) -> None:
    """Note that the receiver takes an interest: what has failed until now is tried again at once."""
    stream.used_at = stream.push_at = clock.now()
    stream.tries, stream.last_error = 0, ""


def _drop_events(stream: SignalStream) -> None:
    db.session.execute(delete(SignalEvent).where(SignalEvent.stream_id == stream.id))


def _record(tag: Tag, realm: KnownRealm | Realm, stream: SignalStream) -> None:
    where = {"url": stream.endpoint_url} if stream.endpoint_url else {}
    target = f"application:{stream.receiver.name}"
    audit.record(tag, realm.name, target, stream=stream.uid, method=stream.method, status=stream.status, **where)


def _context(uid: str) -> str:
    return f"signal stream {uid}"


vault.register_sealed(SignalStream.sealed_header, select(SignalStream.id, SignalStream.sealed_header, SignalStream.uid), _context)
