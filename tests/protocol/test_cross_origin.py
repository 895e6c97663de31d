"""Which pages may read what applications are answered (CORS): those of the application's own web origins."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from idp import applications
from idp.errors import ConflictError, InvalidValueError
from tests.factories import Factory, Made, ask, ask_token, set_application

BASE = "/auth/realms/acme/protocol/openid-connect"
APP, OTHER, FOREIGN = "https://app.example", "https://other.example", "https://evil.example"

Endpoint = Callable[[FlaskClient, Made, str], TestResponse]


def fetch(client: FlaskClient, made: Made, origin: str) -> TestResponse:
    form = {"grant_type": "client_credentials", **made.form}
    return ask(client, "token", form, headers={"Origin": origin})


def introspect(client: FlaskClient, made: Made, origin: str) -> TestResponse:
    return ask(client, "token/introspect", {"token": "x", **made.form}, headers={"Origin": origin})


def revoke(client: FlaskClient, made: Made, origin: str) -> TestResponse:
    return ask(client, "revoke", {"token": "x", **made.form}, headers={"Origin": origin})


def userinfo(client: FlaskClient, made: Made, origin: str) -> TestResponse:
    token = ask_token(client, made, scope="openid").json["access_token"]
    return client.get(f"{BASE}/userinfo", headers={"Authorization": f"Bearer {token}", "Origin": origin})


def allowed(answer: TestResponse) -> str | None:
    assert "Access-Control-Allow-Credentials" not in answer.headers
    return answer.headers.get("Access-Control-Allow-Origin")


@pytest.mark.parametrize("endpoint", [fetch, introspect, revoke, userinfo], ids=lambda each: each.__name__)
def test_answers_are_for_the_origins_of_the_application(client: FlaskClient, make: Factory, endpoint: Endpoint) -> None:
    made = make.application("page", web_origins=[APP])
    make.application("other", web_origins=[OTHER])
    answer = endpoint(client, made, APP)
    assert (answer.status_code, allowed(answer), answer.headers["Vary"]) == (200, APP, "Origin")
    for origin in (OTHER, FOREIGN, "null", f"{APP}.evil.example", f"{APP}/", APP.upper(), ""):
        answer = endpoint(client, made, origin)
        assert (answer.status_code, allowed(answer), answer.headers["Vary"]) == (200, None, "Origin")


def test_errors_before_the_application_is_known_are_for_the_origins_of_the_realm(client: FlaskClient, make: Factory) -> None:
    make.application("page", web_origins=[APP])
    make.realm()
    for origin, realm, expected in ((APP, "acme", APP), (FOREIGN, "acme", None), (APP, "other", None), (APP, "none", None)):
        form = {"grant_type": "client_credentials", "client_id": "nobody", "client_secret": "x"}
        answer = ask(client, "token", form, realm=realm, headers={"Origin": origin})
        assert answer.status_code in {401, 404}
        assert allowed(answer) == expected


def test_errors_after_it_is_known_are_for_its_own(client: FlaskClient, make: Factory) -> None:
    made = make.application("page", web_origins=[APP])
    make.application("other", web_origins=[OTHER])
    form = {"grant_type": "client_credentials", "scope": "nonsense", **made.form}
    answers = {origin: ask(client, "token", form, headers={"Origin": origin}) for origin in (APP, OTHER)}
    assert {answer.status_code for answer in answers.values()} == {400}
    assert {origin: allowed(answer) for origin, answer in answers.items()} == {APP: APP, OTHER: None}


@pytest.mark.parametrize(
    ("path", "methods"), [("token", "POST"), ("token/introspect", "POST"), ("revoke", "POST"), ("userinfo", "GET, POST")]
)
def test_preflights_are_answered_to_the_origins_of_the_realm(client: FlaskClient, make: Factory, path: str, methods: str) -> None:
    made = make.application("page", web_origins=[APP])

    def preflight(origin: str) -> TestResponse:
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        return client.options(f"{BASE}/{path}", headers=asked)

    answer = preflight(APP)
    assert (answer.status_code, allowed(answer)) == (204, APP)
    assert answer.headers["Access-Control-Allow-Methods"] == methods
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
    refused = preflight(FOREIGN)
    assert (refused.status_code, allowed(refused)) == (204, None)
    assert "Access-Control-Allow-Methods" not in refused.headers
    make.change(lambda realm, application: set_application(realm, application, enabled=False), made.client_id)
    assert allowed(preflight(APP)) is None
    change = {"enabled": True, "web_origins": [OTHER]}
    make.change(lambda realm, application: set_application(realm, application, **change), made.client_id)
    assert [allowed(preflight(origin)) for origin in (APP, OTHER)] == [None, OTHER]
    make.change(applications.delete_application, made.client_id)
    assert allowed(preflight(OTHER)) is None


def test_requests_of_programs_are_answered_as_before(client: FlaskClient, make: Factory) -> None:
    answer = ask_token(client, make.application("page", web_origins=[APP]))
    assert answer.status_code == 200
    assert not {"Vary", "Access-Control-Allow-Origin"} & set(answer.headers.keys())
    options = client.options(f"{BASE}/token")
    assert (options.status_code, options.headers["Allow"]) == (204, "POST, OPTIONS")
    assert set(client.get(f"{BASE}/token").headers["Allow"].split(", ")) == {"OPTIONS", "POST"}


def test_origins_are_kept_as_browsers_write_them(make: Factory) -> None:
    made = make.application("page", web_origins=["https://App.Example:443/", "http://localhost:3000"])
    kept = make.change(lambda _, application: application.web_origins, made.client_id)
    assert kept == [APP, "http://localhost:3000"]


@pytest.mark.parametrize(
    "wrong",
    [
        ["*"],
        ["https://*.example"],
        ["null"],
        ["https://app.example/path"],
        ["app.example"],
        ["ftp://app.example"],
        ["https://u@app.example"],
        ["https://app.example?x"],
        [APP, "https://APP.example"],
        [""],
        [f"https://{'a' * 300}.example"],
        [f"https://a{n}.example" for n in range(51)],
    ],
    ids=str,
)
def test_what_is_no_origin_is_refused(make: Factory, wrong: list[str]) -> None:
    with pytest.raises(InvalidValueError, match="web_origins: "):
        make.application("page", web_origins=wrong)


def test_applications_with_origins_are_bounded_in_number(make: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(applications.service, "MOST_WITH_ORIGINS", 2)
    first = make.application("one", web_origins=[APP])
    make.application("two", web_origins=[APP])
    make.application("none")
    change = {"web_origins": [OTHER]}
    with pytest.raises(ConflictError, match="have web origins, which is the limit"):
        make.application("three", web_origins=[APP])
    with pytest.raises(ConflictError, match="have web origins, which is the limit"):
        make.change(lambda realm, application: set_application(realm, application, **change), "none")
    make.change(lambda realm, application: set_application(realm, application, **change), first.client_id)
