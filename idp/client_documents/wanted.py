"""Documents that are to be read again, since an assertion has named a key that they did not have: as with `published_keys`."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, or_, select, update

from idp import clock
from idp.applications import Application, KnownApplication
from idp.client_documents.models import ClientDocument
from idp.db import commit, db, reading
from idp.published_keys import COOL_DOWN, MOST_AT_ONCE, may_want
from idp.realms import Realm


@dataclass(frozen=True, slots=True)
class Wanted:
    """A document that is to be read again."""

    id: int
    realm: str
    url: str


def want(application: KnownApplication) -> None:
    """Say that an assertion has named a key which the document of an application may have by now, and commit.

    Within a minute, once is enough; this worker asks no more often either, so that assertions of strangers cost no statement.
    """
    now = clock.now()
    if not may_want("document", application.derived, now):
        return
    is_new = or_(ClientDocument.wanted_at.is_(None), ClientDocument.wanted_at <= now - COOL_DOWN)
    statement = update(ClientDocument).where(ClientDocument.application_id == application.id, is_new).values(wanted_at=now)
    db.session.execute(statement.execution_options(synchronize_session=False))
    commit()


def list_wanted() -> list[Wanted]:
    """Return documents that are to be read again, the oldest wish first."""
    query = (
        select(ClientDocument.id, Realm.name, Application.document_url)
        .join(Application, Application.id == ClientDocument.application_id)
        .join(Realm, Realm.id == Application.realm_id)
        .where(_is_wanted(), Application.enabled.is_(True), Realm.client_documents.is_(True))
        .order_by(ClientDocument.wanted_at)
        .limit(MOST_AT_ONCE)
    )
    with reading() as session:
        return [Wanted(*row) for row in session.execute(query)]


def claim(wanted: Wanted) -> bool:
    """Take it upon oneself to read a document again, and commit. One statement decides: True for exactly one caller."""
    claiming = update(ClientDocument).where(ClientDocument.id == wanted.id, _is_wanted()).values(tried_at=clock.now())
    claiming = claiming.returning(ClientDocument.id).execution_options(synchronize_session=False)
    is_ours = db.session.execute(claiming).first() is not None
    commit()
    return is_ours


def _is_wanted() -> ColumnElement[bool]:
    never = or_(ClientDocument.tried_at.is_(None), ClientDocument.tried_at < ClientDocument.wanted_at)
    return and_(ClientDocument.wanted_at.is_not(None), ClientDocument.wanted_at >= ClientDocument.fetched_at, never)
