"""IONOS' own SDKs, for Python and for Node, against the served program: users, groups, members and tokens."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.factories import PASSWORD
from tests.prepare import NODE_FOLDER, node_clients_missing
from tests.serving import PATIENCE, PROJECT, Server, send

NAME = "ionos@example.test"


@pytest.fixture(scope="module", autouse=True)
def person(served: Server) -> None:
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("idp")),
            "users",
            "create",
            "--realm",
            "acme",
            "--email",
            NAME,
            "--role",
            "administrator",
            "--password-stdin",
        ],
        input=PASSWORD,
        env=served.environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def sdk(served: Server) -> Iterator[Any]:
    import ionoscloud

    config = ionoscloud.Configuration(host=f"{served.url}/cloudapi/v6", username=NAME, password=PASSWORD)
    with ionoscloud.ApiClient(config) as client:
        yield client
        client.rest_client.pool_manager.clear()


def test_python_sdk(sdk: Any) -> None:
    import ionoscloud
    from ionoscloud.models import Group, GroupProperties, UserGroupPost, UserPost, UserPropertiesPost

    people = ionoscloud.UserManagementApi(sdk)
    properties = UserPropertiesPost(firstname="New", lastname="Person", email="sdk-person@example.test", administrator=False)
    user = people.um_users_post(UserPost(properties=properties))
    assert user.properties.email == "sdk-person@example.test"
    found = people.um_users_get(depth=1, limit=10, query_params={"filter.email": "SDK-Person"})
    assert [each.id for each in found.items] == [user.id]
    group = people.um_groups_post(Group(properties=GroupProperties(name="Group Example", access_and_manage_monitoring=True)))
    assert (group.properties.name, group.properties.access_and_manage_monitoring) == ("Group Example", True)
    people.um_groups_users_post(group.id, UserGroupPost(id=user.id))
    assert [each.id for each in people.um_groups_users_get(group.id).items] == [user.id]
    assert [each.properties.name for each in people.um_users_groups_get(user.id).items] == ["Group Example"]
    group = people.um_groups_put(group.id, Group(properties=GroupProperties(name="Group Renamed")))
    assert [each.id for each in people.um_groups_get(query_params={"filter.name": "group renamed"}).items] == [group.id]
    assert people.um_users_owns_get(user.id).items == []
    assert ionoscloud.UserS3KeysApi(sdk).um_users_s3keys_get(user.id).items == []
    contract = ionoscloud.ContractResourcesApi(sdk).contracts_get(depth=1).items[0]
    assert contract.properties.reg_domain == "acme"
    with pytest.raises(ionoscloud.ApiException) as refused:
        people.um_users_get(query_params={"filter.nothing": "x"})
    assert refused.value.status == 422
    people.um_groups_users_delete(group.id, user.id)
    people.um_groups_delete(group.id)
    people.um_users_delete(user.id)
    with pytest.raises(ionoscloud.ApiException) as gone:
        people.um_users_find_by_id(user.id)
    assert gone.value.status == 404


def test_python_sdk_with_a_token(served: Server) -> None:
    import base64

    import ionoscloud

    header = {"Authorization": "Basic " + base64.b64encode(f"{NAME}:{PASSWORD}".encode()).decode()}
    token = send(f"{served.url}/auth/v1/tokens/generate", headers=header).json["token"]
    config = ionoscloud.Configuration(host=f"{served.url}/cloudapi/v6", token=token)
    with ionoscloud.ApiClient(config) as client:
        assert ionoscloud.UserManagementApi(client).um_users_get(depth=1).items
        client.rest_client.pool_manager.clear()


@pytest.mark.skipif(node_clients_missing() is not None, reason=str(node_clients_missing()))
def test_node_sdk(served: Server) -> None:
    node = shutil.which("node")
    assert node is not None
    done = subprocess.run(
        [node, "ionos.mjs", f"{served.url}/cloudapi/v6", NAME, PASSWORD],
        cwd=NODE_FOLDER,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "members": [True],
        "groups": ["Node Example"],
        "others": [],
        "groups_of_user": 1,
        "owns": [],
        "shares": [],
        "unknown": 422,
        "gone": 404,
    }
