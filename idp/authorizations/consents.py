"""What people have agreed to: remembered for each application, and taken back in one act."""

from collections.abc import Collection

from sqlalchemy import select, update

from idp import audit, clock
from idp.authorizations.models import Consent
from idp.authorizations.service import End, end_of_pair
from idp.db import db, insert_if_new, reading, shared_now

ALWAYS = frozenset({"openid"})
"""Scopes that nobody is asked about: that one signs in at all is no secret from where one signs in to."""


def has_agreed(user_id: int, application_id: int, scopes: Collection[str]) -> bool:
    """Tell whether a person has agreed to all of these scopes."""
    query = select(Consent.scopes).where(
        Consent.user_id == user_id, Consent.application_id == application_id, Consent.given_at.is_not(None)
    )
    with reading() as session:
        given = session.scalar(query)
    return given is not None and set(scopes) - ALWAYS <= set(given)


def agree(realm: str, user_id: int, application_id: int, client_id: str, scopes: Collection[str]) -> None:
    """Remember that a person has agreed to scopes, beside those that they have agreed to before."""
    wanted = set(scopes) - ALWAYS
    row = _row(user_id, application_id)
    row.scopes, row.given_at = sorted(wanted.union(row.scopes)), clock.now()
    audit.record(audit.Tag.CONSENT_GIVE, realm, f"application:{client_id}", scopes=sorted(wanted))


def take_back(realm: str, user_id: int, application_id: int, client_id: str, by: End) -> None:
    """Take back what a person has agreed to, and end all that the application does for them, codes under way included."""
    row = _row(user_id, application_id)
    row.scopes, row.given_at, row.taken_back_at = [], None, shared_now()
    end_of_pair(realm, user_id, application_id, by)
    audit.record(audit.Tag.CONSENT_TAKE_BACK, realm, f"application:{client_id}", by=by.value)


def forget_consents(application_id: int) -> None:
    """Have everybody asked again about an application that is not what they have agreed to any more."""
    agreed = update(Consent).where(Consent.application_id == application_id, Consent.given_at.is_not(None))
    db.session.execute(agreed.values(scopes=[], given_at=None))


def _row(user_id: int, application_id: int) -> Consent:
    """Return the row of a person and an application, locked; a new one if there is none."""
    insert_if_new(Consent, user_id=user_id, application_id=application_id, scopes=[], given_at=None)
    query = select(Consent).where(Consent.user_id == user_id, Consent.application_id == application_id)
    return db.session.scalars(query.with_for_update().execution_options(populate_existing=True)).one()
