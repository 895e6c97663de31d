"""What signing in to an application costs: codes, refresh tokens, UserInfo, silent requests; alone and among many others."""

import contextlib
import http.client
import json
import os
import statistics
import time
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import insert, select

from tests.bench.load import get, post
from tests.bench.people import cost
from tests.bench.serving import Measured, bare_flask, cpu_seconds, set_up
from tests.factories import PASSWORD
from tests.flows.test_one_winner import DONE, Person
from tests.sign_in.conftest import challenge_of

BASE = "/auth/realms/acme/protocol/openid-connect"
CHECK = "/gateway/check/acme/telemetry?method=GET&uri=/api/v1/query?query=up"


def bench_sign_in(folder: Path, rounds: int, seconds: float, many: int) -> dict[str, Any]:
    """Compare each answer with a token of the same signatures, the gateway's check and the bare route; then among many."""
    server = set_up(folder, IDP_TRUSTED_PROXIES="127.0.0.1", IDP_RATE_APPLICATION="0", IDP_RATE_REALM="0")
    done = server.run("users", "create", "--realm", "acme", "--email", "ann@example.test", "--password-stdin", typed=PASSWORD)
    assert done.returncode == 0, done.stderr
    spec = ("--kind", "native", "--algorithm", "ES256", "--redirect-uri", DONE)
    server.idp("applications", "create", "--realm", "acme", *spec, "shop")
    bot = server.create_application("bench", "--algorithm", "ES256", "--role", "viewer")
    server.start()
    alone = _measure(server, bot, rounds, seconds)
    server.stop()
    _add_authorizations(server, many)
    server.start()
    among = _measure(server, bot, rounds, seconds)
    server.stop()
    names = ("code to tokens", "refresh", "UserInfo", "silent request")
    figures = {name: round(statistics.median(times)) for name, times in alone.items()}

    def ratio(one: str, other: str) -> float:
        return round(statistics.median(a / b for a, b in zip(alone[one], alone[other], strict=True)), 2)

    def relative(found: dict[str, list[float]], name: str) -> float:
        """Compare with what the database does not touch, since the machine is not as fast at all times."""
        return statistics.median(found[name]) / statistics.median(found["client credentials"])

    return {
        "microseconds": figures,
        "code_over_token_and_commit": round(figures["code to tokens"] / (figures["client credentials"] + figures["a commit"]), 2),
        "refresh_over_token_and_commit": round(figures["refresh"] / (figures["client credentials"] + figures["a commit"]), 2),
        "userinfo_over_gateway_check": ratio("UserInfo", "gateway check"),
        "silent_request_over_bare_route": ratio("silent request", "bare Flask route"),
        f"among_{many}": {name: round(relative(among, name) / relative(alone, name), 2) for name in names},
    }


def _measure(server: Measured, bot: dict[str, str], rounds: int, seconds: float) -> dict[str, list[float]]:
    person = Person(server)
    tokens = person.redeem(person.code()).json
    access = bot["client_secret"]
    cookie = "; ".join(f"{each.name}={each.value}" for each in person.cookies)
    query = {
        "response_type": "code",
        "client_id": "shop",
        "redirect_uri": DONE,
        "scope": "openid",
        "prompt": "none",
        "code_challenge": challenge_of(person.verifier),
        "code_challenge_method": "S256",
    }
    bearer = server.token(bot).json["access_token"]
    requests = {
        "client credentials": post(
            f"{BASE}/token", f"grant_type=client_credentials&scope=openid&client_id=bench&client_secret={access}".encode()
        ),
        "UserInfo": get(f"{BASE}/userinfo", f"Authorization: Bearer {tokens['access_token']}"),
        "gateway check": get(CHECK, f"Authorization: Bearer {bearer}"),
        "silent request": get(f"{BASE}/auth?{urlencode(query)}", f"Cookie: {cookie}"),
    }
    found: dict[str, list[float]] = {
        name: [] for name in (*requests, "code to tokens", "refresh", "bare Flask route", "a commit")
    }
    with bare_flask(32) as (bare_port, bare_processes):
        for _ in range(rounds):
            for name, request in requests.items():
                found[name].append(cost(server.workers, server.port, request, seconds))
            found["bare Flask route"].append(cost(bare_processes, bare_port, post("/bare", b""), seconds))
            count = int(100 * seconds)
            codes = [person.code() for _ in range(count)]
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port)) as connection:
                found["code to tokens"].append(_redeem_each(server, connection, codes, person.verifier))
                found["refresh"].append(_refresh_again_and_again(server, connection, tokens["refresh_token"], count))
            tokens = person.redeem(person.code()).json
            found["a commit"].append(_commit_microseconds(server.data_dir / "commit.db", count))
    return found


def _redeem_each(server: Measured, connection: http.client.HTTPConnection, codes: list[str], verifier: str) -> float:
    """Return the processor time of one redemption, in microseconds."""
    before = cpu_seconds(server.workers)
    for code in codes:
        _ask(connection, grant_type="authorization_code", code=code, redirect_uri=DONE, code_verifier=verifier)
    return (cpu_seconds(server.workers) - before) / len(codes) * 1e6


def _refresh_again_and_again(server: Measured, connection: http.client.HTTPConnection, token: str, count: int) -> float:
    """Return the processor time of one refresh, in microseconds."""
    before = cpu_seconds(server.workers)
    for _ in range(count):
        token = _ask(connection, grant_type="refresh_token", refresh_token=token)["refresh_token"]
    return (cpu_seconds(server.workers) - before) / count * 1e6


def _ask(connection: http.client.HTTPConnection, **form: str) -> dict[str, str]:
    """Ask the token endpoint on a connection that is kept, as the load does for what these are compared with."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", f"{BASE}/token", urlencode({"client_id": "shop"} | form), headers)
    answer = connection.getresponse()
    body: dict[str, str] = json.loads(answer.read())
    assert answer.status == 200, body
    return body


def _commit_microseconds(path: Path, count: int) -> float:
    """Return the processor time of one durable commit of one row through SQLAlchemy, on the server's core."""
    from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine, text

    from tests.bench.serving import LOAD_CORE, SERVER_CORE, pin

    engine = create_engine(f"sqlite:///{path}")
    rows = Table("row", MetaData(), Column("id", Integer, primary_key=True), Column("what", String(64)))
    rows.metadata.create_all(engine)
    pin(SERVER_CORE)
    with engine.connect() as connection:
        connection.execute(text("PRAGMA journal_mode=WAL"))
        connection.execute(text("PRAGMA synchronous=FULL"))
        connection.commit()
        started = time.process_time()
        for _ in range(count):
            connection.execute(insert(rows), {"what": "x" * 64})
            connection.commit()
        spent = time.process_time() - started
    pin(LOAD_CORE)
    engine.dispose()
    return spent / count * 1e6


def _add_authorizations(server: Measured, count: int) -> None:
    from idp import clock, crypto, vault
    from idp.app import close_app, create_app
    from idp.applications import Application
    from idp.authorizations import Authorization
    from idp.authorizations.service import hash_code
    from idp.db import commit, db
    from idp.users import User
    from tests.bench.__main__ import settings_of

    app = create_app(settings_of(server))
    with app.app_context():
        user = db.session.scalars(select(User).where(User.name == "ann@example.test")).one()
        application = db.session.scalars(select(Application).where(Application.name == "shop")).one()
        now, pepper_id = clock.now(), vault.newest_pepper()
        same = {
            "realm_id": user.realm_id,
            "user_id": user.id,
            "application_id": application.id,
            "session_uid": "",
            "scope": "openid",
            "resource": "",
            "named": {},
            "auth_time": now,
            "auth_method": "password",
            "pepper_id": pepper_id,
            "seed": os.urandom(32),
            "created_at": now,
            "rotated_at": now,
            "expires_at": now + timedelta(days=30),
            "ended_by": "",
            "address": "",
            "generation": 0,
        }
        for start in range(0, count, 10_000):
            uids = [crypto.ordered_uid(now.timestamp() - count + start + each) for each in range(min(10_000, count - start))]
            rows = [same | {"uid": uid, "code_hash": hash_code(uid)} for uid in uids]
            db.session.execute(insert(Authorization), rows)
            commit()
    close_app(app)


def rows(result: dict[str, Any]) -> list[tuple[str, object, str]]:
    """Return the figures for people."""
    found = result["sign_in"]
    among = next(value for name, value in found.items() if name.startswith("among"))
    return [
        *((f"{name}, us", value, "") for name, value in found["microseconds"].items()),
        ("code to tokens over a token and a commit", found["code_over_token_and_commit"], "at most 2"),
        ("refresh over a token and a commit", found["refresh_over_token_and_commit"], "at most 2"),
        ("UserInfo over the gateway's check", found["userinfo_over_gateway_check"], "at most 1.5"),
        ("silent request over the bare route", found["silent_request_over_bare_route"], "at most 3"),
        *((f"{name} among many, over alone", value, "at most 1.1") for name, value in among.items()),
    ]
