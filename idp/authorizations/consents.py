"""What people have agreed to: remembered for each application, and taken back in one act."""

from collections.abc import Collection

from sqlalchemy import delete, select

from idp import audit, clock
from idp.authorizations.models import Consent
from idp.authorizations.service import End, end_of_pair
from idp.db import db, insert_if_new, reading

ALWAYS = frozenset({"openid"})
"""Scopes that nobody is asked about: that one signs in at all is no secret from where one signs in to."""


def has_agreed(user_id: int, application_id: int, scopes: Collection[str]) -> bool:
    """Tell whether a person has agreed to all of these scopes."""
    with reading() as session:
        given = session.scalar(select(Consent.scopes).where(Consent.user_id == user_id, Consent.application_id == application_id))
    return given is not None and set(scopes) - ALWAYS <= set(given)


def agree(realm: str, user_id: int, application_id: int, client_id: str, scopes: Collection[str]) -> None:
    """Remember that a person has agreed to scopes, beside those that they have agreed to before."""
    wanted = sorted(set(scopes) - ALWAYS)
    now = clock.now()
    if not insert_if_new(Consent, user_id=user_id, application_id=application_id, scopes=wanted, given_at=now):
        row = db.session.scalars(
            select(Consent).where(Consent.user_id == user_id, Consent.application_id == application_id).with_for_update()
        ).one()
        row.scopes, row.given_at = sorted({*row.scopes, *wanted}), now
    audit.record(audit.Tag.CONSENT_GIVE, realm, f"application:{client_id}", scopes=wanted)


def take_back(realm: str, user_id: int, application_id: int, client_id: str, by: End) -> None:
    """Take back what a person has agreed to, and end all that the application does for them."""
    db.session.execute(delete(Consent).where(Consent.user_id == user_id, Consent.application_id == application_id))
    end_of_pair(realm, user_id, application_id, by)
    audit.record(audit.Tag.CONSENT_TAKE_BACK, realm, f"application:{client_id}", by=by.value)
