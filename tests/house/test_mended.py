"""What moving the rules, the sheets and the edges could have broken, and did not."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from idp import access, users
from idp.realms import Realm
from idp.settings import Settings
from tests.console.surfing import Surfer
from tests.factories import Factory, session_of


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"rate_api": 1})


@pytest.mark.parametrize(
    "url", ["/auth/v1/tokens/x{}", "/v1/k8s/x{}", "/v1/users/x{}", "/cloudapi/v6/um/users/x{}", "/orgs/{}/keysets", "/v1/x{}"]
)
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

        def grant(realm: Realm) -> tuple[str, str]:
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

    def test_a_contract_tells_nobody_else_by_filters_or_order(
        self, app: Flask, client: FlaskClient, make: Factory, admin: dict[str, str]
    ) -> None:
        make.user("eve@example.test", projects=(("vision", "editor"),))
        eve = {"Authorization": f"Bearer {session_of(client, 'eve@example.test')['Authorization']}"}
        boss = {"Authorization": f"Bearer {admin['Authorization']}"}
        for query in ("users?filter.administrator=true", "users?orderBy=administrator", "groups?filter.createDataCenter=true"):
            answers = [app.test_client().get(f"/cloudapi/v6/um/{query}", headers=each).status_code for each in (eve, boss)]
            assert answers == [403, 200], query

    def test_who_may_not_see_privileges_takes_none_by_sending_back_what_they_saw(
        self, app: Flask, client: FlaskClient, make: Factory, admin: dict[str, str]
    ) -> None:
        permissions = ["users:read", "users:write", "grants:write"]
        make.do(lambda realm: access.create_role(realm, "helper", access.RoleSheet(permissions=permissions)))
        make.user("eve@example.test", roles=("helper",))
        eve = {"Authorization": f"Bearer {session_of(client, 'eve@example.test')['Authorization']}"}
        make.do(lambda realm: access.create_role(realm, "create-data-center"))

        def grant(realm: Realm) -> str:
            group = users.get_group(realm, "modellers")
            access.grant_role(realm, users.group_holder(group), "create-data-center")
            return group.uid

        url = f"/cloudapi/v6/um/groups/{make.do(grant)}"
        cloud = app.test_client()
        shown = cloud.get(url, headers=eve).json
        assert shown["properties"]["createDataCenter"] is False
        assert cloud.put(url, json={"properties": shown["properties"] | {"name": "Crew"}}, headers=eve).status_code == 202
        boss = {"Authorization": f"Bearer {admin['Authorization']}"}
        properties = cloud.get(url, headers=boss).json["properties"]
        assert (properties["name"], properties["createDataCenter"]) == ("Crew", True)
        del properties["createDataCenter"]
        assert cloud.put(url, json={"properties": properties}, headers=boss).status_code == 202
        assert cloud.get(url, headers=boss).json["properties"]["createDataCenter"] is False

    def test_what_a_form_leaves_out_is_not_emptied(self, app: Flask, make: Factory, admin: dict[str, str]) -> None:
        make.user()
        key = make.key(roles=["researcher"], addresses=["10.0.0.0/8"], rate_per_minute=5)
        surfer = Surfer(app).sign_in("admin@example.test").open(f"/console/realms/acme/api-keys/{key.uid}")
        sent = {name: value for name, value in surfer.form("Save").values if name in {"form", "seen", "kept"}}
        answer = surfer.client.post(
            f"/console/realms/acme/api-keys/{key.uid}",
            data=sent | {"name": "renamed"},
            headers={"Origin": surfer.origin, "Sec-Fetch-Site": "same-origin"},
        )
        assert answer.status_code == 303
        shown = app.test_client().get(f"/v1/apiKeys/{key.uid}", headers=admin).json
        spec = shown["spec"]
        assert shown["metadata"]["name"] == "renamed"
        assert (spec["roles"], spec["addresses"], spec["ratePerMinute"]) == (["researcher"], ["10.0.0.0/8"], 5)
