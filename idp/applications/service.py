"""The life cycle of applications."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import String, cast, delete, func, or_, select

from idp import access, audit, clock, feed
from idp.access import Frozen, Grant, Holder, HolderKind
from idp.applications.models import Application, ApplicationSecret, UsedAssertion
from idp.db import AfterColon, db, holds, is_meant
from idp.errors import ConflictError, InvalidValueError, NotFoundError
from idp.paging import Listing
from idp.public_url import canonical_url, origin_of
from idp.realms import Realm, check_access_token_type, check_algorithm, check_name, check_text, publish_application
from idp.verifier.jose import InvalidTokenError, import_key

_KEY_ALGORITHMS = {
    "RSA": ("RS256", "PS256", "RS384", "PS384", "RS512", "PS512"),
    "P-256": ("ES256",),
    "P-384": ("ES384",),
    "P-521": ("ES512",),
    "Ed25519": ("EdDSA", "Ed25519"),
}
"""What a key may sign with, by its type or curve (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2)."""
"""What a key of each type may sign an assertion with."""

MOST_AUDIENCES = 20
MOST_ORIGINS = 50
MOST_WITH_ORIGINS = 1_000
"""Applications of a realm that may have web origins: each worker keeps the origins of them all in memory."""

LONGEST_ORIGIN = 255
FASTEST = 1_000_000
MOST_PUBLIC_KEYS = 10

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


HAS_ORIGINS = cast(Application.web_origins, String) != "[]"
"""The condition that an application has web origins."""


def create_application(realm: Realm, name: str, **fields: Any) -> Application:
    """Create an application, without secrets or grants.

    :param name: its `client_id`. It cannot look like a service account or a user's address.
    :param fields: `description`, `enabled`, `audience`, `resources`, `signing_algorithm`, `access_token_type`,
        `web_origins`, `jwks`, `rate_per_second`.
    :raises ConflictError: the name is taken.
    :raises InvalidValueError: the name or a field has no usable value.
    """
    check_client_id(name)
    if db.session.scalar(_by_name(realm, name)) is not None:
        raise ConflictError(f"Realm {realm.name!r} already has an application {name!r}.")
    application = Application(realm_id=realm.id, name=name, created_by=audit.current_actor().name, **_checked(fields))
    _leave_room_for_origins(realm, application.web_origins)
    db.session.add(application)
    db.session.flush()
    audit.record(audit.Tag.APPLICATION_CREATE, realm.name, f"application:{name}", uid=application.uid)
    _announce(realm, application, origins=bool(application.web_origins))
    return application


def check_client_id(name: str) -> str:
    """Return the name if an application can have it.

    :raises InvalidValueError: it cannot.
    """
    if name.startswith("service-account-"):
        raise InvalidValueError("The name of an application cannot begin with service-account-, which tokens use.")
    return check_name("an application", name)


def update_application(realm: Realm, application: Application, **fields: Any) -> None:
    """Update an application; see `create_application` for the fields."""
    changed = {key: value for key, value in _checked(fields).items() if getattr(application, key) != value}
    if not changed:
        return
    if not application.web_origins:
        _leave_room_for_origins(realm, changed.get("web_origins", ()))
    had_origins = bool(application.web_origins)
    for key, value in changed.items():
        setattr(application, key, value)
    if "jwks" in changed:
        application.jwks_frozen = None  # that was about the keys of before
    application.updated_at = clock.now()
    target = f"application:{application.name}"
    audit.record(audit.Tag.APPLICATION_UPDATE, realm.name, target, uid=application.uid, **changed)
    _announce(realm, application, origins=had_origins or bool(application.web_origins))


def settle_audience(realm: Realm, application: Application, issuer: str) -> None:
    """Have the tokens of an application that administers, and is for no API in particular, be made for this server.

    That makes the realm's issuer its audience, for all to see. One that is given another audience, or no such role at the
    beginning, asks for it with each token: `resource=<issuer>` (RFC 8707 §2).
    """
    if not application.audience and _administers(application):
        update_application(realm, application, audience=[issuer])


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


def _announce(realm: Realm, application: Application, *, origins: bool) -> None:
    publish_application(realm.name, application.name)
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
        raise ConflictError(f"{MOST_WITH_ORIGINS} applications of realm {realm.name!r} have web origins, which is the limit.")


def get_application(realm: Realm, name: str) -> Application:
    """Return an application by name.

    :raises NotFoundError: there is none.
    """
    application: Application | None = db.session.scalar(_by_name(realm, name))
    if application is None:
        raise NotFoundError(f"Realm {realm.name!r} has no application {name[:80]!r}.").leading_to(
            "list applications", realm=realm.name
        )
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
    realm: Realm, *, containing: str = "", enabled: bool | None = None, projects: Collection[str] | None = None
) -> Listing:
    """Return applications as a list in pages.

    :param containing: only those whose name or description contains this, ignoring case.
    :param enabled: only those that are enabled, or that are not.
    :param projects: only those that hold a role on one of these projects; None for all.
    """
    query = select(Application).where(Application.realm_id == realm.id)
    if containing:
        query = query.where(or_(holds(Application.name, containing), holds(Application.description, containing)))
    if enabled is not None:
        query = query.where(Application.enabled.is_(enabled))
    if projects is not None:
        query = query.where(Application.id.in_(access.holders_on(realm, projects, HolderKind.APPLICATION)))
    return Listing(query, Application.id, {"name": Application.name}, fields=FIELDS)


def holder_of(application: Application) -> Holder:
    """Return the application as a holder of roles."""
    return Holder(HolderKind.APPLICATION, application.id, application.name, application.name)


def _by_name(realm: Realm, name: str) -> Any:
    return select(Application).where(Application.realm_id == realm.id, Application.name == name)


def _checked(fields: dict[str, Any]) -> dict[str, Any]:
    if fields.get("signing_algorithm") is not None:
        check_algorithm(fields["signing_algorithm"])
    if fields.get("access_token_type") is not None:
        check_access_token_type(fields["access_token_type"])
    check_text("A description", fields.get("description", ""), 500)
    rate = fields.get("rate_per_second")
    if rate is not None and not 1 <= rate <= FASTEST:
        raise InvalidValueError(f"rate_per_second is {rate}: use 1 to {FASTEST}, or none for the server's limit.")
    for name in ("audience", "resources"):
        if name in fields:
            fields = {**fields, name: check_audiences(name, fields[name])}
    if "web_origins" in fields:
        fields = {**fields, "web_origins": check_origins(fields["web_origins"])}
    if fields.get("jwks") is not None:
        fields = {**fields, "jwks": check_jwks(fields["jwks"])}
    return fields


def check_audiences(name: str, values: Sequence[str]) -> list[str]:
    """Return the values of `audience` or `resources` if they can be that.

    :raises InvalidValueError: too many, repeated, or no name or URL.
    """
    if len(values) > MOST_AUDIENCES or len(set(values)) != len(values):
        raise InvalidValueError(f"{name} takes at most {MOST_AUDIENCES} values, each once.")
    for value in values:
        if not 1 <= len(value) <= 255 or not value.isascii() or not value.isprintable() or " " in value:
            raise InvalidValueError(f"{name} takes names or URLs of 1 to 255 visible ASCII characters, not {value[:80]!r}.")
        if "://" in value and ("#" in value or not _has_host(value)):
            raise InvalidValueError(f"{value[:80]!r} is not an absolute URL without a fragment (RFC 8707 §2).")
    return list(values)


def check_origins(values: Sequence[str]) -> list[str]:
    """Return the values of `web_origins` as browsers write them, if they can be that.

    :raises InvalidValueError: too many, repeated, or no origin.
    """
    origins = []
    for value in values:
        try:
            origin = canonical_url(value)
        except ValueError:
            origin = ""
        if not origin or "*" in origin or origin != origin_of(origin) or len(origin) > LONGEST_ORIGIN:
            raise InvalidValueError(
                f"web_origins takes origins such as https://app.example.com, without a path, not {value[:80]!r}."
            )
        origins.append(origin)
    if len(origins) > MOST_ORIGINS or len(set(origins)) != len(origins):
        raise InvalidValueError(f"web_origins takes at most {MOST_ORIGINS} values, each once.")
    return origins


def _has_host(url: str) -> bool:
    try:
        return bool(urlsplit(url).netloc)
    except ValueError:  # brackets that do not hold an IPv6 address
        return False


def algorithms_of(jwk: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the algorithms that a public key may be used with, by its type and curve."""
    return _KEY_ALGORITHMS["RSA" if jwk["kty"] == "RSA" else jwk["crv"]]


def check_jwks(document: Any) -> dict[str, Any]:
    """Return a JWK set of public keys, reduced to what is needed.

    :raises InvalidValueError: no key, too many, a private one, or one that is too weak.
    """
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or not 1 <= len(keys) <= MOST_PUBLIC_KEYS:
        raise InvalidValueError(f'jwks takes {{"keys": [...]}} with 1 to {MOST_PUBLIC_KEYS} public keys.')
    for number, jwk in enumerate(keys, 1):
        try:
            if not isinstance(jwk, dict) or {"d", "k", "p", "q"} & jwk.keys():
                raise InvalidTokenError("The key is private; give the public half only.")
            import_key(jwk)
            algorithms = algorithms_of(jwk)
            if jwk.get("alg") not in (None, *algorithms) or jwk.get("use", "sig") != "sig":
                raise InvalidTokenError(f"It is for another algorithm or use than signing with {' or '.join(algorithms)}.")
        except InvalidTokenError as error:
            raise InvalidValueError(f"Key {number} of jwks: {error}") from None
    if len(json.dumps(keys)) > 20_000:
        raise InvalidValueError("jwks is larger than 20,000 characters.")
    kept = ("kty", "crv", "x", "y", "n", "e", "kid", "alg", "use")
    return {"keys": [{name: jwk[name] for name in kept if name in jwk} for jwk in keys]}
