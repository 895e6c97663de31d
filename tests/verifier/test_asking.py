"""The verifier with session tokens and personal tokens, against the served program."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest

from idp.verifier import Introspection, InvalidTokenError, KeySetStaleError, KeySetUnavailableError, Verifier
from tests.factories import PASSWORD
from tests.serving import PATIENCE, PROJECT, Server, send

AUDIENCE = "https://jobs.acme.example"


@pytest.fixture(scope="module")
def person(served: Server) -> dict[str, str]:
    """Return a session token, a personal token, and one of an exchanged key, of somebody with the role viewer."""
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("idp")),
            "users",
            "create",
            "--realm",
            "acme",
            "--email",
            "verified@example.test",
            "--role",
            "viewer",
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
    body = json.dumps({"emailId": "verified@example.test", "password": PASSWORD}).encode()
    session = send(f"{served.url}/v1/auth/authenticate", body, {"Content-Type": "application/json"}).json["Authorization"]
    key = json.loads(served.idp("api-keys", "create", "--realm", "acme", "user:verified@example.test", "k", "--json"))["api_key"]
    exchanged = send(f"{served.url}/v1/auth/exchange", b"", {"apiKey": key}).json["Authorization"]
    return {"session": session, "exchanged": exchanged, "personal": personal_token(served)}


def personal_token(served: Server) -> str:
    basic = base64.b64encode(f"verified@example.test:{PASSWORD}".encode()).decode()
    token: str = send(f"{served.url}/auth/v1/tokens/generate", headers={"Authorization": f"Basic {basic}"}).json["token"]
    return token


@pytest.fixture(scope="module")
def asking(served: Server) -> Introspection:
    bot = served.create_application("asking-api", "--resource", AUDIENCE, "--resource", served.issuer())
    return Introspection(bot["client_id"], bot["client_secret"])


def test_session_tokens_are_accepted_where_the_api_says_so(served: Server, person: dict[str, str]) -> None:
    for name in ("session", "exchanged"):
        assert Verifier(served.issuer(), AUDIENCE, session_tokens=True).verify(person[name]).has_role("viewer")
        with pytest.raises(InvalidTokenError):
            Verifier(served.issuer(), AUDIENCE).verify(person[name])
        with pytest.raises(InvalidTokenError):
            Verifier(served.issuer("master"), AUDIENCE, session_tokens=True).verify(person[name])


def test_personal_tokens_are_accepted_where_the_issuer_is_asked(
    served: Server, person: dict[str, str], asking: Introspection
) -> None:
    verifier = Verifier(served.issuer(), AUDIENCE, introspection=asking)
    assert verifier.verify(person["personal"]).has_role("viewer")
    with pytest.raises(KeySetStaleError):
        verifier.verify(person["personal"], fetch=False)
    with pytest.raises(InvalidTokenError):
        Verifier(served.issuer(), AUDIENCE).verify(person["personal"])
    with pytest.raises(InvalidTokenError):
        Verifier(served.issuer("master"), AUDIENCE, introspection=asking).verify(person["personal"])
    with pytest.raises(InvalidTokenError):
        verifier.verify(person["personal"][:-4] + "AAAA")


def test_deleted_personal_token_is_refused_at_once(served: Server, person: dict[str, str], asking: Introspection) -> None:
    verifier = Verifier(served.issuer(), AUDIENCE, introspection=asking)
    token = personal_token(served)
    assert verifier.verify(token).has_role("viewer")
    import urllib.request

    request = urllib.request.Request(
        f"{served.url}/auth/v1/tokens?criteria=CURRENT", headers={"Authorization": f"Bearer {token}"}, method="DELETE"
    )
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        assert json.loads(answer.read()) == {"success": True}
    with pytest.raises(InvalidTokenError):
        verifier.verify(token)


def test_every_token_can_be_asked_about(served: Server, asking: Introspection) -> None:
    bot = served.create_application("asked-bot", "--role", "viewer", "--audience", AUDIENCE)
    every = Introspection(asking.client_id, asking.client_secret, every_token=True)
    verifier = Verifier(served.issuer(), AUDIENCE, introspection=every)
    token = served.token(bot).json["access_token"]
    assert verifier.verify(token).client_id == "asked-bot"
    form = {"token": token, "client_id": bot["client_id"], "client_secret": bot["client_secret"]}
    assert send(served.endpoint("revoke"), form).status == 200
    with pytest.raises(InvalidTokenError):
        verifier.verify(token)
    assert Verifier(served.issuer(), AUDIENCE).verify(token).client_id == "asked-bot", "the signature alone cannot tell"


def test_issuer_that_does_not_answer_is_no_reason_to_accept(served: Server, person: dict[str, str]) -> None:
    for wrong in (
        Introspection("asking-api", "wrong"),
        Introspection("a", "b", endpoint="http://127.0.0.1:9/"),
        Introspection("a", "b", endpoint=f"{served.url}/nothing"),
    ):
        with pytest.raises(KeySetUnavailableError):
            Verifier(served.issuer(), AUDIENCE, introspection=wrong).verify(person["personal"])
    with pytest.raises(ValueError, match="http or https"):
        Introspection("a", "b", endpoint="file:///etc/passwd").ask(served.issuer(), "x")
    assert "secret" not in repr(Introspection("a", "secret"))
