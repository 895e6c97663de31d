"""Bodies whose type is not said: taken from a program that shows its credential itself, and from no page in a browser."""

import base64
import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.factories import PASSWORD, Factory, session_of

CALLS: list[tuple[str, dict[str, Any]]] = [
    ("/v1/applications", {"metadata": {"name": "untyped"}}),
    ("/api/v1/apps", {"name": "untyped"}),
]


def _send(client: FlaskClient, path: str, body: dict[str, Any], **headers: str) -> int:
    return client.post(path, data=json.dumps(body), content_type="", headers=headers).status_code


@pytest.fixture
def admin(client: FlaskClient, make: Factory) -> str:
    make.user("admin@example.test", roles=("administrator",))
    return session_of(client, "admin@example.test")["Authorization"]


@pytest.mark.parametrize(("path", "body"), CALLS)
@pytest.mark.parametrize("shown", ["token", "bearer", "key"])
def test_program_need_not_say_the_type(
    client: FlaskClient, make: Factory, admin: str, path: str, body: dict[str, Any], shown: str
) -> None:
    plain = make.key("admin@example.test").plain
    headers = {"token": {"Authorization": admin}, "bearer": {"Authorization": f"Bearer {admin}"}, "key": {"apiKey": plain}}
    assert _send(client, path, body, **headers[shown]) == 201
    typed = client.post(path, data=json.dumps(body), content_type="text/plain", headers=headers[shown])
    assert typed.status_code == 400, "another type is another type"


@pytest.mark.spec("T100")
@pytest.mark.parametrize(("path", "body"), CALLS)
def test_cookie_does_not_make_an_untyped_body_json(client: FlaskClient, admin: str, path: str, body: dict[str, Any]) -> None:
    """A foreign page can have a browser send a body without a type, with the cookie, and with Basic that it remembers."""
    client.set_cookie("Authorization", admin)
    assert _send(client, path, body) == 400
    remembered = base64.b64encode(f"admin@example.test:{PASSWORD}".encode()).decode()
    client.delete_cookie("Authorization")
    assert _send(client, path, body, Authorization=f"Basic {remembered}") in {400, 401}
    group = {"properties": {"name": "untyped"}}
    untyped = client.post(
        "/cloudapi/v6/um/groups", data=json.dumps(group), content_type="", headers={"Authorization": f"Basic {remembered}"}
    )
    assert untyped.status_code in {400, 422}, untyped.text
    assert "application/json" in untyped.text
    assert _send(client, path, body) in {400, 401}
    client.set_cookie("Authorization", admin)
    typed = client.post(path, json=body)
    assert typed.status_code == 201, "the cookie itself works"
