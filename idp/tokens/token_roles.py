"""Roles as tokens carry them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from idp.access import HeldRole


@dataclass(frozen=True, slots=True)
class TokenRoles:
    """Roles as of now, in the form that tokens have.

    Beside the roles of the realm, and of each project, `ends` tells of those that end when (seconds since 1970): a token
    outlives them, and whoever checks it looks there.
    """

    on_realm: dict[str, Any]
    """`roles`, and `ends` where one of them has an end: the value of `realm_access`."""
    projects: list[dict[str, Any]]
    """`uid`, `name`, `roles`, and `ends` where one of them has an end: the value of `projects`."""
    valid_until: float
    """When the next of them ends; infinite if none does."""

    @property
    def project_names(self) -> frozenset[str]:
        """The names of the projects."""
        return frozenset(project["name"] for project in self.projects)

    @property
    def roles(self) -> list[str]:
        """The roles on the realm."""
        roles: list[str] = self.on_realm["roles"]
        return roles


def roles_for_token(held_roles: Iterable[HeldRole], now: float) -> TokenRoles:
    """Return roles as tokens carry them, without those that have ended."""
    held = [each for each in held_roles if now < each.until]
    uids = {each.project: each.project_uid for each in held if each.project}
    projects = [{"uid": uids[name], "name": name, **_with_ends(held, name)} for name in sorted(uids)]
    return TokenRoles(_with_ends(held, ""), projects, min((each.until for each in held), default=float("inf")))


def _with_ends(held: Iterable[HeldRole], project: str) -> dict[str, Any]:
    """Return the roles on a project, or on the realm, and the ends of those that have one; held twice, the later counts."""
    until: dict[str, float] = {}
    for each in held:
        if each.project == project:
            until[each.role] = max(until.get(each.role, 0), each.until)
    ends = {role: int(until[role]) for role in sorted(until) if until[role] != float("inf")}
    return {"roles": sorted(until), **({"ends": ends} if ends else {})}
