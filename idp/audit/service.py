"""Writing and reading the audit trail."""

import contextlib
import os
import pwd
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Boolean, ColumnElement, and_, bindparam, false, insert, literal, select, text

from idp import clock
from idp.audit.models import MIXED, NOT_ISSUED, OF_MIXED, REFUSED, AuditEvent
from idp.audit.tags import Tag
from idp.db import db
from idp.paging import Listing

KINDS = (
    "user", "application", "group", "role", "project", "realm", "operator", "api-key", "session", "personal-token", "key",
    "keyset", "protected-api", "authorization", "device", "master-key", "sign-up", "registration-token",
    "trusted-issuer", "master/user", "master/application",
)  # fmt: skip # a list of words
"""What a name in the trail can be of, for who searches it by the name alone."""

NEWEST = "creationTimestamp"
"""Name of the order by time."""


@dataclass(frozen=True)
class Actor:
    """Who acts, and from where."""

    name: str
    address: str = "local"


SYSTEM = Actor("system")
_actor: ContextVar[Actor] = ContextVar("actor", default=SYSTEM)


def current_actor() -> Actor:
    """Return who acts at this moment."""
    return _actor.get()


def operator() -> Actor:
    """Return the person at the command line, by the login name of the process and not by what the environment says."""
    try:
        return Actor(f"operator:{pwd.getpwuid(os.getuid()).pw_name}")
    except KeyError:
        return Actor(f"operator:uid-{os.getuid()}")


@contextlib.contextmanager
def acting_as(actor: Actor) -> Iterator[None]:
    """Have everything recorded inside the block name this actor."""
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


@dataclass(frozen=True)
class Heard:
    """What was recorded of an act, for those who tell others of it."""

    tag: Tag
    realm: str
    target: str
    actor: Actor
    detail: Mapping[str, Any]


_LISTENERS: dict[Tag, list[Callable[[Heard], None]]] = {}


def listen(tags: Iterable[Tag], act: Callable[[Heard], None]) -> None:
    """Have something done in the very transaction in which acts with these tags are recorded.

    For what has to be told elsewhere, by a domain that the one that records does not know.
    """
    for tag in tags:
        _LISTENERS.setdefault(tag, []).append(act)


def record(tag: Tag, realm: str, target: str, *, outcome: str = "success", **detail: Any) -> None:
    """Add an event to the current transaction: it is stored exactly when the act itself is.

    :param realm: name of the realm, or empty for the server as a whole.
    :param target: `<kind>:<name>` of what was acted on.
    :param outcome: `success` or `refused`.
    :param detail: further facts, JSON values only; never a secret.
    """
    actor = _actor.get()
    db.session.add(
        AuditEvent(
            tag=tag.value,
            realm=realm,
            actor=actor.name,
            address=actor.address,
            target=target,
            outcome=outcome,
            detail=detail,
        )
    )
    if outcome == "success":
        for act in _LISTENERS.get(tag, ()):
            act(Heard(tag, realm, target, actor, detail))


def record_when(stored: bool, tag: Tag, realm: str, target: str, *, outcome: str, **detail: Any) -> None:  # noqa: FBT001 (a fact)
    """Add an event to the current transaction, or do the same work and add none, so that the time taken does not tell (T85).

    :param stored: whether it is added; see `record` for the others.
    """
    actor = _actor.get()
    values = event_values(clock.now(), realm, tag, actor.name, target, actor.address, outcome, **detail)
    columns = [literal(value, AuditEvent.__table__.c[name].type) for name, value in values.items()]
    rows = select(*columns).where(bindparam("stored", stored, type_=Boolean))
    db.session.connection().execute(insert(AuditEvent).from_select(list(values), rows, include_defaults=False))


def event_values(
    at: datetime, realm: str, tag: Tag, actor: str, target: str, address: str, outcome: str, **detail: Any
) -> dict[str, Any]:
    """Return the columns of an event that is written in a batch, after the act; see `AuditEvent`."""
    return {
        "at": at,
        "realm": realm,
        "tag": tag.value,
        "actor": actor,
        "target": target,
        "address": address,
        "outcome": outcome,
        "detail": detail,
    }


def list_events(realm: str | None = None, *, before: int | None = None, limit: int = 50, **filters: Any) -> Sequence[AuditEvent]:
    """Return events, newest first.

    :param before: number of an event, for those before it: the last of a page.
    :param filters: see `event_listing`.
    """
    return event_listing(realm, **filters).take(NEWEST, descending=True, after=place_of(realm, before), limit=limit)


def place_of(realm: str | None, number: int | None) -> list[Any] | None:
    """Return the place of an event in the list of events; None to begin.

    :param realm: the one whose events are listed; None for all.
    :param number: of the event. One that has been removed since was the oldest: nothing is before it.
    """
    if number is None:
        return None
    if realm is None:
        return [number]
    at = db.session.scalar(select(AuditEvent.at).where(AuditEvent.id == number, AuditEvent.realm == realm))
    return [at or datetime.min.replace(tzinfo=UTC), number]


def event_listing(
    realm: str | None = None,
    *,
    tag: str | None = None,
    actor: str | None = None,
    target: str | None = None,
    outcome: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    kind: str = "",
    action: str | None = None,
    tags: Collection[Tag] = (),
) -> Listing:
    """Return events as a list in pages, which is not counted: it may have many millions.

    Those of a realm are in the order of their time, and what is asked first of target, actor, tag and outcome decides by which
    index they are found. Those of all realms are in the order in which they were stored.

    :param actor: only of this one, `<kind>:<name>`, or of whatever has this name.
    :param target: in the same way.
    :param tag: only events whose tag begins with this, such as `admin:` or `admin:secret`.
    :param outcome: only those that ended so.
    :param kind: only on things of this kind, such as `user`.
    :param action: only acts of this kind; see `action_of`.
    :param tags: only events with one of these tags; any, if it is empty.
    """
    branches: list[ColumnElement[bool]] = []
    if realm is None:
        pass  # no index begins with anything but the realm
    elif target:
        branches, target = [AuditEvent.target == name for name in _names(target)], None
    elif actor:
        branches, actor = [AuditEvent.actor == name for name in _names(actor)], None
    elif tag or action or kind or tags:
        among = [each for each in Tag if each in tags] if tags else Tag
        found = (each for each in among if each.startswith(tag or "") and action in {None, action_of(each)})
        branches = [_of_tag(each, kind) for each in found if not kind or kind in _kinds_in(realm, each)] or [false()]
        tag, action, kind, tags = None, None, "", ()
    elif outcome == "refused":
        branches = [and_(text(REFUSED))]
    asked: list[tuple[object, Callable[[], ColumnElement[bool]]]] = [
        (realm is not None, lambda: AuditEvent.realm == realm),
        (tag, lambda: AuditEvent.tag.startswith(tag or "", autoescape=True)),
        (outcome, lambda: AuditEvent.outcome == outcome),
        (kind, lambda: _is_of(kind)),
        (action, lambda: AuditEvent.tag.in_([each.value for each in Tag if action_of(each) == action])),
        (tags, lambda: AuditEvent.tag.in_([each.value for each in tags])),
        (since, lambda: AuditEvent.at >= since),
        (until, lambda: AuditEvent.at < until),
        (actor, lambda: AuditEvent.actor.in_(_names(actor))),
        (target, lambda: AuditEvent.target.in_(_names(target))),
    ]
    query = select(AuditEvent).where(*(condition() for is_asked, condition in asked if is_asked))
    orders = {} if realm is None else {NEWEST: AuditEvent.at}
    return Listing(query, AuditEvent.id, orders, counted=False, branches=branches)


def _names(name: str | None) -> list[str]:
    """Return what somebody or something of this name, with or without its kind, can be called in the trail."""
    named = name or ""
    return [named] if ":" in named else [named, *(f"{kind}:{named}" for kind in KINDS)]


def _kinds_in(realm: str, tag: Tag) -> frozenset[str]:
    """Return the kinds of what a tag is recorded on in a trail: what is on the server as a whole is in the trail of no realm."""
    return tag.kinds - {"server" if realm else "realm"} if {"realm", "server"} <= tag.kinds else tag.kinds


def _of_tag(tag: Tag, kind: str) -> ColumnElement[bool]:
    """Return the condition that an event has a tag and, if that does not follow, that its target is of a kind."""
    if kind and tag in MIXED:
        return and_(AuditEvent.tag == tag.value, text(OF_MIXED[kind]))
    return AuditEvent.tag == tag.value if tag is Tag.TOKEN_ISSUE else and_(AuditEvent.tag == tag.value, text(NOT_ISSUED))


def _is_of(kind: str) -> ColumnElement[bool]:
    return AuditEvent.target.startswith(f"{kind}:", autoescape=True)


def no_events() -> Listing:
    """Return a list of no events."""
    return Listing(select(AuditEvent).where(false()), AuditEvent.id, {}, counted=False)


def find_event(realm: str, number: int) -> AuditEvent | None:
    """Return an event of a realm's trail by its number, or None."""
    return db.session.scalar(select(AuditEvent).where(AuditEvent.realm == realm, AuditEvent.id == number))


def action_of(tag: str) -> Literal["create", "update", "delete", "action"]:
    """Return whether an act makes, changes or removes something; `action` for any other."""
    match tag.rpartition(":")[2]:
        case "create":
            return "create"
        case "update":
            return "update"
        case "delete":
            return "delete"
    return "action"
