"""Who may see and decide which calls of protected APIs the gateway lets through."""

from idp import access, protected_apis
from idp.access import HeldRole, HolderKind
from idp.applications import Application
from idp.db import db
from idp.protected_apis import ProtectedApi
from idp.rules import applications as rules_of_applications
from idp.rules import grants
from idp.rules.authority import Authority

READ, WRITE = "realm:read", "realm:write"


def check_reading(authority: Authority) -> None:
    """See that the caller may see the protected APIs of the realm.

    :raises DeniedError: they may not.
    """
    authority.require(READ)


def check_changing(authority: Authority) -> None:
    """See that the caller may create, change and delete protected APIs.

    :raises DeniedError: they may not.
    """
    authority.require(WRITE)


def visible(authority: Authority, name: str) -> ProtectedApi:
    """Return a protected API that the caller may see.

    :raises DeniedError: they may see none.
    :raises NotFoundError: there is none of this name.
    """
    check_reading(authority)
    return protected_apis.get_api(authority.realm, name)


def can_change(authority: Authority) -> bool:
    """Tell whether the caller may create, change and delete protected APIs."""
    return authority.can(WRITE)


def roles_of_application(authority: Authority, named: str) -> tuple[Application, list[HeldRole]]:
    """Return an application with all that it holds, to try rules with: whether it passes tells what that is.

    :param named: its uid or name.
    :raises DeniedError: the caller may not see what it holds.
    :raises NotFoundError: there is none that the caller may see.
    """
    application = rules_of_applications.visible(authority, named)
    authority.require(grants.READ)
    return application, access.read_held_roles(db.session(), HolderKind.APPLICATION, application.id)
