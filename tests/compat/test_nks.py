"""Keysets, as the clients of NetApp's Kubernetes Service manage them: each row of the contract's tables, and its curl lines."""

import json
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from idp import access, keysets, users
from idp.db import db
from idp.keysets import Keyset, KeysetSheet
from tests.factories import Factory, session_of
from tests.keysets.lending import AWS_VALUES, borrower, take, token_of
from tests.keysets.test_keysets import SSH_KEY
from tests.serving import PATIENCE, Server

AWS = [{"key_type": "pub", "key": "AKIA-canary-id"}, {"key_type": "pvt", "key": "canary-secret-of-aws"}]


@pytest.fixture
def root(make: Factory, client: FlaskClient) -> dict[str, str]:
    make.user("root@example.test", roles=("administrator",), first_name="Ro", last_name="Ot")
    return {"Authorization": f"Bearer {session_of(client, 'root@example.test')['Authorization']}"}


@pytest.fixture
def base(make: Factory) -> str:
    number: int = make.do(lambda realm: realm.id)
    return f"/orgs/{number}/keysets"


def body(name: str = "My AWS Keyset", **changes: Any) -> dict[str, Any]:
    return {"name": name, "category": "provider", "entity": "aws", "workspaces": [], "keys": AWS} | changes


def stored(make: Factory) -> int:
    count: int = make.do(lambda _: db.session.scalar(select(func.count()).select_from(Keyset)))
    return count


def vcs(make: Factory) -> int:
    """Make a keyset of category vcs, as the console does."""

    def act(realm: Any) -> int:
        return keysets.create_keyset(realm, "vcs", "github", KeysetSheet(name="repos"), [("token", "canary")]).id

    number: int = make.do(act)
    return number


def test_a_keyset_is_made_shown_changed_and_deleted(client: FlaskClient, root: dict[str, str], base: str) -> None:
    made = client.post(base, json=body(), headers=root)
    assert made.status_code == 201, made.text
    shown = made.json
    assert list(shown) == ["pk", "name", "category", "entity", "org", "workspaces", "user", "is_default", "keys", "created"]
    assert shown["org"] == int(base.split("/")[2])
    assert (shown["workspaces"], shown["is_default"], shown["created"][-1]) == ([], False, "Z")
    assert [(key["keyset"], key["key_type"], key["fingerprint"], key["user"]) for key in shown["keys"]] == [
        (shown["pk"], "pub", "", shown["user"]),
        (shown["pk"], "pvt", "", shown["user"]),
    ]
    assert all(isinstance(each, int) for each in (shown["pk"], shown["user"], *(key["pk"] for key in shown["keys"])))
    url = f"{base}/{shown['pk']}"
    assert client.get(url, headers=root).json == shown
    listed = client.get(base, headers=root)
    assert listed.json == [shown]
    changed = client.patch(url, json={"name": "My Renamed AWS Keyset"}, headers=root)
    assert changed.json == shown | {"name": "My Renamed AWS Keyset"}
    for answer in (made, listed, changed):
        assert "canary" not in answer.text
    deleted = client.delete(url, headers=root)
    assert (deleted.status_code, deleted.data) == (204, b"")
    assert client.get(url, headers=root).json == {"detail": "Not found."}
    assert client.get(f"{base}/", headers=root).json == []


def test_a_client_sends_the_whole_object_with_its_empty_members(client: FlaskClient, root: dict[str, str], base: str) -> None:
    # what NetApp's own SDK for Go sends: all members, the unknown ones as zero values
    keys = [key | {"pk": 0, "fingerprint": "", "user": 0} for key in AWS]
    sent = body(keys=keys) | {"pk": 0, "org": 0, "user": 0, "is_default": False, "created": "", "workspaces": None}
    made = client.post(base, json=sent, headers=root)
    assert (made.status_code, made.json["workspaces"]) == (201, [])


@pytest.mark.parametrize(
    ("category", "entity", "types"),
    [
        ("provider", "aks", ["subscription", "tenant", "pub", "pvt"]),
        ("provider", "azure", ["subscription", "tenant", "pub", "pvt"]),
        ("provider", "aws", ["pub", "pvt"]),
        ("provider", "eks", ["pub", "pvt"]),
        ("provider", "do", ["token"]),
        ("provider", "oneandone", ["token"]),
        ("provider", "packet", ["token"]),
        ("provider", "gce", ["other"]),
        ("provider", "gke", ["other"]),
        ("provider", "profitbricks", ["username", "password"]),
        ("solution", "cvsaws", ["pub", "pvt"]),
        ("solution", "sysdig", ["token"]),
        ("solution", "turbonomic", ["url", "username", "password", "scope"]),
        ("storage", "azure-storage", ["other", "access_key"]),
        ("user_ssh", "", ["pub"]),
    ],
)
def test_each_row_of_the_table(
    client: FlaskClient, root: dict[str, str], base: str, category: str, entity: str, types: list[str]
) -> None:
    keys = [{"key_type": each, "key": "external" if each == "scope" else SSH_KEY} for each in types]
    made = client.post(base, json=body(category=category, entity=entity, keys=keys), headers=root)
    assert made.status_code == 201, made.text
    assert [key["key_type"] for key in made.json["keys"]] == types
    prints = [key["fingerprint"] for key in made.json["keys"]]
    assert prints == (["SHA256:2D65RwrjZFZZXbpMXRb9Rpn6ThYXq0Oy07fWU8eokVs"] if category == "user_ssh" else [""] * len(types))
    fewer = client.post(base, json=body("fewer", category=category, entity=entity, keys=keys[1:]), headers=root)
    assert (fewer.status_code, list(fewer.json)) == (400, ["keys"])


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"name": 7}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"category": None}, "category"),
        ({"category": "cloud"}, "category"),
        ({"category": "vcs", "entity": "github", "keys": [{"key_type": "token", "key": "x"}]}, "category"),
        ({"entity": "acme-cloud"}, "entity"),
        ({"entity": ["aws"]}, "entity"),
        ({"keys": None}, "keys"),
        ({"keys": []}, "keys"),
        ({"keys": AWS[:1]}, "keys"),
        ({"keys": [*AWS, {"key_type": "token", "key": "x"}]}, "keys"),
        ({"keys": [AWS[0], AWS[0]]}, "keys"),
        ({"keys": "pub"}, "keys"),
        ({"keys": ["pub", "pvt"]}, "keys"),
        ({"keys": [{"key_type": "pub"}, {"key_type": "pvt"}]}, "keys"),
        ({"keys": [{"key_type": "pub", "key": 1}, {"key_type": "pvt", "key": 2}]}, "keys"),
        ({"keys": [{"key_type": "pub", "key": "x" * 16_385}, AWS[1]]}, "keys"),
        ({"org": 99_999}, "org"),
        ({"org": "x"}, "org"),
        ({"worspaces": [1]}, "worspaces"),
        ({"category": "user_ssh", "entity": "", "keys": [{"key_type": "pub", "key": "ssh-rsa AAAA"}]}, "keys"),
        ({"category": "user_ssh", "entity": "aws", "keys": [{"key_type": "pub", "key": SSH_KEY}]}, "entity"),
        ({"workspaces": [99_999]}, "workspaces"),
        ({"workspaces": ["x"]}, "workspaces"),
        ({"workspaces": [2**70]}, "workspaces"),
        ({"workspaces": 1}, "workspaces"),
        ({"workspaces": list(range(1, 200))}, "workspaces"),
        ({"is_default": "perhaps"}, "is_default"),
        ({"user": 99_999}, "user"),
        ({"user": -1}, "user"),
        ({"user": [1]}, "user"),
        ({"user": {}}, "user"),
    ],
)
def test_each_wrong_field_is_named_and_nothing_stored(
    client: FlaskClient, root: dict[str, str], base: str, make: Factory, changes: dict[str, Any], field: str
) -> None:
    answer = client.post(base, json=body(**changes), headers=root)
    assert (answer.status_code, list(answer.json)) == (400, [field]), answer.text
    assert all(isinstance(each, str) for each in answer.json[field])
    assert "canary" not in answer.text
    assert stored(make) == 0


def test_a_name_that_is_taken_is_a_wrong_field(client: FlaskClient, root: dict[str, str], base: str, make: Factory) -> None:
    client.post(base, json=body(), headers=root)
    again = client.post(base, json=body(), headers=root)
    assert (again.status_code, list(again.json)) == (400, ["name"])
    other = client.post(base, json=body("other"), headers=root).json["pk"]
    assert client.patch(f"{base}/{other}", json={"name": "My AWS Keyset"}, headers=root).status_code == 400
    assert client.post(base, json=body(entity="eks"), headers=root).status_code == 201
    assert stored(make) == 3


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b'{"name": "a", "name": "b"}', "application/json"),
        (b'{"name": NaN}', "application/json"),
        (b"\xff", "application/json"),
        (b'{"name": "\\ud800"}', "application/json"),
        (b"[" * 5_000, "application/json"),
        (b"name=x", "text/plain"),
        (b"<name>x</name>", "application/xml"),
        (b'{"keys": "' + b"x" * 2**20 + b'"}', "application/json"),
        (b"name=%ff", "application/x-www-form-urlencoded"),
        (b"name=x&" * 200, "application/x-www-form-urlencoded"),
        (b"x", "multipart/form-data"),
        (b"x", "multipart/form-data; boundary="),
        (b"x", "multipart/form-data; boundary=" + "b" * 71),
        (b"no parts", "multipart/form-data; boundary=b"),
        (b"--b\r\n\r\n", "multipart/form-data; boundary=b"),
        (b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\ncut', "multipart/form-data; boundary=b"),
        (b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\n\xff\r\n--b--', "multipart/form-data; boundary=b"),
        (
            b'--b\r\nContent-Disposition: form-data; name="name"; filename="f"\r\n\r\nx\r\n--b--',
            "multipart/form-data; boundary=b",
        ),
        # a bomb: thousands of parts, and a part of thousands of header lines
        (b'--b\r\nContent-Disposition: form-data; name="n"\r\n\r\n\r\n' * 1_100 + b"--b--", "multipart/form-data; boundary=b"),
        (b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--", "multipart/form-data; boundary=b"),
        (b"--b\r\n" + b"X-A: b\r\n" * 7_000 + b"\r\nx\r\n--b--", "multipart/form-data; boundary=b"),
        (b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\n' + b"x" * 2**20, "multipart/form-data; boundary=b"),
    ],
)
def test_bodies_that_cannot_be_read(
    client: FlaskClient, root: dict[str, str], base: str, make: Factory, data: bytes, content_type: str
) -> None:
    number = client.post(base, json=body(), headers=root).json["pk"]
    for answer in (
        client.post(base, data=data, content_type=content_type, headers=root),
        client.patch(f"{base}/{number}", data=data, content_type=content_type, headers=root),
    ):
        assert (answer.status_code, list(answer.json)) == (400, ["detail"]), answer.text
        if content_type == "application/json" and len(data) < 2**16:
            assert answer.json["detail"].startswith("JSON parse error - ")
    assert stored(make) == 1
    assert client.get(f"{base}/{number}", headers=root).json["name"] == "My AWS Keyset"


@pytest.mark.parametrize("kind", ["multipart/form-data", "application/x-www-form-urlencoded"])
def test_a_form_says_all_that_json_can(client: FlaskClient, root: dict[str, str], base: str, make: Factory, kind: str) -> None:
    vision, speech = make.do(lambda realm: [access.get_project(realm, name).id for name in ("vision", "speech")])
    form = {
        "name": "by form",
        "category": "provider",
        "entity": "aws",
        "is_default": "true",
        "workspaces": [str(vision), str(speech)],
        "keys[0]key_type": "pub",
        "keys[0]key": "AKIA-canary-id",
        "keys[1][key_type]": "pvt",
        "keys[1].key": "canary-secret-of-aws",
    }
    made = client.post(base, data=form, content_type=kind, headers=root)
    assert made.status_code == 201, made.text
    assert (made.json["workspaces"], made.json["is_default"]) == ([vision, speech], True)
    url = f"{base}/{made.json['pk']}"
    changed = client.patch(url, data={"workspaces[0]": str(speech), "is_default": "False"}, content_type=kind, headers=root)
    assert (changed.json["workspaces"], changed.json["is_default"], changed.json["name"]) == ([speech], False, "by form")
    assert client.patch(url, data={"workspaces": ""}, content_type=kind, headers=root).json["workspaces"] == []
    twice = client.patch(url, data={"name": ["a", "b"]}, content_type=kind, headers=root)
    assert (twice.status_code, list(twice.json)) == (400, ["name"])
    deployer = borrower(make, project=None)
    assert take(client, token_of(client, deployer), "by form").json["values"] == AWS_VALUES


def test_new_keys_replace_all_old_ones(client: FlaskClient, root: dict[str, str], base: str) -> None:
    made = client.post(base, json=body(), headers=root).json
    url = f"{base}/{made['pk']}"
    assert client.patch(url, json={"keys": AWS[:1]}, headers=root).status_code == 400
    assert client.get(url, headers=root).json == made
    sent_back = client.patch(url, json=made | {"name": "renamed"}, headers=root)
    assert (sent_back.status_code, sent_back.json) == (200, made | {"name": "renamed"})
    changed = client.patch(url, json={"keys": AWS}, headers=root).json
    assert {key["pk"] for key in changed["keys"]}.isdisjoint(key["pk"] for key in made["keys"])
    for name, value in (("category", "solution"), ("entity", "eks")):
        refused = client.patch(url, json={name: value}, headers=root)
        assert (refused.status_code, list(refused.json)) == (400, [name])


def test_keysets_of_version_control_are_read_and_deleted_only(
    client: FlaskClient, root: dict[str, str], base: str, make: Factory
) -> None:
    url = f"{base}/{vcs(make)}"
    assert client.get(url, headers=root).json["category"] == "vcs"
    refused = client.patch(url, json={"name": "mine"}, headers=root)
    assert (refused.status_code, refused.json) == (405, {"detail": 'Method "PATCH" not allowed.'})
    assert client.delete(url, headers=root).status_code == 204


@pytest.mark.spec("T73")
def test_members_read_and_only_owners_and_administrators_write(
    client: FlaskClient, root: dict[str, str], base: str, make: Factory
) -> None:
    def keeper(realm: Any) -> None:
        access.create_role(realm, "keeper", access.RoleSheet(permissions=["keysets:read", "keysets:write"]))

    make.do(keeper)
    vision = make.do(lambda realm: access.get_project(realm, "vision").id)
    url = f"{base}/{client.post(base, json=body(workspaces=[vision]), headers=root).json['pk']}"
    make.user("auditor@example.test", roles=("auditor",))
    make.user("viewer@example.test", roles=("viewer",))
    make.user("keeper@example.test", projects=(("vision", "keeper"),))
    auditor, viewer, local = (session_of(client, f"{name}@example.test") for name in ("auditor", "viewer", "keeper"))
    for header, read in ((auditor, 200), (viewer, 404), (local, 200)):
        assert client.get(url, headers=header).status_code == read
        for method, path, sent in (("POST", base, body("x")), ("PATCH", url, {"name": "x"}), ("DELETE", url, None)):
            refused = client.open(path, method=method, json=sent, headers=header)
            assert refused.status_code == (404 if read == 404 and path == url else 403), (method, refused.text)
            assert list(refused.json) == ["detail"]
    assert client.get(base, headers=viewer).status_code == 403
    make.realm("other")
    make.user("boss@example.test", realm="other", roles=("administrator",))
    boss = session_of(client, "boss@example.test", org="other")
    own = make.do(lambda realm: realm.id, "other")
    for method, path in (
        ("GET", base),
        ("POST", base),
        ("GET", url),
        ("PATCH", url),
        ("DELETE", url),
        ("GET", url.replace(base, f"/orgs/{own}/keysets")),
        ("DELETE", url.replace(base, f"/orgs/{own}/keysets")),
        ("PATCH", url.replace(base, f"/orgs/{own}/keysets")),
        ("GET", f"/orgs/{2**70}"),
        ("GET", f"{base}/{2**70}"),
    ):
        refused = client.open(path, method=method, json=body() if method in {"POST", "PATCH"} else None, headers=boss)
        assert (refused.status_code, refused.json) == (404, {"detail": "Not found."}), (method, path, refused.text)
    foreign = client.post(f"/orgs/{own}/keysets", json=body(workspaces=[vision]), headers=boss)
    assert (foreign.status_code, list(foreign.json)) == (400, ["workspaces"])
    assert stored(make) == 1


def test_who_shows_nothing_or_something_wrong(client: FlaskClient, base: str) -> None:
    nothing = client.get(base)
    assert (nothing.status_code, nothing.json) == (401, {"detail": "Authentication credentials were not provided."})
    assert nothing.headers["WWW-Authenticate"] == "Bearer"
    for header in ({"Authorization": "Bearer abcdef123456789abcdef123456789"}, {"Authorization": "Token x"}, {"apiKey": "x"}):
        wrong = client.get(base, headers=header)
        assert (wrong.status_code, wrong.json) == (401, {"detail": "Invalid token."})
    wrong = client.put(base, headers={"Authorization": "Bearer x"})
    assert (wrong.status_code, wrong.json) == (405, {"detail": 'Method "PUT" not allowed.'})
    assert client.get("/orgs/x").json == {"detail": "Not found."}


def test_an_api_key_is_a_token_and_a_cookie_is_none(client: FlaskClient, root: dict[str, str], base: str, make: Factory) -> None:
    key = make.key("root@example.test")
    assert client.get(base, headers={"Authorization": f"Bearer {key.plain}"}).status_code == 200
    client.set_cookie("Authorization", root["Authorization"].removeprefix("Bearer "))
    assert client.get(base).status_code == 401
    assert client.post(base, data={"name": "forged"}).status_code == 401


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data"])
def test_values_are_taken_over_https_or_within_the_machine(
    client: FlaskClient, root: dict[str, str], base: str, make: Factory, kind: str
) -> None:
    number = client.post(base, json=body(), headers=root).json["pk"]
    outside = {"REMOTE_ADDR": "192.0.2.1"}
    for answer in (
        client.post(base, json=body("new"), headers=root, environ_overrides=outside),
        client.patch(f"{base}/{number}", json={"keys": AWS}, headers=root, environ_overrides=outside),
    ):
        assert answer.status_code == 403
        assert "HTTPS" in answer.json["detail"]
    named = {"data": {"name": kind}, "content_type": kind} if kind != "application/json" else {"json": {"name": kind}}
    assert client.patch(f"{base}/{number}", **named, headers=root, environ_overrides=outside).status_code == 200  # type: ignore[arg-type]
    assert stored(make) == 1


def test_what_clients_ask_before(client: FlaskClient, root: dict[str, str], base: str, make: Factory) -> None:
    org = int(base.split("/")[2])
    made = client.post(base, json=body(is_default="true"), headers=root).json
    assert made["is_default"] is True
    assert client.get("/orgs", headers=root).json == [client.get(f"/orgs/{org}", headers=root).json]
    assert client.get(f"/orgs/{org}", headers=root).json["slug"] == "acme"
    (profile,) = client.get("/userprofile", headers=root).json
    assert (profile["username"], profile["full_name"], profile["keysets"]) == ("root@example.test", "Ro Ot", [made])
    (membership,) = profile["org_memberships"]
    assert (membership["org"]["pk"], membership["is_default"], membership["role"]) == (org, True, "owner")
    user = client.get("/rest-auth/user/", headers=root).json
    assert (user["pk"], user["email"]) == (profile["pk"], "root@example.test")
    workspaces = client.get(f"/orgs/{org}/workspaces", headers=root).json
    assert [each["name"] for each in workspaces] == ["speech", "vision"]
    assert client.get(f"/orgs/{org}/workspaces/{workspaces[0]['pk']}", headers=root).json == workspaces[0]
    make.user("viewer@example.test", roles=("viewer",))
    (profile,) = client.get("/userprofile", headers=session_of(client, "viewer@example.test")).json
    assert (profile["keysets"], profile["org_memberships"][0]["role"]) == ([], "member")
    bot = token_of(client, make.application("bot", roles=("administrator",)))
    assert [client.get("/userprofile", headers=bot).json[0][name] for name in ("username", "pk")] == ["bot", 0]
    make.user("visitor@example.test", realm="master")
    visitor = session_of(client, "visitor@example.test", org="master")
    assert client.get(f"/orgs/{org}", headers=visitor).status_code == 404


def test_who_goes_leaves_the_keyset_to_nobody(client: FlaskClient, root: dict[str, str], base: str, make: Factory) -> None:
    make.user("temp@example.test")
    number = make.do(lambda realm: users.find_user(realm, "temp@example.test").id)  # type: ignore[union-attr]
    made = client.post(base, json=body(user=number), headers=root).json
    assert made["user"] == number
    make.do(lambda realm: users.delete_user(realm, users.find_user(realm, "temp@example.test")))  # type: ignore[arg-type]
    shown = client.get(f"{base}/{made['pk']}", headers=root).json
    assert (shown["user"], shown["keys"][0]["user"]) == (None, None)


def test_a_list_can_be_had_in_parts(client: FlaskClient, root: dict[str, str], base: str) -> None:
    numbers = [client.post(base, json=body(f"set {each}"), headers=root).json["pk"] for each in range(5)]
    assert [each["pk"] for each in client.get(f"{base}?limit=2&offset=3", headers=root).json] == numbers[3:]
    assert client.get(f"{base}?limit=x", headers=root).status_code == 400


CURL_LINES = """
curl -X GET -H "Authorization: Bearer {token}" "{url}/orgs/2/keysets"
curl -X GET -H "Authorization: Bearer {token}" "{url}/orgs/2/keysets/3"
curl -X POST -H "Authorization: Bearer {token}" -H "Content-Type: application/json" -d @create-aws-keyset.json "{url}/orgs/1/keysets"
curl -X PATCH -H "Authorization: Bearer {token}" -H "Content-Type: application/json" -d @rename-aws-keyset.json "{url}/orgs/2/keysets/4"
curl -X PATCH -H "Authorization: Bearer {token}" -H "Content-Type: multipart/form-data" -F name="My Renamed AWS Keyset" "{url}/orgs/2/keysets/4"
curl -X DELETE -H "Authorization: Bearer {token}" "{url}/orgs/2/keysets/3"
"""
"""Those of the published page, with the ids that it has."""


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_lines_of_the_page_run_as_printed(tmp_path: Path) -> None:
    server = Server(tmp_path / "data").start()
    try:
        operator = server.create_application("operator", "--role", "administrator", realm="master")
        token = server.token(operator, realm="master").json["access_token"]
        (tmp_path / "create-aws-keyset.json").write_text(json.dumps(body("First")))
        (tmp_path / "rename-aws-keyset.json").write_text(json.dumps({"name": "My Renamed AWS Keyset"}))

        def run(line: str) -> tuple[int, Any]:
            command = [*shlex.split(line.format(token=token, url=server.url)), "--silent", "--write-out", "\n%{http_code}"]
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=True)
            text, _, status = done.stdout.rpartition("\n")
            return int(status), json.loads(text) if text else None

        listing, show, create, *changes, delete = [line for line in CURL_LINES.splitlines() if line]
        for number in range(1, 5):  # so that there are keysets 3 and 4
            (tmp_path / "create-aws-keyset.json").write_text(json.dumps(body(f"keyset {number}")))
            status, made = run(create.replace("/orgs/1/", "/orgs/2/"))
            assert (status, made["pk"], made["org"]) == (201, number, 2)
        status, made = run(create)
        assert (status, made["org"], made["name"]) == (201, 1, "keyset 4")
        status, listed = run(listing)
        assert (status, [each["pk"] for each in listed]) == (200, [1, 2, 3, 4])
        assert run(show) == (200, listed[2])
        for change in changes:
            status, changed = run(change)
            assert (status, changed) == (200, listed[3] | {"name": "My Renamed AWS Keyset"})
        assert run(delete) == (204, None)
        assert run(show) == (404, {"detail": "Not found."})
    finally:
        server.stop()
