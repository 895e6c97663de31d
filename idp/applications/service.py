"""The life cycle of applications."""

import json
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, String, and_, cast, delete, func, or_, select

from idp import access, audit, clock, feed
from idp.access import Frozen, Grant, Holder, HolderKind
from idp.applications.credentials import names_of_keys, publish_credentials
from idp.applications.key_sets import expect_keys
from idp.applications.kinds import Kind, allowed_grants
from idp.applications.models import Application, ApplicationSecret, UsedAssertion
from idp.applications.redirects import is_private
from idp.applications.review import expires_before, is_idle_since
from idp.applications.sheet import ApplicationSheet
from idp.db import AfterColon, db, is_meant
from idp.errors import ConflictError, InvalidValueError, NotFoundError, Sentence
from idp.paging import Listing
from idp.realms import Realm, check_name, publish_application
from idp.text_search import TextSearch

MOST_WITH_ORIGINS = 1_000
"""Applications of a realm that may have web origins: each worker keeps the origins of them all in memory."""


FIELDS: dict[str, Any] = {
    "name": Application.name,
    "uid": Application.uid,
    "enabled": Application.enabled,
    "created": Application.created_at,
    "updated": Application.updated_at,
    "used": Application.last_used_at,
    "maker": AfterColon(Application.created_by),
}
"""What lists of applications can be narrowed and put in order by."""


NEW_APPLICATION = ApplicationSheet()
"""What an application is like of which nothing is said."""

_SEARCH = TextSearch(
    Application, columns=(Application.name, Application.description), always=(Application.name,), fts5="application_text"
)

HAS_ORIGINS = cast(Application.web_origins, String) != "[]"
"""The condition that an application has web origins."""


def create_application(
    realm: Realm, name: str, sheet: ApplicationSheet = NEW_APPLICATION, *, document_url: str = ""
) -> Application:
    """Create an application, without secrets or grants.

    :param name: its `client_id`. It cannot look like a service account or a user's address.
    :param document_url: where it describes itself, which is its `client_id` then.
    :raises ConflictError: the name is taken.
    :raises InvalidValueError: the name is not usable.
    """
    check_client_id(name)
    check_kind(sheet)
    if db.session.scalar(_by_name(realm, name)) is not None:
        raise ConflictError(Sentence("{Realm} already has an application {name!r}.", realm=realm.name, name=name), field="name")
    application = Application(
        realm_id=realm.id,
        name=name,
        document_url=document_url,
        created_by=audit.current_actor().name,
        **sheet.model_dump(),
    )
    _leave_room_for_origins(realm, application.web_origins)
    db.session.add(application)
    db.session.flush()
    expect_keys(application)
    audit.record(audit.Tag.APPLICATION_CREATE, realm.name, f"application:{name}", uid=application.uid)
    _announce(realm, application, origins=bool(application.web_origins), is_new=True)
    return application


def check_client_id(name: str) -> str:
    """Return the name if an application can have it.

    :raises InvalidValueError: it cannot.
    """
    if name.startswith("service-account-"):
        raise InvalidValueError("The name of an application cannot begin with service-account-, which tokens use.")
    return check_name("an application", name)


def update_application(realm: Realm, application: Application, sheet: ApplicationSheet) -> None:
    """Update an application to what a sheet says.

    :raises ConflictError: too many applications of the realm have web origins.
    """
    changed = sheet.differing(application)
    if not changed:
        return
    check_kind(sheet)
    if not application.web_origins:
        _leave_room_for_origins(realm, changed.get("web_origins", ()))
    had_origins, had_keys = bool(application.web_origins), names_of_keys(application)
    for key, value in changed.items():
        setattr(application, key, value)
    if changed.keys() & {"jwks", "jwks_uri"}:
        application.jwks_frozen = None  # that was about the keys of before
    if "jwks_uri" in changed:
        expect_keys(application)
    publish_credentials(realm.name, application.name, had_keys ^ names_of_keys(application))
    application.updated_at = clock.now()
    target = f"application:{application.name}"
    audit.record(audit.Tag.APPLICATION_UPDATE, realm.name, target, uid=application.uid, **changed)
    _announce(realm, application, origins=had_origins or bool(application.web_origins))


def check_kind(sheet: ApplicationSheet) -> None:
    """See that an application is set up as what it is.

    :raises InvalidValueError: it has what its kind does not.
    """
    kind = Kind(sheet.kind)
    if sheet.jwks is not None and sheet.jwks_uri is not None:
        raise InvalidValueError("An application has public keys or a URL of them, not both.", field="jwks_uri")
    if kind is Kind.MACHINE and sheet.redirect_uris:
        raise InvalidValueError("People sign in to applications of the kind web, native or browser only.", field="kind")
    if kind is not Kind.NATIVE and any(map(is_private, (*sheet.redirect_uris, *sheet.post_logout_redirect_uris))):
        raise InvalidValueError("Only an application of the kind native can have a scheme of its own.", field="redirect_uris")
    if kind.is_public and sheet.profile == "fapi2":
        raise InvalidValueError("An application that keeps no secret cannot follow the profile fapi2.", field="profile")
    if kind.is_public and allowed_grants(kind, sheet.grant_types) != allowed_grants(kind, sheet.grant_types) | set(
        sheet.grant_types
    ):
        raise InvalidValueError("An application that keeps no secret cannot act for itself.", field="grant_types")


def settle_audience(realm: Realm, application: Application, issuer: str) -> None:
    """Have the tokens of an application that administers, and is for no API in particular, be made for this server.

    That makes the realm's issuer its audience, for all to see. One that is given another audience, or no such role at the
    beginning, asks for it with each token: `resource=<issuer>` (RFC 8707 §2).
    """
    if not application.audience and _administers(application):
        update_application(realm, application, ApplicationSheet.of(application).changed({"audience": [issuer]}))


def cannot_administer(application: Application) -> bool:
    """Tell whether an application holds roles by which it could administer, and its tokens are for no API in particular."""
    return not application.audience and _administers(application)


def list_mute(realm: Realm, limit: int = 20) -> Sequence[str]:
    """Return the names of applications of which `cannot_administer` holds."""
    holders = select(Grant.holder_id).where(Grant.holder_kind == HolderKind.APPLICATION.value)
    # not DISTINCT over a join: PostgreSQL cannot tell whether two values of JSON are the same
    found = (
        select(Application)
        .where(Application.realm_id == realm.id, cast(Application.audience, String) == "[]", Application.id.in_(holders))
        .order_by(Application.name)
    )
    mute = (application.name for application in db.session.scalars(found).yield_per(500) if _administers(application))
    return list(islice(mute, limit))


def _administers(application: Application) -> bool:
    return access.administers(access.read_held_roles(db.session(), HolderKind.APPLICATION, application.id))


def settle_all_audiences(issuer_of: Callable[[str], str]) -> None:
    """Settle the audiences of applications of before, whose tokens were for this server without saying so."""
    query = select(Application, Realm).join(Realm, Realm.id == Application.realm_id).order_by(Application.id)
    holders = select(Grant.holder_id).where(Grant.holder_kind == HolderKind.APPLICATION.value)
    for application, realm in db.session.execute(query.where(Application.id.in_(holders))).all():
        settle_audience(realm, application, issuer_of(realm.name))


def limit_public_keys(application: Application, frozen: Frozen | None) -> None:
    """Limit what is carried by who signs with the public keys that an application has got; see `access.freeze`.

    Part of the change that gave it the keys, and told with it.
    """
    application.jwks_frozen = frozen


def delete_application(realm: Realm, application: Application) -> None:
    """Delete an application with its secrets and grants. Its `sub` is never reused."""
    access.remove_all_grants(holder_of(application))
    for table in (ApplicationSecret, UsedAssertion):
        db.session.execute(delete(table).where(table.application_id == application.id))
    db.session.delete(application)
    target = f"application:{application.name}"
    audit.record(audit.Tag.APPLICATION_DELETE, realm.name, target, uid=application.uid)
    _announce(realm, application, origins=bool(application.web_origins))


def _announce(realm: Realm, application: Application, *, origins: bool, is_new: bool = False) -> None:
    publish_application(realm.name, application.name, is_new=is_new)
    if origins:
        feed.publish("web-origins", realm.name)


def _leave_room_for_origins(realm: Realm, origins: Sequence[str]) -> None:
    """See that an application that has no web origins yet may have some.

    :raises ConflictError: too many of the realm's have.
    """
    if not origins:
        return
    query = select(func.count()).select_from(Application).where(Application.realm_id == realm.id, HAS_ORIGINS)
    if (db.session.scalar(query) or 0) >= MOST_WITH_ORIGINS:
        raise ConflictError(
            Sentence(
                "{most} applications of {realm} have web origins, which is the limit.", most=MOST_WITH_ORIGINS, realm=realm.name
            ),
            field="web_origins",
        )


def get_application(realm: Realm, name: str) -> Application:
    """Return an application by name.

    :raises NotFoundError: there is none.
    """
    application: Application | None = db.session.scalar(_by_name(realm, name))
    if application is None:
        sentence = Sentence("{Realm} has no application {name!r}.", realm=realm.name, name=name[:80])
        raise NotFoundError(sentence).leading_to("list applications", realm=realm.name)
    return application


def find_application_by_uid(realm: Realm, uid: str) -> Application | None:
    """Return an application by uid, or None."""
    return db.session.scalar(select(Application).where(Application.realm_id == realm.id, Application.uid == uid))


def find_application(realm: Realm, named: str) -> Application | None:
    """Return an application by uid or name, or None."""
    return db.session.scalar(select(Application).where(Application.realm_id == realm.id, is_meant(Application, named)))


def is_claimed(realm: Realm, audience: str) -> bool:
    """Tell whether tokens of some application are made for this audience, or some application answers for it."""
    quoted = json.dumps(audience)
    lists = (cast(column, String).contains(quoted, autoescape=True) for column in (Application.audience, Application.resources))
    query = select(Application.id).where(Application.realm_id == realm.id, or_(Application.name == audience, *lists))
    return db.session.scalar(query.limit(1)) is not None


def list_applications(
    realm: Realm, *, after: str = "", containing: str = "", projects: Collection[str] | None = None, limit: int | None = None
) -> Sequence[Application]:
    """Return applications by name.

    :param after: only those whose name comes after this, for the next page.
    :param containing: only those whose name or description contains this, ignoring case.
    :param projects: only those that hold a role on one of these projects; None for all.
    """
    query = application_listing(realm, containing=containing, projects=projects).query
    return db.session.scalars(query.where(Application.name > after).order_by(Application.name).limit(limit)).all()


def application_listing(
    realm: Realm,
    *,
    containing: str = "",
    enabled: bool | None = None,
    projects: Collection[str] | None = None,
    role: str = "",
    project: str = "",
    state: str = "",
) -> Listing:
    """Return applications as a list in pages.

    :param containing: only those whose name or description contains this, ignoring case.
    :param enabled: only those that are enabled, or that are not.
    :param projects: only those that hold a role on one of these projects; None for all.
    :param role: only those that hold this role on the whole realm.
    :param project: only those that hold a role on this project.
    :param state: only those that are `enabled`, `disabled`, or `unused` for long; or enabled, with a secret that works and is
        `expiring` soon, or `idle`: not used for long, whatever else is.
    """
    query = select(Application).where(Application.realm_id == realm.id)
    if containing:
        query = query.where(_SEARCH.containing(realm.id, containing))
    if enabled is not None:
        query = query.where(Application.enabled.is_(enabled))
    for names in (projects, [project] if project else None):
        if names is not None:
            query = query.where(Application.id.in_(access.holders_on(realm, names, HolderKind.APPLICATION)))
    if role:
        query = query.where(Application.id.in_(access.holders_of(realm, role, HolderKind.APPLICATION)))
    if state:
        query = query.where(_in_state(state, clock.now()))
    orders = {"name": Application.name, "used": Application.last_used_at, "tokens": Application.token_count}
    return Listing(query, Application.id, orders, fields=FIELDS)


def few_applications_named(realm: Realm, containing: str) -> list[int] | None:
    """Return the row numbers of the applications of whose name this is a part, in whatever case; None for too many of them."""
    return _SEARCH.few(realm.id, containing, Application.name)


def _in_state(state: str, now: datetime) -> ColumnElement[bool]:
    """Return the condition that an application is in a state; see `application_listing`."""
    match state:
        case "disabled":
            return Application.enabled.is_(False)
        case "unused":
            return func.coalesce(Application.last_used_at, Application.created_at) < now - clock.UNUSED
        case "expiring":  # few: found by an index of their times
            found = select(ApplicationSecret.application_id).where(expires_before(now + clock.SOON))
            return and_(Application.enabled, Application.id.in_(found))
        case "idle":  # many: looked for along the list, up to its end
            own = ApplicationSecret.application_id == Application.id
            found = select(ApplicationSecret.application_id).where(own, is_idle_since(now - clock.UNUSED))
            return and_(Application.enabled, found.exists())
    return Application.enabled.is_(True)


def holder_of(application: Application) -> Holder:
    """Return the application as a holder of roles."""
    return Holder(HolderKind.APPLICATION, application.id, application.name, application.name)


def _by_name(realm: Realm, name: str) -> Any:
    return select(Application).where(Application.realm_id == realm.id, Application.name == name)
