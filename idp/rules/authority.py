"""Who asks, and in which realm: what every rule is asked with."""

from dataclasses import dataclass, replace
from typing import Self

from idp import access, realms
from idp.access import HeldRole
from idp.callers import Caller, DeniedError
from idp.errors import Sentence
from idp.realms import MASTER, Realm


@dataclass(frozen=True, slots=True)
class Authority:
    """A caller in a realm: their own, or for an operator any."""

    caller: Caller
    realm: Realm

    @property
    def held(self) -> tuple[HeldRole, ...]:
        """The roles of the caller that count in the realm."""
        return self.caller.held_in(self.realm.name)

    @property
    def is_operator(self) -> bool:
        """Whether the caller belongs to the operators' realm."""
        return self.caller.realm.name == MASTER

    @property
    def is_home(self) -> bool:
        """Whether it is the caller's own realm."""
        return self.caller.realm.name == self.realm.name

    @property
    def at_home(self) -> Self:
        """The same caller in their own realm."""
        return self if self.is_home else replace(self, realm=realms.get_realm(self.caller.realm.name))

    def is_self(self, uid: str) -> bool:
        """Tell whether a uid is the caller's own."""
        return uid == self.caller.subject.uid

    def can(self, permission: str, project: str = "") -> bool:
        """Tell whether the caller has a permission on the realm, or on one project of it."""
        return access.may(self.held, permission, project)

    def can_somewhere(self, permission: str) -> bool:
        """Tell whether the caller has a permission on the realm, or at least on one project of it."""
        return any(self.can(permission, project) for project in {"", *(each.project for each in self.held)})

    def require(self, permission: str, project: str = "") -> None:
        """Go on only with a permission.

        :raises DeniedError: the caller does not have it there.
        """
        if not self.can(permission, project):
            raise permission_missing(permission, self.realm.name, project)

    def require_somewhere(self, permission: str) -> None:
        """Go on only with a permission on the realm, or on a project of it.

        :raises DeniedError: the caller has it nowhere.
        """
        if not self.can_somewhere(permission):
            self.require(permission)

    def projects_with(self, permission: str) -> list[str] | None:
        """Return the names of the only projects on which the caller has a permission; None for all, and the realm itself.

        :raises DeniedError: there is none.
        """
        if self.can(permission):
            return None
        names = sorted({each.project for each in self.held if each.project and self.can(permission, each.project)})
        if not names:
            self.require(permission)
        return names


def permission_missing(permission: str, realm: str, project: str = "") -> DeniedError:
    """Return the error of a caller who does not have a permission on a realm, or on a project of it."""
    where = Sentence("project {project}", project=project) if project else Sentence("{realm} {name}", name=realm)
    sentence = "This call needs the permission {permission} on {where}. An administrator can assign a role with it."
    return DeniedError(Sentence(sentence, permission=permission, where=where))


def permitted(authority: Authority) -> list[str]:
    """Return the permissions that the caller has on the realm, or at least on one project of it."""
    return [permission for permission in access.PERMISSIONS if authority.can_somewhere(permission)]


def permitted_on(authority: Authority, permission: str) -> list[str] | None:
    """Return the names of the projects on which the caller has a permission; None for the whole realm."""
    try:
        return authority.projects_with(permission)
    except DeniedError:
        return []
