"""Verifiers in Python, TypeScript and Go and the gateway, each in its process, refuse what is taken back over HTTP (bench: how soon)."""

from collections.abc import Iterator

import pytest

from tests.clients.examples import Ask, all_four
from tests.clients.revocations import CAUSES, SETTINGS, Holder, Stage
from tests.serving import Server, wait_until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("recalled"), settings=SETTINGS | {"IDP_WORKERS": "2"})
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def verifiers(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Ask]]:
    with all_four(server, tmp_path_factory.mktemp("verifiers")) as verifiers:
        yield verifiers


@pytest.fixture(scope="module")
def stage(server: Server) -> Stage:
    return Stage(server)


@pytest.mark.parametrize("cause", CAUSES)
def test_every_verifier_refuses_what_is_taken_back_and_nothing_else(stage: Stage, verifiers: dict[str, Ask], cause: str) -> None:
    name = cause.lower().replace(" ", "-")
    token, take_back = Holder(stage, name).get(cause)
    kept, _ = Holder(stage, f"{name}-kept").get(cause)
    for verifier, ask in verifiers.items():
        for each in (token, kept):
            answer = ask(each)
            assert answer.status == 200, (verifier, answer.body)
    take_back()
    for verifier, ask in verifiers.items():
        wait_until(lambda ask=ask: ask(token).status == 401, f"the refusal by {verifier}")
        assert ask(kept).status == 200, verifier
