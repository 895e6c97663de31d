"""Secrets of several applications, and several API keys, replaced at once."""

import re
from datetime import timedelta

from flask import Flask

from idp import access, applications, clock
from tests.console.surfing import Surfer
from tests.factories import Factory, Made, ask, ask_token

BASE = "/console/realms/acme"


def new_secrets(surfer: Surfer) -> dict[str, str]:
    found = re.findall(
        r'<th scope="row">([^<]+)</th><td>(?:(?!</tr>).)*?<code class="copy-source"[^>]*>([^<]+)</code>', surfer.text, re.DOTALL
    )
    return dict(found)


def test_several_get_new_secrets_and_the_old_ones_end(app: Flask, ann: Surfer, make: Factory) -> None:
    made = {name: make.application(name, roles=()) for name in ("one", "two", "three")}
    ann.open(f"{BASE}/applications").send("Rotate", {"act": "rotate", "picked": ["one", "two"]})
    assert "Rotate secrets: 2 applications" in ann.text
    ann.send("Rotate", {"overlap": "2 days"})
    found = new_secrets(ann)
    assert set(found) == {"one", "two"}
    assert f"ONE_SECRET={found['one']}\n" in ann.text
    assert f"two,{found['two']}" in ann.text
    client = app.test_client()
    for name, secret in found.items():
        assert ask_token(client, Made(name, secret, "")).status_code == 200
        assert ask_token(client, made[name]).status_code == 200
    ends = make.change(lambda _, row: [secret.expires_at for secret in applications.list_secrets(row)], "one")
    assert abs(ends[0] - clock.now() - timedelta(days=2)) < timedelta(minutes=1)
    assert ends[1] is None
    assert make.change(lambda _, row: [secret.expires_at for secret in applications.list_secrets(row)], "three") == [None]


def test_a_form_that_is_sent_twice_makes_no_second_secret(ann: Surfer, make: Factory) -> None:
    make.application("one", roles=())
    ann.open(f"{BASE}/applications/one").send("Rotate secret", {"act": "rotate"})
    again = ann.form("Rotate")
    ann.send("Rotate")
    assert set(new_secrets(ann)) == {"one"}
    data: dict[str, list[str]] = {}
    for name, value in again.values:
        data.setdefault(name, []).append(value)
    answer = ann.client.post(f"{BASE}/several-applications", data=data, headers={"Origin": ann.origin})
    assert "Nothing was rotated" in answer.text
    assert "has a live secret" in answer.text
    assert make.change(lambda _, row: len(applications.list_secrets(row)), "one") == 2


def test_what_the_rules_refuse_is_told_and_the_rest_is_rotated(app: Flask, ann: Surfer, make: Factory) -> None:
    make.application("one", roles=())
    make.application("bare", roles=())
    make.change(lambda realm, row: applications.retire_secret(realm, row, "main"), "bare")
    make.application("strong", roles=("administrator",))
    sheet = access.RoleSheet.read({"permissions": ["applications:read", "applications:write"]})
    make.do(lambda realm: access.create_role(realm, "app-keeper", sheet))
    make.user("eve@example.test", roles=("app-keeper",))
    eve = Surfer(app).sign_in("eve@example.test")
    eve.open(f"{BASE}/applications").send("Rotate", {"act": "rotate", "picked": ["one", "bare", "strong", "gone"]}).send("Rotate")
    assert set(new_secrets(eve)) == {"one"}
    assert "has no secret that works" in eve.text
    assert "has permissions that the caller does not have" in eve.text
    assert "no application" in eve.text


def test_a_length_that_is_none_makes_nothing(ann: Surfer, make: Factory) -> None:
    make.application("one", roles=())
    ann.open(f"{BASE}/applications").send("Rotate", {"act": "rotate", "picked": ["one"]}).send("Rotate", {"overlap": "soon"})
    assert ann.status == 400
    assert "Write a length of time" in ann.text
    ann.send("Rotate", {"overlap": "2 years"})
    assert "At most a year" in ann.text
    assert make.change(lambda _, row: len(applications.list_secrets(row)), "one") == 1


def test_several_keys_get_successors(app: Flask, ann: Surfer, make: Factory) -> None:
    keys = [make.key("ann@example.test", name=name) for name in ("ci", "cd")]
    ann.open(f"{BASE}/api-keys").send("Rotate", {"act": "rotate", "picked": [key.public_part for key in keys]}).send("Rotate")
    found = new_secrets(ann)
    assert set(found) == {key.public_part for key in keys}
    for plain in [*found.values(), *(key.plain for key in keys)]:
        assert app.test_client().post("/v1/auth/exchange", headers={"apiKey": plain}).status_code == 200
    ann.open(f"{BASE}/api-keys").send("Rotate", {"act": "rotate", "picked": [keys[0].public_part]}).send("Rotate")
    assert "has already been replaced" in ann.text


def test_without_time_the_old_ones_are_retired_with_the_tokens_that_were_fetched_with_them(
    app: Flask, ann: Surfer, make: Factory
) -> None:
    made = make.application("one", audience=["https://api.example"])
    checker = make.application("checker", resources=["https://api.example"])
    client = app.test_client()
    token = ask_token(client, made).json["access_token"]

    def is_active() -> bool:
        return bool(ask(client, "token/introspect", {"token": token, **checker.form}).json["active"])

    ann.open(f"{BASE}/applications").send("Rotate", {"act": "rotate", "picked": ["one"]})
    assert "With 0 hours they are retired, and the tokens that were fetched with them end at once." in ann.text
    assert is_active()
    ann.send("Rotate", {"overlap": "0"})
    assert set(new_secrets(ann)) == {"one"}
    assert ask_token(client, made).status_code == 401
    assert not is_active()
