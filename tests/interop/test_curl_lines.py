"""The curl lines of the contracts' pages that concern people and keys, as printed there: only host and credentials differ."""

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from idp.jose import read_unverified
from tests.factories import PASSWORD
from tests.serving import PATIENCE, PROJECT, Server

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")

NAME = "curl@example.test"


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


def curl(served: Server, line: str, **replaced: str) -> Any:
    """Run a line as printed, but for what is replaced, and return the JSON that is answered."""
    for old, new in replaced.items():
        line = line.replace(old, new)
    arguments = shlex.split(line.replace("\\\n", " "))
    done = subprocess.run(
        [*arguments, "--silent", "--show-error", "--fail-with-body"],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_edge_login_and_the_cookie(served: Server) -> None:
    login = """curl --location 'https://edge-host-ip:5080/v1/users/default/login' \\
--header 'Content-Type: application/json' \\
--data '{
"username": "os-username",
"password": "os-password"
}'"""
    hosts = {"https://edge-host-ip:5080": served.url, "https://10.10.135.182:5080": served.url}
    token = curl(served, login, **hosts, **{"os-username": NAME, "os-password": PASSWORD})["Token"]["Authorization"]
    assert read_unverified(token).header["typ"] == "session+jwt"
    use = """curl --location 'https://10.10.135.182:5080/v1/edge-mgmt/edgehosts/current' \\
--header 'Cookie: Authorization=*******'"""
    answer = curl(served, use, **hosts, **{"/v1/edge-mgmt/edgehosts/current": "/v1/users/info", "*******": token})
    assert answer["name"] == NAME


def test_api_key_header(served: Server) -> None:
    key = json.loads(served.idp("api-keys", "create", "--realm", "acme", f"user:{NAME}", "curl", "--json"))["api_key"]
    line = """curl --location "https://api.spectrocloud.com/v1/spectroclusters/123456789?ProjectUid=12345678" \\
--header 'Accept: application/json' \\
--header "apiKey: 123456789\""""
    replaced = {
        "https://api.spectrocloud.com": served.url,
        "/v1/spectroclusters/123456789": "/v1/apiKeys",
        "apiKey: 123456789": f"apiKey: {key}",
    }
    assert [item["metadata"]["name"] for item in curl(served, line, **replaced)["items"]] == ["curl"]


def test_sign_in_refresh_and_list_as_the_contract_has_them(served: Server) -> None:
    body = json.dumps({"emailId": NAME, "password": PASSWORD, "org": "acme"})
    first = curl(
        served, f"curl --location '{served.url}/v1/auth/authenticate' --header 'Content-Type: application/json' --data '{body}'"
    )
    assert first["isMfa"] is False
    second = curl(served, f"curl --location '{served.url}/v1/auth/refresh/{first['Authorization']}'")
    listed = curl(served, f"curl --location '{served.url}/v1/users' --header 'Authorization: {second['Authorization']}'")
    assert NAME in {item["spec"]["loginName"] for item in listed["items"]}


def test_first_personal_token_by_basic_authentication(served: Server) -> None:
    token = curl(served, f"curl --location '{served.url}/auth/v1/tokens/generate' --user '{NAME}:{PASSWORD}'")["token"]
    listed = curl(served, f"curl --location '{served.url}/auth/v1/tokens' --header 'Authorization: Bearer {token}'")["tokens"]
    assert read_unverified(token).header["kid"] in {each["id"] for each in listed}
