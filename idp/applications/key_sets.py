"""Public keys that applications publish at a URL (RFC 7591 §2, `jwks_uri`); see `published_keys`."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, delete, select

from idp import published_keys
from idp.applications.checks import MOST_PUBLIC_KEYS
from idp.applications.models import Application, ApplicationKeySet
from idp.db import db
from idp.published_keys import Fetcher
from idp.realms import Realm, publish_application

if TYPE_CHECKING:
    from idp.applications.known import KnownApplication


def expect_keys(application: Application) -> None:
    """Have the keys of an application fetched a moment later, if it publishes any. What was fetched before is of another URL."""
    db.session.execute(delete(ApplicationKeySet).where(ApplicationKeySet.application_id == application.id))
    if application.jwks_uri is not None:
        db.session.add(ApplicationKeySet(application_id=application.id))
        db.session.flush()


def find_key_set(application: Application) -> ApplicationKeySet | None:
    """Return what was fetched from the `jwks_uri` of an application; None where it has none."""
    return db.session.scalar(select(ApplicationKeySet).where(ApplicationKeySet.application_id == application.id))


def want_keys(application: "KnownApplication") -> None:
    """Say that an assertion has named a key which an application may have published by now; see `Fetcher.want`."""
    _FETCHER.want(ApplicationKeySet.application_id == application.id, application.derived)


def fetch_due_keys() -> int:
    """Fetch the key sets that are due, each in no transaction, and commit; return how many were fetched."""
    return _FETCHER.fetch_due()


def _is_fetched() -> ColumnElement[bool]:
    return ApplicationKeySet.application.has(Application.enabled.is_(True))


def _fetch(url: str) -> tuple[list[dict[str, Any]], timedelta]:
    return published_keys.fetch_key_set(url, MOST_PUBLIC_KEYS)


def _tell(key_set: ApplicationKeySet) -> None:
    realm = db.session.get_one(Realm, key_set.application.realm_id)
    publish_application(realm.name, key_set.application.name)


_FETCHER = Fetcher(
    ApplicationKeySet,
    _is_fetched,
    lambda key_set: key_set.application.jwks_uri or "",
    _fetch,
    _tell,
    lambda key_set: f"application {key_set.application.name}",
)
