"""Protected APIs: made, changed, deleted."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, or_, select

from idp import access, audit, clock, feed, runtime
from idp.db import db, holds
from idp.errors import ConflictError, InvalidValueError, NotFoundError, Sentence
from idp.paging import Listing
from idp.protected_apis.models import ProtectedApi
from idp.protected_apis.paths import is_below, is_plain
from idp.protected_apis.sheet import ProtectedApiSheet
from idp.realms import Realm, check_name, lock_realm

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
MOST_RULES = 200


def create_api(realm: Realm, name: str, sheet: ProtectedApiSheet) -> ProtectedApi:
    """Make a protected API; see `put_api` for what else may be refused.

    :raises ConflictError: there is one of this name.
    """
    lock_realm(realm.name)  # nobody makes it between here and there
    if db.session.scalar(_by_name(realm, name)) is not None:
        raise ConflictError(Sentence("{Realm} already has a protected API {name!r}.", realm=realm.name, name=name))
    return put_api(realm, name, sheet)


def put_api(realm: Realm, name: str, sheet: ProtectedApiSheet) -> ProtectedApi:
    """Make a protected API, or change it.

    :raises InvalidValueError: the name, the audience or a rule has no usable value.
    :raises NotFoundError: a rule names a role or project that the realm does not have.
    """
    check_name("a protected API", name)
    audience = sheet.audience
    if audience.startswith(runtime.current().settings.issuer("")):
        raise InvalidValueError(
            Sentence("The audience of a protected API is its own name or URL, not the issuer of {a_realm}."), field="audience"
        )
    checked = check_rules(sheet.plain_rules)
    for rule in checked:
        for role in rule["roles"]:
            access.get_role(realm, role)
        if rule["project"]:
            access.get_project(realm, rule["project"])
    api = db.session.scalar(_by_name(realm, name))
    if api is None:
        api = ProtectedApi(realm_id=realm.id, name=name, audience=audience, rules=checked)
        db.session.add(api)
    elif (api.audience, api.rules) == (audience, checked):
        return api
    else:
        api.audience, api.rules, api.updated_at = audience, checked, clock.now()
    db.session.flush()
    audit.record(audit.Tag.PROTECTED_API_UPDATE, realm.name, f"protected-api:{name}", audience=audience, rules=checked)
    feed.publish("protected-api", f"{realm.name}/{name}")
    return api


def check_rules(rules: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rules in their full form.

    :raises InvalidValueError: one of them cannot be.
    """
    if len(rules) > MOST_RULES:
        raise InvalidValueError(f"A protected API can have at most {MOST_RULES} rules.")
    checked = []
    for number, rule in enumerate(rules, 1):
        methods, path = sorted(set(rule.get("methods", ()))), rule.get("path", "")
        if not methods or not set(methods) <= set(METHODS):
            raise InvalidValueError(f"Rule {number}: methods must be some of {', '.join(METHODS)}.")
        if not is_plain(path) or (path.endswith("/") and path != "/"):
            raise InvalidValueError(f"Rule {number}: path must be a plain path such as /api/v1/query, without a trailing slash.")
        roles, project = sorted(set(rule.get("roles", ()))), rule.get("project") or ""
        is_open = rule.get("open", False) is True
        if is_open and (roles or project):
            raise InvalidValueError(
                f"Rule {number}: an open rule does not identify the caller, so it can have neither roles nor a project."
            )
        stored = {"methods": methods, "path": path, "roles": roles, "project": project}
        checked.append(stored | ({"open": True} if is_open else {}))
    _refuse_what_never_counts(checked)
    return checked


def _refuse_what_never_counts(rules: Sequence[dict[str, Any]]) -> None:
    """See that nothing which is open to everybody looks as if it asked for roles.

    :raises InvalidValueError: a rule is below an open one.
    """
    for number, rule in enumerate(rules, 1):
        for other, wider in enumerate(rules, 1):
            same = set(rule["methods"]) & set(wider["methods"])
            if same and "open" in wider and "open" not in rule and is_below(rule["path"], wider["path"]):
                raise InvalidValueError(
                    f"Rule {number} would have no effect: rule {other} is open, and covers {min(same)} of {rule['path']}."
                )


def delete_api(realm: Realm, name: str) -> None:
    """Delete a protected API; the gateway refuses every call to it from then on."""
    db.session.delete(get_api(realm, name))
    audit.record(audit.Tag.PROTECTED_API_UPDATE, realm.name, f"protected-api:{name}", deleted=True)
    feed.publish("protected-api", f"{realm.name}/{name}")


def get_api(realm: Realm, name: str) -> ProtectedApi:
    """Return a protected API by name.

    :raises NotFoundError: there is none.
    """
    api = db.session.scalar(_by_name(realm, name))
    if api is None:
        raise NotFoundError(Sentence("{Realm} has no protected API {name!r}.", realm=realm.name, name=name[:80]))
    return api


def list_apis(realm: Realm) -> Sequence[ProtectedApi]:
    """Return the protected APIs of a realm by name."""
    return db.session.scalars(select(ProtectedApi).where(ProtectedApi.realm_id == realm.id).order_by(ProtectedApi.name)).all()


def api_listing(realm: Realm, *, containing: str = "") -> Listing:
    """Return protected APIs as a list in pages.

    :param containing: only those whose name or audience contains this, ignoring case.
    """
    query = select(ProtectedApi).where(ProtectedApi.realm_id == realm.id)
    if containing:
        query = query.where(or_(holds(ProtectedApi.name, containing), holds(ProtectedApi.audience, containing)))
    return Listing(query, ProtectedApi.id, {"name": ProtectedApi.name, "changed": ProtectedApi.updated_at})


def _by_name(realm: Realm, name: str) -> Select[ProtectedApi]:
    return select(ProtectedApi).where(ProtectedApi.realm_id == realm.id, ProtectedApi.name == name)
