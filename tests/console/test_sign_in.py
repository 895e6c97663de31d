"""Coming in, staying, leaving."""

import re
from datetime import timedelta

import pytest
from flask import Flask

from idp import applications, audit, clock, realms, sessions, users
from idp.app import close_app, create_app
from idp.db import commit
from idp.settings import Settings
from idp.users import LinkPurpose
from tests.console.surfing import Surfer
from tests.factories import PASSWORD, Factory, at_once, set_user

NEW = "another long password"


def cookies(surfer: Surfer) -> dict[str, str]:
    return {key[2]: cookie.value for key, cookie in surfer.client._cookies.items()}


def take_cookies(surfer: Surfer, values: dict[str, str]) -> None:
    for name, value in values.items():
        surfer.client.set_cookie(name, value)


def first_secret(make: Factory) -> str:
    def new(realm: realms.Realm) -> str:
        application = applications.get_application(realm, "administrator")
        return applications.add_secret(realm, application, "again", applications.SecretSheet(single_use=True))[1]

    plain: str = make.do(new, realm="master")
    return plain


def test_signing_in_leads_to_where_one_wanted_to_be(app: Flask, make: Factory) -> None:
    make.user(roles=("administrator",))
    surfer = Surfer(app).open("/console/realms/acme/audit?actor=system")
    assert surfer.url == "/console/sign-in"
    surfer.send("Sign in", {"name": "ann@example.test", "organisation": "acme", "password": PASSWORD})
    assert surfer.page.request.full_path == "/console/realms/acme/audit?actor=system"


@pytest.mark.spec("T96")
@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/console/../evil",
        "/console/\r\nX: y",
        "/v1/users",
        "javascript:1",
    ],
)
def test_signing_in_leads_to_no_other_place(app: Flask, make: Factory, wanted: str) -> None:
    make.user()
    surfer = Surfer(app)
    surfer.page = surfer.client.get("/console/sign-in", query_string={"next": wanted})
    surfer.send("Sign in", {"name": "ann@example.test", "organisation": "acme", "password": PASSWORD}, follow=False)
    assert surfer.page.status_code == 303
    location = surfer.page.headers["Location"]
    assert location == "/console/" or (
        location.startswith("/console/") and "evil" not in location.replace("/console/../evil", "")
    )


@pytest.mark.spec("T85", "R110")
def test_wrong_password_and_unknown_user_look_alike(app: Flask, make: Factory) -> None:
    make.user()
    pages = []
    for name in ("ann@example.test", "nobody@example.test"):
        surfer = (
            Surfer(app).open("/console/sign-in").send("Sign in", {"name": name, "organisation": "acme", "password": "wrong one"})
        )
        assert surfer.status == 401
        assert "wrong one" not in surfer.text
        pages.append(re.sub(r'name="(?:form|kept)" value="[^"]*"|datetime="[^"]*"', "", surfer.text.replace(name, "NAME")))
    assert pages[0] == pages[1]


@pytest.mark.spec("T81", "R109")
def test_console_and_api_count_failures_together(app: Flask, make: Factory) -> None:
    make.user()
    surfer = Surfer(app)
    client = app.test_client(use_cookies=False)
    client.environ_base["REMOTE_ADDR"] = surfer.client.environ_base["REMOTE_ADDR"]
    for _ in range(5):
        surfer.open("/console/sign-in").send("Sign in", {"name": "ann@example.test", "organisation": "acme", "password": "wrong"})
        client.post("/v1/auth/authenticate", json={"emailId": "ann@example.test", "password": "wrong", "org": "acme"})
    surfer.open("/console/sign-in").send("Sign in", {"name": "ann@example.test", "organisation": "acme", "password": PASSWORD})
    assert surfer.status == 429
    assert surfer.page.headers["Retry-After"]


@pytest.mark.spec("T89", "R113")
def test_a_sign_in_begins_a_session_that_no_other_browser_had_a_part_in(app: Flask, make: Factory) -> None:
    make.user(roles=("administrator",))
    thief = Surfer(app).open("/console/sign-in")
    planted = cookies(thief)
    victim = Surfer(app)
    take_cookies(victim, planted | {"realmgate-session": "planted"})
    victim.sign_in()
    after = cookies(victim)
    assert after["realmgate-session"] != "planted"
    assert "realmgate-visitor" not in after
    take_cookies(thief, planted)
    assert thief.open("/console/my/keys").url == "/console/sign-in"


def test_form_tokens_are_of_one_session_only(app: Flask, ann: Surfer, make: Factory) -> None:
    make.user("bob@example.test", roles=("administrator",))
    bob = Surfer(app).sign_in("bob@example.test")
    token = dict(bob.open("/console/my/keys/new").form("Create").values)["form"]
    ann.open("/console/my/keys/new").send("Create", {"name": "mine", "form": token, "kept": ""})
    assert ann.status == 403
    assert "This form has expired" in ann.text
    ann.open("/console/my/keys/new").send("Create", {"name": "mine", "form": token})
    assert "This form had expired, so nothing was saved" in ann.text
    assert "mine" not in ann.open("/console/my/keys").text


@pytest.mark.spec("R114", "T90")
def test_signing_out_ends_the_session_everywhere(app: Flask, ann: Surfer) -> None:
    kept = cookies(ann)
    ann.send("Sign out")
    assert "You have signed out" in ann.text
    again = Surfer(app)
    take_cookies(again, kept)
    assert again.open("/console/my/keys").url == "/console/sign-in"


@pytest.mark.spec("R114")
def test_signing_out_everywhere_ends_other_browsers_too(app: Flask, ann: Surfer, make: Factory) -> None:
    other = Surfer(app).sign_in()
    ann.open("/console/my/sessions").send("Sign out everywhere, including here")
    make.forget()
    assert other.open("/console/my/keys").url == "/console/sign-in"


@pytest.mark.spec("R107", "T89")
def test_changing_the_password_ends_other_sessions_and_renews_this_one(app: Flask, ann: Surfer, make: Factory) -> None:
    other, before = Surfer(app).sign_in(), cookies(ann)["realmgate-session"]
    ann.open("/console/my/password").send("Change my password", {"current": "wrong", "new": NEW})
    assert ann.status == 401
    ann.open("/console/my/password").send("Change my password", {"current": PASSWORD, "new": "password"})
    assert ann.status == 400
    ann.open("/console/my/password").send("Change my password", {"current": PASSWORD, "new": NEW})
    assert "Your password has been changed" in ann.text
    assert cookies(ann)["realmgate-session"] != before
    make.forget()
    assert other.open("/console/my/keys").url == "/console/sign-in"
    Surfer(app).sign_in(password=NEW)


@pytest.mark.spec("R113")
def test_a_session_lasts_while_it_is_used_and_no_longer_than_its_limit(app: Flask, make: Factory, frozen_clock) -> None:  # type: ignore[no-untyped-def]
    make.user(roles=("administrator",))
    surfer = Surfer(app).sign_in()
    for _ in range(12 * 6 - 1):
        frozen_clock.advance(minutes=10)
        assert surfer.open("/console/my/keys").url == "/console/my/keys"
    frozen_clock.advance(minutes=11)
    assert surfer.open("/console/my/keys").url == "/console/sign-in"
    surfer.sign_in()
    frozen_clock.advance(seconds=901)
    assert surfer.open("/console/my/keys").url == "/console/sign-in"


def test_what_a_page_asks_for_by_itself_keeps_no_session_alive(app: Flask, make: Factory, frozen_clock) -> None:  # type: ignore[no-untyped-def]
    make.user(roles=("administrator",))
    surfer = Surfer(app).sign_in()
    for _ in range(2):
        frozen_clock.advance(minutes=7)
        assert surfer.open("/console/realms/acme/audit?part=1", headers={"X-Realmgate-Poll": "1"}).status == 200
    frozen_clock.advance(minutes=2)
    assert surfer.open("/console/my/keys").url == "/console/sign-in"


def test_who_says_that_they_are_still_there_stays(app: Flask, make: Factory, frozen_clock) -> None:  # type: ignore[no-untyped-def]
    make.user()
    surfer = Surfer(app).sign_in()
    frozen_clock.advance(minutes=13)
    assert "still signed in" in surfer.open("/console/stay").text
    frozen_clock.advance(minutes=13)
    assert surfer.open("/console/my/keys").url == "/console/my/keys"


def test_an_old_cookie_is_no_replay_when_the_answer_with_the_new_one_was_lost(
    app: Flask, ann: Surfer, make: Factory, frozen_clock
) -> None:  # type: ignore[no-untyped-def]
    kept = cookies(ann)
    frozen_clock.advance(seconds=200)
    ann.open("/console/my/keys")
    assert cookies(ann)["realmgate-session"] != kept["realmgate-session"]
    frozen_clock.advance(seconds=60)
    slow = Surfer(app)
    take_cookies(slow, kept)
    assert slow.open("/console/my/keys").url == "/console/my/keys"
    assert ann.open("/console/my/keys").url == "/console/my/keys"


@pytest.mark.spec("R114", "T91")
@pytest.mark.parametrize("how", ["disabled", "realm deactivated", "ended by an administrator", "deleted"])
def test_a_session_dies_with_what_it_stands_on(app: Flask, ann: Surfer, make: Factory, how: str) -> None:
    def act(realm: realms.Realm) -> None:
        user = users.get_user(realm, "ann@example.test")
        match how:
            case "disabled":
                set_user(realm, user, enabled=False)
            case "realm deactivated":
                realms.deactivate_realm(realm)
            case "ended by an administrator":
                ((row, _),) = sessions.list_sessions(realm)
                sessions.end_session(realm, row)
            case "deleted":
                users.delete_user(realm, user)

    make.do(act)
    assert ann.open("/console/my/keys").url == "/console/sign-in"


def test_a_role_that_is_given_or_taken_counts_at_the_next_page(ann: Surfer, make: Factory) -> None:
    from idp import access

    assert ann.open("/console/realms/acme/audit").status == 200
    make.do(lambda realm: access.remove_grant(realm, users.holder_of(users.get_user(realm, "ann@example.test")), "administrator"))
    assert ann.open("/console/realms/acme/audit").status == 403


@pytest.mark.spec("R108", "T61")
def test_the_one_time_secret_makes_one_administrator(app: Flask, make: Factory) -> None:
    plain = first_secret(make)
    form = {"secret": plain, "name": "root@example.test", "password": "short"}
    surfer = Surfer(app).open("/console/first-start").send("Create my account", form)
    assert surfer.status == 400
    assert plain not in surfer.text
    other = Surfer(app).open("/console/first-start")
    held = dict(surfer.form("Create my account").values)["pasted"]
    other.send("Create my account", {"pasted": held, "name": "eve@example.test", "password": NEW})
    assert other.status == 400, "it is kept for the browser that knew it"
    surfer.send("Create my account", {"password": NEW})
    assert surfer.url == "/console/organisations", "it need not be pasted again"
    surfer.open("/console/realms/acme/applications")
    assert surfer.status == 200
    again = Surfer(app).open("/console/first-start")
    again.send("Create my account", form | {"name": "eve@example.test", "password": NEW})
    assert again.status == 401
    with app.app_context():
        events = audit.list_events("master", tag="client:secret:use-up")
        assert [event.detail["made"] for event in events] == ["root@example.test"]


@pytest.mark.spec("T61")
def test_of_many_who_use_the_one_time_secret_at_once_one_gets_in(app: Flask, make: Factory) -> None:
    plain = first_secret(make)
    surfers = list(enumerate(Surfer(app).open("/console/first-start") for _ in range(6)))

    def claim() -> str:
        number, surfer = surfers.pop()
        form = {"secret": plain, "name": f"root{number}@example.test", "password": NEW}
        return surfer.send("Create my account", form).url

    assert at_once(6, claim).count("/console/organisations") == 1
    with app.app_context():
        made = [user.name for user in users.list_users(realms.get_realm("master")) if user.name.startswith("root")]
        assert len(made) == 1


def test_the_secret_of_an_application_that_is_no_administrator_makes_none(app: Flask, make: Factory) -> None:
    from idp import access

    plain = first_secret(make)
    make.do(
        lambda realm: access.remove_grant(
            realm, applications.holder_of(applications.get_application(realm, "administrator")), "administrator"
        ),
        realm="master",
    )
    form = {"secret": plain, "name": "eve@example.test", "password": NEW}
    assert Surfer(app).open("/console/first-start").send("Create my account", form).status == 401


def test_guesses_of_the_one_time_secret_are_limited_and_the_right_one_works(app: Flask, make: Factory) -> None:
    surfer = Surfer(app)
    form = {"secret": "idp_cs_guess", "name": "eve@example.test", "password": NEW}
    for _ in range(20):
        assert surfer.open("/console/first-start").send("Create my account", form).status == 401
    assert surfer.open("/console/first-start").send("Create my account", form).status == 429
    surfer.open("/console/first-start").send(
        "Create my account", form | {"secret": first_secret(make), "name": "root@example.test"}
    )
    assert surfer.url == "/console/organisations"


@pytest.mark.parametrize("purpose", [LinkPurpose.INVITATION, LinkPurpose.RESET])
def test_links_choose_a_password_once(app: Flask, make: Factory, purpose: LinkPurpose) -> None:
    make.user(password=purpose is LinkPurpose.RESET)
    code = make.do(lambda realm: users.send_link(realm, users.get_user(realm, "ann@example.test"), purpose))
    url = f"/console/{purpose.value}/{code}"
    surfer = Surfer(app).open(url)
    assert surfer.open(url).status == 200, "looking does not use it up"
    surfer.send("Set my password", {"password": "12345678"})
    assert surfer.status == 400
    surfer.send("Set my password", {"password": NEW})
    assert "Your password has been set" in surfer.text
    surfer.send("Sign in", {"name": "ann@example.test", "organisation": "acme", "password": NEW})
    assert surfer.status == 200
    again = Surfer(app).open(url)
    assert again.status == 401
    assert "This one-time code is not valid" in again.text


@pytest.mark.spec("T85")
def test_asking_for_a_reset_tells_nothing(app: Flask, make: Factory) -> None:
    make.user()
    pages = []
    for name in ("ann@example.test", "nobody@example.test"):
        surfer = Surfer(app).open("/console/forgotten").send("Send me a link", {"name": name})
        pages.append((surfer.status, re.sub(r'datetime="[^"]*"', "", surfer.text)))
    assert pages[0] == pages[1]
    assert pages[0][0] == 200
    with app.app_context(), audit.acting_as(audit.SYSTEM):
        assert users.answer_reset_requests() == 2
        commit()


@pytest.mark.spec("R122")
def test_cookies_are_locked_to_the_host_over_https(settings, make: Factory, app: Flask) -> None:  # type: ignore[no-untyped-def]
    make.user()
    from idp.app import close_app, create_app

    secure = create_app(settings.model_copy(update={"public_url": "https://id.example"}))
    surfer = Surfer(secure)
    page = surfer.client.get("/console/sign-in", base_url="https://id.example")
    (cookie,) = page.headers.getlist("Set-Cookie")
    assert cookie.startswith("__Host-realmgate-visitor=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= {part.strip() for part in cookie.split(";")}
    assert "Domain" not in cookie
    assert page.headers["Strict-Transport-Security"] == "max-age=31536000"
    close_app(secure)


def test_times_are_told_with_their_zone_and_in_words(ann: Surfer) -> None:
    ann.open("/console/realms/acme/projects/speech")
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC <span[^>]*>\(((?:just )?now|in \d+ hours|\d+ minutes? ago)\)", ann.text)


def test_clock_words() -> None:
    from idp.console.render import words

    now = clock.now()
    assert words(now + timedelta(days=3, hours=1), now) == "in 3 days"
    assert words(now - timedelta(seconds=61), now) == "1 minute ago"
    assert words(now, now) == "now"
    assert words(now - timedelta(seconds=30), now) == "just now"


def test_another_name_of_this_machine_is_told_where_forms_work(app: Flask) -> None:
    client = app.test_client()
    url = "http://localhost:8080/console/sign-in"
    assert url in client.get("/console/sign-in", base_url="http://127.0.0.1:8080").text
    assert url not in client.get("/console/sign-in", base_url="http://localhost:8080").text
    assert url not in client.get("/console/sign-in", base_url="http://idp.internal").text, "a proxy may rewrite the host"


def test_organisation_is_signed_up_by_pages(settings: Settings) -> None:
    from tests.compat.test_rafay import sent_code

    app = create_app(settings.model_copy(update={"sign_up": "approval"}))
    surfer = Surfer(app)
    surfer.open("/console/sign-in")
    assert "/console/sign-up" in surfer.read().links
    surfer.open("/console/sign-up")
    surfer.send("Send me the link", {"name": "globex", "email": "boss@globex.test", "display_name": "Globex"})
    assert "has been recorded" in surfer.page.text
    url = f"/console/sign-up/{sent_code(app, 'sign-up')}"
    surfer.open(url)
    surfer.send("Create my organisation", {"password": "a long and unusual one"})
    assert "An operator will review your organisation" in surfer.page.text
    assert app.test_client().get(url).status_code == 401, "a link works once"
    close_app(app)


def test_sign_up_pages_are_shut_unless_the_operator_opens_them(app: Flask) -> None:
    client = app.test_client()
    assert client.get("/console/sign-up").status_code == 403
    assert client.get("/console/sign-up/idp_ol_x").status_code == 403
    assert "/console/sign-up" not in client.get("/console/sign-in").text
