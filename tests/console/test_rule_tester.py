"""Trying the rules of a protected API on its page: the same answer as the gateway's, and the reason."""

import html
import re
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient

from idp import access, applications
from idp.app import close_app, create_app
from idp.settings import Settings
from tests.console.surfing import Surfer
from tests.factories import Factory, Made, ask_token, set_api
from tests.gateway.test_check import AUDIENCE, RULES, check

PAGE = "/console/realms/acme/apis/metrics"


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """The server behind a proxy that may ask it, so that both can be asked."""
    app = create_app(settings.model_copy(update={"trusted_proxies": ("127.0.0.1/32",)}))
    yield app
    close_app(app)


@pytest.fixture(autouse=True)
def api(make: Factory) -> None:
    make.do(lambda realm: set_api(realm, "metrics", audience=AUDIENCE, rules=RULES))


def tried(surfer: Surfer, **call: str) -> str:
    """Return what the page says of a call, as text."""
    text = surfer.open(f"{PAGE}?{urlencode(call)}").text
    assert surfer.status == 200
    part = text.partition('id="trial">')[2].partition("</section>")[0]
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", part))).strip()


def passes(said: str) -> bool:
    assert (" passes " in said) != (" refused " in said), said
    return " passes " in said


CALLS = [
    ("GET", "/api/v1/query"),
    ("GET", "/api/v1/query?query=a,b&x=/../"),
    ("GET", "/api/v1/query/deep/down"),
    ("get", "/api/v1/query"),
    ("HEAD", "/api/v1/query"),
    ("POST", "/api/v1/query"),
    ("GET", "/api/v1/query_range"),
    ("GET", "/API/V1/QUERY"),
    ("GET", "/"),
    ("GET", "//api/v1/query"),
    ("GET", "/api//v1/query"),
    ("GET", "/api/v1/query/../admin"),
    ("GET", "/api/v1/query/.."),
    ("GET", "/api/v1/query/./x"),
    ("GET", "/api/v1/query/%2e%2e/admin"),
    ("GET", "/api/v1/query%2f..%2fadmin"),
    ("GET", "/api/v1/query/%252e%252e/admin"),
    ("GET", "/api/v1/query/..;/admin"),
    ("GET", "/api/v1/query;x=1"),
    ("GET", "/api/v1/query/%5c..%5cadmin"),
    ("GET", "/api/v1/query/%00"),
    ("GET", "/api/v1/query/%c0%ae%c0%ae/admin"),
    ("GET", "/api/v1/query/%ef%bc%8e%ef%bc%8e/admin"),
    ("GET", "/api/v1/query/%C3%A9"),
    ("GET", "/api/v1/query/\u00e9"),
    ("GET", "/api/v1/query/%zz"),
    ("GET", "/api/v1/query#/../admin"),
    ("GET", "/api/v1/query/"),
    ("GET", "/open"),
    ("GET", "/open/"),
    ("GET", "/openly"),
    ("GET", "/api/v1/jobs"),
    ("POST", "/api/v1/jobs/7/logs"),
    ("DELETE", "/api/v1/jobs/7"),
    ("OPTIONS", "/whatever"),
    ("OPTIONS", "//whatever"),
    ("GET", "/docs/internal"),
    ("DELETE", "/docs/internal"),
    ("DELETE", "/docs"),
    ("TRACE", "/docs"),
]


@pytest.fixture
def callers(app: Flask, make: Factory) -> dict[str, tuple[Made, dict[str, str]]]:
    """Applications, with how the same caller is told to the tester by its roles."""
    held = {
        "nothing": ((), (), {}),
        "viewer": (("viewer",), (), {"roles": "viewer"}),
        "both": (("viewer", "researcher"), (), {"roles": "viewer, researcher"}),
        "vision": ((), ("vision",), {"roles": "researcher", "project": "vision"}),
        "speech": ((), ("speech",), {"roles": "researcher", "project": "speech"}),
        "boss": (("administrator",), (), {"roles": "administrator"}),
    }
    made = {}
    for name, (roles, projects, typed) in held.items():
        made[name] = (make.application(name, audience=[AUDIENCE], roles=roles, projects=projects), typed)
    return made


def test_the_page_answers_what_the_gateway_answers(
    app: Flask, ann: Surfer, callers: dict[str, tuple[Made, dict[str, str]]]
) -> None:
    proxy: FlaskClient = app.test_client(use_cookies=False)
    verdicts = set()
    for name, (made, typed) in callers.items():
        header = {"Authorization": f"Bearer {ask_token(proxy, made).json['access_token']}"}
        for number, (method, path) in enumerate(CALLS):
            answer = check(proxy, header, method, path)
            assert answer.status_code in {200, 403}
            said = tried(ann, method=method, path=path, **(typed if number % 2 else {"application": name}))
            assert passes(said) is (answer.status_code == 200), (name, method, path, said, answer.text)
            verdicts.add((name, answer.status_code))
    assert verdicts == {(name, status) for name in callers for status in (200, 403)}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"path": "/docs"}, "GET /docs passes A rule is open to everybody: the caller is not identified. Rule 6:"),
        ({"path": "/open"}, "This rule lets the caller through. Rule 3: GET /open For every caller who is identified."),
        (
            {"path": "/api/v1/jobs?x=1", "method": "post", "roles": "viewer researcher", "project": "vision"},
            "Rule 2: GET POST /api/v1/jobs For callers who hold one of these roles on the project vision or on the organisation: r",
        ),
        (
            {"path": "/api/v1/jobs/7", "method": "DELETE", "roles": "viewer"},
            "the caller holds none of the roles that they require. Rule 4: DELETE /api/v1/jobs/7 For callers who hold one of these",
        ),
        (
            {"path": "/api/v1/jobs/7", "method": "PUT", "roles": "administrator"},
            "refused There are rules for this path, but none for this method. Rule 2: GET POST /api/v1/jobs",
        ),
        ({"path": "/api/../docs"}, "refused The path is not a plain one."),
    ],
)
def test_it_says_which_rule_decides_and_what_is_missing(ann: Surfer, call: dict[str, str], said: str) -> None:
    assert said in tried(ann, **{"method": "GET"} | call)


def test_a_path_that_no_rule_covers_is_told_from_one_of_other_methods(ann: Surfer, make: Factory) -> None:
    make.do(lambda realm: set_api(realm, "metrics", audience=AUDIENCE, rules=RULES[:1]))
    assert "No rule covers this path." in tried(ann, method="GET", path="/elsewhere")
    assert "none for this method. Rule 1:" in tried(ann, method="OPTIONS", path="/api/v1/query")


def test_an_application_that_is_disabled_or_for_other_apis_is_told_of(
    app: Flask, ann: Surfer, callers: dict[str, tuple[Made, dict[str, str]]], make: Factory
) -> None:
    make.application("elsewhere", roles=("viewer",), audience=["https://other.example"])
    said = tried(ann, method="GET", path="/api/v1/query", application="elsewhere")
    assert passes(said)
    assert "are made for other APIs" in said
    made, _ = callers["viewer"]
    proxy = app.test_client(use_cookies=False)
    header = {"Authorization": f"Bearer {ask_token(proxy, made).json['access_token']}"}
    assert "are made for other APIs" not in tried(ann, method="GET", path="/api/v1/query", application="viewer")
    make.change(
        lambda realm, application: applications.update_application(
            realm, application, applications.ApplicationSheet.of(application).changed({"enabled": False})
        ),
        "viewer",
    )
    assert check(proxy, header).status_code == 401
    said = tried(ann, method="GET", path="/api/v1/query", application="viewer")
    assert not passes(said)
    assert "The application is disabled" in said
    assert check(proxy, header, uri="/docs").status_code == 200
    assert passes(tried(ann, method="GET", path="/docs", application="viewer"))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"path": ""}, "This field is required."),
        ({"path": "/x", "application": "missing"}, "There is no application with this name."),
        ({"path": "/x", "application": "one", "roles": "viewer"}, "Enter roles or an application, not both."),
        ({"path": "/x", "project": "vision"}, "Enter the roles that are held on this project."),
    ],
)
def test_what_cannot_be_tried_is_said_at_its_field(ann: Surfer, call: dict[str, str], said: str) -> None:
    text = ann.open(f"{PAGE}?{urlencode({'method': 'GET'} | call)}").text
    assert said in text
    assert 'id="trial"' not in text


def test_the_form_works_without_a_script_and_keeps_what_was_typed(ann: Surfer) -> None:
    ann.open(PAGE)
    assert 'id="trial"' not in ann.text
    form = ann.form("Try")
    assert (form.method, form.action) == ("get", f"{PAGE}#tester")
    typed = dict(form.values) | {"method": "GET", "path": "/api/v1/query/<b>", "roles": "viewer"}
    ann.open(f"{PAGE}?{urlencode(typed)}")
    assert 'value="/api/v1/query/&lt;b&gt;"' in ann.text
    assert "The path is not a plain one." in ann.text


def test_who_may_read_the_api_tries_it_and_does_not_learn_by_it_what_applications_hold(app: Flask, make: Factory) -> None:
    make.application("one", roles=("viewer",))
    for name, permissions in (
        ("reader", ["realm:read", "applications:read"]),
        ("whole", ["realm:read", "applications:read", "grants:read"]),
    ):
        make.do(
            lambda realm, name=name, permissions=permissions: access.create_role(
                realm, name, access.RoleSheet(permissions=permissions)
            )
        )
        make.user(f"{name}@example.test", roles=(name,))
    reader, whole = (Surfer(app).sign_in(f"{name}@example.test") for name in ("reader", "whole"))
    assert passes(tried(reader, method="GET", path="/api/v1/query", roles="viewer"))
    asked = {"method": "GET", "path": "/api/v1/query", "application": "one"}
    assert tried(reader, **asked) == ""
    assert "You are not allowed to see which roles applications hold." in reader.text
    assert passes(tried(whole, **asked))
