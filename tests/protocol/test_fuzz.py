"""Whatever is sent, the answer is never a 500 and never a token (Hypothesis)."""

import io
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from idp.oauth.errors import ProtocolError
from idp.oauth.forms import parse_body
from tests.factories import FORM, Factory

TOKEN = "/auth/realms/acme/protocol/openid-connect/token"
NAMES = [
    "grant_type",
    "client_id",
    "client_secret",
    "scope",
    "resource",
    "audience",
    "client_assertion",
    "client_assertion_type",
    "token",
    "token_type_hint",
]
VALUES = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        [
            "client_credentials",
            "ci-bot",
            "openid",
            "project:vision",
            "a.b.c",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        ]
    ),
)
FORMS = st.lists(st.tuples(st.one_of(st.sampled_from(NAMES), st.text(max_size=10)), VALUES), max_size=12)
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def call(app: Flask, path: str, body: bytes, **environ: str) -> int:
    """Call the application as a server would, with whatever in the environment."""
    statuses: list[str] = []
    base: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "SCRIPT_NAME": "",
        "CONTENT_TYPE": FORM,
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_HOST": "localhost",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.version": (1, 0),
    }
    b"".join(app.wsgi_app(base | environ, lambda status, headers, error=None: statuses.append(status)))  # type: ignore[arg-type]
    return int(statuses[0][:3])


@pytest.mark.spec("T30")
@FUZZ
@given(body=st.one_of(st.binary(max_size=300), FORMS.map(lambda pairs: urlencode(pairs, errors="replace").encode())))
def test_any_body_is_refused_or_unauthenticated(app: Flask, body: bytes) -> None:
    for path in (TOKEN, TOKEN + "/introspect", TOKEN.replace("token", "revoke")):
        assert call(app, path, body) in {400, 401}


@pytest.mark.spec("T29")
@FUZZ
@given(header=st.text(st.characters(max_codepoint=255), max_size=200), prefix=st.sampled_from(["", "Basic ", "Bearer "]))
def test_any_authorization_header_is_refused(app: Flask, header: str, prefix: str) -> None:
    assert call(app, TOKEN, b"grant_type=client_credentials", HTTP_AUTHORIZATION=prefix + header) in {400, 401}


@FUZZ
@given(
    path=st.text(st.characters(max_codepoint=255), max_size=60),
    environ=st.dictionaries(
        st.sampled_from(
            [
                "HTTP_HOST",
                "QUERY_STRING",
                "CONTENT_TYPE",
                "CONTENT_LENGTH",
                "HTTP_IF_NONE_MATCH",
                "HTTP_X_FORWARDED_FOR",
                "HTTP_ACCEPT",
            ]
        ),
        st.text(st.characters(max_codepoint=255), max_size=60),
    ),
)
def test_any_path_and_header_is_answered(app: Flask, path: str, environ: dict[str, str]) -> None:
    for each in (
        f"/{path}",
        f"/auth/realms/{path}",
        f"/auth/realms/{path}/protocol/openid-connect/token",
        f"/auth/realms/acme/{path}",
    ):
        assert call(app, each, b"grant_type=client_credentials", **environ) < 500


@FUZZ
@given(
    pairs=st.lists(
        st.tuples(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20)), unique_by=lambda pair: pair[0], max_size=90
    )
)
def test_what_is_form_encoded_is_read_as_it_was(pairs: list[tuple[str, str]]) -> None:
    assert parse_body(urlencode(pairs).encode()) == dict(pairs)


@FUZZ
@given(body=st.binary(max_size=400))
def test_parsing_raises_nothing_but_protocol_errors(body: bytes) -> None:
    try:
        form = parse_body(body)
    except ProtocolError as error:
        assert error.status == 400
    else:
        assert all(form.values())


def test_fuzzing_would_notice_a_token(app: Flask, make: Factory) -> None:
    made = make.application()
    body = urlencode({"grant_type": "client_credentials", **made.form}).encode()
    assert call(app, TOKEN, body) == 200
