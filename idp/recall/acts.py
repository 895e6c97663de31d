"""What acts do to tokens that were issued before: one function for each kind of thing that can change.

Each asks the database what has become of the things that a transaction says it has changed. What introspection looks at
(`tokens.live_subject`, `tokens.is_revoked`, `callers.authenticate_token`) is looked at here, too: docs/recall.md lists it.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Table, event, select
from sqlalchemy.orm import Mapper

from idp import clock, feed
from idp.applications import CREDENTIALS_CHANGED, Application, credentials_of
from idp.authorizations import Authorization
from idp.db import Base, db, shared_now
from idp.keys import SigningKey
from idp.realms import Realm
from idp.recall.marks import LIFE, SESSION_LIFE, Kind
from idp.recall.writing import CACHED, give_back, move_on, take_back, write
from idp.users import User

ALL = "*"


def _table(name: str) -> Table:
    """Return a table of a domain further up."""
    return Base.metadata.tables[name]


def _by_realm(keys: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Return by realm what keys of the form `realm/what` name. That all may have changed says nothing of any."""
    found: dict[str, list[str]] = {}
    for key in keys:
        realm, _, what = key.partition("/")
        if what != ALL:
            found.setdefault(realm, []).append(what)
    yield from found.items()


def _of(realm: str) -> Any:
    return select(Realm.id).where(Realm.name == realm).scalar_subquery()


def _review_users(keys: Sequence[str]) -> None:
    """A user who is disabled or gone has no tokens; one who has signed out everywhere, none of the sessions of before.

    Authorizations are ended one by one, which `authorizations` sees to.
    """
    session = _table("user_session")
    for realm, uids in _by_realm(keys):
        rows = db.session.execute(select(User.uid, User.enabled).where(User.realm_id == _of(realm), User.uid.in_(uids)))
        works = {uid for uid, enabled in rows if enabled}
        _settle(realm, Kind.SUBJECT, uids, works)
        over = (session.c.ended_at.is_(None), session.c.created_at <= User.signed_out_at, _lately(session.c.refreshed_at))
        signed_out = select(session.c.uid).join(User, User.id == session.c.user_id).where(User.uid.in_(uids), *over)
        take_back(realm, Kind.SESSION, db.session.scalars(signed_out).all())


def _lately(column: Any) -> Any:
    return column > clock.now() - timedelta(seconds=SESSION_LIFE)


def _settle(realm: str, kind: Kind, texts: Iterable[str], works: set[str]) -> None:
    """Take back what does not work, and give back what does."""
    named = set(texts)
    take_back(realm, kind, sorted(named - works))
    give_back(realm, kind, sorted(named & works))


def _review_applications(keys: Sequence[str]) -> None:
    """An application that is disabled has no tokens, and they count again once it is enabled."""
    for realm, names in _by_realm(keys):
        query = select(Application.uid, Application.enabled).where(
            Application.realm_id == _of(realm), Application.name.in_(names)
        )
        found = dict(db.session.execute(query).all())
        _settle(realm, Kind.SUBJECT, found, {uid for uid, enabled in found.items() if enabled})


def _review_credentials(keys: Sequence[str]) -> None:
    """A secret that was retired, or a public key that was taken away, takes along what was fetched with it.

    A key that the application is given again gives that back. One that merely ends at its time is not named.

    :param keys: realm, application, and what tokens name the credential by.
    """
    for realm, whats in _by_realm(keys):
        named: dict[str, list[str]] = {}
        for what in whats:
            application, _, credential = what.partition("/")
            named.setdefault(application, []).append(credential)
        rows = db.session.scalars(
            select(Application).where(Application.realm_id == _of(realm), Application.name.in_(list(named)))
        )
        for row in rows:  # of one that is deleted meanwhile, all is over
            _settle(realm, Kind.CREDENTIAL, named[row.name], credentials_of(row))


@event.listens_for(Application, "before_delete")
def _note_deleted(_mapper: Mapper[Any], connection: Connection, application: Application) -> None:
    """What people have signed in to at an application goes with its row: it has to be noted before."""
    realm = connection.scalar(select(Realm.name).where(Realm.id == application.realm_id))
    if realm is None:
        return
    live = (Authorization.ended_at.is_(None), Authorization.rotated_at > clock.now() - timedelta(seconds=LIFE))
    grants = connection.scalars(select(Authorization.uid).where(Authorization.application_id == application.id, *live)).all()
    with db.session.no_autoflush:
        take_back(realm, Kind.SUBJECT, [application.uid])
        take_back(realm, Kind.GRANT, grants)


def _review_authorizations(keys: Sequence[str]) -> None:
    for realm, uids in _by_realm(keys):
        lives = select(Authorization.uid).where(Authorization.uid.in_(uids), Authorization.ended_at.is_(None))
        take_back(realm, Kind.GRANT, sorted(set(uids) - set(db.session.scalars(lives))))
    for realm in sorted({key.partition("/")[0] for key in keys if key.endswith(f"/{ALL}")}):
        # all of the realm, which is disabled: they stay over when it works again
        since = clock.now() - timedelta(seconds=LIFE)
        over = (Authorization.ended_at > since, Authorization.rotated_at > since)
        query = select(Authorization.uid).where(Authorization.realm_id == _of(realm), *over)
        take_back(realm, Kind.GRANT, db.session.scalars(query).all())


def _review_sessions(keys: Sequence[str]) -> None:
    table = _table("user_session")
    for realm, uids in _by_realm(keys):
        lives = select(table.c.uid).where(table.c.uid.in_(uids), table.c.ended_at.is_(None))
        take_back(realm, Kind.SESSION, sorted(set(uids) - set(db.session.scalars(lives))))


def _review_tokens(keys: Sequence[str]) -> None:
    for realm, ids in _by_realm(keys):
        take_back(realm, Kind.TOKEN, ids)


def _review_keys(keys: Sequence[str]) -> None:
    """An API key that does not work, or is not called so any more, takes the session tokens along that it was exchanged for.

    :param keys: number of the realm, and public part of the key.
    """
    table, now = _table("api_key"), clock.now()
    for realm_id, parts in _by_realm(keys):
        realm = db.session.scalar(select(Realm.name).where(Realm.id == int(realm_id)))
        if realm is None:
            continue
        works = table.c.active & table.c.revoked_at.is_(None)
        query = select(table.c.public_part, table.c.expires_at).where(table.c.public_part.in_(parts), works)
        found = dict(db.session.execute(query).all())
        soon = {part: end for part, end in found.items() if end is not None and end < now + timedelta(seconds=SESSION_LIFE)}
        for part, end in soon.items():
            # tokens end with their key: but they may have been issued when it was to live longer
            take_back(realm, Kind.KEY, [part], at=end)
        _settle(realm, Kind.KEY, set(parts) - soon.keys(), set(found) - soon.keys())


def _review_signing_keys(realms: Sequence[str]) -> None:
    since = clock.now() - timedelta(seconds=LIFE)
    for realm in realms:
        query = select(SigningKey.uid).where(SigningKey.realm_id == _of(realm), SigningKey.revoked_at > since)
        take_back(realm, Kind.SIGNING_KEY, db.session.scalars(query).all())


def _review_realms(realms: Sequence[str]) -> None:
    """Whether a realm works, and from when its tokens count, stands with it: whoever follows it has to look again."""
    for realm in realms:
        move_on(realm)


_SETTLED = timedelta(seconds=2)
"""By then every worker has heard of a withdrawal; until then one may still admit somebody, whose token is over as well."""


def _note_withdrawn(keys: Sequence[str]) -> None:
    """What a rule or an issuer has admitted that nobody is admitted by any more.

    :param keys: realm, kind and name, as `withdraw` writes them.
    """
    for realm, whats in _by_realm(keys):
        for what in whats:
            kind, _, text = what.partition("/")
            take_back(realm, Kind(kind), [text], at=shared_now() + _SETTLED, again=True)


def withdraw(realm: str, kind: Kind, text: str) -> None:
    """Say that nobody is admitted by a rule or an issuer any more: what it has admitted until now is over with it."""
    feed.publish("withdrawn", f"{realm}/{kind.value}/{text}")


for _what, _review in (
    ("user", _review_users),
    ("application", _review_applications),
    (CREDENTIALS_CHANGED, _review_credentials),
    ("authorization", _review_authorizations),
    ("session", _review_sessions),
    ("token", _review_tokens),
    ("exchanged", _review_keys),
    ("keys", _review_signing_keys),
    ("realm", _review_realms),
    ("withdrawn", _note_withdrawn),
    (CACHED, write),  # the last one: it locks
):
    feed.react(_what, _review)
