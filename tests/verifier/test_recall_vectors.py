"""Feeds of what was taken back, and tokens that they cover or do not: clients/vectors/recall.json, which all verifiers share."""

import json
from email.message import Message
from typing import Any
from urllib.error import HTTPError

import pytest

from idp.verifier import InvalidTokenError, KeySetUnavailableError, Verifier
from tests.vectors.verifier.file import RECALL_PATH, recall_text
from tests.verifier.test_vectors import as_json, cause_of

FILE = json.loads(RECALL_PATH.read_text())
RECALLED = "The token does not count any more: "


def test_file_is_what_the_generator_makes() -> None:
    assert RECALL_PATH.read_text() == recall_text(), "run python -m tests.vectors.verifier"


def test_there_are_enough_of_them() -> None:
    assert len(FILE["stories"]) >= 20


@pytest.mark.parametrize("story", FILE["stories"], ids=[story["name"] for story in FILE["stories"]])
def test_every_step_ends_as_the_story_says(story: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    following = pytest.importorskip("idp.verifier.recall", reason="this verifier follows no feed yet")
    settings, now = FILE["settings"] | story["settings"], [0.0]
    monkeypatch.setattr(following.Recall, "start", lambda _: None)
    recall = following.Recall(
        settings["issuer"],
        fail_open_seconds=story["fail_open_seconds"],
        timeout=0.01,
        clock=lambda: now[0],
        steady=lambda: now[0],
    )
    verifier: Any = Verifier(**settings, clock=lambda: now[0], recall=recall)
    issuer = settings["issuer"]
    served = {
        f"{issuer}/.well-known/openid-configuration": {"issuer": issuer, "jwks_uri": f"{issuer}/certs"},
        f"{issuer}/certs": FILE["key_set"],
    }
    for key_set in (verifier._key_set, recall._key_set):
        monkeypatch.setattr(key_set, "_get", lambda url: (served[url], 300))
    for number, step in enumerate(story["steps"]):
        now[0] = step["time"]
        got = _verdict(verifier, step["token"]) if "token" in step else _told(recall, step["feed"])
        assert got == step["expect"], f"step {number}"


def _told(recall: Any, document: str | None) -> str:
    """Return whether a document is taken, or the answer that nothing is new counts."""
    try:
        if document is not None:
            recall.take(document)
        else:
            recall._judge(HTTPError("", 304, "", Message(), None), recall._causes)
    except (InvalidTokenError, ValueError, KeySetUnavailableError):
        return "refused"
    return "taken"


def _verdict(verifier: Verifier, token: str) -> dict[str, Any]:
    try:
        return {"accepted": as_json(verifier.verify(token))}
    except InvalidTokenError as error:
        return {"refused": "recalled" if str(error).startswith(RECALLED) else cause_of(error)}
    except KeySetUnavailableError:
        return {"refused": "unavailable"}
