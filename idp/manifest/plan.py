"""The difference between a realm file and the database, and making it so."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from idp import access, applications, clock, keys, realms, vault
from idp.applications import Application, NewSecret
from idp.db import db
from idp.errors import IdpError
from idp.manifest.schema import RealmFile
from idp.realms import Realm

Action = Literal["create", "update", "delete"]
Kind = Literal["realm", "role", "project", "application", "grant", "secret"]


@dataclass(frozen=True)
class Change:
    """One thing to do: its kind, its name (parts of it, from the outside in), and what changes."""

    action: Action
    kind: Kind
    name: tuple[str, ...]
    fields: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    """By field, the value now and the value to be."""

    def __str__(self) -> str:
        sign = {"create": "+", "update": "~", "delete": "-"}[self.action]
        title = f"{sign} {self.kind} {_title(self.kind, self.name)}"
        changes = [
            f"    {name}: {_text(new) if self.action == 'create' else f'{_text(old)} -> {_text(new)}'}"
            for name, (old, new) in self.fields.items()
            if old != new
        ]
        return "\n".join([title, *changes])


State = dict[Kind, dict[tuple[str, ...], dict[str, Any]]]
"""By kind and name, the fields of everything in a realm, whether a file says so or the database."""

_APPLICATION_FIELDS = ("description", "enabled", "audience", "resources", "signing_algorithm", "jwks")
_REALM_FIELDS = ("display_name", "enabled", "signing_algorithm", "key_rotation_days")
_ORDER: tuple[Kind, ...] = ("realm", "role", "project", "application", "grant", "secret")


def create_empty_realm(name: str, **fields: Any) -> Realm:
    """Add a realm with its keys and built-in roles, and nothing else in it."""
    realm = realms.create_realm(name, **fields)
    access.create_built_in_roles(realm)
    keys.create_keys(realm)
    db.session.flush()
    return realm


def state_of_realm(realm: Realm) -> State:
    """Return what the database says of a realm. Built-in roles are left out: they are always there."""
    state = _empty_state()
    state["realm"][(realm.name,)] = {name: getattr(realm, name) for name in _REALM_FIELDS}
    for role in access.list_roles(realm):
        if not role.built_in:
            state["role"][(role.name,)] = {"description": role.description}
    for project in access.list_projects(realm):
        state["project"][(project.name,)] = {"description": project.description}
    for application in applications.list_applications(realm):
        fields = {name: getattr(application, name) for name in _APPLICATION_FIELDS}
        state["application"][(application.name,)] = fields
        for secret in applications.list_secrets(application):
            if secret.retired_at is None and not secret.single_use and not _is_over(secret.expires_at):
                state["secret"][application.name, secret.name] = {"expires": secret.expires_at}
    for grant in access.list_grants(realm):
        name = (grant.holder_name, grant.project.name if grant.project else "", grant.role.name)
        state["grant"][name] = {"until": grant.until}
    return state


def state_of_file(file: RealmFile) -> State:
    """Return what a realm file says."""
    state = _empty_state()
    state["realm"][(file.realm.name,)] = {name: getattr(file.realm, name) for name in _REALM_FIELDS}
    for name, role in file.roles.items():
        state["role"][(name,)] = {"description": role.description}
    for name, project in file.projects.items():
        state["project"][(name,)] = {"description": project.description}
    for name, application in file.applications.items():
        state["application"][(name,)] = {field: getattr(application, field) for field in _APPLICATION_FIELDS}
        for (project_name, role_name), (until, _) in file.grants(name).items():
            state["grant"][name, project_name, role_name] = {"until": until}
        for secret_name, secret in (application.secrets or {}).items():
            if _is_over(secret.expires):
                continue  # what has expired is neither made nor missed
            state["secret"][name, secret_name] = {"expires": secret.expires}
    return state


def _is_over(expires: datetime | None) -> bool:
    return expires is not None and expires <= clock.now()


def make_plan(file: RealmFile) -> list[Change]:
    """Compare a realm file with the database, and return what has to be done, in the order of doing it.

    The secrets of an application count only when the file names some: otherwise they are left as they are.

    :raises RealmFileError: a secret that the file points to is not there.
    """
    realm = realms.find_realm(file.realm.name)
    wanted = state_of_file(file)
    current = _empty_state() if realm is None else state_of_realm(realm)
    for name in list(current["secret"]):
        part = file.applications.get(name[0])
        if part is not None and part.secrets is None:
            del current["secret"][name]
    changes = [
        change for kind in _ORDER for name, fields in wanted[kind].items() if (change := _compare(kind, name, fields, current))
    ]
    changes += _new_secret_values(file, realm, current)
    gone = [
        Change("delete", kind, name)
        for kind in reversed(_ORDER)
        for name in current[kind]
        if name not in wanted[kind] and (kind not in {"grant", "secret"} or (name[0],) in wanted["application"])
    ]
    return changes + gone


def _compare(kind: Kind, name: tuple[str, ...], wanted: dict[str, Any], current: State) -> Change | None:
    now = current[kind].get(name)
    if now is None:
        return Change("create", kind, name, {key: (None, value) for key, value in wanted.items() if value not in (None, "", [])})
    changed = {key: (now[key], value) for key, value in wanted.items() if now[key] != value}
    return Change("update", kind, name, changed) if changed else None


def _new_secret_values(file: RealmFile, realm: Realm | None, current: State) -> list[Change]:
    """Find secrets whose environment variable or file holds another value than is stored; every value is looked at."""
    changes = []
    for name, part in file.applications.items():
        for secret_name in part.secrets or {}:
            value = file.secret_value(name, secret_name)
            if value is None or realm is None or (name, secret_name) not in current["secret"]:
                continue
            secret = applications.find_secret(applications.get_application(realm, name), secret_name)
            if secret and not vault.secret_matches(value, secret.pepper_id, secret.secret_hash):
                changes.append(Change("update", "secret", (name, secret_name), {"value": ("(hidden)", "(another, hidden)")}))
    return changes


def apply_plan(file: RealmFile, plan: Sequence[Change]) -> list[NewSecret]:
    """Carry a plan out in the current transaction.

    :returns: the secrets that were made, to be shown once.
    :raises IdpError: something cannot be done; nothing must then be committed.
    """
    realm = realms.find_realm(file.realm.name)
    if realm is None:
        fields = {name: getattr(file.realm, name) for name in _REALM_FIELDS}
        realm = create_empty_realm(file.realm.name, **fields)
    applier = _Applier(file, realm)
    for change in plan:
        try:
            applier.apply(change)
        except IdpError as error:
            where = {"grant": ["applications", change.name[0], "grants"], "secret": ["applications", *change.name[:1]]}
            place = where.get(change.kind, [f"{change.kind}s", *change.name])
            raise file.error(place, f"{change.action} {change.kind}: {error}") from error
    db.session.flush()
    for name, part in file.applications.items():
        if part.secrets is None and part.jwks is None:
            applier.ensure_secret(name)
    return applier.new_secrets


class _Applier:
    """Does one change after the other by the verbs of the domains."""

    def __init__(self, file: RealmFile, realm: Realm) -> None:
        self._file, self._realm = file, realm
        self.new_secrets: list[NewSecret] = []

    def apply(self, change: Change) -> None:
        """Do one change."""
        verb: Callable[[Change], None] = getattr(self, f"_apply_{change.kind}")
        verb(change)
        db.session.flush()

    def ensure_secret(self, name: str) -> None:
        """Make a secret for an application that has never had one, since the file names none for it."""
        application = self._application(name)
        if not applications.list_secrets(application):
            self._add_secret(application, "main", None)

    def _application(self, name: str) -> Application:
        return applications.get_application(self._realm, name)

    def _apply_realm(self, change: Change) -> None:
        if change.action == "update":
            realms.update_realm(self._realm, **_new(change))

    def _apply_role(self, change: Change) -> None:
        self._named(change, access.create_role, access.describe_role, access.delete_role)

    def _apply_project(self, change: Change) -> None:
        self._named(change, access.create_project, access.describe_project, access.delete_project)

    def _named(
        self,
        change: Change,
        create: Callable[..., object],
        describe: Callable[..., object],
        delete: Callable[..., object],
    ) -> None:
        if change.action == "delete":
            delete(self._realm, change.name[0])
        else:
            verb = create if change.action == "create" else describe
            verb(self._realm, change.name[0], _new(change).get("description", ""))

    def _apply_application(self, change: Change) -> None:
        if change.action == "create":
            applications.create_application(self._realm, change.name[0], **_new(change))
        elif change.action == "update":
            applications.update_application(self._realm, self._application(change.name[0]), **_new(change))
        else:
            applications.delete_application(self._realm, self._application(change.name[0]))

    def _apply_grant(self, change: Change) -> None:
        name, project, role = change.name
        holder = applications.holder_of(self._application(name))
        if change.action == "delete":
            access.remove_grant(self._realm, holder, role, project=project or None)
        else:
            until: datetime | None = _new(change).get("until")
            access.grant_role(self._realm, holder, role, project=project or None, until=until, past_ok=True)

    def _apply_secret(self, change: Change) -> None:
        name, secret_name = change.name
        application = self._application(name)
        if change.action == "create":
            self._add_secret(application, secret_name, _new(change).get("expires"))
        elif change.action == "delete":
            applications.retire_secret(self._realm, application, secret_name)
        elif "value" in change.fields:
            applications.retire_secret(self._realm, application, secret_name)
            db.session.flush()
            part = (self._file.applications[name].secrets or {})[secret_name]
            self._add_secret(application, secret_name, part.expires)
        else:
            secret = applications.find_secret(application, secret_name)
            if secret is not None:
                applications.change_expiry(self._realm, application, secret, _new(change)["expires"])

    def _add_secret(self, application: Application, name: str, expires_at: datetime | None) -> None:
        brought = None
        if name in (self._file.applications[application.name].secrets or {}):
            brought = self._file.secret_value(application.name, name)
        secret, plain = applications.add_secret(self._realm, application, name, plain_secret=brought, expires_at=expires_at)
        if brought is None:
            self.new_secrets.append(NewSecret(self._realm.name, application.name, secret, plain))


def _new(change: Change) -> dict[str, Any]:
    return {name: new for name, (_, new) in change.fields.items()}


def _empty_state() -> State:
    return {kind: {} for kind in _ORDER}


def _title(kind: Kind, name: tuple[str, ...]) -> str:
    if kind == "grant":
        application, project, role = name
        return f"{application}: {role} on {f'project {project}' if project else 'the realm'}"
    return " / ".join(name)


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds").replace("+00:00", "Z")
    return "none" if value is None else json.dumps(value, ensure_ascii=False)
