"""Writing a realm as a file that applies to an identical realm. Secrets are named, and never in it."""

from typing import Any

import tomli_w

from idp.federation import PRESETS
from idp.manifest.parts import ApplicationPart, FederationRulePart, RealmPart, TrustedIssuerPart, UserPart
from idp.manifest.state import State, state_of_realm
from idp.realms import Realm


def export_realm(realm: Realm) -> str:
    """Return the realm as TOML, always in the same order, so that two exports can be compared."""
    state = state_of_realm(realm)
    settings = state["realm"][(realm.name,)]
    document: dict[str, Any] = {"realm": {"name": realm.name, **_without_defaults(settings, RealmPart)}}
    for kind in ("role", "project"):
        if state[kind]:
            document[f"{kind}s"] = {name[0]: _filled(fields) for name, fields in sorted(state[kind].items())}
    if state["group"]:
        document["groups"] = {
            name[0]: _filled(fields) | _held(f"group:{name[0]}", state) for name, fields in sorted(state["group"].items())
        }
    if state["user"]:
        document["users"] = {name[0]: _user(name[0], fields, state) for name, fields in sorted(state["user"].items())}
    if state["api"]:
        document["apis"] = {
            name[0]: {"audience": fields["audience"], "rules": [_filled(rule) for rule in fields["rules"]]}
            for name, fields in sorted(state["api"].items())
        }
    if state["application"]:
        document["applications"] = {
            name[0]: _application(name[0], fields, state) for name, fields in sorted(state["application"].items())
        }
    if state["trusted_issuer"]:
        document["trusted_issuers"] = {
            name[0]: _issuer(name[0], fields, state) for name, fields in sorted(state["trusted_issuer"].items())
        }
    if state["federation_rule"]:
        document["federation_rules"] = {
            name[0]: _without_defaults(fields, FederationRulePart) for name, fields in sorted(state["federation_rule"].items())
        }
    return tomli_w.dumps(document)


def _issuer(name: str, fields: dict[str, Any], state: State) -> dict[str, Any]:
    part = _without_defaults(fields, TrustedIssuerPart)
    if part.get("issuer") == PRESETS[fields["preset"]].issuer:
        del part["issuer"]  # the file need not say what the preset does
    people = {key[1]: person["user"] for key, person in sorted(_of(state, "federated_person", name))}
    # An empty table says that it knows nobody, where a missing one would leave them as they are.
    return part | {"people": people}


def _application(name: str, fields: dict[str, Any], state: State) -> dict[str, Any]:
    part = _without_defaults(fields, ApplicationPart)
    secrets = {key[1]: _filled({"expires": secret["expires"]}) for key, secret in sorted(_of(state, "secret", name))}
    # An empty table says that the application has no secrets, where a missing one would leave them as they are.
    return part | _held(name, state) | {"secrets": secrets}


def _user(name: str, fields: dict[str, Any], state: State) -> dict[str, Any]:
    part = _without_defaults(fields, UserPart)
    if part.get("email") == name:
        del part["email"]  # where mails go unless the file says otherwise
    return part | _held(f"user:{name}", state)


def _held(name: str, state: State) -> dict[str, Any]:
    held = sorted((project, role, grant["until"]) for (who, project, role), grant in _of(state, "grant", name))
    roles = [role for project, role, until in held if not project and until is None]
    grants = [
        _filled({"role": role, "project": project, "until": until})
        for project, role, until in held
        if project or until is not None
    ]
    return _filled({"roles": roles, "grants": grants})


def _of(state: State, kind: Any, application: str) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
    return [(name, fields) for name, fields in state[kind].items() if name[0] == application]


def _without_defaults(fields: dict[str, Any], part: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value != part.model_fields[name].default}


def _filled(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is empty; TOML has no null."""
    return {name: value for name, value in fields.items() if value not in (None, "", [])}
