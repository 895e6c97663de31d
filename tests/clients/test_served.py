"""The first examples of the READMEs in clients/, as they stand there, behind the served program."""

from pathlib import Path

import pytest

from idp.jose import read_unverified
from tests.bound.proving import Prover
from tests.clients.examples import AUDIENCE, example, missing
from tests.serving import Server, send, wait_until


@pytest.fixture(scope="module", params=["typescript", "go"])
def language(request: pytest.FixtureRequest) -> str:
    """A language that can be tried on this machine."""
    if missing(request.param) is not None:
        pytest.skip(str(missing(request.param)))
    return str(request.param)


def application(server: Server, name: str, *options: str) -> dict[str, str]:
    """Make an application that may call the example."""
    return server.create_application(name, "--audience", AUDIENCE, "--role", "viewer", *options)


def token_of(server: Server, made: dict[str, str]) -> str:
    """Fetch a token as an application."""
    token: str = server.token(made).json["access_token"]
    return token


def test_first_example_works(served: Server, language: str, tmp_path: Path) -> None:
    name = f"hello-{language}"
    token = token_of(served, application(served, name))
    elsewhere = served.create_application(f"elsewhere-{language}", "--audience", "https://other.example", "--role", "viewer")
    nobody = served.create_application(f"nobody-{language}", "--audience", AUDIENCE)
    es256 = application(served, f"curve-{language}", "--algorithm", "ES256")
    old = application(served, f"old-{language}", "--token-type", "JWT")
    with example(language, served, tmp_path) as ask:
        assert (ask(token).status, ask(token).body.decode()) == (200, f"Hello, {name}.\n")
        for made in (es256, old):
            assert ask(token_of(served, made)).status == 200
        assert ask("").headers["WWW-Authenticate"] == "Bearer"
        assert (ask(token[:-4] + "AAAA").status, ask(token + "A").json["error"]) == (401, "invalid_token")
        assert ask(token_of(served, elsewhere)).json["error_description"] == "The token is meant for another API."
        assert ask(token_of(served, nobody)).status == 403


@pytest.mark.spec("R105")
def test_token_that_is_bound_to_a_key_is_refused(served: Server, language: str, tmp_path: Path) -> None:
    """Whoever steals one has no proof, and neither package takes any."""
    made, url = application(served, f"bound-{language}"), served.endpoint("token")
    form = {"grant_type": "client_credentials", "client_id": made["client_id"], "client_secret": made["client_secret"]}
    answer = send(url, form, Prover().headers("POST", url)).json
    assert answer["token_type"] == "DPoP"
    with example(language, served, tmp_path) as ask:
        assert ask(token_of(served, made)).status == 200
        refused = ask(answer["access_token"])
    assert refused.status == 401, refused.body
    assert refused.json["error"] == "invalid_token"
    sentence = "The token is bound to a key or a certificate, and this API takes no proofs. Fetch one that is not bound."
    assert refused.json["error_description"] == sentence
    assert refused.headers["WWW-Authenticate"] == f'Bearer error="invalid_token", error_description="{sentence}"'


def test_key_sets_that_expire_and_keys_that_change(language: str, own_server: Server, tmp_path: Path) -> None:
    own_server.settings["IDP_KEY_SET_MAX_AGE"] = "3"
    own_server.start()
    made = application(own_server, "ci-bot")
    first = token_of(own_server, made)
    (tmp_path / "example").mkdir()
    with example(language, own_server, tmp_path / "example") as ask:
        assert ask(first).status == 200
        own_server.idp("keys", "rotate", "--realm", "acme")

        def second() -> str:
            token = token_of(own_server, made)
            return token if _kid(token) != _kid(first) else ""

        token = wait_until(second, "the new key")
        assert ask(token).status == 200, "it was announced before it signed"
        assert ask(first).status == 200, "it is in the key set still"
        own_server.idp("keys", "revoke", "--realm", "acme", "--reason", "test", "--yes", _kid(first))
        wait_until(lambda: ask(first).status == 401, "the end of a key that was revoked")
        assert ask(token).status == 200


def _kid(token: str) -> str:
    return str(read_unverified(token).header["kid"])


def test_disabled_application_is_refused(served: Server, language: str, tmp_path: Path) -> None:
    discovery = send(f"{served.issuer()}/.well-known/openid-configuration").json
    if "realmgate_revocations_endpoint" not in discovery:
        pytest.skip("this server publishes no feed of revocations yet")
    name = f"recalled-{language}"
    token, other = token_of(served, application(served, name)), token_of(served, application(served, f"kept-{language}"))
    with example(language, served, tmp_path, recall=True) as ask:
        assert (ask(token).status, ask(other).status) == (200, 200)
        served.idp("applications", "disable", "--realm", "acme", name)
        wait_until(lambda: ask(token).status == 401, "the refusal", 20)
        assert ask(token).json["error_description"].startswith("The token does not count any more: ")
        assert ask(other).status == 200
