"""Answers with tokens: written by hand, and the same JSON as ever."""

import json
from typing import Any

import pytest

from idp.crypto import make_secret
from idp.web.answers import write_with_tokens
from tests.factories import Factory, ask_token


@pytest.mark.parametrize(
    "body",
    [
        {"access_token": "a.b-c_d", "expires_in": 36000, "token_type": "Bearer"},
        {"access_token": "a.b-c_d", "expires_in": 36000, "token_type": "Bearer", "id_token": "e.f.g", "scope": 'quoted "ä"\\'},
        {"token_type": "N_A"},
        {"access_token": make_secret("pt"), "refresh_token": make_secret("rt")},
    ],
)
def test_answer_with_tokens_is_the_json_that_it_was(body: dict[str, Any]) -> None:
    assert json.loads(write_with_tokens(body, "access_token", "id_token")) == body


def test_token_endpoint_answers_json(make: Factory, client: Any) -> None:
    answer = ask_token(client, make.application(), scope="openid")
    assert set(json.loads(answer.data)) >= {"access_token", "id_token", "expires_in", "token_type"}
    assert int(answer.headers["Content-Length"]) == len(answer.data)
