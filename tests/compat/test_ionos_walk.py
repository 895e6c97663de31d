"""IONOS' contract by machine: every identity operation as the vendor's own SDKs publish it."""

import pytest
from flask.testing import FlaskClient

from tests.compat.test_ionos import basic
from tests.compat.using_up import UsingUp
from tests.compat.walk import Contract
from tests.factories import Factory, session_of, set_realm
from tests.serving import PROJECT

CONTRACT = Contract.load("ionos")

NOT_SERVED = {
    "um_groups_shares_post": 501,
    "um_groups_shares_find_by_resource_id": 404,
    "um_groups_shares_put": 404,
    "um_groups_shares_delete": 404,
    "um_resources_find_by_type_and_id": 404,
    "um_users_s3keys_post": 501,
    "um_users_s3keys_find_by_key_id": 404,
    "um_users_s3keys_put": 404,
    "um_users_s3keys_delete": 404,
    "um_users_s3ssourl_get": 501,
}
"""Operations that are not served, since what they are about is not here, and what they are answered."""

USERS = {
    "filter.firstname": "a",
    "filter.email": "example.test",
    "filter.administrator": [True, False],
    "limit": 2,
    "offset": 0,
}


@pytest.fixture
def walk(client: FlaskClient, make: Factory) -> UsingUp:
    make.user("admin@example.test", roles=("administrator",), first_name="Ada")
    token = session_of(client, "admin@example.test")["Authorization"]
    return UsingUp(client, CONTRACT, {"Authorization": f"Bearer {token}"})


def _walk_users(walk: UsingUp) -> None:
    walk.take("um_users_post", body={"properties": {"email": "new-{n}@example.test"}}, keep={"user": "id"})
    walk.take("um_users_find_by_id", path={"userId": "$user"})
    walk.take("um_users_get", query=USERS)
    walk.take("um_users_put", path={"userId": "$user"}, body={"properties": {"email": "new-{n}@example.test"}})
    for operation in ("um_users_owns_get", "um_users_groups_get", "um_users_s3keys_get"):
        walk.take(operation, path={"userId": "$user"})


def _walk_groups(walk: UsingUp) -> None:
    walk.take("um_groups_post", body={"properties": {"name": "Group Example {n}"}}, keep={"group": "id"})
    walk.take("um_groups_find_by_id", path={"groupId": "$group"})
    walk.take("um_groups_get")
    walk.take("um_groups_put", path={"groupId": "$group"}, body={"properties": {"name": "Renamed {n}"}})
    walk.take("um_groups_users_post", path={"groupId": "$group"}, body={"id": "$user"})
    walk.take("um_groups_users_get", path={"groupId": "$group"}, query=USERS)
    walk.take("um_users_groups_get", path={"userId": "$user"})
    for operation in ("um_groups_resources_get", "um_groups_shares_get"):
        walk.take(operation, path={"groupId": "$group"})


def _walk_deletions(walk: UsingUp) -> None:
    def member() -> None:
        walk.take("um_groups_users_post", path={"groupId": "$group"}, body={"id": "$user"}, once=True)

    def group() -> None:
        walk.take("um_groups_post", body={"properties": {"name": "Gone {n}"}}, keep={"gone": "id"}, once=True)

    def user() -> None:
        walk.take("um_users_post", body={"properties": {"email": "gone-{n}@example.test"}}, keep={"gone": "id"}, once=True)

    walk.take_each("um_groups_users_delete", member, groupId="$group", userId="$user")
    walk.take_each("um_groups_delete", group, groupId="$gone")
    walk.take_each("um_users_delete", user, userId="$gone")


def _walk_tokens(walk: UsingUp, password: dict[str, str]) -> None:
    walk.headers = password

    def token() -> None:
        walk.take("tokens_generate", query={"ttl": 3600})
        walk.take("tokens_get", keep={"token": "tokens.0.id"})

    token()
    walk.take("tokens_find_by_id", path={"tokenId": "$token"})
    walk.take_each("tokens_delete_by_id", token, tokenId="$token")
    walk.take("tokens_delete_by_criteria", query={"criteria": ["EXPIRED", "ALL"]})

    def with_token() -> None:
        walk.headers = password
        walk.headers = {"Authorization": f"Bearer {walk.take('tokens_generate', query={'ttl': 3600})['token']}"}

    walk.take_each("tokens_delete_by_criteria", with_token, {"criteria": "CURRENT"})


def walk_all(walk: UsingUp) -> None:
    """Call every operation that is served."""
    _walk_users(walk)
    _walk_groups(walk)
    walk.take("um_resources_get")
    walk.take("um_resources_find_by_type", path={"resourceType": "datacenter"})
    walk.take("contracts_get")
    _walk_deletions(walk)
    _walk_tokens(walk, basic("admin@example.test"))


def test_every_published_operation_is_served_as_described_or_refused_in_words(walk: UsingUp, make: Factory) -> None:
    make.do(lambda realm: set_realm(realm, personal_token_choice=True))
    walk_all(walk)
    assert {name: each for name, each in walk.findings.items() if each} == {}
    assert walk.findings.keys() | NOT_SERVED.keys() == CONTRACT.operations.keys()
    assert not walk.findings.keys() & NOT_SERVED.keys()


def test_what_is_not_served_says_so(walk: UsingUp) -> None:
    walk.take("um_users_post", body={"properties": {"email": "new-{n}@example.test"}}, keep={"user": "id"}, once=True)
    walk.take("um_groups_post", body={"properties": {"name": "Crew"}}, keep={"group": "id"}, once=True)
    page = (PROJECT / "docs" / "compatible-apis.md").read_text()
    for name, status in NOT_SERVED.items():
        path = {"userId": "$user", "groupId": "$group", "resourceType": "datacenter"}
        refused = walk.refused(name, path=path)
        assert (refused.status_code, refused.json["httpStatus"]) == (status, status), (name, refused.text)
        assert "not served" in refused.json["messages"][0]["message"], name
        served = CONTRACT.operations[name]
        assert f"`{served.method} {served.path.removeprefix('/cloudapi/v6/')}`" in page
