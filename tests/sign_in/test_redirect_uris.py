"""Where people may be sent: to what is registered, byte for byte, and nowhere else (T33 to T43)."""

from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask

from idp.applications import Application, is_registered
from idp.errors import InvalidMembersError
from idp.realms import publish_application
from tests.factories import Factory, set_application
from tests.sign_in.conftest import DONE, Browser, told

REFUSED = [
    "https://app.example/*",
    "https://*.example/done",
    "https://app.example/done#",
    "https://app.example/done#x",
    "https://user@app.example/done",
    "https://user:pw@app.example/done",
    "https://app.example@evil.example/done",
    "http://app.example/done",
    "http://127.0.0.1.evil.example/done",
    "http://localhost.evil.example/",
    "http://localhost:80@evil.example/",
    "http://[::1]@evil.example/",
    "http://[::2]/",
    "http://127.0.0.2/",
    "http://0.0.0.0/",
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    "javascript://app.example/%0aalert(1)",
    "data:text/html,x",
    "vbscript:x",
    "file:///etc/passwd",
    "about:blank",
    "blob:https://app.example/x",
    "myapp:/done",
    "myapp://done",
    "urn:ietf:wg:oauth:2.0:oob",
    "//evil.example/done",
    "/done",
    "done",
    "https:/app.example/done",
    "https:app.example",
    "https:///app.example",
    "https://",
    "https://app.example\\@evil.example/",
    "https://app.example/\\..\\x",
    "https://app.example/a/../done",
    "https://app.example/a/%2e%2e/done",
    "https://app.example/a/%2E./done",
    "https://app.example/a/..;/done",
    "https://app.example/./done",
    "https://app.example/done?code=x",
    "https://app.example/done?state=x",
    "https://app.example/done?a=1&iss=x",
    "https://app.example/done?error=x",
    "https://app.example/d one",
    "https://app.example/done\t",
    "https://app.example/done\n",
    "https://app.example/done\r\nX: y",
    "https://app.example/done\x00",
    "https://äpp.example/done",
    "https://app.example/dône",
    "https://app.example:port/",
    "https://app.example:123456/",
    "https://-app.example/",
    "https://[::1%25eth0]/",
    "https://app.example/%",
    "https://app.example/%zz",
    "https://app.example/" + "x" * 1000,
    "com.example.app",
    "com..app:/x",
    "1com.example:/x",
    "",
    " https://app.example/done",
]

TAKEN = [
    "https://app.example",
    "https://app.example/",
    "https://app.example:8443/done",
    "https://APP.example/done",
    "https://app.example/done?tenant=1&x=%20y",
    "https://[2001:db8::1]/done",
    "http://localhost:3000/done",
    "http://127.0.0.1/done",
    "http://127.0.0.1:8000/done",
    "http://[::1]:8000/done",
]


@pytest.mark.spec("T33", "T34", "T35", "T36", "T39", "T40", "T43", "T32")
@pytest.mark.parametrize("uri", REFUSED)
def test_what_nobody_may_be_sent_to_cannot_be_registered(web: Browser, make: Factory, uri: str) -> None:
    with pytest.raises(InvalidMembersError):
        make.change(lambda realm, row: set_application(realm, row, redirect_uris=[uri]), "shop")
    with pytest.raises(InvalidMembersError):
        make.change(lambda realm, row: set_application(realm, row, post_logout_redirect_uris=[uri]), "shop")


@pytest.mark.parametrize("uri", TAKEN)
def test_what_is_right_can_be_registered_and_is_where_people_are_sent(web: Browser, make: Factory, uri: str) -> None:
    make.change(lambda realm, row: set_application(realm, row, redirect_uris=[uri]), "shop")
    answer = web.sign_in(web.ask(redirect_uri=uri))
    location = answer.headers["Location"].replace("https://app.", "https://APP.", uri.count("APP"))  # werkzeug lowers the host
    assert location.startswith(f"{uri}{'&' if '?' in uri else '?'}code=")


def test_scheme_of_its_own_is_for_native_applications(app: Flask, web: Browser, make: Factory, ann: str) -> None:
    uri = "com.example.app:/signed-in"
    with pytest.raises(Exception, match="native"):
        make.change(lambda realm, row: set_application(realm, row, redirect_uris=[uri]), "shop")
    made = make.application("phone", kind="native", redirect_uris=[uri], roles=(), secret=False)
    phone = Browser(app, made, public=True)
    assert told(phone.sign_in(phone.ask(redirect_uri=uri)), uri)["code"]
    assert told(phone.ask(redirect_uri=uri, response_mode="form_post"), uri)["error"] == "invalid_request", (
        "a form cannot be sent there"
    )


VARIANTS = [
    "https://app.example/Done",
    "https://app.example/done/",
    "https://app.example//done",
    "https://app.example/done?",
    "https://app.example/done?x=1",
    "https://app.example/done#x",
    "https://app.example/./done",
    "https://app.example/x/../done",
    "https://app.example/x/..;/done",
    "https://app.example/%64one",
    "https://app.example:443/done",
    "https://app.example.evil.example/done",
    "https://evil.example/https://app.example/done",
    "https://app.example@evil.example/done",
    "https://evil.example\\@app.example/done",
    "https://app.example\\done",
    "https://appXexample/done",
    "HTTPS://app.example/done",
    "https://APP.example/done",
    "http://app.example/done",
    "https://app.example/done ",
    " https://app.example/done",
    "https://app.example/done\t",
    "https://app.example/done%00",
    "https://app.example/done%0d%0aLocation:%20https://evil.example",
    "https://app.example/don%65",
    "//app.example/done",
    "javascript:alert(1)//https://app.example/done",
    "https://\N{CYRILLIC SMALL LETTER A}pp.example/done",
    "https://[fe80::1%25]/",
    "https://[",
    "http://[::ffff:127.0.0.1]/",
    "%",
    "\x00",
    "é",
    "x" * 5000,
]


def mutated(uri: str) -> list[str]:
    """Return what looks like a URI, and is another: something put in, encoded, doubled or in another letter case at each place."""
    put_in = ("/", "\\", "@", "%2f", "%00", "\t", ".", "\N{ZERO WIDTH SPACE}")
    found = [f"{uri[:place]}{each}{uri[place:]}" for place in range(len(uri) + 1) for each in put_in]
    found += [f"{uri[:place]}%{ord(letter):02x}{uri[place + 1 :]}" for place, letter in enumerate(uri)]
    found += [f"{uri[:place]}{letter.swapcase()}{uri[place + 1 :]}" for place, letter in enumerate(uri) if letter.isalpha()]
    return [each for each in dict.fromkeys(found) if each != uri]


def test_corpus_is_large(web: Browser) -> None:
    """The rest of it, without another thing that is wrong: what comes after the address is looked at only once that is right."""
    corpus = mutated(DONE)
    assert len({*corpus, *VARIANTS, *REFUSED}) >= 300
    for uri in corpus:
        answer = web.ask(redirect_uri=uri)
        assert (answer.status_code, "Location" in answer.headers) == (400, False), uri


@pytest.mark.spec("T40")
@pytest.mark.parametrize("uri", [each for each in REFUSED if each and len(each) < 1_000 and "\x00" not in each])
def test_what_was_registered_before_it_was_refused_is_refused_when_it_is_used(web: Browser, make: Factory, uri: str) -> None:
    def put(_: object, row: Application) -> None:
        row.redirect_uris = [uri]
        publish_application("acme", row.name)

    make.change(put, "shop")
    answer = web.ask(redirect_uri=uri)
    assert (answer.status_code, "Location" in answer.headers) == (400, False)


@pytest.mark.spec("R1", "R2", "R40", "T33", "T34", "T35", "T36", "T37", "T38")
@pytest.mark.parametrize(
    "cause", [{}, {"response_type": "token"}, {"scope": "nothing"}, {"prompt": "none"}, {"response_mode": "x"}], ids=str
)
def test_nobody_is_sent_anywhere_else_whatever_else_is_wrong(web: Browser, cause: dict[str, str]) -> None:
    for uri in [*VARIANTS, *REFUSED]:
        if not uri:
            continue
        answer = web.ask(redirect_uri=uri, **cause)
        assert (answer.status_code, "Location" in answer.headers, answer.mimetype) == (400, False, "text/html"), uri
        assert "evil.example" not in answer.text
    missing = web.ask(redirect_uri=None, **(cause | {"scope": "openid"}))
    assert (missing.status_code, "Location" in missing.headers) == (400, False), "OpenID Connect Core: it is required"


def test_redirect_uri_may_be_left_out_of_plain_oauth_where_there_is_one(web: Browser) -> None:
    answer = told(web.sign_in(web.ask(redirect_uri=None, scope="email")))
    assert web.redeem(answer["code"], redirect_uri=None).status_code == 200


@pytest.mark.spec("R1", "T35")
def test_port_of_a_loopback_address_is_as_it_comes_and_nothing_else() -> None:
    registered = frozenset(
        {"http://127.0.0.1/done", "http://[::1]:1/done", "http://localhost:3000/done", "https://app.example/done"}
    )
    for uri in ("http://127.0.0.1:49152/done", "http://127.0.0.1/done", "http://[::1]:49152/done", "http://[::1]/done"):
        assert is_registered(registered, uri), uri
    for uri in (
        "http://localhost:3001/done",
        "http://127.0.0.1:49152/other",
        "http://127.0.0.1:49152/done?x",
        "https://127.0.0.1:49152/done",
        "http://127.0.0.1:49152@evil.example/done",
        "http://127.0.0.1:/done",
        "https://app.example:8443/done",
    ):
        assert not is_registered(registered, uri), uri


@pytest.mark.spec("R26", "R40", "T39")
@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
def test_repeated_client_or_redirect_is_a_page(web: Browser, name: str) -> None:
    query = "&".join(f"{key}={quote(value)}" for key, value in web.parameters().items())
    for other in ("shop", "x", DONE, "https://evil.example/"):
        answer = web.client.get(f"{web.base}auth?{query}&{name}={quote(other)}")
        assert (answer.status_code, "Location" in answer.headers) == (400, False), other


@pytest.mark.spec("R26", "R39", "T39", "AUTHLIB-5")
@pytest.mark.parametrize(
    "name",
    [
        "response_type",
        "scope",
        "state",
        "nonce",
        "prompt",
        "code_challenge",
        "code_challenge_method",
        "max_age",
        "claims",
        "response_mode",
        "x",
    ],
)
def test_any_other_repeated_parameter_is_told_to_the_client(web: Browser, name: str) -> None:
    parameters = web.parameters() | {name: web.parameters().get(name, "query" if name == "response_mode" else "1")}
    query = "&".join(f"{key}={quote(value)}" for key, value in parameters.items())
    answer = told(web.client.get(f"{web.base}auth?{query}&{name}={quote(parameters[name])}"))
    assert answer["error"] == "invalid_request"
    assert ("state" in answer) == (name != "state"), "which of the two would that be?"


@pytest.mark.spec("R20")
def test_application_that_nobody_signs_in_to_is_one_that_is_not_there(app: Flask, web: Browser, make: Factory) -> None:
    make.application("robot")
    make.application("off", kind="web", redirect_uris=[DONE], enabled=False)
    make.application("machine-like", kind="web", redirect_uris=[DONE], grant_types=["client_credentials"])
    pages = {name: web.ask(client_id=name) for name in ("robot", "off", "machine-like", "nobody", "é", "a" * 3000)}
    assert {(page.status_code, page.text) for page in pages.values()} == {(400, pages["nobody"].text)}


def test_odd_requests_never_fail(web: Browser) -> None:
    for query in (
        "",
        "%",
        "=&=&",
        "a" * 9000,
        "client_id=%ff&redirect_uri=%00",
        "x=1&" * 200,
        "client_id=shop&redirect_uri=[&x[]=x",
    ):
        answer: Any = web.client.get(f"{web.base}auth?{query}")
        assert answer.status_code == 400, query[:20]
        assert answer.mimetype == "text/html"
