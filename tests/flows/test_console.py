"""The console on PostgreSQL, and from two nodes at once."""

import contextlib
import socket

from flask import Flask
from sqlalchemy import insert

from idp import clock, realms, runtime, sessions, tokens, users
from idp.app import close_app, create_app
from idp.audit import AuditEvent, Tag, event_values
from idp.db import commit, db
from idp.settings import Settings
from tests.console.surfing import Surfer
from tests.console.test_every_page import crawl
from tests.factories import Factory, ask_token
from tests.serving import Server, send

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
    assert "Tokens for applications: 1" in ann.open(BASE).text
    assert "append-only" in ann.open(f"{BASE}/audit").text
    assert "ci-bot" in ann.open(f"{BASE}/applications?search=CI-B").text
    assert "ci-bot" in ann.open(f"{BASE}/access?state=live&holder=application:ci").text


def test_an_application_is_made_searched_and_deleted_on_postgresql(pg_make: Factory) -> None:
    pg_make.user(roles=("administrator",))
    ann = Surfer(pg_make.app).sign_in()
    ann.open(f"{BASE}/new-application").send(
        "Create", {"name": "pg-bot", "credential": "secret", "roles": ["viewer"], "audience": "https://a.example"}
    )
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


def test_downloads_that_nobody_reads_stop_nobody(own_server: Server) -> None:
    own_server.settings |= {"IDP_THREADS": "3"}
    own_server.start()
    app = create_app(Settings.load(data_dir=own_server.data_dir, public_url=own_server.url))
    make = Factory(app)
    make.user(roles=("administrator",))
    with app.app_context():
        rows = [event_values(clock.now(), "acme", Tag.ROLE_CREATE, "a" * 100, "t" * 200, "x", "success") for _ in range(20_000)]
        db.session.execute(insert(AuditEvent), rows)
        commit()
        realm = realms.get_realm("acme")
        cookie = sessions.seal_session("acme", sessions.begin_session(realm, users.get_user(realm, "ann@example.test")))
    close_app(app)
    request = f"GET {BASE}/audit.jsonl HTTP/1.1\r\nHost: x\r\nCookie: realmgate-session={cookie}\r\n\r\n".encode()
    with contextlib.ExitStack() as unread:
        for _ in range(5):
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(30)
            connection.connect(("127.0.0.1", own_server.port))
            unread.enter_context(connection)
            connection.sendall(request)
            assert connection.recv(12) == b"HTTP/1.1 200"
        assert send(f"{own_server.url}/console/sign-in").status == 200


def test_a_value_that_postgresql_cannot_store_is_refused_where_it_was_typed(pg_make: Factory) -> None:
    pg_make.user(roles=("administrator",))
    ann = Surfer(pg_make.app).sign_in()
    ann.open(f"{BASE}/new-group").send("Create", {"name": "odd\x00", "description": "kept"})
    assert ann.status == 400
    assert dict(ann.form("Create").values)["description"] == "kept"
    ann.open(f"{BASE}/applications?search=%00")
    assert ann.status in {200, 400}
