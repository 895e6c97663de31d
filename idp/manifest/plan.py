"""The difference between a realm file and the database."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from idp import applications, realms, vault
from idp.manifest.file import RealmFile
from idp.manifest.state import ORDER, Kind, State, empty_state, state_of_file, state_of_realm
from idp.realms import Realm

Action = Literal["create", "update", "delete"]


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
        title = f"{sign} {self.kind.replace('_', ' ')} {_title(self.kind, self.name)}"
        changes = [
            f"    {name}: {_text(new) if self.action == 'create' else f'{_text(old)} -> {_text(new)}'}"
            for name, (old, new) in self.fields.items()
            if old != new
        ]
        return "\n".join([title, *changes])


def make_plan(file: RealmFile) -> list[Change]:
    """Compare a realm file with the database, and return what has to be done, in the order of doing it.

    The secrets of an application count only when the file names some: otherwise they are left as they are. So do users, and
    groups: a file without `[users]` leaves people alone who were made elsewhere. So do trusted issuers and rules, and those whom
    an issuer knows.

    :raises RealmFileError: a secret that the file points to is not there.
    """
    realm = realms.find_realm(file.realm.name)
    wanted = state_of_file(file)
    current = empty_state() if realm is None else state_of_realm(realm)
    _leave_alone(file, wanted, current)
    changes = [
        change for kind in ORDER for name, fields in wanted[kind].items() if (change := _compare(kind, name, fields, current))
    ]
    changes += _new_secret_values(file, realm, current)
    holders = file.holders()
    gone = [
        Change("delete", kind, name)
        for kind in reversed(ORDER)
        for name in current[kind]
        if name not in wanted[kind]
        and (kind != "secret" or (name[0],) in wanted["application"])
        and (kind != "grant" or name[0] in holders)
    ]
    return changes + gone


def _leave_alone(file: RealmFile, wanted: State, current: State) -> None:
    """Take out of both what the file says nothing about."""
    _leave_federation_alone(file, current)
    for name in list(current["secret"]):
        part = file.applications.get(name[0])
        if part is not None and part.secrets is None:
            del current["secret"][name]
    for kind, parts in (("user", file.users), ("group", file.groups)):
        if parts is None:
            current[kind] = {}  # type: ignore[index]
            current["grant"] = {name: grant for name, grant in current["grant"].items() if not name[0].startswith(f"{kind}:")}
    if file.groups is None:
        for state in (wanted, current):
            for fields in state["user"].values():
                fields.pop("groups", None)


def _leave_federation_alone(file: RealmFile, current: State) -> None:
    if file.trusted_issuers is None:
        current["trusted_issuer"] = {}
    if file.federation_rules is None:
        current["federation_rule"] = {}
    for name in list(current["federated_person"]):
        issuer = (file.trusted_issuers or {}).get(name[0])
        if issuer is None or issuer.people is None:
            del current["federated_person"][name]  # left as it is, or goes with its issuer


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


def _title(kind: Kind, name: tuple[str, ...]) -> str:
    if kind == "grant":
        holder, project, role = name
        return f"{holder}: {role} on {f'project {project}' if project else 'the realm'}"
    return " / ".join(name)


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds").replace("+00:00", "Z")
    return "none" if value is None else json.dumps(value, ensure_ascii=False)
