"""The first examples of the READMEs in clients/, as they stand there, behind the served program."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from idp.jose import read_unverified
from tests.clients.building import GO, MISSING, build_typescript, go, program
from tests.interop.built.golang import running
from tests.interop.pages import write_files
from tests.prepare import TYPESCRIPT
from tests.serving import Answer, Server, free_port, send, wait_until

AUDIENCE = "https://jobs.acme.example"
ISSUER = "https://id.example.com/auth/realms/acme"

Ask = Callable[[str], Answer]


def _typescript(folder: Path, replaced: dict[str, str], port: int, *, recall: bool) -> list[str]:
    """Write the example out, and return how it is started."""
    build_typescript()
    following = f'audience: "{AUDIENCE}",' + (" recall: true," if recall else "")
    changes = {ISSUER: replaced[ISSUER], f'audience: "{AUDIENCE}",': following, "listen(8000)": f"listen({port})"}
    write_files("../../clients/typescript/README", folder, changes)
    package = folder / "node_modules" / "@realmgate" / "verifier"
    package.parent.mkdir(parents=True)
    package.symlink_to(TYPESCRIPT)
    return [program("node"), str(folder / "api.mjs")]


def _go(folder: Path, replaced: dict[str, str], port: int, *, recall: bool) -> list[str]:
    """Write the example out, build it, and return how it is started."""
    following = f'Audience: []string{{"{AUDIENCE}"}},' + (" Recall: &verifier.RecallConfig{}," if recall else "")
    changes = {ISSUER: replaced[ISSUER], f'Audience: []string{{"{AUDIENCE}"}},': following, '":8000"': f'"127.0.0.1:{port}"'}
    write_files("../../clients/go/README", folder, changes | {"../realmgate/clients/go": str(GO)})
    go("build", "-o", "api", ".", cwd=folder)
    return [str(folder / "api")]


EXAMPLES = {"typescript": _typescript, "go": _go}


@pytest.fixture(scope="module", params=EXAMPLES)
def language(request: pytest.FixtureRequest) -> str:
    """A language that can be tried on this machine."""
    if MISSING[request.param] is not None:
        pytest.skip(str(MISSING[request.param]))
    return str(request.param)


@contextlib.contextmanager
def example(language: str, server: Server, folder: Path, *, recall: bool = False) -> Iterator[Ask]:
    """Run an example until the block ends, and return what shows it a token."""
    port = free_port()
    command = EXAMPLES[language](folder, {ISSUER: server.issuer()}, port, recall=recall)

    def ask(token: str) -> Answer:
        return send(f"http://127.0.0.1:{port}/", headers={"Authorization": f"Bearer {token}"} if token else {})

    with running(command, os.environ, lambda: ask("").status == 401, folder / "log"):
        yield ask


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
