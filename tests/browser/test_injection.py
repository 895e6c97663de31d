"""Markup in every name and every reflected parameter: nothing of it is run, and the policy has nothing to stop (T96, T97)."""

import json
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page

from idp import access, apikeys, keys, realms, sessions, users
from tests.browser.conftest import Console
from tests.factories import set_realm
from tests.keysets.lending import lend_a_keyset

PAYLOADS: list[str] = json.loads((Path(__file__).parents[1] / "vectors" / "xss_payloads.json").read_text())
NAMED = PAYLOADS[0]


@pytest.fixture(scope="module")
def hostile(console: Console) -> Console:
    """A realm in which every text that somebody can choose is markup."""
    make = console.make
    make.user("ann@example.test", roles=("administrator",), first_name=NAMED[:100], last_name=PAYLOADS[1][:100])
    make.application(description=NAMED)

    def fill(realm: realms.Realm) -> None:
        set_realm(realm, display_name=NAMED)
        access.create_project(realm, "hostile", access.ProjectSheet(description=NAMED, display_name=NAMED))
        access.create_role(realm, "hostile", access.RoleSheet(description=NAMED))
        group = users.create_group(realm, "hostile", users.GroupSheet(description=NAMED, display_name=NAMED))
        user = users.get_user(realm, "ann@example.test")
        users.add_member(realm, group, user)
        key = apikeys.create_key(realm, users.holder_of(user), apikeys.ApiKeySheet(name=NAMED[:64], description=NAMED)).key
        apikeys.revoke_key(realm, key, NAMED)
        retired = next(each for each in keys.list_keys(realm) if each.algorithm == "ES256")
        keys.revoke_key(realm, retired.uid, NAMED)
        sessions.begin_session(realm, user, agent=NAMED)

    make.do(fill)
    lend_a_keyset(make, NAMED, NAMED)
    return console


def is_clean(console: Console, page: Page, where: str) -> None:
    assert page.evaluate("window.xss === undefined"), where
    assert (
        page.locator(
            "main img, main iframe, main svg:not(.pygal-chart):not(.icon), main script, main a[href^=javascript]"
        ).count()
        == 0
    ), where
    assert console.violations == [], where


@pytest.mark.spec("T97")
def test_markup_in_names_is_text(hostile: Console) -> None:
    page = hostile.sign_in(hostile.visitor())
    base = "/console/realms/acme"
    uid = hostile.make.do(lambda realm: users.get_user(realm, "ann@example.test").uid)
    pages = [
        "",
        "/applications",
        "/applications/ci-bot",
        *(f"/applications/ci-bot?tab={part}" for part in ("credentials", "access", "settings", "activity")),
        "/applications/ci-bot/delete",
        "/users",
        f"/users/{uid}",
        *(f"/users/{uid}?tab={part}" for part in ("credentials", "access", "settings", "activity")),
        f"/users/{uid}/delete",
        "/groups",
        "/groups/hostile",
        "/roles",
        "/roles/hostile",
        "/projects",
        "/projects/hostile",
        "/access",
        "/api-keys",
        "/keysets",
        "/sessions",
        "/signing-keys",
        "/audit",
        "/settings",
        "/access/give?holder=group:hostile",
    ]
    for path in pages:
        page.goto(base + path)
        is_clean(hostile, page, path)
    page.goto("/console/my/keys")
    page.click(f"a:has-text('{NAMED[:8]}')")
    is_clean(hostile, page, "a key")
    page.goto(f"{base}/leases")
    is_clean(hostile, page, "leases")
    page.get_by_role("link", name=NAMED).first.click()
    for act in ("", "/replace", "/delete"):
        page.goto(page.url + act)
        is_clean(hostile, page, f"a keyset{act}")
        page.go_back()
    page.goto("/console/my/keys")
    page.click(f"a:has-text('{NAMED[:8]}')")
    for act in ("delete",):
        page.goto(f"{page.url}/{act}")
        is_clean(hostile, page, act)


@pytest.mark.spec("T96")
def test_markup_in_parameters_is_text(hostile: Console) -> None:
    page = hostile.sign_in(hostile.visitor())
    stranger = hostile.visitor()
    base = "/console/realms/acme"
    always = {
        f"{base}/applications": ("search", "after", "done"),
        f"{base}/access": ("holder", "role", "project", "state"),
        f"{base}/audit": ("actor", "target", "tag"),
    }
    now_and_then = {
        f"{base}/users": ("search", "after"),
        f"{base}/projects": ("search", "after"),
        f"{base}/access/give": ("holder", "role", "project"),
        f"{base}/audit?": ("since", "until"),
        f"{base}/api-keys/new": ("owner",),
        base: ("span", "done"),
        f"{base}/sessions": ("user",),
        f"{base}/keysets": ("search", "after"),
        f"{base}/leases": ("search", "after", "over"),
        f"{base}/new-keyset": ("kind",),
        f"{base}/find": ("q",),
        f"{base}/applications?": ("role", "project", "columns", "sort", "before", "from"),
        "/console/": ("x",),
    }
    for number, payload in enumerate(PAYLOADS):
        # each payload on one of the pages that take most, and every fifth on all: what escapes them is the same everywhere
        often = dict([list(always.items())[number % len(always)]])
        for path, names in (always | now_and_then if number % 5 == 0 else often).items():
            page.goto(f"{path.rstrip('?')}?{urlencode(dict.fromkeys(names, payload))}")
            is_clean(hostile, page, f"{path} {payload}")
        stranger.goto(f"/console/sign-in?{urlencode({'organisation': payload, 'next': payload, 'done': payload})}")
        is_clean(hostile, stranger, f"sign-in {payload}")


@pytest.mark.spec("T96")
@pytest.mark.parametrize("place", ["path", "form"])
def test_markup_in_paths_and_forms_is_text(hostile: Console, place: str) -> None:
    from urllib.parse import quote

    page = hostile.sign_in(hostile.visitor())
    for payload in PAYLOADS[::4]:
        if place == "path":
            for path in ("applications", "users", "groups", "roles", "projects", "api-keys", "keysets", "leases"):
                page.goto(f"/console/realms/acme/{path}/{quote(payload, safe='')}")
                is_clean(hostile, page, f"{path} {payload}")
            page.goto(f"/console/realms/{quote(payload, safe='')}")
            is_clean(hostile, page, f"realm {payload}")
        else:
            page.goto("/console/realms/acme/new-application")
            for group in ("Projects", "Audience"):
                page.locator("summary", has_text=group).click()
            for field in ("name", "description", "audience", "projects-0-project"):
                page.fill(f"#{field}", payload)
            page.click("button:has-text('Create')")
            page.wait_for_selector("#problem")
            is_clean(hostile, page, f"form {payload}")


@pytest.mark.spec("T96")
def test_the_policy_would_stop_what_got_through(hostile: Console) -> None:
    page = hostile.visitor()
    page.goto("/console/sign-in")
    page.evaluate(
        "() => { const script = document.createElement('script'); script.textContent = 'window.xss = 1'; document.body.append(script); }"
    )
    page.evaluate("() => { document.body.innerHTML += '<img src=x onerror=\"window.xss = 1\">'; }")
    page.wait_for_function("() => true")
    assert page.evaluate("window.xss === undefined")
    assert any("script-src" in violation for violation in hostile.violations)
    hostile.violations.clear()


def test_there_are_forty_payloads() -> None:
    assert len(set(PAYLOADS)) >= 40
