"""Documents of applications, as they are kept: how many, for how long, and what becomes of one that says something else.

Whoever opens the sign-in page can name a URL, so a realm keeps so many and no more; what nobody has used makes room.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from idp import applications, audit, clock
from idp.applications import Application, ApplicationSheet
from idp.authorizations import Authorization, Consent, forget_consents
from idp.client_documents.merging import Terms, hashed, listed_in, merge
from idp.client_documents.models import ClientDocument
from idp.db import db, reading
from idp.errors import ConflictError, IdpError, Kind
from idp.realms import KnownRealm, Realm, lock_realm

MOST_KEPT = 500
"""Applications of a realm that describe themselves."""

LEAST_FRESH, MOST_FRESH, USUALLY_FRESH = timedelta(seconds=60), timedelta(days=1), timedelta(hours=1)
"""For how long a document is not fetched again, whatever its server says, and if it says nothing."""

IN_USE = timedelta(hours=1)
"""How long what is new makes room for nothing else: somebody may be signing in."""

UNUSED_FOR = timedelta(days=7)
"""How long an application that nobody has signed in to is kept."""

_TOLD_TO_PEOPLE = ("display_name", "redirect_uris", "backchannel_logout_uri")
"""What people have agreed to, beside the scopes."""

_MOST_REMOVED = 100


class TooManyDocumentsError(IdpError):
    """The realm keeps as many as it may, and all of them are in use."""

    kind = Kind.TOO_MANY
    retry_after = 3600


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a document."""

    enabled: bool
    """Whether the application is, as far as its administrators have a say."""
    fresh_until: datetime


def find_kept(realm: KnownRealm, url: str) -> Kept | None:
    """Return what is kept of the document at a URL; None for one that has not been seen."""
    query = (
        select(Application.enabled, ClientDocument.fresh_until)
        .join(ClientDocument, ClientDocument.application_id == Application.id)
        .where(Application.realm_id == realm.id, Application.name == applications.name_of(url))
        .where(Application.document_url == url)
    )
    with reading() as session:
        row = session.execute(query).first()
    return Kept(row.enabled, row.fresh_until) if row is not None else None


def keep(realm: KnownRealm, url: str, said: dict[str, Any], *, digest: str, max_age: int | None) -> None:
    """Have the application at a URL be what its document says; the caller commits.

    What administrators have set of it stays as it is, and is only narrowed: see `merging`. People are asked again if it goes by
    another name, or to another place.

    :param said: fields of an application's sheet, checked.
    :param digest: SHA-256 of the document.
    :param max_age: seconds for which it may be kept, as its server says; None if it does not.
    :raises ConflictError: somebody has registered an application under its name.
    :raises TooManyDocumentsError: there is no room for one more.
    """
    row = lock_realm(realm.name)
    if row is None or not row.client_documents:
        return
    name = applications.name_of(url)
    application = applications.find_application(row, name)
    if application is not None and application.document_url != url:
        raise ConflictError("an application is registered here under the name that follows from the URL.")
    is_new = application is None
    if application is None:
        _make_room(row)
        values = said | {"consent": True, "description": f"Describes itself at {url}"}
        application = applications.create_application(row, name, ApplicationSheet.read(values), document_url=url)
    kept = db.session.scalar(select(ClientDocument).where(ClientDocument.application_id == application.id))
    now = clock.now()
    if kept is None:
        kept = ClientDocument(application_id=application.id, digest="")
        db.session.add(kept)
    if kept.digest != digest:
        target = f"application:{name}"
        audit.record(audit.Tag.CLIENT_DOCUMENT_TAKE, row.name, target, url=url, sha256=digest, before=kept.digest or None)
        _take(row, application, kept, said, is_new=is_new)
    elif kept.applied is None:
        kept.listed, kept.applied = listed_in(said), hashed(said)  # a version of before has taken just this
    fresh = USUALLY_FRESH if max_age is None else timedelta(seconds=max_age)
    kept.digest, kept.fetched_at, kept.fresh_until = digest, now, now + min(max(fresh, LEAST_FRESH), MOST_FRESH)


def _take(realm: Realm, application: Application, kept: ClientDocument, said: dict[str, Any], *, is_new: bool) -> None:
    """Have an application be what its document says now, within what administrators have set, and note what came of both."""
    if is_new:
        kept.listed, kept.set_here = listed_in(said), {}
    else:
        merged = merge(said, _values(application, said), Terms(kept.listed, kept.applied, kept.set_here))
        _change(realm, application, merged.values)
        kept.listed, kept.set_here = merged.listed, merged.set_here
    kept.applied = hashed(_values(application, said))


def _values(application: Application, said: Iterable[str]) -> dict[str, Any]:
    """Return what an application is, in the fields that its document has a say in."""
    sheet = ApplicationSheet.of(application)
    return {name: getattr(sheet, name) for name in said}


def _change(realm: Realm, application: Application, values: dict[str, Any]) -> None:
    before = [getattr(application, name) for name in _TOLD_TO_PEOPLE]
    applications.update_application(realm, application, ApplicationSheet.of(application).changed(values))
    if [getattr(application, name) for name in _TOLD_TO_PEOPLE] != before:
        forget_consents(application.id)


def _make_room(realm: Realm) -> None:
    """See that there is room for one more, if need be in the place of the oldest that nobody has ever used.

    :raises TooManyDocumentsError: there is none.
    """
    count = select(func.count(Application.id)).where(Application.realm_id == realm.id, Application.document_url != "")
    if (db.session.scalar(count) or 0) < MOST_KEPT:
        return
    oldest = _unused(IN_USE).where(Application.realm_id == realm.id).limit(1)
    application = db.session.scalar(oldest)
    if application is None:
        raise TooManyDocumentsError("As many applications describe themselves here as may. Ask an administrator to remove some.")
    applications.delete_application(realm, application)
    db.session.flush()


def _unused(age: timedelta) -> Any:
    """Return the query of applications that nobody has ever signed in to, oldest first."""
    return (
        select(Application)
        .join(ClientDocument, ClientDocument.application_id == Application.id)
        .where(ClientDocument.created_at < clock.now() - age, Application.last_used_at.is_(None), Application.enabled)
        .where(~select(Authorization.id).where(Authorization.application_id == Application.id).exists())
        .where(~select(Consent.id).where(Consent.application_id == Application.id).exists())
        .order_by(ClientDocument.created_at)
    )


def remove_unused() -> None:
    """Remove applications that have described themselves and that nobody has ever signed in to. Disabled ones stay so."""
    for application in db.session.scalars(_unused(UNUSED_FOR).limit(_MOST_REMOVED)).all():
        applications.delete_application(db.session.get_one(Realm, application.realm_id), application)
        db.session.flush()
