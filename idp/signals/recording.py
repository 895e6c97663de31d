"""Writing events into the streams of a realm, in the transaction of the act that they come from.

What ends tokens is taken from the causes of recall, what changes a credential from the audit trail: no act says it a second time,
and none can forget it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from sqlalchemy import event, insert, select
from sqlalchemy.orm import Session

from idp import audit, clock, feed, recall, runtime
from idp.applications import Application
from idp.audit import Actor, Heard, Tag
from idp.authorizations import Authorization
from idp.db import Base, db
from idp.realms import Realm
from idp.recall import Kind, TakenBack
from idp.signals import events
from idp.signals.events import CHANGES, KEYS_OF_APPLICATIONS, Change, Event, Subject
from idp.signals.models import SignalEvent, SignalStream, Status
from idp.users import User

_PENDING = "realmgate.signals"
_CHUNK = 500

_ENDED = {
    Kind.SUBJECT: "The user or application was disabled or deleted.",
    Kind.SESSION: "The session has ended.",
    Kind.KEY: "The API key does not work any more.",
    Kind.GRANT: "The sign-in to the application has ended.",
    Kind.TOKEN: "The token was revoked.",
}
"""Why sessions have ended, by the kind of the cause. What an issuer or a rule has admitted, a credential has fetched, or a
signing key has signed, is told as a change of that credential."""


@dataclass(slots=True)
class _Noted:
    """What a transaction has done that receivers may want to be told of."""

    taken_back: list[tuple[TakenBack, Actor]] = field(default_factory=list)
    heard: list[tuple[Heard, Change | None]] = field(default_factory=list)
    """With what it does to a credential; None where it ends a whole realm."""
    closed: set[str] = field(default_factory=set)
    """Realms that do not work any more: with that, all is told that could be told of their sessions."""


def _noted() -> _Noted:
    found: _Noted = db.session.info.setdefault(_PENDING, _Noted())
    return found


def _note_taken_back(cause: TakenBack) -> None:
    # what is announced beforehand, such as the end of a key that was replaced, was told as a change of that key
    if cause.kind in _ENDED and cause.at <= clock.now():
        _noted().taken_back.append((cause, audit.current_actor()))


def _note_change(heard: Heard) -> None:
    _noted().heard.append((heard, CHANGES[heard.tag]))


def _note_keys(heard: Heard) -> None:
    if {"jwks", "jwks_uri"} & heard.detail.keys():
        _noted().heard.append((heard, KEYS_OF_APPLICATIONS))


def _note_realm(heard: Heard) -> None:
    """A realm that does not work any more has no tokens: that is a cause of its own kind, which names nobody."""
    _noted().heard.append((heard, None))


recall.listen(_note_taken_back)
audit.listen(CHANGES, _note_change)
audit.listen((Tag.APPLICATION_UPDATE,), _note_keys)
audit.listen((Tag.REALM_DEACTIVATE, Tag.REALM_DELETE), _note_realm)


@event.listens_for(Session, "before_commit", insert=True)
def _write_heard(session: Session) -> None:
    """Write what was heard into the streams that there are: before the change feed, which holds up others."""
    noted: _Noted | None = session.info.get(_PENDING)
    if session.in_nested_transaction() or noted is None or not noted.heard:
        return
    heard, noted.heard = noted.heard, []
    noted.closed |= {each.realm for each, change in heard if change is None}
    session.flush()
    for name in sorted({each.realm for each, _ in heard}):
        streams, names = _streams_of(name), _Names(name)
        if streams:
            _enqueue(streams, [_changed(names, each, change) for each, change in heard if each.realm == name])


def _write_taken_back(_realms: Sequence[str]) -> None:
    """Write what was taken back: as the causes are, while the change feed has not begun to hold up others yet."""
    noted: _Noted | None = db.session.info.pop(_PENDING, None)
    if noted is None:
        return
    for name in sorted({each.realm for each, _ in noted.taken_back} - noted.closed):
        streams = _streams_of(name)
        if streams:
            _enqueue(streams, _ended(_Names(name), [each for each in noted.taken_back if each[0].realm == name]))


feed.react(recall.CACHED, _write_taken_back)


@event.listens_for(Session, "after_commit")
@event.listens_for(Session, "after_rollback")
def _forget(session: Session) -> None:
    if not session.in_nested_transaction():  # a savepoint: what was before it still counts
        session.info.pop(_PENDING, None)


def _streams_of(realm: str) -> Sequence[SignalStream]:
    """Return the streams that take events. None of them goes before the commit: on SQLite nothing does meanwhile."""
    of_realm = select(Realm.id).where(Realm.name == realm).scalar_subquery()
    query = select(SignalStream).where(SignalStream.realm_id == of_realm, SignalStream.status != Status.DISABLED.value)
    return db.session.scalars(query.order_by(SignalStream.id).with_for_update(read=True, key_share=True)).all()


def _ended(names: "_Names", taken_back: Iterable[tuple[TakenBack, Actor]]) -> list[Event]:
    return [
        events.session_revoked(subject, cause.at, actor, _ENDED[cause.kind])
        for cause, actor in taken_back
        for subject in names.subjects_of(cause.kind, cause.texts)
    ]


def _changed(names: "_Names", heard: Heard, change: Change | None) -> Event:
    kind, _, name = heard.target.partition(":")
    now = clock.now()
    if change is None:
        return events.session_revoked(
            events.of_realm(names.issuer), now, heard.actor, "The organisation was deactivated or deleted."
        )
    subject, owner = names.owner_of(kind, name)
    return events.credential_change(
        subject,
        now,
        heard.actor,
        credential=change.credential,
        change=change.change,
        name=str(heard.detail.get("secret") or heard.detail.get("rule") or (name if kind != "application" else "")),
        reason=f"{heard.tag.value} of {heard.target}",
        is_own=heard.actor.name == owner,
    )


class _Names:
    """Who and what is meant by the names and ids of a realm, as of this transaction."""

    def __init__(self, realm: str) -> None:
        self.issuer = runtime.current().settings.issuer(realm)
        self._realm_id = select(Realm.id).where(Realm.name == realm).scalar_subquery()
        self._found: dict[tuple[str, str], tuple[Subject, str]] = {}

    def owner_of(self, kind: str, name: str) -> tuple[Subject, str]:
        """Return whose credential something of the trail is, and what they are called there; of one that is gone, its id."""
        key = (kind, name)
        if key not in self._found:
            self._found[key] = self._look_up(kind, name)
        return self._found[key]

    def _look_up(self, kind: str, name: str) -> tuple[Subject, str]:
        if kind in {"key", "trusted-issuer"}:
            return events.of_realm(self.issuer), ""
        read = {"user": self._user, "application": self._application, "api-key": self._api_key, "personal-token": self._token}[
            kind
        ]
        found = read(name)
        if found is None:
            return events.opaque(name), ""
        owner_kind, owner, uid = found
        return events.of_issuer(self.issuer, uid), f"{owner_kind}:{owner}"

    def _user(self, name: str) -> tuple[str, str, str] | None:
        row = db.session.execute(select(User.name, User.uid).where(User.realm_id == self._realm_id, User.name == name)).first()
        return ("user", *row) if row else None

    def _application(self, name: str) -> tuple[str, str, str] | None:
        query = select(Application.name, Application.uid).where(Application.realm_id == self._realm_id, Application.name == name)
        row = db.session.execute(query).first()
        return ("application", *row) if row else None

    def _api_key(self, public_part: str) -> tuple[str, str, str] | None:
        table = Base.metadata.tables["api_key"]
        query = select(table.c.user_id, table.c.application_id).where(table.c.public_part == public_part)
        row = db.session.execute(query).first()
        return self._by_number(*row) if row else None

    def _token(self, uid: str) -> tuple[str, str, str] | None:
        table = Base.metadata.tables["personal_token"]
        number = db.session.scalar(select(table.c.user_id).where(table.c.uid == uid))
        return self._by_number(number, None) if number else None

    def _by_number(self, user: int | None, application: int | None) -> tuple[str, str, str] | None:
        if user is not None:
            row = db.session.execute(select(User.name, User.uid).where(User.id == user)).first()
            return ("user", *row) if row else None
        row = db.session.execute(select(Application.name, Application.uid).where(Application.id == application)).first()
        return ("application", *row) if row else None

    def subjects_of(self, kind: Kind, texts: Iterable[str]) -> list[Subject]:
        """Return what the things are that a cause names."""
        listed = list(texts)
        match kind:
            case Kind.SUBJECT:
                return [events.of_issuer(self.issuer, uid) for uid in listed]
            case Kind.TOKEN:
                return [events.of_token(self.issuer, jti) for jti in listed]
            case Kind.SESSION:
                owners = self._owners(listed, Base.metadata.tables["user_session"], {"user": User})
            case Kind.GRANT:
                owners = self._owners(listed, Authorization.__table__, {"user": User, "application": Application})
            case _:
                owners = {}
        return [events.of_session(text, **owners.get(text, {})) for text in listed]

    def _owners(
        self, uids: Sequence[str], table: Any, tables: Mapping[str, type[User | Application]]
    ) -> dict[str, dict[str, Subject]]:
        """Return whom sessions belong to, by uid. Those whose rows have gone belong to nobody any more."""
        found: dict[str, dict[str, Subject]] = {}
        for start in range(0, len(uids), _CHUNK):
            query = select(table.c.uid, *(each.uid for each in tables.values())).select_from(table)
            for name, each in tables.items():
                query = query.join(each, each.id == table.c[f"{name}_id"])
            for uid, *owners in db.session.execute(query.where(table.c.uid.in_(uids[start : start + _CHUNK]))):
                found[uid] = {name: events.of_issuer(self.issuer, owner) for name, owner in zip(tables, owners, strict=True)}
        return found


def _enqueue(streams: Iterable[SignalStream], told: Sequence[Event]) -> None:
    rows = [_row(stream, each) for stream in streams for each in told if each.type in stream.events_delivered]
    for start in range(0, len(rows), _CHUNK):
        db.session.execute(insert(SignalEvent), rows[start : start + _CHUNK])


def _row(stream: SignalStream, told: Event) -> dict[str, Any]:
    identity = {"stream_id": stream.id, "jti": str(uuid4()), "at": clock.now()}
    return identity | {"event_type": told.type, "subject": told.subject, "told": told.told}


def enqueue_for(stream: SignalStream, told: Event) -> None:
    """Write an event into one stream, whatever that has asked for: it is about the stream itself."""
    db.session.execute(insert(SignalEvent), [_row(stream, told)])
