"""What the OpenID Foundation's plans ask of a provider, module by module, under their names (Config, Basic, form post)."""

import base64
import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from idp.applications import SCOPES
from tests.conftest import FrozenClock
from tests.factories import Factory, claims_of, set_application, set_realm
from tests.sign_in.conftest import DONE, Browser, told

ISSUER = "http://localhost:8080/auth/realms/acme"


def discovery(browser: Browser) -> dict[str, Any]:
    found: dict[str, Any] = browser.client.get("/auth/realms/acme/.well-known/openid-configuration").json
    return found


@pytest.mark.spec("R23", "R59", "R60", "R61")
def test_discovery_endpoint_verification(web: Browser) -> None:
    document = discovery(web)
    assert document["issuer"] == ISSUER
    assert document["response_types_supported"] == ["code"]
    assert document["subject_types_supported"] == ["public"]
    assert "RS256" in document["id_token_signing_alg_values_supported"]
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert tuple(document["scopes_supported"]) == SCOPES
    assert document["authorization_response_iss_parameter_supported"] is True
    assert document["request_parameter_supported"] is document["request_uri_parameter_supported"] is False
    for name in ("authorization", "token", "userinfo", "end_session", "device_authorization", "pushed_authorization_request"):
        assert document[f"{name}_endpoint"].startswith(f"{ISSUER}/protocol/openid-connect/")


@pytest.mark.spec("R15", "R39", "R64", "R65", "R66", "R68", "R69")
def test_server(web: Browser, ann: str) -> None:
    answer = web.signed_in(nonce="n-0S6_WzA2Mj", state="af0ifjsldkj")
    assert answer.keys() == {"code", "state", "iss"}
    assert (answer["state"], answer["iss"]) == ("af0ifjsldkj", ISSUER)
    tokens = web.redeem(answer["code"]).json
    opened = web.open(tokens["id_token"])
    assert opened.header["alg"] == "RS256"
    claims = opened.claims
    assert (claims["iss"], claims["sub"], claims["aud"], claims["azp"]) == (ISSUER, ann, "shop", "shop")
    assert claims["nonce"] == "n-0S6_WzA2Mj"
    assert claims["exp"] - claims["iat"] == 900
    assert claims["acr"] == "1"
    import hashlib

    left = hashlib.sha256(tokens["access_token"].encode()).digest()[:16]
    assert claims["at_hash"] == base64.urlsafe_b64encode(left).rstrip(b"=").decode()
    assert not {"email", "name", "groups", "realm_access", "preferred_username"} & claims.keys(), "nobody has asked for these"


@pytest.mark.parametrize(("of_realm", "of_application", "seconds"), [(300, None, 300), (36_000, 120, 120), (36_000, 3600, 900)])
def test_tokens_of_people_live_no_longer_than_the_applications(
    web: Browser, make: Factory, of_realm: int, of_application: int | None, seconds: int
) -> None:
    make.do(lambda realm: set_realm(realm, token_seconds=of_realm))
    make.change(lambda realm, row: set_application(realm, row, token_seconds=of_application), "shop")
    tokens = web.redeem(web.signed_in(scope="openid offline_access")["code"]).json
    for answer in (tokens, web.refresh(tokens["refresh_token"]).json):
        assert answer["expires_in"] == seconds
        for name in ("access_token", "id_token"):
            claims = claims_of(answer[name])
            assert claims["exp"] - claims["iat"] == seconds


@pytest.mark.spec("R7", "R40")
def test_response_type_missing(web: Browser) -> None:
    assert told(web.ask(response_type=None))["error"] == "invalid_request"


@pytest.mark.spec("R7", "R121", "AUTHLIB-9")
@pytest.mark.parametrize("kind", ["token", "id_token", "code id_token", "code token", "none", "'", "é", "code code"])
def test_other_response_types_are_refused(web: Browser, kind: str) -> None:
    """No token travels through the browser, and odd ones raise nothing."""
    answer = told(web.ask(response_type=kind))
    assert (answer["error"], answer["state"], answer["iss"]) == ("unsupported_response_type", "a state", ISSUER)


@pytest.mark.spec("R69")
def test_idtoken_signature(web: Browser) -> None:
    keys = {key["kid"]: key for key in web.client.get(f"{web.base}certs").json["keys"]}
    opened = web.open(web.tokens()["id_token"])
    assert keys[opened.header["kid"]]["alg"] == opened.header["alg"] == "RS256"


@pytest.mark.spec("R77", "R78")
def test_userinfo_get_and_post_header_and_body(web: Browser, ann: str) -> None:
    token = web.tokens(scope="openid email")["access_token"]
    shown = {"Authorization": f"Bearer {token}"}
    for method in ("GET", "POST"):
        answer = web.client.open(f"{web.base}userinfo", method=method, headers=shown)
        assert (answer.status_code, answer.mimetype, answer.json["sub"]) == (200, "application/json", ann)
    assert web.client.post(f"{web.base}userinfo", data={"access_token": token}).status_code == 401, "a warning of the suite"


@pytest.mark.spec("R77")
@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_userinfo_signed(web: Browser, make: Factory, ann: str, algorithm: str) -> None:
    make.change(lambda realm, row: set_application(realm, row, signed_userinfo=True, signing_algorithm=algorithm), "shop")
    tokens = web.tokens(scope="openid email")
    answer = web.userinfo(tokens["access_token"])
    assert answer.mimetype == "application/jwt"
    assert answer.headers["Cache-Control"] == "no-store"
    opened = web.open(answer.text, typ="userinfo+jwt")
    assert opened.header["alg"] == algorithm
    who = {"sub": ann, "email": "ann@example.test", "email_verified": False}
    assert opened.claims == who | {"iss": ISSUER, "aud": "shop"}
    client = web.app.test_client()
    for shown in (answer.text, answer.text.replace("=", "")):
        header = {"Authorization": f"Bearer {shown}"}
        assert client.get("/v1/users/info", headers=header).status_code == 401, "it is no token"
        assert web.userinfo(shown).status_code == 401
    assert not web.introspect(answer.text)["active"]
    assert web.ask(prompt="none", id_token_hint=answer.text).headers["Location"].count("error=") == 1
    make.change(lambda realm, row: set_application(realm, row, signed_userinfo=False), "shop")
    assert web.userinfo(tokens["access_token"]).json == who


@pytest.mark.spec("R66")
def test_ensure_request_without_nonce_succeeds_for_code_flow(web: Browser) -> None:
    assert "nonce" not in web.open(web.tokens()["id_token"]).claims


@pytest.mark.parametrize(
    ("scope", "names"),
    [
        ("profile", {"name", "given_name", "family_name", "preferred_username", "updated_at"}),
        ("email", {"email", "email_verified"}),
        ("groups", {"groups"}),
        ("roles", {"realm_access", "projects"}),
        ("address", set()),
        ("phone", set()),
        ("profile email address phone", {"name", "given_name", "family_name", "preferred_username", "updated_at", "email", "email_verified"}),
    ],
)  # fmt: skip # a table
def test_scopes(app: Any, make: Factory, scope: str, names: set[str]) -> None:
    make.user(first_name="Ann", last_name="Archer")
    browser = Browser(app, make.application("shop", kind="web", redirect_uris=[DONE], roles=()))
    tokens = browser.tokens(scope=f"openid {scope}")
    info = browser.userinfo(tokens["access_token"]).json
    assert info.keys() - {"sub"} == names
    assert names <= browser.open(tokens["id_token"]).claims.keys()
    if "profile" in scope:
        assert (info["name"], info["preferred_username"]) == ("Ann Archer", "ann@example.test")
        assert isinstance(info["updated_at"], int)


def test_alternate_happy_flow(web: Browser) -> None:
    tokens = web.tokens(scope="email openid profile")
    assert tokens["scope"] == "email openid profile"


@pytest.mark.parametrize("display", ["page", "popup", "touch", "wap"])
def test_display(web: Browser, display: str) -> None:
    assert "code" in web.signed_in(display=display)


@pytest.mark.spec("R67", "R72")
def test_prompt_login(web: Browser, frozen_clock: FrozenClock) -> None:
    first = web.open(web.tokens()["id_token"]).claims
    frozen_clock.advance(seconds=5)
    assert web.ask().status_code == 303, "signed in already"
    page = web.ask(prompt="login")
    assert page.status_code == 200
    answer = told(web.sign_in(page))
    second = web.open(web.redeem(answer["code"]).json["id_token"]).claims
    assert second["auth_time"] > first["auth_time"]
    assert second["sub"] == first["sub"]


@pytest.mark.spec("R70")
def test_prompt_none_not_logged_in(web: Browser) -> None:
    answer = told(web.ask(prompt="none"))
    assert (answer["error"], answer["state"]) == ("login_required", "a state")


@pytest.mark.spec("R70")
def test_prompt_none_logged_in(web: Browser) -> None:
    first = web.open(web.tokens()["id_token"]).claims
    second = web.open(web.redeem(told(web.ask(prompt="none"))["code"]).json["id_token"]).claims
    assert (first["sub"], first["auth_time"], first["sid"]) == (second["sub"], second["auth_time"], second["sid"])


@pytest.mark.spec("R71")
@pytest.mark.parametrize("prompt", ["none login", "consent none", "other", "none none2"])
def test_prompt_none_goes_alone(web: Browser, prompt: str) -> None:
    assert told(web.ask(prompt=prompt))["error"] == "invalid_request"


@pytest.mark.spec("R67", "R72")
def test_max_age_1(web: Browser, frozen_clock: FrozenClock) -> None:
    first = web.open(web.tokens()["id_token"]).claims
    frozen_clock.advance(seconds=3)
    assert told(web.ask(max_age=1, prompt="none"))["error"] == "login_required"
    again = told(web.sign_in(web.ask(max_age=1)))
    assert web.open(web.redeem(again["code"]).json["id_token"]).claims["auth_time"] >= first["auth_time"] + 3


@pytest.mark.spec("R72")
def test_max_age_0_is_like_login(web: Browser) -> None:
    web.tokens()
    assert "Password" in web.ask(max_age=0).text


@pytest.mark.spec("R67")
def test_max_age_10000(web: Browser, frozen_clock: FrozenClock) -> None:
    first = web.open(web.tokens(max_age=15000)["id_token"]).claims
    frozen_clock.advance(seconds=2)
    second = web.open(web.redeem(told(web.ask(max_age=10000))["code"]).json["id_token"]).claims
    assert first["auth_time"] == second["auth_time"]


def test_ensure_request_with_unknown_parameter_succeeds(web: Browser) -> None:
    assert web.signed_in(extra="foobar").keys() == {"code", "state", "iss"}


@pytest.mark.spec("R75", "R76")
def test_id_token_hint(web: Browser, make: Factory, frozen_clock: FrozenClock) -> None:
    hint = web.tokens()["id_token"]
    assert "code" in told(web.ask(prompt="none", id_token_hint=hint))
    make.user("bob@example.test")
    other = Browser(web.app, web.made)
    told(other.sign_in(other.ask(), name="bob@example.test"))
    assert told(other.ask(prompt="none", id_token_hint=hint))["error"] == "login_required"
    assert told(other.sign_in(other.ask(id_token_hint=hint), name="bob@example.test"))["error"] == "login_required"
    assert "code" in told(other.sign_in(other.ask(id_token_hint=hint)))
    frozen_clock.advance(minutes=16)
    assert told(web.ask(prompt="none", id_token_hint=hint))["error"] == "login_required", "the session is over, the hint is taken"


@pytest.mark.spec("R76")
@pytest.mark.parametrize("what", ["nonsense", "access token", "altered", "none", "of another application"])
def test_id_token_hint_that_is_none_is_refused(web: Browser, make: Factory, what: str) -> None:
    tokens = web.tokens()
    header, body, signature = tokens["id_token"].split(".")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).rstrip(b"=").decode()
    other = Browser(web.app, make.application("other", kind="web", redirect_uris=[DONE], roles=()))
    hints = {
        "nonsense": "nonsense",
        "access token": tokens["access_token"],
        "altered": f"{header}.{body[:-4]}AAAA.{signature}",
        "none": f"{none}.{body}.",
        "of another application": tokens["id_token"],
    }
    asker = other if what == "of another application" else web
    assert told(asker.ask(id_token_hint=hints[what]))["error"] == "invalid_request"


@pytest.mark.parametrize(
    "extra", [{"login_hint": "ann@example.test"}, {"ui_locales": "se"}, {"claims_locales": "se"}, {"acr_values": "1 2"}], ids=str
)
def test_login_hint_ui_locales_claims_locales_acr_values(web: Browser, extra: dict[str, str]) -> None:
    page = web.ask(**extra)
    if "login_hint" in extra:
        assert 'value="ann@example.test"' in page.text
    answer = told(web.sign_in(page))
    assert web.open(web.redeem(answer["code"]).json["id_token"]).claims["acr"] == "1"


@pytest.mark.spec("R19", "R36")
def test_codereuse(web: Browser) -> None:
    code = web.signed_in()["code"]
    assert web.redeem(code).status_code == 200
    again = web.redeem(code)
    assert (again.status_code, again.json["error"], again.mimetype) == (400, "invalid_grant", "application/json")


@pytest.mark.spec("R19", "R53")
def test_codereuse_30seconds(web: Browser, frozen_clock: FrozenClock) -> None:
    code = web.signed_in()["code"]
    tokens = web.redeem(code).json
    assert web.introspect(tokens["access_token"])["active"]
    frozen_clock.advance(seconds=30)
    assert web.redeem(code).status_code == 400
    assert web.introspect(tokens["access_token"]) == {"active": False}
    assert web.userinfo(tokens["access_token"]).status_code == 401
    assert web.refresh(tokens["refresh_token"]).json["error"] == "invalid_grant"


@pytest.mark.spec("R1", "R2", "R40")
def test_ensure_registered_redirect_uri(web: Browser) -> None:
    answer = web.ask(redirect_uri="https://app.example/other")
    assert (answer.status_code, "Location" in answer.headers) == (400, False)
    assert "redirect_uri" in answer.text


@pytest.mark.spec("R74")
def test_ensure_post_request_succeeds(web: Browser) -> None:
    page = web.client.post(f"{web.base}auth", data=web.parameters())
    assert "code" in told(web.sign_in(page))
    assert "code" in told(web.client.post(f"{web.base}auth", data=web.parameters()))
    foreign = web.client.post(f"{web.base}auth", data=web.parameters(), headers={"Origin": "https://app.example"})
    assert foreign.status_code == 303, "no cookie comes with it, but with where it leads"
    assert "code" in told(web.client.get(foreign.headers["Location"].removeprefix("http://localhost:8080")))


def test_server_client_secret_post_and_basic(web: Browser) -> None:
    from tests.factories import basic

    code = web.signed_in()["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": DONE, "code_verifier": web.verifier}
    answer = web.client.post(f"{web.base}token", data=form, headers={"Authorization": basic("shop", web.made.secret)})
    assert answer.status_code == 200, answer.text


@pytest.mark.spec("R79")
@pytest.mark.parametrize(("name", "error"), [("request", "request_not_supported"), ("request_uri", "request_uri_not_supported")])
def test_request_objects_are_refused_by_name(web: Browser, name: str, error: str) -> None:
    assert told(web.ask(**{name: "https://app.example/object"}))["error"] == error
    assert told(web.ask(**{name: "x" * 5_000}))["error"] == error, "however long it is"


def test_claims_essential(web: Browser) -> None:
    wish = {"userinfo": {"name": {"essential": True}, "email": None}, "id_token": {"email": None, "unknown": None}}
    tokens = web.tokens(claims=json.dumps(wish))
    assert web.open(tokens["id_token"]).claims["email"] == "ann@example.test"
    assert web.userinfo(tokens["access_token"]).json["email"] == "ann@example.test"
    again = web.refresh(tokens["refresh_token"]).json
    assert web.userinfo(again["access_token"]).json["email"] == "ann@example.test"


@pytest.mark.parametrize(
    "claims",
    [
        "{",
        "[]",
        '"x"',
        '{"id_token": 1}',
        '{"userinfo": []}',
        "[" * 5000,
        '{"id_token": {"acr": {"essential": true, "values": ["9"]}}}',
    ],
)
def test_claims_that_cannot_be_are_refused(web: Browser, claims: str) -> None:
    if claims == '{"userinfo": []}':
        assert web.ask(claims=claims).status_code == 200, "nothing is asked for"
        return
    assert told(web.ask(claims=claims))["error"] == "invalid_request"


@pytest.mark.spec("R12", "R41", "R42", "R81")
def test_refresh_token(web: Browser, make: Factory) -> None:
    tokens = web.tokens(scope="openid email", nonce="once")
    again = web.refresh(tokens["refresh_token"]).json
    assert again["access_token"] != tokens["access_token"]
    assert again["refresh_token"] != tokens["refresh_token"]
    first, second = (web.open(each["id_token"]).claims for each in (tokens, again))
    assert all(first[name] == second[name] for name in ("iss", "sub", "aud", "auth_time", "sid"))
    assert "nonce" not in second
    other = Browser(web.app, make.application("other", kind="web", redirect_uris=[DONE], roles=()))
    refused = other.refresh(again["refresh_token"])
    assert (refused.status_code, refused.json["error"]) == (400, "invalid_grant")
    assert web.refresh(again["refresh_token"]).status_code == 200, "another client's attempt has harmed nobody"


@pytest.mark.spec("R3", "R5")
def test_ensure_request_with_valid_pkce_succeeds(web: Browser) -> None:
    assert "access_token" in web.tokens()


def test_form_post(web: Browser) -> None:
    """The form post plan runs all of this with response_mode=form_post; what differs is how the answer is carried."""
    page = web.sign_in(web.ask(response_mode="form_post"))
    form = web.form_of(page)
    assert (form.method, form.action) == ("post", DONE)
    values = dict(form.values)
    assert (values["state"], values["iss"]) == ("a state", ISSUER)
    assert web.redeem(values["code"]).status_code == 200
    assert dict(web.form_of(web.ask(response_mode="form_post", scope="nothing")).values)["error"] == "invalid_scope"


@pytest.mark.spec("R7")
@pytest.mark.parametrize("mode", ["fragment", "web_message", "query.jwt"])
def test_other_response_modes_are_refused_in_the_query(web: Browser, mode: str) -> None:
    assert told(web.ask(response_mode=mode))["error"] == "invalid_request"


def test_realm_that_is_not_there_or_disabled_shows_a_page(client: FlaskClient, web: Browser, make: Factory) -> None:
    from tests.factories import set_realm

    assert client.get("/auth/realms/nobody/protocol/openid-connect/auth").status_code == 404
    make.do(lambda realm: set_realm(realm, enabled=False))
    answer = web.ask()
    assert (answer.status_code, answer.mimetype) == (403, "text/html")
