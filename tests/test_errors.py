"""Every error at every edge: status, code, sentence and what to do, as the clients of each have them.

`ERRORS=write pytest tests/test_errors.py` writes tests/vectors/errors.json anew; look at what has changed in it.
"""

import ast
import html
import importlib
import inspect
import json
import os
import pkgutil
import re
import string
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import click
import pytest
from click.testing import CliRunner
from flask import Flask, Response
from werkzeug.datastructures import MultiDict
from werkzeug.test import EnvironBuilder

import idp
from idp import (
    access,
    apikeys,
    applications,
    cli,
    keys,
    keysets,
    personal_tokens,
    protected_apis,
    realms,
    rules,
    sessions,
    users,
)
from idp.app import close_app, create_app
from idp.callers import Caller, CredentialKind
from idp.console.forms import Form, LinesField, PageWords, text
from idp.db import db
from idp.errors import IdpError, InvalidMembersError, Kind, Sentence, Term, Words
from idp.federation import Examination
from idp.gateway.check import refuse
from idp.keysets import KeysetSheet, Values
from idp.mail import check_address
from idp.ratelimit import Rate
from idp.realms import Realm, get_realm, known_realm
from idp.rules import Authority
from idp.runtime import current
from idp.settings import Settings
from idp.sheets import Sheet
from idp.web.edges import answer_in_place
from idp.web.errors import ANSWERS
from tests.conftest import copy_template
from tests.factories import set_api, set_realm
from tests.serving import PROJECT

VECTORS = PROJECT / "tests" / "vectors" / "errors.json"
PINNED = json.loads(VECTORS.read_text()) if VECTORS.exists() else {}
"""What each edge says, by error and edge."""


def every_class() -> list[type[IdpError]]:
    """Return every class of errors there is."""
    for module in pkgutil.walk_packages(idp.__path__, "idp."):
        if not module.name.startswith(("idp.migrations.versions", "idp.migrations.env", "idp.__main__", "idp.verifier.")):
            importlib.import_module(module.name)
    found, left = [IdpError], [IdpError]
    while left:
        below = left.pop().__subclasses__()
        found += [each for each in below if each not in found]
        left += below
    return sorted((each for each in found if each.__module__.startswith("idp.")), key=lambda each: each.__name__)


MAKE: dict[str, Callable[[type], IdpError]] = {
    "AssertionRefusedError": lambda kind: kind(Examination("No rule matches.")),
    "InvalidMembersError": lambda kind: kind([("max_lease_seconds", "Use 1 to 5 seconds"), ("name", "Use one line")]),
    "KeyExpiredError": lambda kind: kind(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
    "KeysetDamagedError": lambda kind: kind("db", "0d3c"),
    "RateExceededError": lambda kind: kind(Rate("tokens", 5, 10), 2.5),
    "StorageFullError": lambda kind: kind(),
    "StorageUnavailableError": lambda kind: kind(cause="it is out of memory"),
    "TextFileError": lambda kind: kind("acme.toml", "is gone", line=3),
    "TokenLimitError": lambda kind: kind("The limit is reached.").leading_to("delete personal tokens"),
    "TooManyAttemptsError": lambda kind: kind(7),
    "TooManyLeasesError": lambda kind: kind(5),
}
"""How errors are made that do not take one sentence."""


def made(kind: type[IdpError]) -> IdpError:
    if kind.__name__ in MAKE:
        return MAKE[kind.__name__](kind)
    sentenceless = kind.__init__ is not IdpError.__init__ and len(inspect.signature(kind).parameters) == 0
    return kind() if sentenceless else kind("The thing is not so.")


def sheet(kind: type[Sheet], **fields: object) -> Any:
    """Return a sheet as edges read one."""
    return kind.read(fields)


REFUSALS: dict[str, Callable[[Realm], object]] = {
    "no realm": lambda realm: realms.get_realm("nope"),
    "no user": lambda realm: users.get_user(realm, "nobody"),
    "no group": lambda realm: users.get_group(realm, "nobody"),
    "no application": lambda realm: applications.get_application(realm, "nothing"),
    "no role": lambda realm: access.get_role(realm, "nothing"),
    "no project": lambda realm: access.get_project(realm, "nothing"),
    "no key": lambda realm: keys.revoke_key(realm, "nothing", "lost"),
    "no protected API": lambda realm: protected_apis.get_api(realm, "nothing"),
    "no session": lambda realm: sessions.get_session(realm, "nothing"),
    "no API key": lambda realm: apikeys.get_key(realm, "nothing"),
    "role taken": lambda realm: access.create_role(realm, "researcher"),
    "project taken": lambda realm: access.create_project(realm, "vision"),
    "realm taken": lambda realm: realms.create_realm("acme"),
    "name of realm": lambda realm: realms.create_realm("Acme Corp"),
    "master disabled": lambda realm: set_realm(get_realm("master"), enabled=False),
    "master deleted": lambda realm: realms.delete_realm(get_realm("master")),
    "realm restored": realms.restore_realm,
    "audit days": lambda realm: set_realm(realm, audit_days=5),
    "key rotation days": lambda realm: set_realm(realm, key_rotation_days=-1),
    "session hours": lambda realm: set_realm(realm, session_hours=0),
    "realm's display name": lambda realm: set_realm(realm, display_name="a\nb"),
    "algorithm": lambda realm: set_realm(realm, signing_algorithm="none"),
    "type of access tokens": lambda realm: set_realm(realm, access_token_type="none"),
    "name of application": lambda realm: applications.create_application(realm, "Ci Bot"),
    "description of application": lambda realm: applications.create_application(
        realm, "bot", sheet(applications.ApplicationSheet, description="a\nb")
    ),
    "rate": lambda realm: applications.create_application(realm, "bot", sheet(applications.ApplicationSheet, rate_per_second=0)),
    "audience": lambda realm: applications.create_application(
        realm, "bot", sheet(applications.ApplicationSheet, audience=["a b"])
    ),
    "audience's URL": lambda realm: applications.create_application(
        realm, "bot", sheet(applications.ApplicationSheet, audience=["https://"])
    ),
    "resources": lambda realm: applications.create_application(
        realm, "bot", sheet(applications.ApplicationSheet, resources=["a"] * 2)
    ),
    "web origins": lambda realm: applications.create_application(
        realm, "bot", sheet(applications.ApplicationSheet, web_origins=["http://a/b"])
    ),
    "web origins, too many": lambda realm: applications.create_application(
        realm, "bot", sheet(applications.ApplicationSheet, web_origins=["http://a.example"] * 2)
    ),
    "public keys": lambda realm: applications.create_application(realm, "bot", sheet(applications.ApplicationSheet, jwks={})),
    "public key": lambda realm: applications.create_application(
        realm, "bot", sheet(applications.ApplicationSheet, jwks={"keys": [{"kty": "oct", "k": "x"}]})
    ),
    "audience of an API": lambda realm: set_api(realm, "docs", audience="a b", rules=[]),
    "issuer as audience": lambda realm: set_api(realm, "docs", audience=known(realm).issuer, rules=[]),
    "methods of a rule": lambda realm: set_api(realm, "docs", audience="a", rules=[{"methods": ["X"], "path": "/"}]),
    "category of a keyset": lambda realm: keysets.key_types("x", "y"),
    "lease": lambda realm: kept(realm, max_lease_seconds=0),
    "name of keyset": lambda realm: kept(realm, name=" "),
    "values of keyset": lambda realm: kept(realm, values=[("x", "y")]),
    "description of keyset": lambda realm: kept(realm, description="a\nb"),
    "mail address": lambda realm: check_address("ann"),
    "user's API keys": lambda realm: users.create_user(
        realm, "bob@example.test", users.UserKind.PERSON, sheet(users.UserSheet, api_key_hours=0)
    ),
    "user's first name": lambda realm: users.create_user(
        realm, "bob@example.test", users.UserKind.PERSON, sheet(users.UserSheet, first_name="a\nb")
    ),
    "permission": lambda realm: access.create_role(realm, "new", sheet(access.RoleSheet, permissions=["x:y"])),
    "group's description": lambda realm: users.create_group(realm, "new", sheet(users.GroupSheet, description="a\nb")),
    "life of a token, fixed": lambda realm: personal_tokens.create_personal_token(known(realm), None, seconds=5),
    "life of a token": lambda realm: personal_tokens.create_personal_token(
        replace(known(realm), personal_token_choice=True), None, seconds=5
    ),
    "nobody's key": lambda realm: rules.api_keys.create(
        Authority(nobody(get_realm("master")), realm), None, rules.api_keys.NewApiKey()
    ),
    "denied on realm": lambda realm: Authority(nobody(realm), realm).require("users:write"),
    "denied on project": lambda realm: Authority(nobody(realm), realm).require("users:write", "vision"),
}
"""What domains refuse, by themselves."""

KIND = ("vcs", "github")


def kept(realm: Realm, values: Values = (("token", "x"),), **fields: object) -> keysets.Keyset:
    return keysets.create_keyset(realm, *KIND, KeysetSheet.read({"name": "k"} | fields), values)


def known(realm: Realm):  # type: ignore[no-untyped-def]
    return known_realm(current(), realm.name)


def nobody(realm: Realm) -> Caller:
    return Caller(known(realm), None, (), CredentialKind.API_KEY, "x", 0.0, "127.0.0.1")  # type: ignore[arg-type]


def refusal(realm: Realm, act: Callable[[Realm], object]) -> IdpError:
    with pytest.raises(IdpError) as found:
        act(realm)
    db.session.rollback()
    return found.value


# -- the edges ---------------------------------------------------------------------------------------------------------


def rendered(response: Response) -> str:
    body = response.get_data(as_text=True)
    if response.mimetype == "text/html":
        body = html.unescape(" | ".join(re.findall(r'(?:<h1[^>]*>|role="alert">)(.*?)</(?:h1|div)>', body, re.DOTALL)))
    else:
        body = json.dumps(json.loads(body), sort_keys=True)
    headers = [f"{name}: {response.headers[name]}" for name in ("WWW-Authenticate", "Retry-After") if name in response.headers]
    return " | ".join([str(response.status_code), *headers, masked(body)])


def masked(text: str) -> str:
    return re.sub(r"\b(?:[0-9a-f]{16}|[0-9a-f]{12})\b", "REF", text)


def at(path: str, **environ: object) -> Callable[[Flask, IdpError], str]:
    def render(app: Flask, error: IdpError) -> str:
        return rendered(answer_in_place(app, EnvironBuilder(path=path, **environ).get_environ(), error))  # type: ignore[arg-type]

    return render


def at_gateway(app: Flask, error: IdpError) -> str:
    with app.app_context():
        return rendered(refuse(error, "acme"))


class EveryForm(Form):
    """A form with a field for much of what domains check."""

    name = text("Name")
    display_name = text("Display name")
    description = text("What it is for")
    audience = LinesField("Audiences")
    resources = LinesField("Resources")
    web_origins = LinesField("Origins of its pages")
    jwks = text("Public keys")
    signing_algorithm = text("Signature algorithm")
    rate_per_second = text("Tokens per second")
    audit_days = text("Days for which the audit trail keeps uses")
    session_hours = text("Longest session, in hours")
    max_lease_seconds = text("Longest lease, in seconds")
    first_name = text("First name")


def at_form(app: Flask, error: IdpError) -> str:
    def act() -> None:
        raise error

    with app.test_request_context("/console/realms/acme/settings", method="POST"):
        form = EveryForm(MultiDict())
        assert not form.do(act)
        marked = [f"{name}: {' '.join(each.errors)}" for name, each in form._fields.items() if each.errors]
        headers = [f"{name}: {value}" for name, value in form.headers.items()]
        return " | ".join([str(form.status), *headers, form.problem, *marked])


def at_command_line(app: Flask, error: IdpError) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(cli._COMMANDS, "fail", f"{__name__}:failing")
        patch.setattr(f"{__name__}.raised", [error])
        result = CliRunner().invoke(cli.main, ["fail"])
    return masked(f"{result.exit_code} | {result.output.strip()}")


raised: list[IdpError] = []


@click.command("fail")
def failing() -> None:
    raise raised[0]


EDGES: dict[str, Callable[[Flask, IdpError], str]] = {
    "api": at("/v1/users"),
    "compat ionos": at("/cloudapi/v6/um/users"),
    "compat nks": at("/orgs/1/keysets"),
    "compat rafay": at("/auth/v1/users/-/current/"),
    "compat rafay sign-up": at("/auth/v1/signup/"),
    "compat runai": at("/api/v1/users"),
    "compat runai token": at("/api/v1/token"),
    "console page": at("/console/realms/acme"),
    "console form": at_form,
    "gateway": at_gateway,
    "protocol": at("/auth/realms/acme/protocol/openid-connect/token"),
    "command line": at_command_line,
}


# -- the tests ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def edges(template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:  # type: ignore[no-untyped-def]
    data_dir = tmp_path_factory.mktemp("errors") / "data"
    copy_template(template, data_dir)
    app = create_app(Settings.load(data_dir=data_dir, public_url="http://localhost:8080"))
    yield app
    close_app(app)


def compare(app: Flask, name: str, error: IdpError) -> None:
    said = {edge: render(app, error) for edge, render in EDGES.items()}
    if os.environ.get("ERRORS") == "write":
        PINNED[name] = said
    assert said == PINNED.get(name)


@pytest.mark.parametrize("kind", every_class(), ids=lambda kind: kind.__name__)
def test_every_class_of_errors_is_rendered_at_every_edge(edges: Flask, kind: type[IdpError]) -> None:
    compare(edges, kind.__name__, made(kind))


@pytest.mark.parametrize("act", REFUSALS)
def test_what_a_domain_refuses_is_said_in_the_words_of_every_edge(edges: Flask, act: str) -> None:
    with edges.app_context():
        error = refusal(get_realm("acme"), REFUSALS[act])
    compare(edges, act, error)


EXPECTED = {kind.__name__ for kind in every_class()} | set(REFUSALS)


def test_nothing_is_pinned_that_is_not_there() -> None:
    assert set(PINNED) <= EXPECTED


@pytest.fixture(scope="module", autouse=True)
def _written() -> Iterator[None]:
    yield
    if os.environ.get("ERRORS") == "write":
        VECTORS.write_text(
            json.dumps({name: PINNED[name] for name in PINNED if name in EXPECTED}, indent=1, sort_keys=True, ensure_ascii=False)
            + "\n"
        )


# -- how domains write -------------------------------------------------------------------------------------------------

EDGES_AND_ABOVE = {
    "api",
    "cli",
    "compat",
    "console",
    "copying",
    "gateway",
    "manifest",
    "migrations",
    "oauth",
    "protocol",
    "server",
    "settings",
    "setup.py",
}
"""What has words of its own."""
GAPS = {"realm", "Realm", "a_realm", "field"}


def functions_of_domains() -> Iterator[tuple[str, ast.AST]]:
    for path in sorted((PROJECT / "idp").rglob("*.py")):
        place = path.relative_to(PROJECT / "idp")
        if place.parts[0] not in EDGES_AND_ABOVE:
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef):
                    yield f"{place}:{node.lineno}", node


def calls(function: ast.AST, named: Callable[[str], bool]) -> Iterator[ast.Call]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and named(node.func.id):
            yield node


def value(function: ast.AST, given: ast.expr) -> ast.expr:
    """Return an argument, or what the name that it is was given last."""
    if not isinstance(given, ast.Name):
        return given
    before = [node for node in ast.walk(function) if isinstance(node, ast.Assign) and node.lineno < given.lineno]
    to_it = [node for node in before if [getattr(each, "id", "") for each in node.targets] == [given.id]]
    return max(to_it, key=lambda node: node.lineno).value if to_it else given


def test_what_comes_from_outside_is_never_a_part_of_a_template() -> None:
    seen = 0
    for place, function in functions_of_domains():
        for call in calls(function, "Sentence".__eq__):
            values = {str(each.arg) for each in call.keywords}
            template = value(function, call.args[0])
            assert isinstance(template, ast.Constant), f"{place}: the template of a Sentence is a constant; give it values"
            gaps = {name for _, name, _, _ in string.Formatter().parse(str(template.value)) if name is not None}
            assert values - {"realm"} <= gaps <= values | GAPS, place
            assert "realm" not in values or gaps & {"realm", "Realm"}, place
            seen += 1
    assert seen > 40


def test_no_domain_says_by_itself_what_a_realm_is_called() -> None:
    for place, function in functions_of_domains():
        for call in calls(function, lambda name: name.endswith("Error") or name == "Sentence"):
            given = [call, *(value(function, each) for each in call.args)]
            for said in (node.value for each in given for node in ast.walk(each) if isinstance(node, ast.Constant)):
                assert not re.search(r"(?<!\{)(?<!\{a_)\b[Rr]ealms?\b(?!\})", str(said)), f"{place}: {said}"


@pytest.mark.parametrize("name", ["{realm}", "{0.__class__}", "{field!r}", "{", "}", "%s", "{name}"])
def test_what_comes_from_outside_fills_no_gap(name: str) -> None:
    error = IdpError(
        Sentence("{Realm} has no {what} {name}.", realm=name, what=Sentence("kind of {a_realm}"), name=name), field=name
    )
    assert str(error) == f"Realm {name!r} has no kind of a realm {name}."
    assert error.said(PageWords()) == f"Organisation {name} has no kind of an organisation {name}."
    assert str(IdpError(f"There is no {name}.")) == f"There is no {name}."


def test_word_of_the_code_is_said_in_the_language_of_the_edge_and_has_no_gap() -> None:
    class _Shouting(Words):
        def translated(self, english: str) -> str:
            return english.upper() if english == "expired" else english

    for word, said in (("expired", "EXPIRED"), ("{realm}", "{realm}")):
        error = IdpError(Sentence("It is {state}.", state=Term(word)))
        assert (str(error), error.said(_Shouting())) == (f"It is {word}.", f"It is {said}.")


def test_a_form_shows_each_problem_at_its_field(edges: Flask) -> None:
    error = InvalidMembersError([("max_lease_seconds", "Use 1 to 5 seconds"), ("audience.1", "Use a URL."), ("unheard_of", "No")])
    assert at_form(edges, error) == (
        "400 | Longest lease, in seconds: Use 1 to 5 seconds; Audiences: Use a URL; unheard_of: No."
        " | audience: Use a URL. | max_lease_seconds: Use 1 to 5 seconds."
    )


def test_a_new_class_of_errors_is_told_to_no_edge(edges: Flask) -> None:
    class EclipsedError(IdpError):
        """Unknown to every edge."""

        kind, code, retry_after = Kind.UNAVAILABLE, "Eclipsed", 60

    said = {edge: render(edges, EclipsedError("The moon is before the sun.")) for edge, render in EDGES.items()}
    assert {
        edge: text.split(" | ")[:2] for edge, text in said.items() if edge not in {"gateway", "protocol", "command line"}
    } == {edge: ["503", "Retry-After: 60"] for edge in EDGES if edge not in {"gateway", "protocol", "command line"}}
    assert '"code": "Eclipsed"' in said["api"]
    assert said["gateway"].startswith("503 | Retry-After: ")
    assert said["protocol"].startswith("503 | Retry-After: ")


def test_every_kind_has_an_answer() -> None:
    assert set(ANSWERS) == set(Kind)
