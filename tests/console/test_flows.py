"""The day's work: what administrators and operators do at the console, and what comes of it."""

import csv
import io
import json
import re
from datetime import timedelta

import pytest
from flask import Flask

from idp import access, apikeys, applications, audit, clock, realms, tokens, users
from idp.db import commit, db
from tests.console.surfing import Surfer
from tests.factories import Factory, Made, ask_token, claims_of

BASE = "/console/realms/acme"


def flush(app: Flask) -> None:
    from idp import runtime

    with app.app_context():
        tokens.usage(runtime.current()).flush()
        apikeys.key_usage(runtime.current()).flush()


def shown_secret(surfer: Surfer, prefix: str = "idp_cs_") -> str:
    (secret,) = set(re.findall(rf"{prefix}[0-9A-Za-z]{{50,}}", surfer.text))
    return secret


def test_an_application_is_made_on_one_page_and_its_secret_works(app: Flask, ann: Surfer) -> None:
    ann.open(f"{BASE}/new-application").send(
        "Create",
        {
            "name": "ci-bot",
            "credential": "secret",
            "roles": ["researcher"],
            "audience": "https://jobs.example",
            "projects-0-project": "vision",
            "projects-0-role": "ml-engineer",
            "projects-0-until": "2099-01-02T03:04",
        },
    )
    assert ann.status == 200
    assert "http://localhost:8080/auth/realms/acme/protocol/openid-connect/token" in ann.text
    secret = shown_secret(ann)
    answer = ask_token(app.test_client(), Made("ci-bot", secret, ""))
    claims = claims_of(answer.json["access_token"])
    assert claims["aud"] == "https://jobs.example"
    assert claims["realm_access"]["roles"] == ["researcher"]
    assert [project["roles"] for project in claims["projects"]] == [["ml-engineer"]]
    ann.send("Try it")
    assert ann.status == 200
    assert "It works" in ann.text
    assert "https://jobs.example" in ann.text
    assert "Who it is for." in ann.text
    flush(app)
    page = ann.whole(f"{BASE}/applications/ci-bot")
    assert secret not in page
    assert "2099-01-02 03:04 UTC" in page
    assert ">2<" in page.replace(" ", ""), "two uses of the secret"


def test_trying_with_a_wrong_secret_tells_what_the_endpoint_says(ann: Surfer, make: Factory) -> None:
    make.application()
    ann.open(f"{BASE}/applications/ci-bot/try").send("Fetch a token", {"client_secret": "wrong"})
    assert ann.status == 400
    assert "invalid_client" in ann.text


def test_a_secret_is_safe_to_retire_once_another_is_used_instead(app: Flask, ann: Surfer, make: Factory, frozen_clock) -> None:  # type: ignore[no-untyped-def]
    made = make.application()
    ask_token(app.test_client(), made)
    flush(app)
    ann.open(f"{BASE}/applications/ci-bot/secrets/new").send("Create", {"name": "next"})
    second = Made("ci-bot", shown_secret(ann), made.uid)
    frozen_clock.advance(hours=100)
    ann.sign_in()
    assert "safe to retire</span>" not in ann.open(f"{BASE}/applications/ci-bot?tab=credentials").text, "nobody has moved"
    ask_token(app.test_client(), second)
    flush(app)
    assert "safe to retire</span>" in ann.open(f"{BASE}/applications/ci-bot?tab=credentials").text
    ann.open(f"{BASE}/applications/ci-bot/secrets/main/retire")
    assert "It has been used 1 time, the last time 4 days ago, from 127.0.0.1." in ann.text
    assert "it is safe to retire this one" in ann.text
    ann.send("Retire")
    assert "Retired. Every worker refuses it within a second." in ann.text
    assert ask_token(app.test_client(), made).status_code == 401
    assert ask_token(app.test_client(), second).status_code == 200
    ann.open(f"{BASE}/applications/ci-bot/secrets/next/retire")
    assert "Anything that still uses it is refused within a second." in ann.text
    assert "The tokens that were fetched with it end at once." in ann.text
    assert "It is the last one" in ann.text


def test_disabling_asks_says_what_breaks_and_is_undone(app: Flask, ann: Surfer, make: Factory) -> None:
    made = make.application()
    ask_token(app.test_client(), made)
    flush(app)
    ann.open(f"{BASE}/applications/ci-bot/disable")
    assert "It has fetched 1 token, the last one" in ann.text
    assert "Can be undone" in ann.text
    ann.send("Disable")
    assert ask_token(app.test_client(), made).status_code == 401
    ann.send("Enable")
    assert ask_token(app.test_client(), made).status_code == 200


def test_deleting_asks_for_the_name(app: Flask, ann: Surfer, make: Factory) -> None:
    make.application()
    ann.open(f"{BASE}/applications/ci-bot/delete").send("Delete", {"typed": "other"})
    assert ann.status == 400
    ann.send("Delete", {"typed": "ci-bot"})
    assert ann.url == f"{BASE}/applications"
    assert ann.open(f"{BASE}/applications/ci-bot").status == 404


def test_lists_are_paged_and_searched(ann: Surfer, make: Factory) -> None:
    def many(realm: realms.Realm) -> None:
        for number in range(120):
            applications.create_application(
                realm, f"app-{number:03}", applications.ApplicationSheet(description="odd" if number % 2 else "even")
            )

    make.do(many)
    seen: list[str] = []
    ann.open(f"{BASE}/applications")
    for _ in range(4):
        seen += [link.rpartition("/")[2] for link in ann.read().links if "/applications/app-" in link]
        following = [link for link in ann.read().links if "after=" in link]
        if not following:
            break
        ann.open(following[-1])
    assert seen == [f"app-{number:03}" for number in range(120)]
    assert ann.open(f"{BASE}/applications?search=APP-11").text.count("/applications/app-11") == 10
    assert "Nothing found" in ann.open(f"{BASE}/applications?search=%25").text
    assert "/applications/app-001" in ann.open(f"{BASE}/applications?search=odd").text


@pytest.mark.parametrize("value", ["x", "-1", "1e9", "9" * 30, "\x00", "'", "1 OR 1=1"])
def test_pages_of_a_list_that_are_none(ann: Surfer, value: str) -> None:
    for page in ("applications", "users", "api-keys", "sessions", "personal-tokens", "audit", "access", "projects"):
        ann.open(f"{BASE}/{page}", query_string={"after": value})
        assert ann.status in {200, 400}, (page, value)


def test_access_review_and_its_csv(app: Flask, ann: Surfer, make: Factory) -> None:
    make.application(projects=("vision",), until=clock.now() + timedelta(days=5))
    make.user("=cmd@example.test", roles=("viewer",))
    ann.open(f"{BASE}/access?state=ending")
    assert "ci-bot" in ann.text
    assert "=cmd" not in ann.text
    rows = list(csv.DictReader(io.StringIO(ann.open(f"{BASE}/access.csv").text)))
    with app.app_context():
        count = len(access.list_grants(realms.get_realm("acme")))
    assert len(rows) == count
    (row,) = (row for row in rows if row["holder"] == "ci-bot" and row["project"])
    assert (row["role"], row["project"], row["state"]) == ("researcher", "vision", "live")
    assert row["until"].endswith("+00:00")
    assert [row["holder"] for row in rows if "cmd" in row["holder"]] == ["'=cmd@example.test"]


def test_roles_are_given_changed_and_taken(app: Flask, ann: Surfer, make: Factory) -> None:
    make.user("bob@example.test")
    ann.open(f"{BASE}/access/give?holder=user:bob@example.test").send(
        "Assign", {"role": "researcher", "project": "vision", "until": "2098-01-01T00:00"}
    )
    assert "2098-01-01 00:00 UTC" in ann.text
    change = next(link for link in ann.read().links if "/access/give" in link and "role=researcher" in link)
    ann.open(change.replace("&amp;", "&"))
    assert dict(ann.form("Save").values)["until"].startswith("2098-01-01T00:00")
    ann.send("Save", {"until": ""})
    assert "no end" in ann.text
    take = next(link for link in ann.read().links if "/access/take" in link)
    ann.open(take).send("Remove")
    assert "Role removed." in ann.text
    with app.app_context():
        realm = realms.get_realm("acme")
        assert access.list_grants(realm, holder=users.holder_of(users.get_user(realm, "bob@example.test"))) == []


def test_people_are_invited_grouped_disabled_and_deleted(app: Flask, ann: Surfer) -> None:
    from idp.mail.models import MailMessage

    ann.open(f"{BASE}/new-user").send(
        "Create", {"kind": "person", "name": "Bob@Example.test", "first_name": "Bob", "role": "viewer"}
    )
    assert "The invitation waits in the outbox" in ann.text
    assert "No mail server is configured" in ann.text
    with app.app_context():
        assert db.session.query(MailMessage).filter_by(template="invitation").count() == 1
    ann.open(f"{BASE}/groups/modellers").send("Add member", {"user": "bob@example.test"})
    assert "bob@example.test" in ann.text
    ann.send("Add member", {"user": "nobody"})
    assert ann.status == 404
    assert dict(ann.form("Add member").values)["user"] == "nobody"
    ann.open(f"{BASE}/groups/modellers").send("Remove")
    assert ann.status == 200
    ann.open(f"{BASE}/users/bob@example.test")
    ann.send("Send another invitation")
    ann.open(f"{BASE}/users/bob@example.test/disable").send("Disable")
    assert "disabled" in ann.text
    ann.send("Enable")
    ann.open(f"{BASE}/users/bob@example.test/delete").send("Delete", {"typed": "bob@example.test"})
    assert ann.open(f"{BASE}/users/bob@example.test").status == 404


def test_keys_are_made_for_oneself_and_on_behalf(app: Flask, ann: Surfer, make: Factory) -> None:
    make.user("bob@example.test")
    bob = Surfer(app).sign_in("bob@example.test")
    bob.open("/console/my/keys/new")
    assert "never" not in dict(bob.form("Create").values)
    bob.send("Create", {"name": "script", "hours": "100000"})
    assert bob.status == 400
    bob.send("Create", {"name": "script", "hours": "87000"})
    assert bob.status == 403
    assert "A key of yours lives 2160 hours at most" in bob.text
    bob.send("Create", {"hours": "24", "projects": "vision"})
    plain = shown_secret(bob, "idp_ak_")
    assert app.test_client().post("/v1/auth/exchange", headers={"apiKey": plain}).status_code == 200
    flush(app)
    assert plain not in bob.open("/console/my/keys").text
    ann.open(f"{BASE}/api-keys/new").send("Create", {"owner": "bob@example.test", "name": "long", "never": "y"})
    assert "Expires: never" in ann.text
    other = shown_secret(ann, "idp_ak_")
    assert app.test_client().post("/v1/auth/exchange", headers={"apiKey": other}).status_code == 200
    assert "long" in bob.open("/console/my/keys").text


def test_a_key_is_rotated_deactivated_revoked_and_deleted(app: Flask, ann: Surfer, make: Factory) -> None:
    key = make.key("ann@example.test", hours=100)
    url = f"{BASE}/api-keys/{key.uid}"
    works = lambda plain: app.test_client().post("/v1/auth/exchange", headers={"apiKey": plain}).status_code == 200
    ann.open(f"{url}/rotate").send("Create successor", {"overlap": "24"})
    successor = shown_secret(ann, "idp_ak_")
    assert works(key.plain)
    assert works(successor)
    assert "has been replaced by" in ann.open(url).text
    ann.open(f"{url}/deactivate").send("Deactivate")
    assert not works(key.plain)
    ann.send("Activate")
    assert works(key.plain)
    ann.open(f"{url}/revoke").send("Revoke", {"reason": ""})
    assert ann.status == 400
    ann.send("Revoke", {"reason": "moved on"})
    assert "moved on" in ann.text
    assert not works(key.plain)
    ann.open(f"{url}/delete").send("Delete")
    assert ann.url == "/console/my/keys"


def test_personal_tokens_and_sessions_of_others_are_ended(app: Flask, ann: Surfer, make: Factory) -> None:
    make.user("bob@example.test")
    bob = Surfer(app).sign_in("bob@example.test")
    bob.open("/console/my/personal-tokens/new").send("Create")
    assert "shown only once" in bob.text
    assert "bob@example.test" in ann.open(f"{BASE}/personal-tokens").text
    ann.open(next(link for link in ann.read().links if link.endswith("/delete"))).send("Delete")
    assert "No personal tokens yet" in ann.text
    ann.open(f"{BASE}/sessions").send("End")
    make.forget()
    assert bob.open("/console/my/sessions").url == "/console/sign-in"


def test_signing_keys_are_rotated_and_revoked(ann: Surfer) -> None:
    ann.open(f"{BASE}/signing-keys/ES256/rotate").send("Rotate")
    assert "announced" in ann.text
    assert "\u2013 starts signing" in ann.text
    ann.open(f"{BASE}/signing-keys/ES256/rotate")
    assert "Its successor has already been announced" in ann.text
    assert not any("Rotate" in button for form in ann.read().forms for button in form.buttons)
    kid = next(link for link in ann.open(f"{BASE}/signing-keys").read().links if link.endswith("/revoke"))
    ann.open(kid).send("Revoke", {"reason": "leaked", "typed": "revoke"})
    assert "revoked" in ann.text


def test_audit_is_searched_and_exported(ann: Surfer, make: Factory) -> None:
    ann.open(f"{BASE}/new-project").send("Create", {"name": "moon", "description": "x"})
    ann.open(f"{BASE}/audit?target=project:moon")
    assert ann.text.count('<details class="event">') == 1
    assert "<code>admin:project:create</code>" in ann.text
    assert "append-only" in ann.text
    assert "Nothing found" in ann.open(f"{BASE}/audit?target=project:moon&until=2020-01-01T00:00").text
    assert ann.open(f"{BASE}/audit?since=yesterday").status == 400
    assert "Nothing found" in ann.open(f"{BASE}/audit?target=project:moon&outcome=refused").text
    assert ann.open(f"{BASE}/audit?target=project:moon&part=1").text.count('<details class="event">') == 1
    assert "<html" not in ann.text
    lines = [json.loads(line) for line in ann.open(f"{BASE}/audit.jsonl?actor=user:ann@example.test").text.splitlines()]
    assert {line["actor"] for line in lines} == {"user:ann@example.test"}
    assert {"admin:project:create", "user:session:start"} <= {line["tag"] for line in lines}


def test_settings_are_changed_and_the_realm_can_be_copied(app: Flask, ann: Surfer) -> None:
    ann.open(f"{BASE}/settings")
    assert "&lt;REALM&gt;" in ann.text
    assert "http://localhost:8080/auth/realms/acme/.well-known/openid-configuration" in ann.text
    ann.send("Save", {"session_hours": "0"})
    assert ann.status == 400
    ann.send("Save", {"session_hours": "8", "display_name": "Acme <b>&amp;"})
    assert "Saved." in ann.text
    with app.app_context():
        assert realms.get_realm("acme").session_hours == 8


def test_the_overview_counts_what_goes_on_and_why_it_was_refused(app: Flask, ann: Surfer, make: Factory) -> None:
    made = make.application()
    assert "Nothing was refused." in ann.open(BASE).text
    for _ in range(3):
        ask_token(app.test_client(), made)
    ask_token(app.test_client(), Made(made.client_id, "idp_cs_wrong", ""))
    key = make.key("ann@example.test", hours=24)
    app.test_client().post("/v1/auth/exchange", headers=key.header)
    flush(app)
    for span in ("", "?span=month"):
        ann.open(BASE + span)
        assert "Tokens for applications: 3" in ann.text
        assert "Exchanges: 1" in ann.text
        assert "Applications: 1" in ann.text
        assert "a wrong, expired or retired secret" in ann.text
        assert "<svg" in ann.text
        party = f'<a href="{BASE}/applications/ci-bot">application:ci-bot</a>'
        assert f"<code>client:token:refuse</code> {party}: a wrong, expired or retired secret" in ann.text, "the most recent one"
    assert "ci of ann@example.test" in ann.text, "a key that expires within 30 days"


def test_the_overview_shows_what_nobody_uses(ann: Surfer, make: Factory, frozen_clock) -> None:  # type: ignore[no-untyped-def]
    make.application("forgotten")
    frozen_clock.advance(days=91)
    ann.sign_in()
    assert "forgotten: main" in ann.open(BASE).text


def test_operators_find_make_approve_stop_delete_and_restore_organisations(app: Flask, operator: Surfer, make: Factory) -> None:
    operator.open("/console/organisations/new").send("Create", {"name": "globex", "display_name": "Globex", "pending": "y"})
    assert operator.url == "/console/realms/globex"
    made = make.application("bot", realm="globex")
    ask = lambda: ask_token(app.test_client(), made, realm="globex").status_code
    assert ask() != 200
    operator.open("/console/organisations?search=glob&state=pending").send("Approve globex")
    assert ask() == 200
    flush(app)
    operator.open("/console/organisations/globex/deactivate")
    assert "In the last 30 days 1 token was issued" in operator.text
    operator.send("Deactivate")
    assert ask() != 200
    operator.open("/console/organisations?search=GLOBEX").send("Activate")
    assert ask() == 200
    operator.open("/console/organisations/globex/delete").send("Delete", {"typed": "globex"})
    assert ask() != 200
    assert "globex" in operator.open("/console/organisations?state=deleted").text
    operator.send("Restore")
    operator.open("/console/organisations?state=inactive").send("Activate")
    assert ask() == 200


def test_a_thousand_organisations_are_found(app: Flask, operator: Surfer) -> None:
    with app.app_context():
        for number in range(1_000):
            db.session.add(
                realms.Realm(name=f"org-{number:04}", display_name=f"Company {number}", contract_number=20_000_000 + number)
            )
        commit()
    page = operator.open("/console/organisations")
    assert len(page.page.data) < 100_000
    assert "1,002" in page.text
    assert "org-0777" in operator.open("/console/organisations?search=pany 777").text
    assert "org-0999" in operator.open("/console/organisations?sort=-name").text


@pytest.mark.spec("T108")
def test_who_manages_applications_cannot_become_a_stronger_one(app: Flask, make: Factory) -> None:
    def helper(realm: realms.Realm) -> None:
        access.create_role(
            realm,
            "app-helper",
            access.RoleSheet(
                permissions=[
                    "applications:read",
                    "applications:write",
                    "grants:write",
                    "grants:read",
                    "roles:read",
                    "roles:write",
                    "users:write",
                    "users:read",
                    "api-keys:write",
                    "api-keys:read",
                ]
            ),
        )

    make.do(helper)
    make.application("boss", roles=("administrator",))
    make.application("weak", roles=())
    boss = make.user("boss@example.test", roles=("administrator",))
    make.do(lambda realm: access.grant_role(realm, users.group_holder(users.create_group(realm, "bosses")), "administrator"))
    make.user("eve@example.test", roles=("app-helper",))
    eve = Surfer(app).sign_in("eve@example.test")
    tries = [
        ("new-application", "Create", {"name": "evil", "credential": "secret", "roles": ["administrator"]}),
        ("access/give?holder=user:eve@example.test", "Assign", {"role": "administrator"}),
        ("access/give?holder=application:weak", "Assign", {"role": "administrator"}),
        ("new-role", "Create", {"name": "evil-role", "permissions": ["realm:write"]}),
        ("roles/app-helper", "Save", {"permissions": ["realm:write", "roles:write"]}),
        ("groups/bosses", "Add member", {"user": "eve@example.test"}),
        ("api-keys/new", "Create", {"owner": "boss@example.test", "name": "x"}),
        ("api-keys/new", "Create", {"owner": "application:boss", "name": "x"}),
        ("applications/boss", "Save", {"description": "mine now"}),
        (f"users/{boss}", "Save", {"email": "eve@evil.example"}),
    ]
    for url, button, values in tries:
        eve.open(f"{BASE}/{url}").send(button, values)
        assert eve.status in {400, 403}, (url, eve.text)  # 400: the role is not among those one can choose
    for url in (
        "applications/boss/secrets/new",
        "applications/boss/secrets/main/retire",
        "applications/boss/disable",
        "applications/boss/delete",
        f"users/{boss}/disable",
        f"users/{boss}/delete",
    ):
        assert eve.open(f"{BASE}/{url}").status == 403, url
    eve.open(f"{BASE}/applications/weak/secrets/new").send("Create", {"name": "fine"})
    assert eve.status == 200


def test_trail_page_tells_how_far_it_is_sealed(app: Flask, make: Factory) -> None:
    from idp import trail

    make.user(roles=("administrator",))
    surfer = Surfer(app).sign_in()
    assert "not chained yet" in surfer.open("/console/realms/acme/audit").text
    with app.app_context():
        trail.seal_trail()
    assert "are sealed in a hash chain, up to" in surfer.open("/console/realms/acme/audit").text
    read = make.do(lambda _: len(audit.list_events("acme", tag="admin:audit:read")))
    assert read == 2, "and that it was looked at is in it"
