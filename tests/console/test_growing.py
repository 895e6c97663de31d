"""Nobody grows at the console: not by a role that ends, by a name, by a role that is widened, by an audience, by looking."""

from datetime import timedelta

import pytest
from flask import Flask

from idp import access, applications, clock, realms, users
from tests.console.surfing import Surfer
from tests.console.test_forms import FORM, OWN
from tests.factories import Factory, ask, ask_token, session_of

BASE = "/console/realms/acme"


def grant(make: Factory, name: str, role: str, **options) -> None:  # type: ignore[no-untyped-def]
    make.do(lambda realm: access.grant_role(realm, users.holder_of(users.get_user(realm, name)), role, **options))


def role(make: Factory, name: str, *permissions: str, realm: str = "acme") -> None:
    make.do(lambda where: access.create_role(where, name, access.RoleSheet(permissions=list(permissions))), realm=realm)


@pytest.mark.spec("T108")
def test_who_is_administrator_for_a_while_cannot_shorten_another_until_they_can_manage_them(app: Flask, make: Factory) -> None:
    boss = make.user("boss@example.test", roles=("administrator",))
    make.application("prod", roles=("administrator",))
    make.user("temp@example.test")
    grant(make, "temp@example.test", "administrator", until=clock.now() + timedelta(hours=2))
    temp = Surfer(app).sign_in("temp@example.test")
    for holder in ("user:boss@example.test", "application:prod"):
        temp.open(f"{BASE}/access/give?holder={holder}&role=administrator").send("Save")
        assert temp.status == 403
        temp.open(f"{BASE}/access/take?holder={holder}&role=administrator").send("Remove")
        assert temp.status == 403
    assert temp.open(f"{BASE}/users/{boss}").send("Save", {"email": "x@evil.example"}).status == 403
    assert temp.open(f"{BASE}/applications/prod/secrets/new").status == 403
    client = app.test_client(use_cookies=False)
    token = client.post(
        "/v1/auth/authenticate", json={"emailId": "temp@example.test", "password": "correct horse battery staple", "org": "acme"}
    ).json["Authorization"]
    assert client.put(f"/v1/users/{boss}/roles", json={"roles": []}, headers={"Authorization": token}).status_code == 403


@pytest.mark.spec("T108")
def test_a_role_of_operators_is_no_role_of_the_same_name_elsewhere(app: Flask, make: Factory) -> None:
    role(
        make,
        "support",
        "users:read",
        "users:write",
        "applications:read",
        "applications:write",
        "api-keys:read",
        "api-keys:write",
        realm="master",
    )
    role(make, "support", *access.PERMISSIONS)
    uid = make.user("strong@example.test", roles=("support",))
    make.application("strong", roles=("support",))
    make.user("op@example.test", realm="master", roles=("support",))
    op = Surfer(app).sign_in("op@example.test", "master")
    assert op.open(f"{BASE}/applications/strong/secrets/new").status == 403
    assert op.open(f"{BASE}/users/{uid}").send("Save", {"email": "x@evil.example"}).status == 403
    assert op.open(f"{BASE}/api-keys/new").send("Create", {"owner": "strong@example.test", "name": "x"}).status == 403


@pytest.mark.spec("T108")
def test_a_role_that_is_held_is_changed_only_by_who_could_give_it_for_good(app: Flask, make: Factory) -> None:
    role(make, "role-writer", "roles:read", "roles:write")
    role(make, "for-a-while", "audit:read", "grants:write")
    make.user("eve@example.test", roles=("role-writer",))
    grant(make, "eve@example.test", "for-a-while", until=clock.now() + timedelta(hours=1))
    eve = Surfer(app).sign_in("eve@example.test")
    eve.open(f"{BASE}/roles/role-writer").send("Save", {"permissions": ["roles:read", "roles:write", "audit:read"]})
    assert eve.status == 403
    role(make, "unheld", "roles:read")
    eve.open(f"{BASE}/roles/unheld").send("Save", {"permissions": ["roles:read", "audit:read"]})
    assert eve.status == 200
    make.user("bob@example.test", roles=("unheld",))
    eve.open(f"{BASE}/roles/unheld").send("Save", {"permissions": ["roles:read"]})
    assert eve.status == 403


@pytest.mark.spec("T73")
def test_a_refused_form_shows_nothing_that_the_page_would_not(app: Flask, make: Factory) -> None:
    make.user("nobody@example.test")
    make.do(
        lambda realm: users.add_member(realm, users.get_group(realm, "modellers"), users.get_user(realm, "nobody@example.test"))
    )
    nobody = Surfer(app).sign_in("nobody@example.test")
    token = dict(nobody.open("/console/my/keys/new").form("Create").values)["form"]
    for group in ("modellers", "missing"):
        for end in ("members", "members/x/remove", "delete"):
            answer = nobody.client.post(
                f"{BASE}/groups/{group}/{end}", data={"form": token, "user": "x@y.z"}, headers=OWN, content_type=FORM
            )
            assert answer.status_code == 404, (group, end)  # as if there were none, as at the API
            assert "ann@acme.example" not in answer.text


def test_who_gives_roles_on_one_project_is_shown_that_one_only(app: Flask, make: Factory) -> None:
    make.do(lambda realm: access.create_project(realm, "topsecret"))
    make.user("bob@example.test")
    grant(make, "bob@example.test", "researcher", project="topsecret", until=clock.now() + timedelta(days=77))
    make.user("pa@example.test", projects=(("vision", "project-administrator"),))
    surfer = Surfer(app).sign_in("pa@example.test")
    page = surfer.open(f"{BASE}/access/give?holder=user:bob@example.test&role=researcher&project=topsecret").text
    main = page.partition("<main")[2]
    assert main.count("topsecret") == 1, "what the URL says, and nothing else"
    assert "datetime-local" in page
    assert dict(surfer.form("Assign").values)["until"] == ""
    assert surfer.open(f"{BASE}/access/take?holder=user:bob@example.test&role=researcher&project=topsecret").status == 403
    role(make, "giver", "grants:write")
    make.user("giver@example.test", projects=(("vision", "giver"),))
    giver = Surfer(app).sign_in("giver@example.test")
    for holder in ("group:modellers", "group:missing", "application:train-scheduler", "application:missing"):
        assert giver.open(f"{BASE}/access/take?holder={holder}&role=researcher&project=vision").status == 404, holder


def test_a_stale_form_does_not_give_back_what_was_taken(ann: Surfer, make: Factory) -> None:
    make.user("bob@example.test", roles=("viewer",))
    ann.open(f"{BASE}/access/give?holder=user:bob@example.test&role=viewer")
    make.do(lambda realm: access.remove_grant(realm, users.holder_of(users.get_user(realm, "bob@example.test")), "viewer"))
    ann.send("Save", follow=False)
    assert ann.page.status_code in {400, 403, 409}
    until = clock.now() + timedelta(days=3, seconds=17)
    grant(make, "bob@example.test", "viewer", until=until)
    ann.open(f"{BASE}/access/give?holder=user:bob@example.test&role=viewer").send("Save")
    assert ann.status == 200
    seconds = make.do(
        lambda realm: access.list_grants(realm, holder=users.holder_of(users.get_user(realm, "bob@example.test")))[0].until.second
    )
    assert seconds == until.second, "an end that was not touched is kept to the second"


@pytest.mark.spec("T108")
def test_nobody_makes_an_application_answer_for_what_others_tokens_are_for(app: Flask, make: Factory) -> None:
    role(make, "app-writer", "applications:read", "applications:write")
    make.user("eve@example.test", roles=("app-writer",))
    victim = make.application("victim", audience=["https://api-a.example", "api-by-name"], roles=("administrator",))
    evil = make.application("evil", roles=())
    eve = Surfer(app).sign_in("eve@example.test")
    eve.open(f"{BASE}/applications/evil").send("Save", {"resources": "https://api-a.example"})
    assert eve.status == 403
    eve.open(f"{BASE}/new-application").send("Create", {"name": "api-by-name", "credential": "secret"})
    assert eve.status == 403
    for taken in ("http://localhost:8080/auth/realms/acme", "victim", "train-scheduler"):
        eve.open(f"{BASE}/applications/evil").send("Save", {"resources": taken})
        assert eve.status == 403, taken
    eve.open(f"{BASE}/applications/evil").send("Save", {"resources": "https://own.example"})
    assert eve.status == 200
    token = ask_token(app.test_client(), victim).json["access_token"]
    assert ask(app.test_client(), "token/introspect", {"token": token, **evil.form}).json == {"active": False}


@pytest.mark.spec("T73")
def test_a_key_of_somebody_stronger_is_not_renamed(app: Flask, make: Factory) -> None:
    make.user("boss@example.test", roles=("administrator",))
    key = make.key("boss@example.test", hours=24)
    role(make, "key-writer", "api-keys:read", "api-keys:write")
    make.user("eve@example.test", roles=("key-writer",))
    eve = Surfer(app).sign_in("eve@example.test")
    assert eve.open(f"{BASE}/api-keys/{key.uid}").send("Save", {"name": "safe to delete"}).status == 403


@pytest.mark.parametrize(
    "values",
    [
        {"projects-0-project": "vision"},
        {"projects-²-project": "vision"},
        {"projects-" + "9" * 5_000 + "-project": "vision"},
        {"projects-0-until": "9999-99-99T99:99", "projects-0-project": "vision"},
        {"name": "\x00"},
        {"name": "x" * 70},
        {"roles": "missing"},
        {"audience": "\ud800".encode("utf-8", "surrogatepass")},
    ],
    ids=str,
)
def test_odd_values_are_refused_and_break_nothing(ann: Surfer, values: dict[str, object]) -> None:
    ann.open(f"{BASE}/new-application")
    token = dict(ann.form("Create").values)["form"]
    answer = ann.client.post(
        f"{BASE}/new-application",
        data={"form": token, "name": "odd", "credential": "secret", **values},
        headers=OWN,
        content_type=FORM,
    )  # type: ignore[dict-item]
    assert answer.status_code in {200, 400, 404}, answer.status_code


def test_the_address_without_its_slash_leads_on_whatever_the_host(app: Flask) -> None:
    answer = app.test_client().get("/console", headers={"Host": "evil.example"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/console/")


@pytest.mark.spec("R113")
def test_signing_in_again_ends_the_former_session(app: Flask, ann: Surfer, make: Factory) -> None:
    former = {key[2]: cookie.value for key, cookie in ann.client._cookies.items()}
    ann.sign_in()
    other = Surfer(app)
    other.client.set_cookie("realmgate-session", former["realmgate-session"])
    assert other.open("/console/my/keys").url == "/console/sign-in"


def test_a_page_that_is_not_there_keeps_the_session_alive_too(ann: Surfer, frozen_clock) -> None:  # type: ignore[no-untyped-def]
    for _ in range(4):
        frozen_clock.advance(seconds=500)
        assert ann.open(f"{BASE}/applications/missing").status == 404


def test_a_realm_is_restored_for_thirty_days(operator: Surfer, make: Factory, frozen_clock) -> None:  # type: ignore[no-untyped-def]
    make.realm("gone")
    make.do(realms.delete_realm, realm="gone")
    frozen_clock.advance(days=31)
    operator.sign_in("root@example.test", "master")
    operator.open("/console/organisations?state=deleted").send("Restore")
    assert operator.status == 409


def test_things_may_be_called_new(ann: Surfer, make: Factory) -> None:
    make.do(
        lambda realm: (
            applications.create_application(realm, "new"),
            users.create_group(realm, "new"),
            access.create_project(realm, "new"),
        )
    )
    for kind in ("applications", "groups", "projects"):
        assert "new" in ann.open(f"{BASE}/{kind}/new").read().forms[1].action + ann.text
        assert "<h1>New " not in ann.text


@pytest.mark.spec("T108")
def test_a_key_made_by_an_administrator_for_a_while_carries_nothing_that_is_given_later(app: Flask, make: Factory) -> None:
    make.user("temp@example.test")
    make.user("bob@example.test")
    grant(make, "temp@example.test", "administrator", until=clock.now() + timedelta(hours=2))
    temp = Surfer(app).sign_in("temp@example.test")
    temp.open(f"{BASE}/api-keys/new").send("Create", {"owner": "bob@example.test", "name": "later", "never": "y"})
    plain = temp.text.partition("idp_ak_")[2]
    key = {"apiKey": "idp_ak_" + plain[: plain.index("<")]}
    grant(make, "bob@example.test", "administrator")
    client = app.test_client(use_cookies=False)
    assert client.get("/v1/users/info", headers=key).status_code == 200
    assert client.get("/v1/apiKeys?scope=all", headers=key).status_code == 403


@pytest.mark.spec("T108")
def test_a_frozen_key_carries_what_the_role_permitted_then(app: Flask, make: Factory) -> None:
    role(make, "deployer")
    role(make, "key-maker", "api-keys:read", "api-keys:write", "users:read", "grants:write")
    make.user("bob@example.test", roles=("deployer",))
    make.user("eve@example.test", roles=("key-maker",))
    eve = Surfer(app).sign_in("eve@example.test")
    eve.open(f"{BASE}/api-keys/new").send("Create", {"owner": "bob@example.test", "name": "frozen"})
    plain = eve.text.partition("idp_ak_")[2]
    key = {"apiKey": "idp_ak_" + plain[: plain.index("<")]}
    make.do(lambda realm: access.set_permissions(realm, "deployer", list(access.PERMISSIONS)))
    client = app.test_client(use_cookies=False)
    assert client.get("/v1/apiKeys?scope=all", headers=key).status_code == 403
    make.do(lambda realm: access.remove_grant(realm, users.holder_of(users.get_user(realm, "bob@example.test")), "deployer"))
    make.do(lambda realm: access.delete_role(realm, "deployer"))
    role(make, "deployer", *access.PERMISSIONS)
    grant(make, "bob@example.test", "deployer")
    assert client.get("/v1/apiKeys?scope=all", headers=key).status_code == 403


@pytest.mark.spec("T73")
def test_the_api_shows_no_more_of_what_somebody_holds_than_the_console(app: Flask, make: Factory) -> None:
    make.do(lambda realm: access.create_project(realm, "topsecret"))
    bob = make.user("bob@example.test", roles=("auditor",), projects=(("topsecret", "viewer"),))
    role(make, "people-reader", "users:read")
    make.user("eve@example.test", projects=(("vision", "people-reader"),))
    client = app.test_client(use_cookies=False)
    shown = session_of(client, "eve@example.test")
    assert client.get(f"/v1/users/{bob}/roles", headers=shown).json == {"roles": [], "inheritedRoles": []}
    assert client.get(f"/v1/users/{bob}/projects", headers=shown).json == {"projects": []}
    own = session_of(client, "bob@example.test")
    assert [each["name"] for each in client.get(f"/v1/users/{bob}/roles", headers=own).json["roles"]] == ["auditor"]


@pytest.mark.parametrize("value", ["9" * 400, "1e400", "-" + "9" * 20, "0x10", "\u0663"])
def test_odd_numbers_are_refused(ann: Surfer, value: str) -> None:
    for url, button, field in (("/console/my/keys/new", "Create", "hours"), (f"{BASE}/settings", "Save", "session_hours")):
        ann.open(url).send(button, {"name": "n", field: value})
        assert ann.status in {200, 400}, url


@pytest.mark.parametrize("value", ["https://[", "https://[::1", "http://a]b"])
def test_odd_audiences_are_refused(ann: Surfer, value: str) -> None:
    ann.open(f"{BASE}/new-application").send("Create", {"name": "odd", "credential": "secret", "audience": value})
    assert ann.status == 400


def test_master_is_not_offered_for_deletion(operator: Surfer) -> None:
    for act in ("deactivate", "delete"):
        operator.open(f"/console/organisations/master/{act}")
        assert "It is the operators&#39; own" in operator.text
        assert not any(act.capitalize() in button for form in operator.read().forms for button in form.buttons)


def test_the_front_door_is_as_strict_as_the_rest(app: Flask) -> None:
    answer = app.test_client().get("/")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/console/")
    assert answer.headers["Cache-Control"] == "no-store"
    assert app.test_client().post("/console").mimetype == "text/html"
