"""What moving the rules, the sheets and the edges could have broken, and did not."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from idp import access, users
from idp.settings import Settings
from tests.factories import Factory, session_of


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"rate_api": 1})


@pytest.mark.parametrize("url", ["/auth/v1/tokens/x{}", "/v1/k8s/x{}", "/v1/users/x{}", "/cloudapi/v6/um/users/x{}"])
def test_ids_that_callers_choose_share_the_limit_of_their_resource(client: FlaskClient, url: str) -> None:
    answers = [client.get(url.format(number)).status_code for number in range(12)]
    assert 429 in answers


@pytest.mark.parametrize(("method", "url", "status"), [("GET", "/gateway/nothing", 404), ("POST", "/gateway/check", 405)])
def test_what_the_gateway_does_not_have_is_no_error_of_the_server(
    client: FlaskClient, method: str, url: str, status: int
) -> None:
    assert client.open(url, method=method).status_code == status


class TestKeys:
    """With the limit that the product has."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"rate_api": 10_000})

    @pytest.fixture
    def admin(self, client: FlaskClient, make: Factory) -> dict[str, str]:
        make.user("admin@example.test", roles=("administrator",))
        return session_of(client, "admin@example.test")

    def test_a_key_whose_role_is_gone_can_be_stopped(self, client: FlaskClient, make: Factory, admin: dict[str, str]) -> None:
        make.do(lambda realm: access.create_role(realm, "temp"))
        make.user()
        key = make.key(roles=["temp"])
        make.do(lambda realm: access.delete_role(realm, "temp"))
        url = f"/v1/apiKeys/{key.uid}"
        assert client.put(f"{url}/state", json={"isActive": False}, headers=admin).status_code == 204
        assert client.put(url, json={"metadata": {"name": "old"}}, headers=admin).status_code == 204
        assert client.put(url, json={"spec": {"roles": ["nowhere"]}}, headers=admin).status_code == 404

    def test_null_does_not_widen_a_key(self, client: FlaskClient, make: Factory, admin: dict[str, str]) -> None:
        make.user()
        key = make.key(roles=["researcher"], addresses=["10.0.0.0/8"], rate_per_minute=5)
        url = f"/v1/apiKeys/{key.uid}"
        narrowing = {"roles": None, "addresses": None, "ratePerMinute": None}
        assert client.put(url, json={"spec": narrowing}, headers=admin).status_code == 204
        spec = client.get(url, headers=admin).json["spec"]
        assert (spec["roles"], spec["addresses"], spec["ratePerMinute"]) == (["researcher"], ["10.0.0.0/8"], 5)
        assert client.put(url, json={"spec": {"roles": []}}, headers=admin).status_code == 204
        assert client.get(url, headers=admin).json["spec"]["roles"] == []

    def test_null_does_not_empty_a_mail_address(self, client: FlaskClient, make: Factory, admin: dict[str, str]) -> None:
        url = f"/v1/users/{make.user()}"
        assert client.patch(url, json={"spec": {"emailId": None}}, headers=admin).status_code == 400
        assert client.get(url, headers=admin).json["spec"]["emailId"] == "ann@example.test"

    def test_a_contract_tells_what_is_held_to_those_who_may_see_it(
        self, app: Flask, make: Factory, admin: dict[str, str]
    ) -> None:
        client = app.test_client()
        make.user("eve@example.test", projects=(("vision", "editor"),))
        client.post("/v1/roles", json={"metadata": {"name": "create-data-center"}}, headers=admin)

        def grant(realm):  # type: ignore[no-untyped-def]
            group = users.get_group(realm, "modellers")
            access.grant_role(realm, users.group_holder(group), "create-data-center")
            return group.uid, users.get_user(realm, "admin@example.test").uid

        group, boss = make.do(grant)
        eve = {"Authorization": f"Bearer {session_of(client, 'eve@example.test')['Authorization']}"}
        own = {"Authorization": f"Bearer {admin['Authorization']}"}
        for url, name in (
            (f"/cloudapi/v6/um/groups/{group}", "createDataCenter"),
            (f"/cloudapi/v6/um/users/{boss}", "administrator"),
        ):
            shown = {
                who: client.get(url, headers=header).json["properties"][name] for who, header in (("eve", eve), ("own", own))
            }
            assert shown == {"eve": False, "own": True}, url
