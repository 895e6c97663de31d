"""Writing causes down, in the transaction of the act that they come from.

What an act does to tokens is not said where it is done: each says by `feed.publish` what it has changed, without which its own
worker would not believe it. Here that is looked at again before the commit (`feed.react`), and what stands in the database now
decides. So no act can forget it, and none can be committed without.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, delete, event, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from idp import clock, feed
from idp.db import db, insert_if_new, shared_now
from idp.realms import Realm
from idp.recall.marks import LIFE, SESSION_LIFE, Kind, mark_of
from idp.recall.models import RecallCause, RecallClock

CACHED = "recall"
"""What the causes of a realm are called in the change feed."""

_PENDING = "realmgate.recall"
_CHUNK = 500


@dataclass(slots=True)
class Changes:
    """What becomes of the causes of one realm in a transaction."""

    taken_back: dict[tuple[str, str], datetime] = field(default_factory=dict)
    """By kind and mark, from when on it counts."""
    lifted: set[tuple[str, str]] = field(default_factory=set)
    moves: bool = False
    """Whether there is something to tell although no cause has changed: the realm itself has."""


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What a transaction has taken back of a kind, for those who tell others of it."""

    realm: str
    kind: Kind
    texts: Sequence[str]
    """What is named, as far as that was not taken back before."""
    at: datetime
    """From when on it counts."""


_LISTENERS: list[Callable[[TakenBack], None]] = []


def listen(act: Callable[[TakenBack], None]) -> None:
    """Have something done in the very transaction in which something is taken back."""
    _LISTENERS.append(act)


def take_back(realm: str, kind: Kind, texts: Iterable[str], *, at: datetime | None = None, again: bool = False) -> None:
    """Note, in the current transaction, that tokens with these do not count any more.

    :param at: from when on; by default now.
    :param again: also where that is noted already, since it is about what was issued until then.
    """
    found, named = _changes_of(realm), list(texts)
    if not named:
        return
    when = at or shared_now()
    known = {} if again else _known(realm, kind, named)
    new = []
    for text in named:
        mark = mark_of(kind, text)
        is_lifted, since = known.get(mark, (True, when))
        if is_lifted or since > when or (at is not None and since != at):
            found.taken_back[kind, mark] = when
            found.lifted.discard((kind, mark))
            new.append(text)
    _tell(realm, found)
    for act in _LISTENERS if new else ():
        act(TakenBack(realm, kind, new, when))


def give_back(realm: str, kind: Kind, texts: Iterable[str]) -> None:
    """Note that tokens with these count again, where they did not."""
    found = _changes_of(realm)
    for mark, (is_lifted, _) in _known(realm, kind, texts).items():
        if not is_lifted:
            found.lifted.add((kind, mark))
            found.taken_back.pop((kind, mark), None)
    _tell(realm, found)


def move_on(realm: str) -> None:
    """Have those who follow a realm look again."""
    found = _changes_of(realm)
    found.moves = True
    _tell(realm, found)


def forget_old_causes() -> None:
    """Remove causes that concern no token any more."""
    now = clock.now()
    of_sessions = and_(RecallCause.kind == Kind.SESSION.value, RecallCause.at < now - timedelta(seconds=SESSION_LIFE))
    db.session.execute(delete(RecallCause).where(or_(of_sessions, RecallCause.at < now - timedelta(seconds=LIFE))))


def _changes_of(realm: str) -> Changes:
    found: Changes = db.session.info.setdefault(_PENDING, {}).setdefault(realm, Changes())
    return found


def _tell(realm: str, changes: Changes) -> None:
    if changes.taken_back or changes.lifted or changes.moves:
        feed.publish(CACHED, realm)


def _known(realm: str, kind: Kind, texts: Iterable[str]) -> dict[str, tuple[bool, datetime]]:
    """Return which of these are noted already: by mark, whether it was lifted, and from when on it counts."""
    marks = [mark_of(kind, text) for text in texts]
    found: dict[str, tuple[bool, datetime]] = {}
    for start in range(0, len(marks), _CHUNK):
        of_realm = select(Realm.id).where(Realm.name == realm).scalar_subquery()
        query = select(RecallCause.mark, RecallCause.lifted, RecallCause.at).where(
            RecallCause.realm_id == of_realm, RecallCause.kind == kind.value, RecallCause.mark.in_(marks[start : start + _CHUNK])
        )
        found |= {mark: (lifted, at) for mark, lifted, at in db.session.execute(query)}
    return found


def write(realms: Sequence[str]) -> None:
    """Write down what was noted. The last thing before the commit: whoever waits for the number waits for nothing else."""
    pending: Mapping[str, Changes] = db.session.info.pop(_PENDING, {})
    for name in sorted(realms):
        realm_id = db.session.scalar(select(Realm.id).where(Realm.name == name))
        if realm_id is None or name not in pending:
            continue  # purged, with everything
        position, changes = _next_position(realm_id), pending[name]
        rows = [
            {"kind": kind, "mark": mark, "at": at, "lifted": False} for (kind, mark), at in sorted(changes.taken_back.items())
        ]
        if changes.lifted:
            now = shared_now()
            rows += [{"kind": kind, "mark": mark, "at": now, "lifted": True} for kind, mark in sorted(changes.lifted)]
        _upsert([row | {"realm_id": realm_id, "position": position} for row in rows])


def _next_position(realm_id: int) -> int:
    taking = update(RecallClock).where(RecallClock.realm_id == realm_id).values(position=RecallClock.position + 1)
    taking = taking.returning(RecallClock.position)
    position = db.session.execute(taking).scalar_one_or_none()
    if position is None:
        insert_if_new(RecallClock, realm_id=realm_id, position=0)
        position = db.session.execute(taking).scalar_one()
    return int(position)


def _upsert(rows: Collection[dict[str, Any]]) -> None:
    insert: Any = postgresql.insert if db.engine.dialect.name == "postgresql" else sqlite.insert
    listed = list(rows)
    for start in range(0, len(listed), _CHUNK):
        adding = insert(RecallCause).values(listed[start : start + _CHUNK])
        changed = {name: adding.excluded[name] for name in ("at", "position", "lifted")}
        db.session.execute(adding.on_conflict_do_update(index_elements=["realm_id", "kind", "mark"], set_=changed))


@event.listens_for(Session, "after_rollback")
def _forget(session: Session) -> None:
    if not session.in_nested_transaction():  # back to a savepoint, what was before it still counts
        session.info.pop(_PENDING, None)
