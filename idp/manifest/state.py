"""Everything in a realm in one shape, whether a file says so or the database, so that the two can be compared."""

from datetime import datetime
from typing import Any, Literal

from idp import access, applications, clock, protected_apis, users
from idp.access import HolderKind
from idp.manifest.file import RealmFile
from idp.manifest.parts import UserPart
from idp.realms import Realm

Kind = Literal["realm", "role", "project", "api", "group", "user", "application", "grant", "secret"]
ORDER: tuple[Kind, ...] = ("realm", "role", "project", "api", "group", "user", "application", "grant", "secret")
"""Kinds of things, in the order in which they are made."""

State = dict[Kind, dict[tuple[str, ...], dict[str, Any]]]
"""By kind and name, the fields of everything in a realm, whether a file says so or the database."""

_APPLICATION_FIELDS = (
    "description",
    "enabled",
    "audience",
    "resources",
    "signing_algorithm",
    "access_token_type",
    "web_origins",
    "rate_per_second",
    "jwks",
)
REALM_FIELDS = (
    "display_name", "enabled", "signing_algorithm", "access_token_type", "key_rotation_days", "audit_days", "session_hours",
    "api_key_hours", "personal_token_limit", "personal_token_seconds", "personal_token_choice",
)  # fmt: skip
_SHOWN_FIELDS = ("display_name", "description")
_USER_FIELDS = ("kind", "email", "first_name", "last_name", "enabled", "api_key_hours")


def state_of_realm(realm: Realm) -> State:
    """Return what the database says of a realm. Built-in roles are left out: they are always there."""
    state = empty_state()
    state["realm"][(realm.name,)] = {name: getattr(realm, name) for name in REALM_FIELDS}
    for role in access.list_roles(realm):
        if not role.built_in:
            state["role"][(role.name,)] = {"description": role.description, "permissions": role.permissions}
    for project in access.list_projects(realm):
        state["project"][(project.name,)] = {name: getattr(project, name) for name in _SHOWN_FIELDS}
    for api in protected_apis.list_apis(realm):
        state["api"][(api.name,)] = {"audience": api.audience, "rules": api.rules}
    for group in users.list_groups(realm):
        state["group"][(group.name,)] = {name: getattr(group, name) for name in _SHOWN_FIELDS}
    for user in users.list_users(realm):
        groups = [group.name for group in users.groups_of(user)]
        state["user"][(user.name,)] = {name: getattr(user, name) for name in _USER_FIELDS} | {"groups": groups}
    _add_applications(state, realm)
    for grant in access.list_grants(realm):
        prefix = "" if grant.holder_kind == HolderKind.APPLICATION.value else f"{grant.holder_kind}:"
        name = (prefix + grant.holder_name, grant.project.name if grant.project else "", grant.role.name)
        state["grant"][name] = {"until": grant.until}
    return state


def _add_applications(state: State, realm: Realm) -> None:
    for application in applications.list_applications(realm):
        fields = {name: getattr(application, name) for name in _APPLICATION_FIELDS}
        state["application"][(application.name,)] = fields
        for secret in applications.list_secrets(application):
            if secret.retired_at is None and not secret.single_use and not is_over(secret.expires_at):
                state["secret"][application.name, secret.name] = {"expires": secret.expires_at}


def state_of_file(file: RealmFile) -> State:
    """Return what a realm file says."""
    state = empty_state()
    state["realm"][(file.realm.name,)] = {name: getattr(file.realm, name) for name in REALM_FIELDS}
    for name, role in file.roles.items():
        state["role"][(name,)] = {"description": role.description, "permissions": role.permissions}
    for name, project in file.projects.items():
        state["project"][(name,)] = {field: getattr(project, field) for field in _SHOWN_FIELDS}
    for name, api in file.apis.items():
        rules = protected_apis.check_rules([rule.model_dump() for rule in api.rules])
        state["api"][(name,)] = {"audience": api.audience, "rules": rules}
    for name, group in (file.groups or {}).items():
        state["group"][(name,)] = {field: getattr(group, field) for field in _SHOWN_FIELDS}
    state["user"] = {(users.canonical(name),): _user_of_file(name, user) for name, user in (file.users or {}).items()}
    for holder in file.holders():
        for (project_name, role_name), (until, _) in file.grants(holder).items():
            state["grant"][holder, project_name, role_name] = {"until": until}
    for name, application in file.applications.items():
        state["application"][(name,)] = {field: getattr(application, field) for field in _APPLICATION_FIELDS}
        for secret_name, secret in (application.secrets or {}).items():
            if is_over(secret.expires):
                continue  # what has expired is neither made nor missed
            state["secret"][name, secret_name] = {"expires": secret.expires}
    return state


def _user_of_file(name: str, user: UserPart) -> dict[str, Any]:
    fields = {field: getattr(user, field) for field in _USER_FIELDS}
    fields["email"] = fields["email"] or (name if user.kind == "person" else "")
    return fields | {"groups": sorted(set(user.groups))}


def is_over(expires: datetime | None) -> bool:
    """Tell whether a time has passed."""
    return expires is not None and expires <= clock.now()


def empty_state() -> State:
    """Return the state of a realm that is not there."""
    return {kind: {} for kind in ORDER}
