"""The feed of served programs: on every node, through SIGKILL, and while a server ends."""

import http.client
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from idp.verifier import InvalidTokenError, Recall, Verifier
from tests.factories import claims_of
from tests.flows.conftest import database_url, postgres  # noqa: F401 (fixtures)
from tests.recall.test_feed import raw
from tests.serving import Server, send, wait_until

SOON = 2
PATH = "/protocol/realmgate/revocations"


@pytest.fixture
def nodes(tmp_path: Path, database_url: str) -> Iterator[list[Server]]:
    """Two nodes with two workers each, on one database."""
    data, common = tmp_path / "data", {"IDP_DATABASE_URL": database_url, "IDP_WORKERS": "2"}
    first = Server(data, settings=common)
    second = Server(data, settings=common | {"IDP_PUBLIC_URL": first.url})
    first.settings = common | {"IDP_PUBLIC_URL": first.url}
    first.start()
    second.start()
    yield [first, second]
    first.stop()
    second.stop()


def follower_at(node: Server, issuer: str) -> Recall:
    base = f"{node.url}/auth/realms/acme"
    return Recall(issuer, endpoint=base + PATH, jwks_uri=f"{base}/protocol/openid-connect/certs")


def is_accepted(recall: Recall, token: str) -> bool:
    try:
        Verifier(recall.issuer, claims_of(token)["aud"], jwks_uri=recall._key_set._jwks_uri, recall=recall).verify(token)
    except InvalidTokenError:
        return False
    return True


def test_who_follows_one_node_learns_of_what_another_does(nodes: list[Server]) -> None:
    first = nodes[0]
    made = first.create_application("ci-bot")
    issuer = first.issuer()
    followers = [follower_at(node, issuer) for node in nodes]
    took = []
    for number in range(6):
        token = first.token(made).json["access_token"]
        assert all(is_accepted(each, token) for each in followers)
        by = nodes[number % 2]
        answer = send(
            by.endpoint("revoke"),
            {"token": token, "client_id": made["client_id"], "client_secret": made["client_secret"]},
        )
        assert answer.status == 200
        began = time.monotonic()
        # whoever asks anew after the answer is told at once, whichever worker of whichever node answers
        fresh = follower_at(nodes[(number + 1) % 2], issuer)
        fresh.refresh()
        fresh.start = lambda: None  # type: ignore[method-assign]
        assert not is_accepted(fresh, token)
        wait_until(lambda token=token: not any(is_accepted(each, token) for each in followers), "the refusal", SOON)
        took.append(time.monotonic() - began)
    for each in followers:
        each.stop()
    assert max(took) < SOON


def test_what_was_committed_is_in_the_feed_after_a_kill(own_server: Server) -> None:
    own_server.settings["IDP_WORKERS"] = "1"
    own_server.start()
    made = own_server.create_application("ci-bot")
    outcomes = set()
    chance = random.Random(18)
    for _ in range(8):
        tokens = [own_server.token(made).json["access_token"] for _ in range(20)]
        shown = {"client_id": made["client_id"], "client_secret": made["client_secret"]}
        answered: list[str] = []

        def revoke(tokens: list[str] = tokens, shown: Any = shown, answered: list[str] = answered) -> None:
            for token in tokens:
                try:
                    if send(own_server.endpoint("revoke"), {"token": token, **shown}).status == 200:
                        answered.append(token)
                except OSError:
                    return

        thread = threading.Thread(target=revoke)
        thread.start()
        wait_until(lambda answered=answered: answered, "the first answer")
        threading.Event().wait(chance.random() * 0.03)
        own_server.kill()
        thread.join()
        own_server.start()
        recall = follower_at(own_server, own_server.issuer())
        recall.refresh()
        recall.start = lambda: None  # type: ignore[method-assign]
        for token in tokens:
            active = send(own_server.endpoint("token/introspect"), {"token": token, **shown}).json["active"]
            assert is_accepted(recall, token) is active
            assert not (active and token in answered)
            outcomes.add(active)
    assert outcomes == {True, False}


def test_those_who_wait_neither_take_the_places_of_others_nor_keep_a_server_from_ending(own_server: Server) -> None:
    own_server.settings |= {"IDP_WORKERS": "1", "IDP_THREADS": "2"}
    own_server.start()
    path = f"/auth/realms/acme{PATH}"
    tag = raw(own_server.url, {}, path)[2]
    statuses: list[int] = []
    ends = threading.Event()

    def wait() -> None:
        """Wait again and again until the server ends, and note how the last answer is."""
        status, seen = 304, tag
        while status in {200, 304} and not ends.is_set():
            try:
                status, _, seen = raw(own_server.url, {"If-None-Match": seen, "Prefer": "wait=25"}, path)
            except (OSError, http.client.HTTPException):
                status = 0
        statuses.append(status)

    threads = [threading.Thread(target=wait) for _ in range(20)]
    for thread in threads:
        thread.start()
    made = own_server.create_application("ci-bot")
    for _ in range(20):
        began = time.monotonic()
        assert own_server.token(made).status == 200
        assert time.monotonic() - began < 15, "those who wait would keep it waiting for 25 seconds"
    began = time.monotonic()
    ends.set()
    own_server.stop()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began < 20
    assert len(statuses) == 20
    assert set(statuses) <= {200, 304}, "nobody is cut off"
