"""Rafay's contract by machine: every identity operation that the vendor's collections, provider and public scripts make."""

import pytest
from flask.testing import FlaskClient

from idp.app import close_app, create_app
from idp.settings import Settings
from tests.compat.walk import Contract, Walk
from tests.factories import PASSWORD, Factory, session_of
from tests.serving import PROJECT

CONTRACT = Contract.load("rafay")

NOT_SERVED = {
    "sign_up_by_offer": 501,
    "create_role": 501,
    "put_role": 501,
    "delete_role": 501,
    "get_sso": 404,
    "create_sso": 501,
    "put_sso": 501,
    "delete_sso": 501,
}
"""Operations that are not served, and what they are answered."""


@pytest.fixture
def walk(client: FlaskClient, make: Factory) -> Walk:
    make.user("partner@example.test", realm="master", roles=("administrator",))
    make.user("admin@example.test", roles=("administrator",))
    return Walk(client, CONTRACT, session_of(client, "partner@example.test", org="master"))


def _walk_organizations(walk: Walk) -> None:
    for _ in range(2):
        walk.take("create_organization", body={"name": "Globex & Sons {n}"}, keep={"org": "id"})
        walk.take("get_organization", path={"orgId": "$org"})
        walk.take("put_organization", path={"orgId": "$org"}, body={"name": "Globex {n}"})
    walk.take("list_organizations", query={"name": "globex", "limit": 2, "offset": 0})
    walk.take("delete_organization", path={"orgId": "$org"})


def _walk_people(walk: Walk, org: str) -> None:
    walk.take("list_account_roles", path={"orgId": org}, keep={"role": "results.0.id"})
    role = {"id": "$role", "name": "ADMIN", "is_global": True, "scope": "ORGANIZATION"}
    body = {"account": {"username": "new-{n}@example.test"}, "role": role, "roles": [{"role": role}]}
    walk.take("add_user", path={"orgId": org}, body=body, keep={"user": "id"})
    walk.headers |= {"X-ORGANIZATION-ID": org}
    walk.take("get_user", path={"userId": "$user"})
    walk.take("list_users", query={"q": "new"})
    walk.take("find_users", query={"options.name": ["admin@example.test", "new"]})
    walk.take("create_api_key", path={"userId": "$user"}, body={"name": "dynamic", "never_expire": True, "validity_hour": 0})
    walk.take("list_api_keys", path={"userId": "$user"})
    walk.take("delete_user", path={"userId": "$user"})


def _walk_key(walk: Walk, password: str) -> None:
    """Call by the header of older clients, with a key of one's own."""
    walk.take("create_api_key", path={"userId": "-"}, body={"name": "dynamic"}, keep={"key": "key", "key-id": "id"})
    walk.headers = {"X-RAFAY-API-KEYID": walk.known["key"]}
    walk.take("profile")
    walk.take("current_user")
    walk.take("list_api_keys", path={"userId": "-"})
    walk.take("delete_api_key", path={"keyId": "$key-id"})
    walk.headers = {}
    walk.take("prelogin", body={"username": "admin@example.test"})
    walk.take("login", body={"username": "admin@example.test", "password": password, "organization": "acme"})


def _walk_projects_and_groups(walk: Walk) -> None:
    for noun in ("project", "group"):
        path = {f"{noun}Id": f"${noun}"}
        walk.take(f"create_{noun}", body={"name": "Team {n}"}, keep={noun: "id"})
        walk.take(f"get_{noun}", path=path)
        walk.take(f"list_{noun}s", query={"limit": 1000, "name": "Team 1"})
        walk.take(f"put_{noun}", path=path, body={"name": "Renamed {n}"})
        walk.take(f"delete_{noun}", path=path)


def _walk_rest(walk: Walk) -> None:
    walk.take("list_roles", keep={"role": "results.0.id"})
    walk.take("get_role", path={"roleId": "$role"})
    walk.take("list_ssos")
    walk.take("list_audit")


def walk_all(walk: Walk, org: str) -> None:
    """Call every operation that is served, but for the sign-up, which is off."""
    _walk_organizations(walk)
    _walk_people(walk, org)
    walk.headers = session_of(walk.client, "admin@example.test")
    _walk_projects_and_groups(walk)
    _walk_rest(walk)
    _walk_key(walk, PASSWORD)
    csrf = walk.client.get_cookie("csrftoken")
    walk.headers = {"X-CSRFToken": csrf.value if csrf else ""}
    walk.take("logout")


def test_every_published_operation_is_served_as_described_or_refused_in_words(
    walk: Walk, make: Factory, settings: Settings
) -> None:
    walk_all(walk, make.do(lambda realm: realm.uid))
    app = create_app(settings.model_copy(update={"sign_up": "approval"}))
    walk.client, walk.headers = app.test_client(), {}
    walk.take("sign_up_organization", body={"username": "boss-{n}@globex.test", "organization_name": "Initech {n}"})
    close_app(app)
    assert {name: each for name, each in walk.findings.items() if each} == {}
    assert walk.findings.keys() | NOT_SERVED.keys() == CONTRACT.operations.keys()
    assert not walk.findings.keys() & NOT_SERVED.keys()


def test_what_is_not_served_says_so(walk: Walk) -> None:
    page = (PROJECT / "docs" / "compatible-apis.md").read_text()
    for name, status in NOT_SERVED.items():
        refused = walk.refused(name)
        assert refused.status_code == status, (name, refused.text)
        assert "not served" in refused.json["error"], name
        assert CONTRACT.problems(refused.json, {"$ref": "#/schemas/Error"}) == [], name
        served = CONTRACT.operations[name]
        assert f"`{served.method} {served.path.removeprefix('/auth/v1/').rstrip('/')}`" in page, name
