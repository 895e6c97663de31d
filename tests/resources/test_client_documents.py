"""Applications that describe themselves at their client_id (draft-ietf-oauth-client-id-metadata-document)."""

import contextlib
import re
import threading
from importlib import import_module
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from idp import applications, realms
from idp.audit import Tag
from idp.audit.models import AuditEvent
from idp.client_documents import ClientDocument
from idp.client_documents import service as kept_documents
from idp.db import db
from idp.errors import InvalidMembersError, InvalidValueError
from idp.oauth import client_documents as fetching
from idp.oauth.turns import NoTurnError, Turns
from idp.setup import rotate_keys_and_tidy
from tests.conftest import FrozenClock
from tests.console.surfing import Surfer
from tests.factories import Factory, Made, assertion, assertion_form, claims_of, key_pair, set_application, set_realm
from tests.resources.documents import URL, Web, document, world  # noqa: F401 (a fixture)
from tests.serving import PROJECT
from tests.sign_in.conftest import DONE, Browser, ann, told  # noqa: F401 (ann is a fixture)
from tests.sign_in.test_pushed import go, push

MCP = "https://tools.example/mcp"
NAME = applications.name_of(URL)


@pytest.fixture
def visitor(app: Flask, make: Factory, ann: str, world: Web) -> Browser:
    """Ann's browser, and an application that nobody has registered, in a realm that takes such."""
    make.do(lambda realm: set_realm(realm, client_documents=True, open_audiences=[MCP]))
    return Browser(app, Made(URL, "", ""), public=True)


def agreed(visitor: Browser, **changes: Any) -> dict[str, str]:
    """Sign in, agree, and return what the application is told."""
    page = visitor.ask(**changes)
    if 'id="password"' in page.text:
        page = visitor.sign_in(page)
    return told(visitor.send(page, decision="agree") if page.status_code == 200 else page)


def tokens(visitor: Browser, **changes: Any) -> dict[str, Any]:
    answer = visitor.redeem(agreed(visitor, **changes)["code"])
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def stored(make: Factory) -> Any:
    """Return the application and what is kept of its document."""

    def read(realm: realms.Realm) -> Any:
        application = applications.find_application(realm, NAME)
        if application is None:
            return None
        db.session.refresh(application)
        kept = db.session.scalar(select(ClientDocument).where(ClientDocument.application_id == application.id))
        db.session.expunge_all()
        return application, kept

    return make.do(read)


def refused(visitor: Browser, **changes: Any) -> str:
    answer = visitor.ask(**changes)
    assert (answer.status_code, "Location" in answer.headers) == (400, False), answer.text
    return answer.text


@pytest.mark.spec("RS4")
def test_person_signs_in_to_an_application_that_nobody_has_registered(
    visitor: Browser, world: Web, make: Factory, ann: str
) -> None:
    found = tokens(visitor, scope="openid roles offline_access", resource=MCP)
    access, identity = claims_of(found["access_token"]), visitor.open(found["id_token"]).claims
    assert (access["aud"], access["client_id"], access["sub"]) == (MCP, URL, ann)
    assert (identity["aud"], identity["azp"]) == (URL, URL)
    assert access["realm_access"] == {"roles": ["viewer"]}
    assert "refresh_token" not in found, "its document names the grant for a code, and no other"
    assert world.asked == [URL]
    application, kept = stored(make)
    assert (application.name, application.document_url, application.display_name) == (NAME, URL, "Helpful Tool")
    assert application.consent, "people are always asked"
    assert kept.fetched_at < kept.fresh_until


def test_refreshes_where_its_document_says_so(visitor: Browser, world: Web) -> None:
    world.pages[URL] = document(grant_types=["authorization_code", "refresh_token", "urn:example:another"])
    found = tokens(visitor, scope="openid offline_access", resource=MCP)
    again = visitor.refresh(found["refresh_token"], resource=MCP)
    assert again.status_code == 200, again.text
    assert claims_of(again.json["access_token"])["client_id"] == URL
    assert visitor.userinfo(tokens(visitor)["access_token"]).status_code == 200


def test_realm_that_takes_none_knows_none(visitor: Browser, world: Web, make: Factory) -> None:
    discovery = "/auth/realms/acme/.well-known/oauth-authorization-server"
    assert visitor.client.get(discovery).json["client_id_metadata_document_supported"] is True
    found = tokens(visitor, resource=MCP, scope="openid")
    make.do(lambda realm: set_realm(realm, client_documents=False))
    assert "client_id_metadata_document_supported" not in visitor.client.get(discovery).json
    assert "There is no application with this client_id" in refused(visitor)
    assert world.asked == [URL], "nothing is fetched"
    assert visitor.userinfo(found["access_token"]).status_code == 401, "and what was given counts no more"
    assert push(visitor).status_code == 401


def test_setting_is_off_by_default_and_issuers_are_no_open_api(make: Factory) -> None:
    assert not make.do(lambda realm: realm.client_documents)
    for audience in ("http://localhost:8080/auth/realms/acme", "http://localhost:8080/auth/realms/other"):
        with pytest.raises(InvalidValueError, match="never an issuer"):
            make.do(lambda realm, named=audience: set_realm(realm, open_audiences=[named]))
    with pytest.raises(InvalidMembersError):
        make.do(lambda realm: set_realm(realm, open_audiences=["https://"]))


@pytest.mark.spec("RS4")
@pytest.mark.parametrize(
    "url",
    [
        "https://app.example", "https://app.example/", "https://app.example/a?b=c", "https://app.example/a#b", "https://u@app.example/a",
        "https://app.example/a/../b", "https://app.example/./b", "https://app.example/%2e%2E/b", "https://APP.example/a",
        "https://app.example:0/a", "https://[::1]/a", "https://app.example/a b", "https://app.example/" + "x" * 255, "https://.example/a",
    ],
)  # fmt: skip # a list of words
def test_url_that_can_have_no_document_is_not_fetched(visitor: Browser, world: Web, url: str) -> None:
    assert "A client_id that is a URL takes https" in refused(visitor, client_id=url)
    assert world.asked == []


@pytest.mark.parametrize(
    "url", ["http://app.example/a", "HTTPS://app.example/a", "ftp://app.example/a", "file:///etc/passwd", NAME]
)
def test_what_is_no_such_url_is_unknown(visitor: Browser, world: Web, url: str) -> None:
    tokens(visitor)
    assert "There is no application with this client_id" in refused(visitor, client_id=url)
    assert world.asked == [URL]


REFUSED = {
    "another client_id": ({"client_id": "https://app.example/other.json"}, "client_id in it is not the URL"),
    "no client_id": ({"client_id": None}, "client_id in it is not the URL"),
    "slash": ({"client_id": f"{URL}/"}, "client_id in it is not the URL"),
    "secret": ({"client_secret": "x"}, "client_secret"),
    "end of secret": ({"client_secret_expires_at": 0}, "client_secret"),
    "basic": ({"token_endpoint_auth_method": "client_secret_basic"}, "none and private_key_jwt"),
    "post": ({"token_endpoint_auth_method": "client_secret_post"}, "none and private_key_jwt"),
    "shared key": ({"token_endpoint_auth_method": "client_secret_jwt"}, "none and private_key_jwt"),
    "no key": ({"token_endpoint_auth_method": "private_key_jwt"}, "jwks"),
    "no redirect URI": ({"redirect_uris": None}, "redirect_uris"),
    "empty redirect URIs": ({"redirect_uris": []}, "redirect_uris"),
    "http": ({"redirect_uris": ["http://app.example/done"]}, "redirect_uris"),
    "wildcard": ({"redirect_uris": ["https://*.example/done"]}, "redirect_uris"),
    "fragment": ({"redirect_uris": [f"{DONE}#x"]}, "redirect_uris"),
    "no list": ({"redirect_uris": DONE}, "redirect_uris"),
    "no texts": ({"redirect_uris": [1]}, "redirect_uris"),
    "script": ({"redirect_uris": ["javascript:alert(1)"]}, "redirect_uris"),
    "long name": ({"client_name": "x" * 201}, "client_name"),
    "two lines": ({"client_name": "a\nb"}, "client_name"),
    "other way": ({"client_name": "a\u202eb"}, "client_name"),
    "statement": ({"software_statement": "x.y.z"}, "software_statement"),
    "no grant": ({"grant_types": ["client_credentials"]}, "grant_types"),
    "privacy": ({"policy_uri": "javascript:alert(1)"}, "policy_uri"),
    "private key": (
        {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [{"kty": "oct", "k": "x"}]}},
        "jwks",
    ),
    "keys by http": ({"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "http://app.example/keys"}, "jwks_uri"),
}


@pytest.mark.spec("RS4")
@pytest.mark.parametrize("case", REFUSED)
def test_document_that_describes_no_application_is_refused(visitor: Browser, world: Web, make: Factory, case: str) -> None:
    changes, reason = REFUSED[case]
    world.pages[URL] = document(**changes)
    text = refused(visitor)
    assert "describes no application that can be used" in text
    assert reason in text
    assert stored(make) is None


def test_what_is_not_there_is_refused_and_says_nothing_of_this_network(visitor: Browser, world: Web, make: Factory) -> None:
    del world.pages[URL]
    text = refused(visitor)
    assert "could not be fetched" in text
    assert "10.0.0.7" not in text
    assert stored(make) is None
    pushed = push(visitor)
    assert (pushed.status_code, pushed.json["error"]) == (400, "invalid_request")
    device = visitor.client.post(f"{visitor.base}auth/device", data={"client_id": URL})
    assert (device.status_code, device.json["error"]) == (400, "invalid_request")


def test_redirect_uri_is_one_of_the_document(visitor: Browser) -> None:
    assert "redirect_uri is not one" in refused(visitor, redirect_uri="https://evil.example/done")


@pytest.mark.spec("RS4")
@pytest.mark.parametrize(
    ("max_age", "seconds"), [(None, 3600), (0, 60), (59, 60), (600, 600), (86_400, 86_400), (999_999_999, 86_400)]
)
def test_document_is_kept_as_long_as_it_says_within_bounds(
    visitor: Browser,
    world: Web,
    max_age: int | None,
    seconds: int,
    frozen_clock: FrozenClock,
) -> None:
    world.max_age = max_age
    visitor.ask()
    frozen_clock.advance(seconds=seconds - 1)
    visitor.ask()
    assert world.asked == [URL]
    frozen_clock.advance(seconds=1)
    visitor.ask()
    assert world.asked == [URL, URL]


def test_document_that_says_something_else_counts_once_it_is_fetched_again(
    visitor: Browser,
    world: Web,
    make: Factory,
    frozen_clock: FrozenClock,
) -> None:
    tokens(visitor, scope="openid email")
    assert told(visitor.ask(scope="openid email"))["code"], "who has agreed is not asked again"
    make.change(lambda realm, application: set_application(realm, application, rate_per_second=7, consent=True), name=NAME)
    world.pages[URL] = document(client_name="Other Tool", redirect_uris=[DONE, "https://app.example/two"])
    frozen_clock.advance(hours=1)
    page = visitor.ask(scope="openid email")
    assert "Other Tool" in page.text, "people are asked again"
    application, _ = stored(make)
    assert (application.display_name, application.rate_per_second) == ("Other Tool", 7)
    assert application.redirect_uris == [DONE, "https://app.example/two"]
    events = make.do(
        lambda _: [
            row.detail
            for row in db.session.scalars(
                select(AuditEvent).where(AuditEvent.tag == Tag.CLIENT_DOCUMENT_TAKE).order_by(AuditEvent.id)
            )
        ]
    )
    assert [event["url"] for event in events] == [URL, URL]
    assert events[1]["before"] == events[0]["sha256"] != events[1]["sha256"]
    update = select(AuditEvent.actor, AuditEvent.detail).where(AuditEvent.tag == Tag.APPLICATION_UPDATE)
    actor, detail = make.do(lambda _: tuple(db.session.execute(update.order_by(AuditEvent.id.desc())).first()))
    assert (actor, detail["display_name"]) == (f"application:{NAME}", "Other Tool")


def test_document_that_has_gone_ends_new_sign_ins(visitor: Browser, world: Web, frozen_clock: FrozenClock) -> None:
    visitor.ask()
    del world.pages[URL]
    assert visitor.ask().status_code == 200, "it is still fresh"
    frozen_clock.advance(hours=1)
    assert "could not be fetched" in refused(visitor)


def test_administrator_disables_it_for_good_and_deletes_it_until_it_comes_again(
    visitor: Browser, world: Web, make: Factory, frozen_clock: FrozenClock
) -> None:
    found = tokens(visitor, resource=MCP)
    make.change(lambda realm, application: set_application(realm, application, enabled=False), name=NAME)
    frozen_clock.advance(days=2)
    assert "There is no application with this client_id" in refused(visitor)
    assert world.asked == [URL], "what is disabled is not fetched"
    assert visitor.userinfo(found["access_token"]).status_code == 401
    make.do(lambda realm: applications.delete_application(realm, applications.get_application(realm, NAME)))
    assert visitor.ask().status_code == 200
    assert world.asked == [URL, URL]


@pytest.mark.spec("RS4")
@pytest.mark.parametrize(
    ("redirect_uri", "said"),
    [
        (DONE, ""),
        ("https://other.example/done", "The answer goes to another address than that."),
        ("http://127.0.0.1:8765/callback", "The answer goes to a program on this computer"),
        ("http://localhost:8765/callback", "The answer goes to a program on this computer"),
    ],
)
def test_who_is_asked_sees_whose_the_application_is(visitor: Browser, world: Web, redirect_uri: str, said: str) -> None:
    world.pages[URL] = document(client_name="<b>Bank</b>", redirect_uris=[redirect_uri])
    page = visitor.sign_in(visitor.ask(redirect_uri=redirect_uri))
    assert "&lt;b&gt;Bank&lt;/b&gt;" in page.text
    assert "describes itself at <code>app.example</code>" in page.text
    assert redirect_uri in page.text
    for each in ("The answer goes to another address than that.", "The answer goes to a program on this computer"):
        assert (each in page.text) is (each == said)


def test_registered_applications_are_not_said_to_describe_themselves(app: Flask, make: Factory, ann: str) -> None:
    browser = Browser(app, make.application("shop", kind="web", redirect_uris=[DONE], roles=(), consent=True))
    assert "describes itself" not in browser.sign_in(browser.ask()).text


def test_pushed_request_and_device_take_it_in_too(visitor: Browser, world: Web) -> None:
    pushed = push(visitor)
    assert pushed.status_code == 201, pushed.text
    page = visitor.sign_in(go(visitor, pushed.json["request_uri"]))
    assert visitor.redeem(told(visitor.send(page, decision="agree"))["code"]).status_code == 200
    other = "https://tv.example/client.json"
    world.pages[other] = document(
        client_id=other, grant_types=["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"]
    )
    device = visitor.client.post(f"{visitor.base}auth/device", data={"client_id": other, "scope": "openid"})
    assert device.status_code == 200, device.text


@pytest.mark.parametrize("by_reference", [False, True])
def test_application_with_a_key_proves_who_it_is(visitor: Browser, world: Web, by_reference: bool) -> None:
    key, jwks = key_pair("ES256")
    keys = "https://keys.example/keys.json"
    world.pages[keys] = jwks
    more = {"jwks_uri": keys} if by_reference else {"jwks": jwks}
    world.pages[URL] = document(token_endpoint_auth_method="private_key_jwt", **more)
    code = agreed(visitor)["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": DONE, "code_verifier": visitor.verifier}
    bare = visitor.post_token(**form)
    assert (bare.status_code, bare.json["error"]) == (401, "invalid_client")
    code = told(visitor.ask())["code"]
    shown = assertion(key, URL, "http://localhost:8080/auth/realms/acme")
    answer = visitor.post_token(**assertion_form(shown, **form | {"code": code}))
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("by_reference", [False, True])
def test_key_that_has_replaced_another_counts_once_the_document_was_read_again(
    visitor: Browser, world: Web, make: Factory, frozen_clock: FrozenClock, by_reference: bool
) -> None:
    (key, jwks), (other, others), (nobodys, _) = key_pair("ES256"), key_pair("ES256"), key_pair("ES256")
    keys = "https://keys.example/keys.json"

    def publish(jwks: Any) -> None:
        world.pages[keys] = jwks
        more = {"jwks_uri": keys} if by_reference else {"jwks": jwks}
        world.pages[URL] = document(token_endpoint_auth_method="private_key_jwt", **more)

    def pushes(key: Any) -> int:
        shown = assertion(key, URL, "http://localhost:8080/auth/realms/acme", header={"kid": f"of {id(key)}"})
        values = visitor.parameters() | assertion_form(shown)
        return int(visitor.client.post(f"{visitor.base}ext/par/request", data=values).status_code)

    def reads() -> int:
        with make.app.app_context():
            return fetching.read_wanted()

    def named(jwks: Any, key: Any) -> Any:
        return {"keys": [each | {"kid": f"of {id(key)}"} for each in jwks["keys"]]}

    publish(named(jwks, key))
    assert pushes(key) == 201
    publish(named(others, other))
    assert reads() == 0, "nobody has asked for that"
    assert pushes(other) == 401
    asked = len(world.asked)
    assert (reads(), reads()) == (1, 0)
    assert len(world.asked) == asked + (2 if by_reference else 1)
    assert [pushes(other), pushes(key)] == [201, 401]
    assert [pushes(nobodys), reads()] == [401, 0], "once a minute"
    frozen_clock.advance(seconds=61)
    assert [pushes(nobodys), pushes(nobodys), reads(), reads()] == [401, 401, 1, 0]


def test_document_that_cannot_be_read_again_leaves_its_keys_as_they_are(
    visitor: Browser, world: Web, make: Factory, frozen_clock: FrozenClock
) -> None:
    (key, jwks), (nobodys, _) = key_pair("ES256"), key_pair("ES384")
    world.pages[URL] = document(token_endpoint_auth_method="private_key_jwt", jwks=jwks)
    issuer = "http://localhost:8080/auth/realms/acme"

    def pushes(shown: str) -> int:
        values = visitor.parameters() | assertion_form(shown)
        return int(visitor.client.post(f"{visitor.base}ext/par/request", data=values).status_code)

    assert pushes(assertion(key, URL, issuer)) == 201
    del world.pages[URL]
    assert pushes(assertion(nobodys, URL, issuer, alg="ES384")) == 401
    with make.app.app_context():
        assert [fetching.read_wanted(), fetching.read_wanted()] == [0, 0]
    assert pushes(assertion(key, URL, issuer)) == 201


@pytest.mark.spec("RS4")
def test_one_network_causes_so_many_fetches_and_a_realm_so_many_new_ones(
    visitor: Browser, world: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [
        visitor.ask(client_id=f"https://app.example/{number}").status_code for number in range(fetching.BY_NETWORK.burst + 2)
    ]
    assert answers == [400] * fetching.BY_NETWORK.burst + [429] * 2
    assert len(world.asked) == fetching.BY_NETWORK.burst
    monkeypatch.setattr(
        import_module("idp.sign_in.authorize"), "address", iter(f"198.51.{number}.7" for number in range(250)).__next__
    )
    answers = [
        visitor.ask(client_id=f"https://app.example/b{number}").status_code for number in range(fetching.NEW_IN_REALM.burst)
    ]
    assert answers.count(400) == fetching.NEW_IN_REALM.burst - fetching.BY_NETWORK.burst
    assert answers[-1] == 429


def asked_at_once(visitor: Browser, world: Web, hosts: list[str]) -> list[threading.Thread]:
    """Have visitors ask for documents of servers that do not answer, and return them once all are being fetched."""
    asking = []
    for host in hosts:
        world.slow.setdefault(host, threading.Event())
        browser = Browser(visitor.app, Made(f"https://{host}/a", "", ""), public=True)
        asking.append(threading.Thread(target=browser.ask))
        asking[-1].start()
        assert world.begun.acquire(timeout=10)
    return asking


def test_a_slow_server_holds_up_itself_and_nobody_else(visitor: Browser, world: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "LONGEST_WAIT", 0.05)
    asking = asked_at_once(visitor, world, ["slow.example"])
    for _ in range(fetching.AT_ONCE):
        assert visitor.ask(client_id="https://slow.example/b").status_code == 429, "its server is called already"
    assert visitor.ask().status_code == 200
    world.slow["slow.example"].set()
    asking[0].join()


def test_many_slow_servers_lose_their_places_to_whoever_waits(
    visitor: Browser, world: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "_turns", Turns(fetching.AT_ONCE, 0.2))
    asking = asked_at_once(visitor, world, [f"slow-{number}.example" for number in range(fetching.AT_ONCE)])
    assert visitor.ask().status_code == 200
    asking[0].join(10)
    assert [each.is_alive() for each in asking] == [False] + [True] * (fetching.AT_ONCE - 1), "who was first has had their time"
    for each in world.slow.values():
        each.set()
    for thread in asking:
        thread.join()


def test_calls_that_cannot_be_ended_are_as_many_again_and_no_more() -> None:
    turns = Turns(2, 0.01)
    with contextlib.ExitStack() as held:
        for number in range(4):
            held.enter_context(turns.of(f"{number}.example", wait=5))
        with pytest.raises(NoTurnError), turns.of("5.example", wait=0.05):
            pass
    with turns.of("5.example", wait=0.05) as call:
        assert not call.is_over


def test_realm_keeps_so_many_and_the_unused_make_room(
    visitor: Browser, world: Web, make: Factory, monkeypatch: pytest.MonkeyPatch, frozen_clock: FrozenClock
) -> None:
    monkeypatch.setattr(kept_documents, "MOST_KEPT", 2)
    tokens(visitor)
    others = [f"https://app.example/{number}.json" for number in range(3)]
    for url in others:
        world.pages[url] = document(client_id=url)
    assert visitor.ask(client_id=others[0]).status_code == 200
    assert visitor.ask(client_id=others[1]).status_code == 429, "somebody may be signing in to the one that is unused"
    frozen_clock.advance(hours=1, seconds=1)
    assert visitor.ask(client_id=others[1]).status_code == 200
    names = make.do(lambda realm: {each.document_url for each in applications.list_applications(realm)} - {""})
    assert names == {URL, others[1]}, "the used one has stayed"


def test_unused_ones_are_removed_after_a_week(visitor: Browser, world: Web, make: Factory, frozen_clock: FrozenClock) -> None:
    other = "https://other.example/client.json"
    world.pages[other] = document(client_id=other)
    tokens(visitor)
    visitor.ask(client_id=other)
    frozen_clock.advance(days=7, seconds=1)
    with make.app.app_context():
        rotate_keys_and_tidy()
    left = make.do(lambda realm: {each.document_url for each in applications.list_applications(realm)} - {""})
    assert left == {URL}


def test_name_that_is_taken_by_a_registered_application_is_not_its(visitor: Browser, make: Factory) -> None:
    make.application(NAME, kind="web", redirect_uris=[DONE], roles=())
    assert "an application is registered here under the name" in refused(visitor)
    assert stored(make)[0].document_url == ""


def test_other_realms_have_their_own(visitor: Browser, world: Web) -> None:
    visitor.ask()
    answer = visitor.client.get("/auth/realms/master/protocol/openid-connect/auth", query_string=visitor.parameters())
    assert answer.status_code == 400
    assert world.asked == [URL]


def test_console_lists_disables_and_deletes_it_like_any_other(visitor: Browser, make: Factory) -> None:
    tokens(visitor)
    make.user("root@example.test", roles=("administrator",))
    surfer = Surfer(visitor.app)
    surfer.sign_in("root@example.test")
    assert NAME in surfer.whole("/console/realms/acme/applications?search=app.example"), "it is found by its address"
    assert f"Describes itself at {URL}" in surfer.open(f"/console/realms/acme/applications/{NAME}").text


def test_apis_open_to_all_are_for_people_and_no_others(visitor: Browser, make: Factory) -> None:
    shop = Browser(
        visitor.app, make.application("shop", kind="web", redirect_uris=[DONE], roles=(), audience=["https://own.example"])
    )
    assert claims_of(shop.tokens(resource=f"{MCP}/")["access_token"])["aud"] == MCP
    assert claims_of(shop.redeem(shop.signed_in()["code"]).json["access_token"])["aud"] == "https://own.example"
    bot = make.application("bot")
    answer = shop.client.post(f"{shop.base}token", data={"grant_type": "client_credentials", **bot.form, "resource": MCP})
    assert answer.json["error"] == "invalid_target"


def test_page_says_how_an_api_describes_itself() -> None:
    page = (PROJECT / "docs" / "mcp.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    api = names["app"].test_client()
    described = api.get("/.well-known/oauth-protected-resource/mcp").json
    assert (described["resource"], described["resource_name"]) == ("https://tools.acme.example/mcp", "Tools of Acme")
    refused = api.post("/mcp")
    leads = "https://tools.acme.example/.well-known/oauth-protected-resource/mcp"
    assert refused.headers["WWW-Authenticate"] == f'Bearer resource_metadata="{leads}", scope="roles"'
