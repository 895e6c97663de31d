"""What can be checked of a realm file without the database, beyond its shape."""

import json
from collections.abc import Callable, Iterable
from functools import partial

from idp import federation
from idp.access import BUILT_IN_ROLES
from idp.applications import check_client_id
from idp.errors import A_REALM, InvalidValueError
from idp.manifest.file import RealmFile
from idp.protected_apis import check_rules
from idp.realms import check_name
from idp.users import UserKind, canonical, check_user_name

_Check = tuple[list[str | int], Callable[[], object]]
"""Where something stands, and what sees that it is right."""


def check_names(file: RealmFile) -> None:
    """See that everything is called what it can be called, and that what the domains check by themselves is right.

    :raises RealmFileError: the first thing that is not.
    """
    checks: list[_Check] = [(["realm", "name"], lambda: check_name(A_REALM, file.realm.name))]
    named: dict[str, Iterable[str]] = {
        "role": file.roles,
        "project": file.projects,
        "group": file.groups or {},
        "api": file.apis,
        "trusted_issuer": file.trusted_issuers or {},
        "federation_rule": file.federation_rules or {},
    }
    for kind, parts in named.items():
        noun = f"a {kind.replace('_', ' ')}"
        checks += [([f"{kind}s", name], partial(check_name, noun, name)) for name in parts]
    for name, user in (file.users or {}).items():
        kind_of_user = UserKind(user.kind)
        checks.append((["users", name], lambda kind=kind_of_user, name=name: check_user_name(kind, name)))  # type: ignore[misc]
    for name, api in file.apis.items():
        rules = api.plain_rules
        checks.append((["apis", name, "rules"], lambda rules=rules: check_rules(rules)))  # type: ignore[misc]
    checks += _federation_checks(file)
    for name, part in file.applications.items():
        place: list[str | int] = ["applications", name]
        checks.append((place, lambda name=name: check_client_id(name)))  # type: ignore[misc]
        checks += [
            ([*place, "secrets", secret], lambda secret=secret: check_name("a secret", secret))  # type: ignore[misc]
            for secret in part.secrets or {}
        ]
    for where, check in checks:
        try:
            check()
        except InvalidValueError as error:
            raise file.error(where, str(error)) from None
    for name in file.roles:
        if name in BUILT_IN_ROLES:
            raise file.error(["roles", name], "is built in: every realm has it, and it cannot be changed")


def _federation_checks(file: RealmFile) -> list[_Check]:
    found: list[_Check] = []
    for name, issuer in (file.trusted_issuers or {}).items():
        found.append((["trusted_issuers", name], partial(federation.issuer_values, issuer)))
        found += [
            (["trusted_issuers", name, "people", subject], partial(federation.check_subject, subject))
            for subject in issuer.people or {}
        ]
    for name, rule in (file.federation_rules or {}).items():
        found.append((["federation_rules", name], partial(federation.rule_values, rule)))
    return found


def check_references(file: RealmFile) -> None:
    """See that roles, projects and groups that are named are there.

    :raises RealmFileError: the first that is not.
    """
    for name, part in (file.users or {}).items():
        for group in part.groups:
            if group not in (file.groups or {}):
                raise file.error(["users", name, "groups"], f"there is no group {group!r}: add [groups.{group}]")
    for name, api in file.apis.items():
        for number, rule in enumerate(api.rules):
            where: list[str | int] = ["apis", name, "rules", number]
            for role in rule.roles:
                _check_reference(file, where, role, rule.project)
            _check_reference(file, where, "", rule.project)
    _check_rules(file)
    _check_people(file)
    for holder in file.holders():
        for (project, role), (_, place) in file.grants(holder).items():
            _check_reference(file, place, role, project)


def _check_rules(file: RealmFile) -> None:
    for name, rule in (file.federation_rules or {}).items():
        place: list[str | int] = ["federation_rules", name]
        if rule.issuer not in (file.trusted_issuers or {}):
            raise file.error(place, f"there is no trusted issuer {rule.issuer!r}: add [trusted_issuers.{rule.issuer}]")
        if rule.application not in file.applications:
            raise file.error(place, f"there is no application {rule.application!r}: add [applications.{rule.application}]")
        for role in rule.roles:
            _check_reference(file, [*place, "roles"], role, "")
        for project in rule.projects:
            _check_reference(file, [*place, "projects"], "", project)


def _check_people(file: RealmFile) -> None:
    """See that people whom an issuer knows are people of the file; of one that names no users, that is seen as it is applied."""
    if file.users is None:
        return
    kinds = {canonical(name): user.kind for name, user in file.users.items()}
    for issuer, part in (file.trusted_issuers or {}).items():
        for subject, user in (part.people or {}).items():
            place: list[str | int] = ["trusted_issuers", issuer, "people", subject]
            kind = kinds.get(canonical(user))
            if kind is None:
                raise file.error(place, f"there is no user {user!r}: add [users.{json.dumps(user, ensure_ascii=False)}]")
            if kind != UserKind.PERSON.value:
                raise file.error(place, f"{user!r} is no person: a sign-in server knows people only")


def _check_reference(file: RealmFile, where: list[str | int], role: str, project: str) -> None:
    if role and role not in file.roles and role not in BUILT_IN_ROLES:
        raise file.error(where, f"there is no role {role!r}: add [roles.{role}], or use an existing one")
    if project and project not in file.projects:
        raise file.error(where, f"there is no project {project!r}: add [projects.{project}]")
