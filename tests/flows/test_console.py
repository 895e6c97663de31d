"""The console on PostgreSQL, and from two nodes at once."""

from flask import Flask

from idp import runtime, tokens
from idp.app import close_app, create_app
from tests.console.surfing import Surfer
from tests.console.test_every_page import crawl
from tests.factories import Factory, ask_token

BASE = "/console/realms/acme"


def test_every_page_is_there_on_postgresql(pg_make: Factory) -> None:
    app: Flask = pg_make.app
    made = pg_make.application(projects=("vision",))
    pg_make.user(roles=("administrator",))
    pg_make.key("ann@example.test", hours=24)
    ask_token(app.test_client(), made)
    with app.app_context():
        tokens.usage(runtime.current()).flush()
    ann = Surfer(app).sign_in()
    pages = crawl(ann)
    assert len(pages) > 50
    assert [url for url, page in pages.items() if page.status_code != 200] == []
    assert "Tokens to applications: 1" in ann.open(BASE).text
    assert "append-only" in ann.open(f"{BASE}/audit").text
    assert "ci-bot" in ann.open(f"{BASE}/applications?search=CI-B").text
    assert "ci-bot" in ann.open(f"{BASE}/access?state=live&holder=application:ci").text


def test_an_application_is_made_searched_and_deleted_on_postgresql(pg_make: Factory) -> None:
    pg_make.user(roles=("administrator",))
    ann = Surfer(pg_make.app).sign_in()
    ann.open(f"{BASE}/new-application").send("Create", {"name": "pg-bot", "roles": ["viewer"], "audience": "https://a.example"})
    assert ann.status == 200
    ann.send("Try it")
    assert "It works" in ann.text
    ann.open(f"{BASE}/applications/pg-bot").send("Save", {"description": "new", "resources": "https://b.example"})
    assert "Saved." in ann.text
    ann.open(f"{BASE}/applications/pg-bot/delete").send("Delete", {"typed": "pg-bot"})
    assert ann.open(f"{BASE}/applications/pg-bot").status == 404


def test_a_session_is_known_on_every_node_and_dies_on_every_node(pg_make: Factory) -> None:
    pg_make.user(roles=("administrator",))
    one = Surfer(pg_make.app).sign_in()
    with pg_make.app.app_context():
        settings = runtime.current().settings
    node = create_app(settings)
    two = Surfer(node)
    for key, cookie in one.client._cookies.items():
        two.client.set_cookie(key[2], cookie.value)
    assert two.open("/console/my/keys").url == "/console/my/keys"
    one.send("Sign out")
    with node.app_context():
        runtime.current().feed.expire()
    assert two.open("/console/my/keys").url == "/console/sign-in"
    close_app(node)
