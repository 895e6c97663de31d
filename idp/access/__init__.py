"""Who may what: roles, projects, and the grants that tie them to applications."""

from idp.access.grants import (
    HeldRole,
    Holder,
    grant_role,
    list_grants,
    read_held_roles,
    remove_all_grants,
    remove_grant,
)
from idp.access.models import Grant, HolderKind, Project, Role
from idp.access.names import (
    BUILT_IN_ROLES,
    create_built_in_roles,
    create_project,
    create_role,
    delete_project,
    delete_role,
    describe_project,
    describe_role,
    get_project,
    get_role,
    list_projects,
    list_roles,
)

__all__ = [
    "BUILT_IN_ROLES",
    "Grant",
    "HeldRole",
    "Holder",
    "HolderKind",
    "Project",
    "Role",
    "create_built_in_roles",
    "create_project",
    "create_role",
    "delete_project",
    "delete_role",
    "describe_project",
    "describe_role",
    "get_project",
    "get_role",
    "grant_role",
    "list_grants",
    "list_projects",
    "list_roles",
    "read_held_roles",
    "remove_all_grants",
    "remove_grant",
]
