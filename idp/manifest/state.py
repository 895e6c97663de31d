"""Everything in a realm in one shape, whether a file says so or the database, so that the two can be compared."""

from datetime import datetime
from typing import Any, Literal, get_args

from idp import access, applications, clock, federation, protected_apis, users
from idp.access import HolderKind, ProjectSheet, RoleSheet
from idp.applications import ApplicationSheet
from idp.federation import FederationRuleSheet, TrustedIssuerSheet
from idp.manifest.file import RealmFile
from idp.manifest.parts import UserPart
from idp.protected_apis import ProtectedApiSheet
from idp.realms import Realm, RealmSheet
from idp.sheets import Sheet
from idp.users import GroupSheet, UserSheet

Kind = Literal[
    "realm",
    "role",
    "project",
    "api",
    "group",
    "user",
    "application",
    "trusted_issuer",
    "federation_rule",
    "federated_person",
    "grant",
    "secret",
]
ORDER: tuple[Kind, ...] = get_args(Kind)
"""Kinds of things, in the order in which they are made."""

State = dict[Kind, dict[tuple[str, ...], dict[str, Any]]]
"""By kind and name, the fields of everything in a realm, whether a file says so or the database."""


def state_of_realm(realm: Realm) -> State:
    """Return what the database says of a realm. Built-in roles are left out: they are always there."""
    state = empty_state()
    state["realm"][(realm.name,)] = _fields(RealmSheet, realm)
    for role in access.list_roles(realm):
        if not role.built_in:
            state["role"][(role.name,)] = _fields(RoleSheet, role)
    for project in access.list_projects(realm):
        state["project"][(project.name,)] = _fields(ProjectSheet, project)
    for api in protected_apis.list_apis(realm):
        state["api"][(api.name,)] = _fields(ProtectedApiSheet, api)
    for group in users.list_groups(realm):
        state["group"][(group.name,)] = _fields(GroupSheet, group)
    for user in users.list_users(realm):
        groups = [group.name for group in users.groups_of(user)]
        state["user"][(user.name,)] = {"kind": user.kind, **_fields(UserSheet, user), "groups": groups}
    _add_applications(state, realm)
    _add_federation(state, realm)
    for grant in access.list_grants(realm):
        prefix = "" if grant.holder_kind == HolderKind.APPLICATION.value else f"{grant.holder_kind}:"
        name = (prefix + grant.holder_name, grant.project.name if grant.project else "", grant.role.name)
        state["grant"][name] = {"until": grant.until}
    return state


def _add_applications(state: State, realm: Realm) -> None:
    for application in applications.list_applications(realm):
        state["application"][(application.name,)] = _fields(ApplicationSheet, application)
        for secret in applications.list_secrets(application):
            if secret.retired_at is None and not secret.single_use and not is_over(secret.expires_at):
                state["secret"][application.name, secret.name] = {"expires": secret.expires_at}


def _add_federation(state: State, realm: Realm) -> None:
    for issuer in federation.list_issuers(realm):
        state["trusted_issuer"][(issuer.name,)] = _fields(TrustedIssuerSheet, issuer)
    for rule in federation.list_rules(realm):
        about = {"issuer": rule.issuer.name, "application": rule.application.name}
        state["federation_rule"][(rule.name,)] = _fields(FederationRuleSheet, rule) | about
    for person in federation.list_people(realm):
        state["federated_person"][person.issuer.name, person.subject] = {"user": person.user.name}


def state_of_file(file: RealmFile) -> State:
    """Return what a realm file says."""
    state = empty_state()
    state["realm"][(file.realm.name,)] = _fields(RealmSheet, file.realm)
    for name, role in file.roles.items():
        state["role"][(name,)] = _fields(RoleSheet, role)
    for name, project in file.projects.items():
        state["project"][(name,)] = _fields(ProjectSheet, project)
    for name, api in file.apis.items():
        rules = protected_apis.check_rules(api.plain_rules)
        state["api"][(name,)] = {"audience": api.audience, "rules": rules}
    for name, group in (file.groups or {}).items():
        state["group"][(name,)] = _fields(GroupSheet, group)
    state["user"] = {(users.canonical(name),): _user_of_file(name, user) for name, user in (file.users or {}).items()}
    _add_federation_of_file(state, file)
    for holder in file.holders():
        for (project_name, role_name), (until, _) in file.grants(holder).items():
            state["grant"][holder, project_name, role_name] = {"until": until}
    for name, application in file.applications.items():
        state["application"][(name,)] = _fields(ApplicationSheet, application)
        for secret_name, secret in (application.secrets or {}).items():
            if is_over(secret.expires):
                continue  # what has expired is neither made nor missed
            state["secret"][name, secret_name] = {"expires": secret.expires}
    return state


def _add_federation_of_file(state: State, file: RealmFile) -> None:
    for name, issuer in (file.trusted_issuers or {}).items():
        state["trusted_issuer"][(name,)] = federation.issuer_values(TrustedIssuerSheet.of(issuer))
        for subject, user in (issuer.people or {}).items():
            state["federated_person"][name, subject] = {"user": users.canonical(user)}
    for name, rule in (file.federation_rules or {}).items():
        about = {"issuer": rule.issuer, "application": rule.application}
        state["federation_rule"][(name,)] = about | federation.rule_values(rule)


def _fields(sheet: type[Sheet], of: Any) -> dict[str, Any]:
    """Return what a sheet has of a row, or of a part of a file."""
    return {name: getattr(of, name) for name in sheet.fields()}


def _user_of_file(name: str, user: UserPart) -> dict[str, Any]:
    fields = {"kind": user.kind, **_fields(UserSheet, user)}
    fields["email"] = fields["email"] or (name if user.kind == "person" else "")
    return fields | {"groups": sorted(set(user.groups))}


def is_over(expires: datetime | None) -> bool:
    """Tell whether a time has passed."""
    return expires is not None and expires <= clock.now()


def empty_state() -> State:
    """Return the state of a realm that is not there."""
    return {kind: {} for kind in ORDER}
