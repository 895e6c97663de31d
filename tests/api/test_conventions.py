"""What every resource of the native API has in common."""

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator
from sqlalchemy import select

from idp import access, applications, audit, federation, registrations, users
from idp.api import ROUTES
from idp.api.operations import Deprecation, shape_of
from idp.app import close_app, create_app
from idp.db import db
from idp.keysets import Lease
from idp.registrations import RegistrationTokenSheet
from idp.settings import Settings
from tests.described import _validator, description
from tests.factories import Factory, at_once, session_of, set_realm
from tests.keysets.lending import borrower, keep, take, token_of

WHERE = "/v1/{}/{}"


RESOURCES: dict[str, tuple[Any, Any, Any]] = {
    # what makes one, what replaces it, and what changes it
    "applications": (
        {"metadata": {"name": "new-app", "annotations": {"description": "one"}}, "spec": {"audience": ["https://a.test"]}},
        {"metadata": {"annotations": {"description": "two"}}, "spec": {"enabled": False, "audience": []}},
        {"spec": {"signingAlgorithm": "ES256", "ratePerSecond": 7}},
    ),
    "roles": (
        {"metadata": {"name": "new-role"}, "spec": {"permissions": ["projects:read"]}},
        {"metadata": {"annotations": {"description": "two"}}, "spec": {"permissions": []}},
        {"spec": {"permissions": ["roles:read"]}},
    ),
    "projects": (
        {"metadata": {"name": "new-project", "annotations": {"description": "one"}}},
        {"metadata": {"annotations": {"description": "two"}}},
        {"metadata": {"annotations": {"description": "three"}}},
    ),
    "groups": (
        {"metadata": {"name": "new-group"}},
        {"metadata": {"annotations": {"description": "two"}}},
        {"metadata": {"annotations": {"description": "three"}}},
    ),
    "teams": (
        {"metadata": {"name": "new-team"}},
        {"metadata": {"annotations": {"description": "two"}}},
        {"metadata": {"annotations": {"description": "three"}}},
    ),
    "users": (
        {"spec": {"emailId": "new@example.test", "firstName": "N"}},
        {"spec": {"firstName": "M", "lastName": "L"}},
        {"firstName": "O"},
    ),
    "apiKeys": (
        {"metadata": {"name": "new"}},
        {"metadata": {"name": "newer"}, "spec": {"roles": ["viewer"]}},
        {"isActive": False},
    ),
    "grants": (
        {"spec": {"holder": {"kind": "application", "uid": "reporting"}, "role": "researcher"}},
        {"spec": {"until": "2040-01-01T00:00:00Z"}},
        {"spec": {"until": None}},
    ),
    "realms": (
        {"metadata": {"name": "new-realm"}, "spec": {"displayName": "New"}},
        {"spec": {"displayName": "Newer", "sessionHours": 3}},
        {"spec": {"signingAlgorithm": "ES256"}},
    ),
}


@pytest.mark.parametrize("kind", RESOURCES)
def test_life_of_a_resource(client: FlaskClient, admin: dict[str, str], operator: dict[str, str], kind: str) -> None:
    header = operator if kind == "realms" else admin
    new, replaced, changed = RESOURCES[kind]
    fixed = {"metadata": new.get("metadata", {}) | {"uid": "x", "creationTimestamp": "2001-01-01T00:00:00Z"}}
    made = client.post(f"/v1/{kind}", json=new | fixed | {"status": {"isActive": False}}, headers=header)
    assert made.status_code == 201, made.text
    uid = made.json["uid"]
    url = made.headers["Location"]
    assert url == WHERE.format(kind, uid)
    url = WHERE.format(kind, uid)
    assert client.post(f"/v1/{kind}", json=new, headers=header).status_code == (201 if kind == "apiKeys" else 409)
    first = client.get(url, headers=header)
    assert first.json["metadata"]["uid"] == uid != "x"
    assert not first.json["metadata"]["creationTimestamp"].startswith("2001")
    assert first.headers["ETag"]
    listed = client.get(f"/v1/{kind}?limit=500", headers=header).json
    assert uid in {item["metadata"]["uid"] for item in listed["items"]}
    assert listed["listmeta"].keys() == {"continue", "count", "limit", "offset"}
    seen = first
    for method, body in (("PUT", replaced), ("PATCH", changed)):
        answer = client.open(url, method=method, json=body, headers=header)
        assert (answer.status_code, answer.data) == (204, b""), answer.text
        now = client.get(f"{url}/", headers=header)
        assert now.status_code == 200, "with a slash at the end, too"
        if kind != "apiKeys" or method == "PUT":  # a key that is deactivated is the same key
            assert now.headers["ETag"] != seen.headers["ETag"], method
        assert now.json["metadata"]["uid"] == uid
        assert now.json["metadata"]["creationTimestamp"] == first.json["metadata"]["creationTimestamp"]
        seen = now
    assert client.get(url, headers=header | {"If-None-Match": seen.headers["ETag"]}).status_code == 304
    assert client.delete(url, headers=header).status_code == 204
    assert client.get(url, headers=header).status_code == (200 if kind == "realms" else 404)


READ_ONLY = {"users": {"loginName", "kind"}, "roles": {"scope", "type"}}


@pytest.mark.parametrize("kind", RESOURCES)
def test_null_for_any_member_empties_it_or_is_refused(
    client: FlaskClient, admin: dict[str, str], operator: dict[str, str], kind: str
) -> None:
    header = operator if kind == "realms" else admin
    made = client.post(f"/v1/{kind}", json=RESOURCES[kind][0], headers=header).json
    url = WHERE.format(kind, made["uid"])
    for member in client.get(url, headers=header).json["spec"]:
        if member in READ_ONLY.get(kind, ()):
            continue
        answer = client.patch(url, json={"spec": {member: None}}, headers=header)
        assert answer.status_code in {204, 400}, (member, answer.text)
        value = client.get(url, headers=header).json["spec"].get(member)
        assert answer.status_code == 400 or value in ("", [], None), (member, value)


def test_what_was_read_can_be_sent_back(client: FlaskClient, admin: dict[str, str], make: Factory) -> None:
    make.application("round-trip", audience=["https://a.test"], description="kept")
    shown = client.get("/v1/applications/round-trip", headers=admin)
    assert client.put("/v1/applications/round-trip", json=shown.json, headers=admin).status_code == 204
    assert client.get("/v1/applications/round-trip", headers=admin).headers["ETag"] == shown.headers["ETag"]


def test_empty_body_with_a_json_type_is_fine(client: FlaskClient, admin: dict[str, str], make: Factory) -> None:
    uid = make.user()
    answer = client.post(f"/v1/users/{uid}/invite/", headers=admin, content_type="application/json")
    assert answer.status_code in {204, 409}


@pytest.mark.spec("R123")
@pytest.mark.parametrize("kind", [kind for kind in RESOURCES if kind != "realms"])
def test_of_two_administrators_one_wins(client: FlaskClient, app: Flask, admin: dict[str, str], kind: str) -> None:
    new, replaced, _ = RESOURCES[kind]
    url = WHERE.format(kind, client.post(f"/v1/{kind}", json=new, headers=admin).json["uid"])
    read = client.get(url, headers=admin).headers["ETag"]
    header = admin | {"If-Match": read}
    statuses = at_once(4, lambda: app.test_client().put(url, json=replaced, headers=header).status_code)
    assert sorted(statuses) == [204, 412, 412, 412]
    for method in ("PUT", "DELETE"):
        answer = client.open(url, method=method, json=replaced, headers=header)
        assert (answer.status_code, answer.json["code"]) == (412, "PreconditionFailed")
    for none in ('"x"', "*x", '"' + "0" * 32 + '"'):
        assert client.delete(url, headers=admin | {"If-Match": none}).status_code == 412
    now = client.get(url, headers=admin).headers["ETag"]
    assert client.delete(url, headers=admin | {"If-Match": f'"other", {now}'}).status_code == 204


def test_if_match_is_not_ignored_where_it_means_nothing(client: FlaskClient, admin: dict[str, str], make: Factory) -> None:
    uid = make.user()
    assert client.post(f"/v1/users/{uid}/invite", headers=admin | {"If-Match": "*"}).status_code == 400


@pytest.mark.spec("R123")
def test_repeated_create_makes_one(client: FlaskClient, app: Flask, admin: dict[str, str], make: Factory) -> None:
    header = admin | {"Idempotency-Key": "9b2f-once"}
    answers = at_once(6, lambda: app.test_client().post("/v1/apiKeys", json={"metadata": {"name": "once"}}, headers=header))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json["apiKey"] for answer in answers}) == 1, "also the secret that is shown once"
    assert len({answer.headers["Location"] for answer in answers}) == 1
    names = [item["metadata"]["name"] for item in client.get("/v1/apiKeys", headers=admin).json["items"]]
    assert names == ["once"]
    other = client.post("/v1/apiKeys", json={"metadata": {"name": "twice"}}, headers=header)
    assert (other.status_code, other.json["code"]) == (422, "IdempotencyKeyReused")
    elsewhere = client.post("/v1/projects", json={"metadata": {"name": "once"}}, headers=header)
    assert elsewhere.status_code == 201, "a key is of one URL"
    make.user("bob@example.test", roles=("administrator",))
    bob = session_of(client, "bob@example.test") | {"Idempotency-Key": "9b2f-once"}
    mine = client.post("/v1/apiKeys", json={"metadata": {"name": "once"}}, headers=bob).json
    assert mine["apiKey"] != answers[0].json["apiKey"], "and of one caller"
    for bad in ("", "x" * 201):
        assert (
            client.post("/v1/projects", json={"metadata": {"name": "y"}}, headers=admin | {"Idempotency-Key": bad}).status_code
            == 400
        )


@pytest.mark.spec("T107")
def test_kept_answer_is_sealed_and_forgotten(
    client: FlaskClient, admin: dict[str, str], context: Flask, frozen_clock: Any
) -> None:
    from idp.db import commit, db
    from idp.kept_answers import KeptAnswer, forget_old_answers

    made = client.post("/v1/apiKeys", json={}, headers=admin | {"Idempotency-Key": "k"}).json
    row = db.session.query(KeptAnswer).one()
    assert made["apiKey"] not in row.sealed
    db.session.rollback()
    frozen_clock.advance(hours=25)
    forget_old_answers()
    commit()
    assert db.session.query(KeptAnswer).count() == 0


def test_refused_create_keeps_nothing_under_its_key(client: FlaskClient, admin: dict[str, str]) -> None:
    header = admin | {"Idempotency-Key": "again"}
    assert client.post("/v1/projects", json={"metadata": {"name": "Bad Name"}}, headers=header).status_code == 400
    assert client.post("/v1/projects", json={"metadata": {"name": "good-name"}}, headers=header).status_code == 201


@pytest.mark.spec("T103")
def test_pages_are_stable_while_things_are_made(client: FlaskClient, admin: dict[str, str], make: Factory) -> None:
    def fill(realm: Any) -> None:
        for number in range(120):
            applications.create_application(realm, f"m{number:03}")

    make.do(fill)
    for order in ("name", "-name", "creationTimestamp", "-creationTimestamp"):
        query: dict[str, Any] = {"orderBy": order, "name": "m"}
        names: list[str] = []
        extra = 0
        while True:
            page = client.get("/v1/applications", query_string=query, headers=admin).json
            names += [item["metadata"]["name"] for item in page["items"]]
            assert page["listmeta"]["offset"] == len(names) - len(page["items"])
            if not page["listmeta"]["continue"]:
                break
            assert len(page["items"]) == 50
            make.do(
                lambda realm, n=extra, o=order: applications.create_application(realm, f"m-{o.strip('-').lower()}{ord(o[0])}{n}")
            )
            extra += 1
            query["continue"] = page["listmeta"]["continue"]
        made = [name for name in names if name[1:].isdigit()]
        assert sorted(made) == [f"m{number:03}" for number in range(120)], "none is missing, none is there twice"
        assert len(names) == len(set(names))


@pytest.mark.spec("T103")
def test_continue_is_of_one_list_one_caller_and_one_filter(client: FlaskClient, admin: dict[str, str], make: Factory) -> None:
    for number in range(3):
        make.application(f"p{number}")
    first = client.get("/v1/applications?limit=1", headers=admin).json["listmeta"]
    assert first["count"] >= 3
    token = first["continue"]
    good = {"limit": "1", "continue": token}
    assert client.get("/v1/applications", query_string=good, headers=admin).status_code == 200
    make.user("bob@example.test", roles=("administrator",))
    bob = session_of(client, "bob@example.test")
    for path, query, header in (
        ("/v1/roles", good, admin),
        ("/v1/applications", good | {"name": "p"}, admin),
        ("/v1/applications", good | {"orderBy": "-name"}, admin),
        ("/v1/applications", good, bob),
        ("/v1/applications", good | {"continue": token[:-3] + "AAA"}, admin),
        ("/v1/applications", good | {"continue": "eyJvZmZzZXQiOjUwLCJjb3VudCI6MTE3LCJ0b2tlbiI6IiJ9"}, admin),
    ):
        assert client.get(path, query_string=query, headers=header).status_code == 400, query
    everything = client.get("/v1/applications?limit=0", headers=admin).json
    assert everything["listmeta"]["continue"] == ""
    assert client.get("/v1/applications?limit=1&limit=2", headers=admin).status_code == 400


def test_project_scope(client: FlaskClient, admin: dict[str, str], make: Factory) -> None:
    vision = make.do(lambda realm: access.get_project(realm, "vision").uid)
    make.application("on-vision", projects=("vision",))
    make.application("elsewhere")
    scope = {"ProjectUid": vision}
    names = [item["metadata"]["name"] for item in client.get("/v1/applications", headers=admin | scope).json["items"]]
    assert "on-vision" in names
    assert "elsewhere" not in names
    in_url = client.get(f"/v1/applications?projectUid={vision}", headers=admin).json["items"]
    assert [item["metadata"]["name"] for item in in_url] == names
    body = {"spec": {"holder": {"kind": "application", "uid": "elsewhere"}, "role": "researcher"}}
    made = client.post("/v1/grants", json=body, headers=admin | scope)
    grant = client.get(f"/v1/grants/{made.json['uid']}", headers=admin).json["spec"]
    assert grant["project"] == {"uid": vision, "name": "vision"}
    assert client.get("/v1/applications", headers=admin | {"ProjectUid": "nowhere"}).status_code == 404
    make.user("lead@example.test", projects=(("vision", "project-administrator"),))
    lead = session_of(client, "lead@example.test")
    assert client.get("/v1/grants", headers=lead | scope).status_code == 200
    speech = make.do(lambda realm: access.get_project(realm, "speech").uid)
    assert client.get("/v1/grants", headers=lead | {"ProjectUid": speech}).status_code == 404
    assert {item["metadata"]["name"] for item in client.get("/v1/projects", headers=lead).json["items"]} == {"vision"}


def test_access_review_answers_the_auditor(client: FlaskClient, admin: dict[str, str], make: Factory) -> None:
    make.user("lea@example.test", roles=("auditor",))
    uid = make.user("member@example.test")

    def crew(realm: Any) -> None:
        group = users.create_group(realm, "crew")
        users.add_member(realm, group, users.get_user(realm, uid))
        access.grant_role(realm, users.group_holder(group), "editor", project="vision")

    make.do(crew)
    lea = session_of(client, "lea@example.test")
    vision = make.do(lambda realm: access.get_project(realm, "vision").uid)
    rows = client.get("/v1/accessReview?permission=projects:write&limit=500", headers=lea | {"ProjectUid": vision}).json["items"]
    by_name = {row["holder"]["name"]: row for row in rows}
    assert by_name["crew"]["members"] == [{"uid": uid, "name": "member@example.test"}]
    assert by_name["crew"]["project"]["name"] == "vision"
    assert by_name["admin@example.test"]["project"] is None, "who holds it on the whole realm can call it there, too"
    assert {"since", "until", "givenBy", "lastUsedAt", "role", "permissions"} <= by_name["crew"].keys()
    table = client.get("/v1/accessReview?permission=projects:write&format=csv", headers=lea)
    assert table.mimetype == "text/csv"
    lines = table.text.splitlines()
    assert lines[0] == "kind,holder,via,role,permissions,project,since,until,givenBy,state,lastUsedAt"
    assert any(line.startswith("user,member@example.test,group:crew,editor,") for line in lines)
    assert client.get("/v1/accessReview?permission=nothing:write", headers=lea).status_code == 400
    make.user("nobody@example.test")
    assert client.get("/v1/accessReview", headers=session_of(client, "nobody@example.test")).status_code == 403


def test_reading_the_trail_is_in_the_trail(client: FlaskClient, admin: dict[str, str], make: Factory) -> None:
    make.application("watched")
    found = client.get("/v1/audit/events?target=application:watched&tag=admin:", headers=admin)
    assert "admin:application:create" in {event["tag"] for event in found.json["items"]}
    from idp.trail import read_export, seal_trail

    make.do(lambda _: seal_trail())
    export = client.get("/v1/audit/export", headers=admin)

    assert read_export(export.text.splitlines()).problems == []
    how = make.do(lambda _: [(e.actor, e.detail["how"]) for e in audit.list_events("acme", tag="admin:audit:read")])
    assert how == [("user:admin@example.test", "export"), ("user:admin@example.test", "search")]
    assert client.get("/v1/audit/events?scope=server", headers=admin).status_code == 403
    make.user()
    assert client.get("/v1/audit/events", headers=session_of(client)).status_code == 403
    page = client.get("/v1/audit/events?limit=1", headers=admin).json
    query = {"limit": "1", "continue": page["listmeta"]["continue"]}
    assert client.get("/v1/audit/events", query_string=query, headers=admin).status_code == 200
    assert client.get("/v1/audit/checkpoint", headers=admin).json["unsealed"] >= 0


def test_calls_on_their_way_out_say_so(client: FlaskClient, make: Factory) -> None:
    make.user()
    token = session_of(client)["Authorization"]
    answer = client.get(f"/v1/auth/refresh/{token}?setCookie=false")
    assert answer.status_code == 200
    assert answer.headers["Deprecation"].startswith("@")
    assert 'rel="deprecation"' in answer.headers["Link"]
    assert client.get("/docs/life-cycle").status_code == 200
    newer = client.post("/v1/auth/refresh?setCookie=false", json={"token": answer.json["Authorization"]})
    assert newer.status_code == 200
    assert "Deprecation" not in newer.headers
    from datetime import date

    from idp.api.requests import _announce

    with client.application.app_context():
        response = client.application.response_class()
        _announce(response, Deprecation(date(2026, 1, 1), date(2027, 1, 2), "another"))
    assert (response.headers["Deprecation"], response.headers["Sunset"]) == ("@1767225600", "Sat, 02 Jan 2027 00:00:00 GMT")


# -- the description -----------------------------------------------------------------------------------------------------


def test_description_is_sound_and_complete(client: FlaskClient) -> None:
    served = client.get("/v1/openapi.json")
    assert served.status_code == 200
    document = served.json
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"].startswith("3.1")
    assert client.get("/v1/openapi.json", headers={"If-None-Match": served.headers["ETag"]}).status_code == 304
    operations = [(path, method, each) for path, methods in document["paths"].items() for method, each in methods.items()]
    assert len(operations) == len(ROUTES)
    rules = {(str(rule), method) for rule in client.application.url_map.iter_rules() for method in rule.methods or ()}
    assert all((path, method) in rules for method, path, _ in ROUTES)
    assert {name for name, each in document["components"]["securitySchemes"].items()} == {"session", "bearer", "apiKey", "cookie"}
    for path, method, operation in operations:
        assert operation["summary"], path
        assert {"400", "401", "403", "404", "429", "500", "503"} <= operation["responses"].keys(), (path, method)


def test_examples_are_what_the_schemas_say() -> None:
    count = 0
    for path, methods in description()["paths"].items():
        for method, operation in methods.items():
            base = f"/paths/{path.replace('/', '~1')}/{method}"
            places = [(f"{base}/requestBody/content/application~1json", operation.get("requestBody", {}).get("content", {}))]
            places += [
                (f"{base}/responses/{status}/content/application~1json", response.get("content", {}))
                for status, response in operation["responses"].items()
            ]
            for pointer, content in places:
                if "example" in content.get("application/json", {}):
                    problem = next(_validator(f"{pointer}/schema").iter_errors(content["application/json"]["example"]), None)
                    assert problem is None, f"{pointer}: {problem.message if problem else ''}"
                    count += 1
    assert count > 100


def test_swagger_ui_comes_from_here_and_from_nowhere_else(client: FlaskClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert "http" not in page.text.replace("http-equiv", ""), "nothing from another host"
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    for name in ("swagger-ui.css", "swagger-ui-bundle.js", "start.js"):
        asset = client.get(f"/docs/assets/{name}", headers={"Accept-Encoding": "gzip"})
        assert (asset.status_code, asset.headers["Content-Encoding"]) == (200, "gzip")
    assert client.get("/docs/assets/../settings.py").status_code == 404


# -- other tenants -------------------------------------------------------------------------------------------------------


@pytest.mark.spec("T73")
def test_another_tenants_ids_are_nowhere(client: FlaskClient, make: Factory, admin: dict[str, str]) -> None:
    """The whole API as an administrator of one tenant with the ids of another: 404 for all of it."""
    make.realm("other")
    make.user("spy@example.test", realm="other", roles=("administrator",))
    spy = session_of(client, "spy@example.test", org="other")
    uid = make.user()
    bot = make.application("bot", projects=("vision",))
    key = make.key()
    keep(client, admin, projects=["vision"])
    assert take(client, token_of(client, borrower(make)), "prod aws").status_code == 201

    def gather(realm: Any) -> dict[str, str]:
        from idp import keys, sessions

        group = users.create_group(realm, "secret-group")
        set_realm(realm, registration=True)
        grant = access.list_grants(realm, project="vision")[0]
        application = applications.get_application(realm, "bot")
        issuer = federation.create_issuer(realm, "hub", federation.TrustedIssuerSheet.read({"preset": "github"}))
        rule = federation.create_rule(
            realm,
            "deploy",
            federation.FederationRuleSheet.read(
                {
                    "issuer": "hub",
                    "application": "bot",
                    "lines": [federation.LineSheet(claim="repository_id", value="1")],
                }
            ),
            frozen=None,
        )
        lent = db.session.scalars(select(Lease)).one()
        return {
            "realms": realm.uid,
            "tenants": realm.uid,
            "users": uid,
            "applications": bot.uid,
            "apiKeys": key.uid,
            "groups": group.uid,
            "teams": group.uid,
            "grants": grant.uid,
            "roles": access.get_role(realm, "data-steward").uid,
            "projects": access.get_project(realm, "vision").uid,
            "signingKeys": keys.list_keys(realm)[0].uid,
            "keysets": lent.keyset_uid,
            "leases": lent.uid,
            "sessions": sessions.list_sessions(realm)[0][0].uid,
            "secret": applications.list_secrets(application)[0].uid,
            "registrationTokens": registrations.create_token(realm, RegistrationTokenSheet())[0].uid,
            "federation/issuers": issuer.uid,
            "federation/rules": rule.uid,
            "federation/people": federation.link_person(realm, "hub", "00u1", uid).uid,
            "personalTokens": "5a1d1e7c-1111-4111-8111-111111111111",
            "audits": str(audit.list_events("acme", limit=1)[0].id),
        }

    ids = make.do(gather)
    before = make.do(lambda _: len(audit.list_events("acme", limit=1000)))
    tried = 0
    for method, path, view in ROUTES:
        if "<" not in path or shape_of(view).public or path.startswith("/v1/auth/"):
            continue
        resource = "/".join(path.split("/")[2 : 4 if "/federation/" in path else 3])
        url = path.replace("<uid>", ids[resource]).replace("<kid>", ids[resource]).replace("<secret>", ids["secret"])
        url = url.replace("<user>", uid).replace("<token_id>", ids["personalTokens"]).replace("<grant>", ids["grants"])
        operation = description()["paths"][path.replace("<", "{").replace(">", "}")][method.lower()]
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
        answer = client.open(url, method=method, json=body, headers=spy)
        expected = (
            {404, 403} if (resource, method) == ("realms", "POST") or (method == "DELETE" and resource == "realms") else {404}
        )
        if path == "/v1/users/<uid>/password/change":
            expected = {403}  # nobody changes another's, whoever it is
        if path.startswith("/v1/users/<uid>/"):
            expected |= {403} if "password" in path else set()
        assert answer.status_code in expected, f"{method} {path}: {answer.status_code} {answer.text}"
        tried += 1
    assert tried > 70
    assert make.do(lambda _: len(audit.list_events("acme", limit=1000))) == before, "and nothing was changed"
    listed = json.dumps(
        [client.get(f"/v1/{kind}?limit=500", headers=spy).json for kind in ("users", "applications", "grants", "realms")]
    )
    assert not any(each in listed for kind, each in ids.items() if kind != "audits")  # those are numbers


# -- organisations -------------------------------------------------------------------------------------------------------


def test_only_operators_rule_organisations(client: FlaskClient, admin: dict[str, str], make: Factory) -> None:
    acme = make.do(lambda realm: realm.uid)
    assert [item["metadata"]["name"] for item in client.get("/v1/realms", headers=admin).json["items"]] == ["acme"]
    assert client.post("/v1/realms", json={"metadata": {"name": "mine"}}, headers=admin).status_code == 403
    for act in ("approve", "deactivate", "activate", "restore", "purge"):
        assert client.post(f"/v1/realms/{acme}/{act}", headers=admin).status_code == 403, act
    assert client.delete(f"/v1/realms/{acme}", headers=admin).status_code == 403
    assert client.patch(f"/v1/realms/{acme}", json={"spec": {"sessionHours": 3}}, headers=admin).status_code == 204


def test_life_of_an_organisation_to_its_purge(
    client: FlaskClient, operator: dict[str, str], make: Factory, frozen_clock: Any
) -> None:
    from idp import organisations, trail
    from idp.realms import PurgedRealm

    made = client.post("/v1/realms", json={"metadata": {"name": "globex"}, "pending": True}, headers=operator)
    url = made.headers["Location"]
    act = {"headers": operator}
    assert client.get(url, headers=operator).json["status"]["state"] == "pending"
    assert client.post(f"{url}/approve", **act).status_code == 204
    assert client.post(f"{url}/approve", **act).status_code == 409
    inside = operator | {"X-Organization-Id": "globex"}
    bot = client.post("/v1/applications", json={"metadata": {"name": "bot"}, "spec": {"roles": ["viewer"]}}, headers=inside).json
    person = client.post("/v1/users", json={"spec": {"emailId": "ann@globex.test"}}, headers=inside).json["uid"]
    key = client.post("/v1/apiKeys", json={"spec": {"userUid": person}}, headers=inside).json["apiKey"]
    form = {"grant_type": "client_credentials", "client_id": "bot", "client_secret": bot["clientSecret"]}

    def statuses() -> tuple[int, int]:
        make.forget()
        token = client.post("/auth/realms/globex/protocol/openid-connect/token", data=form).status_code
        return token, client.get("/v1/users/info", headers={"apiKey": key}).status_code

    assert statuses() == (200, 200)
    assert client.post(f"{url}/deactivate", **act).status_code == 204
    assert statuses() == (403, 401)
    assert client.post(f"{url}/activate", **act).status_code == 204
    assert statuses() == (200, 200)
    assert client.delete(url, **act).status_code == 204
    assert statuses() == (403, 401)
    assert client.get(url, **act).json["metadata"]["deletionTimestamp"]
    assert client.post(f"{url}/restore", **act).status_code == 204
    assert client.delete(url, **act).status_code == 204
    with client.application.app_context():
        assert organisations.purge_due_realms() == 0, "it can still be restored"
    frozen_clock.advance(days=31)
    operator = session_of(client, "operator@example.test", org="master")
    assert client.post(f"{url}/restore", headers=operator).status_code == 409
    with client.application.app_context():
        trail.seal_trail()
        assert organisations.purge_due_realms() == 1
        trail.seal_trail()
    assert client.get(url, headers=operator).status_code == 404

    def left(_: Any) -> tuple[dict[str, int], list[str], Any]:
        from idp.db import Base, db

        found = {}
        for table in Base.metadata.sorted_tables:
            text_columns = [column for column in table.columns if column.type.python_type is str]
            count = (
                sum(
                    "globex" in str(row) or "ann@globex" in str(row)
                    for row in db.session.execute(table.select().with_only_columns(*text_columns))
                )
                if text_columns
                else 0
            )
            if count:
                found[table.name] = count
        return found, trail.trail_names(), trail.verify_trail("globex")

    found, trails, report = make.do(left)
    assert set(found) <= {"audit_event", "audit_batch", "audit_mark", "purged_realm", "change"}, found
    assert "globex" in trails
    assert (report.problems, report.signed > 0) == ([], True), "its trail is left, and can be proved"
    again = client.post("/v1/realms", json={"metadata": {"name": "globex"}}, headers=operator)
    assert again.status_code == 409, "its issuer is nobody else's, ever"
    assert PurgedRealm


@pytest.mark.spec("T94")
def test_sign_up_is_off_unless_the_operator_allows_it(client: FlaskClient) -> None:
    body = {"orgName": "globex", "emailId": "boss@globex.test"}
    assert client.post("/v1/auth/signup", json=body).status_code == 403


def test_sign_up_makes_nothing_before_the_mail_is_verified(settings: Settings) -> None:
    from tests.compat.test_rafay import sent_code

    app = create_app(settings.model_copy(update={"sign_up": "open"}))
    client, make = app.test_client(), Factory(app)
    body = {"orgName": "globex", "emailId": "boss@globex.test", "displayName": "Globex"}
    assert client.post("/v1/auth/signup", json=body).status_code == 201
    assert make.do(lambda _: __import__("idp").realms.find_realm("globex")) is None
    code = sent_code(app, "sign-up")
    assert client.patch(f"/v1/auth/signup/{code}/verify", json={}).status_code == 400, "no password was chosen yet"
    assert client.patch(f"/v1/auth/signup/{code}/verify", json={"password": "password"}).status_code == 400
    good = {"password": "a long and unusual one"}
    answers = at_once(4, lambda: app.test_client().patch(f"/v1/auth/signup/{code}/verify", json=good).status_code)
    assert answers.count(200) == 1
    assert set(answers) <= {200, 401, 503}, "one network has a part of the places where passwords are hashed"
    session = {"emailId": "boss@globex.test", "org": "globex"} | good
    assert client.post("/v1/auth/authenticate", json=session).status_code == 200, "approval was waived"
    assert client.post("/v1/auth/signup", json=body | {"orgName": "globex"}).status_code == 409
    statuses = [client.post("/v1/auth/signup", json=body | {"orgName": f"g{n}"}).status_code for n in range(6)]
    assert 429 in statuses
    close_app(app)


@pytest.mark.parametrize(
    ("method", "path", "body", "member"),
    [
        ("POST", "/v1/apiKeys", {"spec": {"role": ["viewer"], "ips": []}}, "spec.role"),
        ("POST", "/v1/applications", {"metadata": {"name": "x"}, "spec": {"enabeld": False}}, "spec.enabeld"),
        ("POST", "/v1/applications", {"metadata": {"name": "x"}, "spec": {"web_origins": []}}, "spec.web_origins"),
        ("PATCH", "/v1/applications/reporting", {"spec": {"isActive": False}}, "spec.isActive"),
        (
            "POST",
            "/v1/applications",
            {"metadata": {"name": "x"}, "spec": {"projects": [{"projectUid": "x", "role": "y", "end": 1}]}},
            "spec.projects.end",
        ),
    ],
)
def test_slip_in_a_name_is_no_open_door(
    client: FlaskClient, admin: dict[str, str], method: str, path: str, body: Any, member: str
) -> None:
    answer = client.open(path, method=method, json=body, headers=admin)
    assert answer.status_code == 400
    assert member in {each["member"] for each in answer.json["details"]["members"]}


@pytest.mark.parametrize(
    ("path", "spec", "member", "problem"),
    [
        (
            "realms/acme",
            {"auditDays": 5},
            "spec.auditDays",
            "5 is out of range: use 30 to 36500 days, or 0 to keep everything forever",
        ),
        (
            "applications/reporting",
            {"webOrigins": ["x"]},
            "spec.webOrigins",
            "takes origins such as https://app.example.com, without a path, not 'x'.",
        ),
        (
            "applications/reporting",
            {"ratePerSecond": 0},
            "spec.ratePerSecond",
            "0 is out of range: use 1 to 1000000 tokens per second",
        ),
    ],
)
def test_what_a_domain_refuses_is_called_as_bodies_have_it(
    client: FlaskClient, admin: dict[str, str], path: str, spec: Any, member: str, problem: str
) -> None:
    answer = client.patch(f"/v1/{path}", json={"spec": spec}, headers=admin)
    assert (answer.status_code, answer.json["message"]) == (400, f"{member}: {problem.removesuffix('.')}.")
    assert answer.json["details"]["members"] == [{"member": member, "problem": problem}]


def test_names_are_not_changed_and_not_lost(client: FlaskClient, admin: dict[str, str]) -> None:
    renamed = client.patch("/v1/applications/reporting", json={"metadata": {"name": "renamed"}}, headers=admin)
    assert renamed.status_code == 409
    assert client.patch("/v1/applications/reporting", json={"metadata": {"name": "reporting"}}, headers=admin).status_code == 204


def test_user_is_changed_in_either_shape(client: FlaskClient, admin: dict[str, str], make: Factory) -> None:
    uid = make.user()
    for body, active in (({"spec": {"isActive": False}}, False), ({"isActive": True}, True)):
        assert client.patch(f"/v1/users/{uid}", json=body, headers=admin).status_code == 204
        assert client.get(f"/v1/users/{uid}", headers=admin).json["status"]["isActive"] is active


def test_without_a_credential_the_challenge_is_bare(client: FlaskClient) -> None:
    answer = client.get("/v1/users")
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    wrong = client.get("/v1/users", headers={"Authorization": "Bearer x.y.z"})
    assert wrong.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_lists_by_offset(client: FlaskClient, admin: dict[str, str], make: Factory) -> None:
    for number in range(5):
        make.application(f"o{number}")
    everything = [item["metadata"]["name"] for item in client.get("/v1/applications?name=o", headers=admin).json["items"]]
    page = client.get("/v1/applications?name=o&limit=2&offset=2", headers=admin).json
    assert [item["metadata"]["name"] for item in page["items"]] == everything[2:4]
    assert page["listmeta"]["offset"] == 2
    query = {"name": "o", "limit": "2", "continue": page["listmeta"]["continue"]}
    rest = client.get("/v1/applications", query_string=query, headers=admin).json
    assert [item["metadata"]["name"] for item in rest["items"]] == everything[4:6]


def test_personal_tokens_are_made_and_deleted(client: FlaskClient, admin: dict[str, str], make: Factory) -> None:
    made = client.post("/v1/personalTokens", json={}, headers=admin)
    assert made.status_code == 201
    header = {"Authorization": f"Bearer {made.json['token']}"}
    assert client.get("/v1/users/info", headers=header).json["credential"] == "personal_token"
    assert client.post("/v1/personalTokens", json={}, headers=header).status_code == 403
    assert client.get(made.headers["Location"], headers=admin).json["metadata"]["uid"] == made.json["uid"]
    assert client.delete(made.headers["Location"], headers=admin).status_code == 204
    make.forget()
    assert client.get("/v1/users/info", headers=header).status_code == 401


CORPUS = (
    "' OR 1=1 --",
    "'; DROP TABLE application; --",
    "%' OR '%'='",
    "\\",
    "\x00",
    "\r\nSet-Cookie: x=1",
    "\u2028",
    "${jndi:ldap://x}",
    "{{7*7}}",
    "1) UNION SELECT 1--",
    "../../etc/passwd",
    "%",
    "_",
    "\ud7ff",
    "9" * 400,
)


@pytest.mark.spec("T103", "T104", "T106")
@pytest.mark.parametrize(
    "path", ["/v1/applications", "/v1/users", "/v1/realms", "/v1/roles", "/v1/grants", "/v1/accessReview", "/v1/audit/events"]
)
def test_injection_finds_nothing_and_breaks_nothing(client: FlaskClient, admin: dict[str, str], path: str) -> None:
    for name in ("name", "holder", "role", "actor", "target", "tag", "orderBy", "limit", "offset", "continue", "ProjectUid"):
        for value in CORPUS:
            answer = client.get(path, query_string={name: value}, headers=admin)
            assert answer.status_code in {200, 400, 404}, (name, value, answer.text)
            assert "Set-Cookie" not in answer.headers
    assert client.get("/v1/applications", query_string={"name": "' OR 1=1 --"}, headers=admin).json["items"] == []
    assert client.get("/v1/applications", query_string={"name": "%"}, headers=admin).json["items"] == []
