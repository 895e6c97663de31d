"""Every field of every sheet goes in and out at each edge, and to another server."""

import json
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from idp.access import GrantSheet, ProjectSheet, RoleSheet
from idp.apikeys import ApiKeySheet
from idp.app import close_app, create_app
from idp.applications import ApplicationSheet, SecretSheet
from idp.cli import main
from idp.cli.words import option_of
from idp.console.forms import UNITS, length_of_time
from idp.console.sheet_forms import unit_of
from idp.database_url import sqlite_url
from idp.federation import FederationRuleSheet, TrustedIssuerSheet
from idp.keysets import KeysetSheet
from idp.protected_apis import ProtectedApiSheet
from idp.realms import RealmSheet
from idp.settings import Settings
from idp.sheets import Sheet, is_emptied
from idp.users import GroupSheet, UserSheet
from tests.conftest import copy_template
from tests.console.surfing import Surfer
from tests.factories import Factory, key_pair, session_of, set_api
from tests.field_table import SHEETS

Call = Callable[..., Any]
LATER = "2031-02-03T04:05:00+00:00"
RULES = [{"methods": ["GET"], "path": "/api", "roles": ["viewer"], "project": "vision"}]
KEYS = {
    "keys": [
        {
            "kty": "EC",
            "crv": "P-256",
            "kid": "k1",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        }
    ]
}
VALUES = {"provider": ("aws", [{"type": "pub", "value": "AKIA1"}, {"type": "pvt", "value": "secret"}])}


@dataclass(frozen=True)
class Resource:
    """One of a kind, with a value for every field, none of which is the default."""

    sheet: type[Sheet]
    values: Mapping[str, Any]
    url: str
    """Of the API; empty where it has none."""
    shown: tuple[str, ...]
    """Command that shows it as JSON, by itself or in a list."""
    page: str = ""
    """Of the console, where it is edited."""
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    """Fields that something else sets, and what does."""
    is_filed: bool = True
    """Whether realm files have it."""
    update: tuple[str, ...] = ()
    """Command that changes it."""


RESOURCES = {
    "realm": Resource(
        RealmSheet,
        {
            "display_name": "Other",
            "signing_algorithm": "ES256",
            "access_token_type": "JWT",
            "key_rotation_days": 7,
            "audit_days": 31,
            "session_hours": 3,
            "api_key_hours": 5,
            "personal_token_limit": 9,
            "personal_token_seconds": 600,
            "personal_token_choice": True,
            "token_seconds": 3600,
            "person_token_seconds": 600,
            "refresh_idle_hours": 5,
            "refresh_hours": 50,
            "refresh_overlap_seconds": 3,
            "pushed_requests": True,
            "profile": "fapi2",
            "registration": True,
            "client_documents": True,
            "open_audiences": ["https://tools.example/mcp"],
            "brand_color": "#7a1f5c",
            "brand_logo": "data:image/png;base64,iVBORw0KGgo=",
            "help_url": "https://acme.example/help",
            "privacy_url": "https://acme.example/privacy",
            "terms_url": "https://acme.example/terms",
        },
        "/v1/realms/acme",
        ("realms", "show", "acme"),
        "settings",
        {"enabled": "realms deactivate"},
        update=("realms", "update", "acme"),
    ),
    "application": Resource(
        ApplicationSheet,
        {
            "description": "new",
            "enabled": False,
            "audience": ["https://api.example"],
            "resources": ["https://res.example"],
            "signing_algorithm": "ES256",
            "access_token_type": "JWT",
            "token_seconds": 600,
            "kind": "web",
            "display_name": "The shop",
            "redirect_uris": ["https://app.example/done"],
            "post_logout_redirect_uris": ["https://app.example/bye"],
            "backchannel_logout_uri": "https://app.example/logout",
            "grant_types": ["authorization_code", "client_credentials"],
            "scopes": ["openid", "email"],
            "consent": True,
            "pushed_requests": True,
            "dpop_bound_access_tokens": True,
            "dpop_nonces": True,
            "tls_client_certificate_bound_access_tokens": True,
            "profile": "fapi2",
            "signed_userinfo": True,
            "privacy_url": "https://app.example/privacy",
            "terms_url": "https://app.example/terms",
            "web_origins": ["https://app.example"],
            "jwks": key_pair()[1],
            "rate_per_second": 7,
        },
        "/v1/applications/full",
        ("applications", "show", "full"),
        "applications/full",
        elsewhere={"jwks_uri": "where its keys are published"},
        update=("applications", "update", "full"),
    ),
    "application that publishes its keys": Resource(
        ApplicationSheet,
        {"jwks_uri": "https://app.example/keys"},
        "/v1/applications/published",
        ("applications", "show", "published"),
        "applications/published",
        elsewhere={name: "an application with keys" for name in ApplicationSheet.fields() if name != "jwks_uri"},
        update=("applications", "update", "published"),
    ),
    "secret": Resource(
        SecretSheet,
        {"expires_at": LATER},
        "/v1/applications/full/secrets/next",
        ("applications", "secrets", "list", "full"),
        elsewhere={"single_use": "whoever makes it"},
    ),
    "user": Resource(
        UserSheet,
        {"email": "bob@other.test", "first_name": "Bob", "last_name": "Builder", "api_key_hours": 77, "enabled": False},
        "/v1/users/{user}",
        ("users", "show", "bob@example.test"),
        "users/{user}",
        update=("users", "update", "bob@example.test"),
    ),
    "group": Resource(
        GroupSheet,
        {"display_name": "The crew", "description": "on call"},
        "/v1/groups/crew",
        ("groups", "list"),
        "groups/crew",
        update=("groups", "update", "crew"),
    ),
    "role": Resource(
        RoleSheet,
        {"description": "new", "permissions": ["audit:read", "users:read"]},
        "/v1/roles/reviewer",
        ("roles", "list"),
        "roles/reviewer",
        update=("roles", "update", "reviewer"),
    ),
    "project": Resource(
        ProjectSheet,
        {"display_name": "Ears", "description": "new"},
        "/v1/projects/{project}",
        ("projects", "list"),
        "projects/hearing",
        update=("projects", "update", "hearing"),
    ),
    "grant": Resource(
        GrantSheet,
        {"until": LATER},
        "/v1/grants/{grant}",
        ("grants", "list"),
        "access/give?holder=group:crew&role=reviewer",
    ),
    "key": Resource(
        ApiKeySheet,
        {
            "name": "renamed",
            "description": "new",
            "roles": ["viewer"],
            "projects": ["hearing"],
            "addresses": ["10.0.0.0/8"],
            "rate_per_minute": 5,
            "active": False,
            "expires_at": LATER,
        },
        "/v1/apiKeys/{key}",
        ("api-keys", "list"),
        "api-keys/{key}",
        is_filed=False,
        update=("api-keys", "update", "{key}"),
    ),
    "keyset": Resource(
        KeysetSheet,
        {"name": "renamed", "description": "new", "projects": ["hearing"], "is_default": True, "max_lease_seconds": 77},
        "/v1/keysets/{keyset}",
        ("keysets", "list"),
        "keysets/{keyset}",
        is_filed=False,
        update=("keysets", "update", "{keyset}"),
    ),
    "trusted issuer": Resource(
        TrustedIssuerSheet,
        {
            "description": "new",
            "enabled": False,
            "preset": "kubernetes",
            "issuer": "https://cluster.example",
            "key_source": "uploaded",
            "jwks": {"keys": [{**KEYS["keys"][0]}]},
            "audiences": ["https://tokens.example"],
            "replay": "reuse",
            "longest_life_seconds": 900,
            "longest_age_seconds": 120,
            "leeway_seconds": 7,
            "token_seconds": 600,
            "keep_keys_hours": 3,
        },
        "/v1/federation/issuers/cluster",
        ("federation", "issuers", "list"),
        "issuers/cluster",
        elsewhere={"jwks_url": "keys from a URL"},
        update=("federation", "issuers", "update", "cluster"),
    ),
    "federation rule": Resource(
        FederationRuleSheet,
        {
            "description": "new",
            "enabled": False,
            "issuer": "hub",
            "application": "full",
            "mode": "audit",
            "lines": [{"claim": "repository_id", "value": "7"}, {"claim": "ref", "value": "refs/heads/*"}],
            "token_seconds": 600,
            "roles": ["viewer"],
            "projects": ["hearing"],
        },
        "/v1/federation/rules/deploy",
        ("federation", "rules", "list"),
        "federation-rules/deploy",
        update=("federation", "rules", "update", "deploy"),
    ),
    "protected API": Resource(
        ProtectedApiSheet,
        {"audience": "https://billing.example", "rules": RULES},
        "",
        (),
        "apis/billing",
    ),
}

WITH_API = [name for name, each in RESOURCES.items() if each.url]
FILED = [name for name in WITH_API if RESOURCES[name].is_filed]


def test_resources_here_are_all_that_there_are_with_all_their_fields() -> None:
    assert {sheet for _, sheet, _ in SHEETS} == {each.sheet for each in RESOURCES.values()}
    for name, each in RESOURCES.items():
        assert set(each.sheet.fields()) == each.values.keys() | each.elsewhere.keys(), name
        defaults = each.sheet()
        assert not [said for said, value in each.values.items() if value == getattr(defaults, said)], name


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    def run(*arguments: str, data_dir: Path = settings.data_dir) -> str:
        monkeypatch.setenv("IDP_DATA_DIR", str(data_dir))
        monkeypatch.setenv("IDP_REALM", "acme")
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


@pytest.fixture
def admin(client: FlaskClient, make: Factory) -> dict[str, str]:
    make.user(roles=("administrator",))
    return session_of(client)


@pytest.fixture
def ids(client: FlaskClient, admin: dict[str, str], make: Factory) -> dict[str, str]:
    """One of each, just made; how URLs name those that have no name."""

    def post(url: str, **body: Any) -> str:
        answer = client.post(f"/v1/{url}", json=body, headers=admin)
        assert answer.status_code == 201, answer.text
        return str(answer.json.get("uid", ""))

    def named(name: str, **spec: Any) -> dict[str, Any]:
        return {"metadata": {"name": name}, "spec": spec}

    post("applications", **named("full"))
    post("applications", **named("published"))
    post("applications/full/secrets", **named("next"))
    entity, keys = VALUES["provider"]
    found = {
        "user": post("users", spec={"emailId": "bob@example.test", "invite": False}),
        "group": post("groups", **named("crew")),
        "role": post("roles", **named("reviewer")),
        "project": post("projects", **named("hearing")),
        "key": post("apiKeys", **named("key")),
        "keyset": post("keysets", **named("keyset", category="provider", entity=entity, keys=keys)),
    }
    found["trusted issuer"] = post(
        "federation/issuers",
        **named("cluster", preset="kubernetes", issuer="https://old.example", keySource="uploaded", jwks=KEYS),
    )
    post("federation/issuers", **named("hub", preset="github"))
    rule = {"issuer": "hub", "application": "full", "lines": [{"claim": "repository_id", "value": "1"}]}
    found["federation rule"] = post("federation/rules", **named("deploy", **rule))
    found["grant"] = post("grants", spec={"holder": {"kind": "group", "uid": "crew"}, "role": "reviewer"})
    make.do(lambda realm: set_api(realm, "billing", audience="https://old.example"))
    return found


def set_by_api(client: FlaskClient, headers: dict[str, str], name: str, ids: Mapping[str, str]) -> None:
    """Change every field of a resource in one call; whether a key works is a call of its own."""
    each, metadata = RESOURCES[name], dict[str, Any]()
    spec = {each.sheet.model_fields[said].alias: value for said, value in each.values.items()}
    if "description" in spec:
        metadata["annotations"] = {"description": spec.pop("description")}
    if "name" in spec:
        metadata["name"] = spec.pop("name")
    url, active = each.url.format(**ids), spec.pop("isActive", None) if name == "key" else None
    body = {"spec": spec} | ({"metadata": metadata} if metadata else {})
    answer = client.open(url, method="PUT" if name == "key" else "PATCH", json=body, headers=headers)
    assert answer.status_code == 204, answer.text
    if active is not None:
        assert client.put(f"{url}/state", json={"isActive": active}, headers=headers).status_code == 204


def told_by_api(
    client: FlaskClient, headers: dict[str, str], name: str, ids: Mapping[str, str], fields: Iterable[str] | None = None
) -> dict[str, Any]:
    """Return fields of a resource as the API shows them, whichever part of it they are in; by default all."""
    each = RESOURCES[name]
    answer = client.get(each.url.format(**ids), headers=headers)
    assert answer.status_code == 200, answer.text
    metadata = answer.json.get("metadata", {})
    parts = {"name": metadata.get("name"), "description": metadata.get("annotations", {}).get("description")}
    shown = parts | answer.json.get("status", {}) | answer.json["spec"]
    found = {said: shown[each.sheet.model_fields[said].alias or ""] for said in (each.values if fields is None else fields)}
    if name == "keyset" and "projects" in found:
        found["projects"] = [project["name"] for project in found["projects"]]
    return plain(found)


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with times in one form."""
    return {
        name: datetime.fromisoformat(value).astimezone(UTC).isoformat() if name in {"expires_at", "until"} else value
        for name, value in values.items()
    }


@pytest.mark.parametrize("name", WITH_API)
def test_api_sets_and_shows_every_field(client: FlaskClient, admin: dict[str, str], ids: dict[str, str], name: str) -> None:
    set_by_api(client, admin, name, ids)
    assert told_by_api(client, admin, name, ids) == RESOURCES[name].values


@pytest.mark.parametrize("name", WITH_API)
def test_commands_show_what_the_api_has_set(
    client: FlaskClient, admin: dict[str, str], ids: dict[str, str], run: Call, name: str
) -> None:
    set_by_api(client, admin, name, ids)
    each = RESOURCES[name]
    shown = json.loads(run(*each.shown, "--json"))
    if isinstance(shown, list):
        wanted = {"secret": ("name", "next"), "group": ("name", "crew"), "role": ("name", "reviewer")}
        key, value = wanted.get(name) or (("name", "hearing") if name == "project" else ("uid", ids.get(name)))
        (shown,) = [row for row in shown if row[key] == value]
    expected = dict(each.values)
    if name == "application":
        assert shown["private_key_jwt"] is True  # public keys are shown by the API and the console
        del expected["jwks"]
    if name == "key":
        assert (shown["state"], expected.pop("active")) == ("inactive", False)
    assert plain({said: shown[said] for said in expected}) == expected


def typed(value: Any, *, is_time: bool) -> set[str]:
    """Return what a form sends for a value."""
    if isinstance(value, bool):
        return {"y"} if value else set()
    if is_time:
        return {value[:16]}
    if isinstance(value, dict):
        return {json.dumps(value, sort_keys=True)}
    return {written(one) for one in value} if isinstance(value, list) else {str(value)}


def written(value: Any) -> str:
    """Return what people write for a value of a list: a line of a rule as claim and value."""
    return f"{value['claim']}={value['value']}" if isinstance(value, dict) else str(value)


@pytest.mark.parametrize("name", [name for name in WITH_API if RESOURCES[name].page])
def test_console_shows_what_the_api_has_set_and_loses_nothing(
    client: FlaskClient, admin: dict[str, str], ids: dict[str, str], name: str
) -> None:
    set_by_api(client, admin, name, ids)
    each = RESOURCES[name]
    buttons = {"enabled", "active"} | ({"expires_at"} if name == "key" else set())  # have pages or buttons of their own
    if name in {"trusted issuer", "federation rule"}:
        buttons = set(each.sheet.kept)
    surfer = Surfer(client.application).sign_in().open(f"/console/realms/acme/{each.page.format(**ids)}")
    sent: dict[str, set[str]] = {}
    for said, value in surfer.form("Save").values:
        sent.setdefault(said, set()).update(value.splitlines() if isinstance(each.values.get(said), list) else {value})
    expected = {
        said: typed(value, is_time=said in {"expires_at", "until"}) for said, value in each.values.items() if said not in buttons
    }
    for said, unit in {said: unit_of(said) for said in expected}.items():
        if unit:  # written as people write it
            expected[said] = {length_of_time(each.values[said] * UNITS[unit])}
    if "jwks" in expected:
        sent["jwks"] = {json.dumps(json.loads(value), sort_keys=True) for value in sent["jwks"]}
    assert {said: sent.get(said, set()) for said in expected} == expected
    surfer.send("Save", {})
    assert (surfer.status, "Saved." in surfer.text) == (200, True), surfer.text
    assert told_by_api(client, admin, name, ids) == each.values


def test_console_sets_and_shows_every_field_of_a_protected_api(client: FlaskClient, ids: dict[str, str], run: Call) -> None:
    assert ids
    surfer = Surfer(client.application).sign_in().open("/console/realms/acme/apis/billing")
    row = {"rules-0-path": "/api", "rules-0-methods": ["GET"], "rules-0-roles": "viewer", "rules-0-project": "vision"}
    surfer.send("Save", {"audience": "https://billing.example"} | row)
    sent = dict(surfer.form("Save").values)
    assert {said: [sent[said]] if isinstance(value, list) else sent[said] for said, value in row.items()} == row
    exported = tomllib.loads(run("realms", "export", "acme"))
    assert exported["apis"]["billing"] == RESOURCES["protected API"].values


def test_export_carries_everything_to_an_empty_server(
    client: FlaskClient,
    admin: dict[str, str],
    ids: dict[str, str],
    run: Call,
    template: Path,
    tmp_path: Path,
    settings: Settings,
    make: Factory,
) -> None:
    for name in FILED:
        set_by_api(client, admin, name, ids)
    make.do(lambda realm: set_api(realm, "billing", audience="https://billing.example", rules=RULES))
    known = {"issuer": "cluster", "subject": "00u1", "user": "bob@example.test"}
    assert client.post("/v1/federation/people", json={"spec": known}, headers=admin).status_code == 201
    exported = run("realms", "export", "acme")
    other, file = tmp_path / "other", tmp_path / "acme.toml"
    copy_template(template, other)
    file.write_text(exported)
    run("realms", "apply", "--yes", str(file), data_dir=other)
    assert "Realm acme matches" in run("realms", "plan", str(file), data_dir=other)
    assert run("realms", "export", "acme", data_dir=other) == exported
    app = create_app(settings.model_copy(update={"data_dir": other, "database_url": sqlite_url(other / "realmgate.db")}))
    try:
        Factory(app).user("zoe@example.test", roles=("administrator",))
        there, zoe = app.test_client(), session_of(app.test_client(), "zoe@example.test")

        def uid_of(url: str, of: Callable[[Any], bool]) -> str:
            (uid,) = [row["metadata"]["uid"] for row in there.get(url, headers=zoe).json["items"] if of(row)]
            return str(uid)

        found = {
            "user": uid_of("/v1/users?name=bob", lambda row: row["spec"]["loginName"] == "bob@example.test"),
            "project": uid_of("/v1/projects?name=hearing", lambda row: row["metadata"]["name"] == "hearing"),
            "grant": uid_of("/v1/grants?role=reviewer", lambda row: row["spec"]["holder"]["name"] == "crew"),
        }
        for name in FILED:
            assert told_by_api(there, zoe, name, found) == RESOURCES[name].values, name
        people = there.get("/v1/federation/people", headers=zoe).json["items"]
        assert [each["spec"] for each in people] == [known]
    finally:
        close_app(app)


@pytest.mark.parametrize("name", [name for name in RESOURCES if RESOURCES[name].update])
def test_commands_set_and_empty_every_field(
    client: FlaskClient, admin: dict[str, str], ids: dict[str, str], make: Factory, run: Call, tmp_path: Path, name: str
) -> None:
    each, file = RESOURCES[name], tmp_path / "keys.json"
    other = {"enabled", "active", "permissions"} | ({"expires_at"} if name == "key" else set())  # have commands of their own
    other |= {"issuer", "application"} if name == "federation rule" else set()  # it is about these for good
    values = {said: value for said, value in each.values.items() if said not in other}
    words: list[str] = []
    for said, value in values.items():
        option = "--name" if said == "name" else option_of(said)
        if isinstance(value, bool):
            words.append(option)
            continue
        if isinstance(value, dict):
            file.write_text(json.dumps(value))
        for one in value if isinstance(value, list) else [file if isinstance(value, dict) else value]:
            words += [option, written(one)]
    command = [word.format(**ids) for word in each.update]
    run(*command, *words)
    make.forget()
    assert told_by_api(client, admin, name, ids, values) == values
    emptied = [said for said in values if is_emptied(each.sheet, said) and said != "name"]
    # every setting of a realm has a value; a keyset's projects are emptied by their own option; the others need what they have
    if name in {"realm", "keyset", "trusted issuer", "federation rule"}:
        return
    run(*command, *[word for said in emptied for word in ("--empty", option_of(said).removeprefix("--"))])
    make.forget()
    told = told_by_api(client, admin, name, ids, emptied)
    assert {said: told[said] or None for said in emptied} == dict.fromkeys(emptied)
