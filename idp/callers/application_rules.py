"""Who may make and change which applications. Who has an application's secret acts as it, so the rules are those of keys."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from idp import access, applications
from idp.applications import Application, ApplicationSecret
from idp.callers.key_rules import frozen_for, held_by
from idp.callers.models import Caller, DeniedError
from idp.callers.people_rules import give_role
from idp.db import db
from idp.errors import NotFoundError
from idp.realms import Realm

FIRST_SECRET = "main"  # noqa: S105 (a name, no secret)


@dataclass(frozen=True)
class ApplicationWish:
    """What a new application is to be."""

    name: str
    roles: Sequence[str] = ()
    """Roles on the realm."""
    projects: Sequence[tuple[str, str, datetime | None]] = ()
    """Project, role on it, and until when."""
    fields: dict[str, Any] = field(default_factory=dict)
    """See `applications.create_application`."""


def make_application(caller: Caller, realm: Realm, wish: ApplicationWish) -> tuple[Application, str]:
    """Make an application with what it is to hold, and its first secret, which is returned and shown now or never.

    :raises DeniedError: the caller may not make applications, or not give one of the roles.
    """
    caller.require("applications:write", realm=realm.name)
    _check_claims(caller, realm, {wish.name, *wish.fields.get("resources", ())})
    application = applications.create_application(realm, wish.name, **wish.fields)
    holder = applications.holder_of(application)
    for role in wish.roles:
        give_role(caller, realm, holder, role)
    for project, role, until in wish.projects:
        give_role(caller, realm, holder, role, project=project, until=until)
    db.session.flush()
    applications.settle_audience(realm, application, caller.realm.runtime.settings.issuer(realm.name))
    if wish.fields.get("jwks") is not None:
        applications.limit_public_keys(application, frozen_for(caller, realm, holder))
    return application, make_secret(caller, realm, application, FIRST_SECRET)[1]


def make_secret(
    caller: Caller, realm: Realm, application: Application, name: str, *, expires_at: datetime | None = None
) -> tuple[ApplicationSecret, str]:
    """Give an application that the caller may manage one more secret; see `applications.add_secret`.

    Whoever makes it may know it. So it carries what the application holds now, which they could have given, and nothing that it
    is given later by others.
    """
    frozen = frozen_for(caller, realm, applications.holder_of(application))
    return applications.add_secret(realm, application, name, expires_at=expires_at, frozen=frozen)


def visible_application(caller: Caller, realm: Realm, named: str) -> Application:
    """Return an application that the caller may see, by uid or name; any other is not there (T73).

    That is itself, all where the caller may read applications of the realm, and those that hold a role on a project where it may.

    :raises NotFoundError: there is none that the caller may see.
    """
    found = applications.find_application(realm, named)
    is_self = found is not None and found.uid == caller.subject.uid
    if found is None or not (is_self or _may_see(caller, realm, found)):
        raise NotFoundError("There is no application with this uid or name (not found).")
    return found


def _may_see(caller: Caller, realm: Realm, application: Application) -> bool:
    if caller.may("applications:read", realm=realm.name):
        return True
    grants = access.list_grants(realm, holder=applications.holder_of(application))
    projects = {grant.project.name for grant in grants if grant.project is not None}
    return any(caller.may("applications:read", realm=realm.name, project=project) for project in projects)


def manageable_application(caller: Caller, realm: Realm, name: str) -> Application:
    """Return an application that the caller may change, disable and delete, and whose secrets the caller may make and retire.

    :raises NotFoundError: there is none.
    :raises DeniedError: the caller may not, or the application has permissions that the caller has not.
    """
    caller.require("applications:write", realm=realm.name)
    application = applications.get_application(realm, name)
    if not access.covers(caller.held_in(realm.name), held_by(applications.holder_of(application))):
        raise DeniedError(
            "This application has permissions that the caller does not have: only a caller with all of them can manage it, "
            "for whoever has its secret acts as it."
        )
    return application


def change_application(caller: Caller, realm: Realm, name: str, **fields: Any) -> Application:
    """Change an application that the caller may manage; see `applications.update_application`.

    :raises DeniedError: the caller may not, or not let it answer for an audience that it has not answered for.
    """
    application = manageable_application(caller, realm, name)
    _check_claims(caller, realm, set(fields.get("resources", ())) - set(application.resources))
    known_before = application.jwks
    applications.update_application(realm, application, **fields)
    if application.jwks != known_before:
        # who signs with a key of somebody's choice acts as the application, as who has a secret does
        applications.limit_public_keys(application, frozen_for(caller, realm, applications.holder_of(application)))
    return application


def _check_claims(caller: Caller, realm: Realm, audiences: set[str]) -> None:
    """See that nobody has an application answer for what others' tokens are made for, to introspect and exchange them.

    :raises DeniedError: somebody else's tokens are, and the caller is no administrator of the realm, or only for a while.
    """
    if math.isinf(access.granting_until(caller.held_in(realm.name), access.PERMISSIONS)):
        return
    # what is made for no API in particular is made for the issuer, as session tokens are
    issuers = caller.realm.runtime.settings.issuer("")
    taken = sorted(each for each in audiences if each.startswith(issuers) or applications.is_claimed(realm, each))
    if taken:
        raise DeniedError(
            f"Tokens are made for {taken[0]!r}: only an administrator of the realm can let an application introspect them."
        )
