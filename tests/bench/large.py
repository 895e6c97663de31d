"""A large server on PostgreSQL, measured over HTTP: a million applications, ten thousand organisations, ten million API keys.

One worker and PostgreSQL share the machine with the client. The large database and a small one, of ten applications, are served in
turn, so that a ratio is of one run; of a page it is the middle of several that counts, of a first use each is of something else.
Filling takes about ten minutes and 12 GB of disk, all of which is given back at the end.
"""

import argparse
import contextlib
import http.client
import math
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlencode

import psutil
import psycopg

from idp import apikeys, keys, realms, sessions, setup, trail, users
from idp.apikeys import ApiKeySheet
from idp.app import close_app, create_app
from idp.db import commit
from idp.settings import Settings
from tests.bench.filling import LARGE, SECRET, Sizes, fill, is_enabled, key_of, name_of
from tests.bench.load import get, post, put_under_load
from tests.bench.outside import CONNECTIONS
from tests.bench.serving import Measured, cpu_seconds, proportional_megabytes
from tests.faults.surroundings import postgres
from tests.forking import PROJECT
from tests.seed import ADMINISTRATOR, OPERATOR, add_administrators

WARM, COLD_MS, LIST_MS, MEGABYTES = 1.1, 3.0, 50.0, 120
"""What is to be reached: times the cost in a small database, milliseconds and a round trip, milliseconds, of a worker."""

SMALL = Sizes(applications=10, realms=2, keys=10, known=10)

_BEGUN = time.monotonic()


def say(text: str) -> None:
    """Tell who waits what is going on, and how busy the machine is."""
    print(f"{time.monotonic() - _BEGUN:6.0f} s, load {os.getloadavg()[0]:.1f}: {text}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Filled:
    """A database that is full, and what shows who one is to the server on it."""

    sizes: Sizes
    data: Path
    url: str
    cookies: dict[str, str]
    """Of a session in the console, by realm."""
    api_keys: dict[str, str]
    """Of somebody who may see everything, by realm."""

    @property
    def settings(self) -> Settings:
        """Return the settings of a server on it."""
        return Settings.load(data_dir=self.data, realms_dir=PROJECT / "realms", database_url=self.url)

    @contextlib.contextmanager
    def served(self, **settings: str) -> Iterator[Measured]:
        """Serve it with one worker."""
        server = Measured(self.data, settings={"IDP_DATABASE_URL": self.url, "IDP_WORKERS": "1", **_OPEN, **settings})
        server.start()
        try:
            yield server
        finally:
            server.stop()

    @property
    def postmaster(self) -> psutil.Process:
        """Return the first process of PostgreSQL, which has started all others."""
        with psycopg.connect(self.url) as connection:
            return psutil.Process(psutil.Process(connection.info.backend_pid).ppid())

    def shown_for(self, url: str, realm: str) -> dict[str, str]:
        """Return what shows the server who asks."""
        if url.startswith("/v1/"):
            return {"apiKey": self.api_keys[realm]}
        return {"Cookie": f"realmgate-session={self.cookies[realm]}"}

    def ask(self, query: str) -> Any:
        """Return the first value that a query finds."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            row = connection.execute(query.encode()).fetchone()
            assert row is not None
            return row[0]


_OPEN = {
    "IDP_TRUSTED_PROXIES": "127.0.0.1",  # the gateway answers nobody else
    "IDP_RATE_APPLICATION": "0",
    "IDP_RATE_REALM": "0",
}


def fill_database(data: Path, url: str, sizes: Sizes) -> Filled:
    """Set a database up and fill it."""
    settings = Settings.load(data_dir=data, realms_dir=PROJECT / "realms", database_url=url)
    close_app(setup.set_up(settings)[0])
    app = create_app(settings)
    with app.app_context():
        fill(sizes, say)
        add_administrators(realms.get_realm(LARGE))
    close_app(app)
    return admit(data, url, sizes)


def admit(data: Path, url: str, sizes: Sizes) -> Filled:
    """Sign in to a database that is full."""
    app = create_app(Settings.load(data_dir=data, realms_dir=PROJECT / "realms", database_url=url))
    cookies, api_keys = {}, {}
    with app.app_context():
        for name, person in ((LARGE, ADMINISTRATOR), ("master", OPERATOR)):
            realm = realms.get_realm(name)
            user = users.get_user(realm, person)
            cookies[name] = sessions.seal_session(name, sessions.begin_session(realm, user))
            made = apikeys.create_key(realm, users.holder_of(user), ApiKeySheet(name="bench"), hours=24)
            api_keys[name] = made.plain_key
            commit()
    close_app(app)
    return Filled(sizes, data, url, cookies, api_keys)


class Client:
    """One connection that stays open."""

    def __init__(self, port: int) -> None:
        """Connect to a port of this machine."""
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def milliseconds(self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None) -> float:
        """Return how long an answer takes.

        :raises RuntimeError: it is no 200.
        """
        begun = time.perf_counter()
        self._connection.request(method, path, body, headers or {})
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]!r}")
        return (time.perf_counter() - begun) * 1e3

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close it."""
        self._connection.close()


_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def _token_path(realm: str) -> str:
    return f"/auth/realms/{realm}/protocol/openid-connect/token"


def _token_form(application: int) -> dict[str, str]:
    return {"grant_type": "client_credentials", "client_id": name_of(application), "client_secret": SECRET}


def fetch_token(client: Client, sizes: Sizes, application: int) -> float:
    """Return how long a token of an application takes."""
    return client.milliseconds("POST", _token_path(sizes.realm_of(application)), urlencode(_token_form(application)), _FORM)


def exchange(client: Client, key: int) -> float:
    """Return how long the exchange of a key takes."""
    return client.milliseconds("POST", "/v1/auth/exchange", "", {"apiKey": key_of(key)})


def check(client: Client, key: int) -> float:
    """Return how long the gateway takes to check a key of the large realm."""
    return client.milliseconds("GET", _CHECK, None, {"apiKey": key_of(key)})


_CHECK = f"/gateway/check/{LARGE}/telemetry?method=GET&uri=/api/v1/query?query=up"


def warm_requests(server: Measured, sizes: Sizes) -> dict[str, bytes]:
    """Return the hot requests about the last application and a key of the large realm."""
    application, key = sizes.applications, sizes.known // 10 * 10
    form = urlencode(_token_form(application))
    answer = server.token({"client_id": name_of(application), "client_secret": SECRET})
    access_token = answer.json["access_token"]
    secret = f"client_id={name_of(application)}&client_secret={SECRET}"
    return {
        "access token, RS256": post(_token_path(LARGE), form.encode()),
        "introspection": post(f"{_token_path(LARGE)}/introspect", f"{secret}&token={access_token}".encode()),
        "gateway check of a token": get(_CHECK, f"Authorization: Bearer {access_token}"),
        "gateway check of a key": get(_CHECK, f"apiKey: {key_of(key)}"),
        "exchange of a key": post("/v1/auth/exchange", b"", f"apiKey: {key_of(key)}\r\n"),
    }


def measure_warm(large: Filled, small: Filled, rounds: int, seconds: float = 0.5) -> dict[str, dict[str, float]]:
    """Return the processor time of the server for each hot answer from the large database and from the small one, in turn."""
    with large.served() as one, small.served() as other:
        requests = {server.port: warm_requests(server, each.sizes) for server, each in ((one, large), (other, small))}
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in requests[one.port]}
        for _ in range(rounds):
            for name, pairs in found.items():
                pairs.append((_cost(one, requests[one.port][name], seconds), _cost(other, requests[other.port][name], seconds)))
    return {
        name: {
            "large_us": round(min(pair[0] for pair in pairs), 1),
            "small_us": round(min(pair[1] for pair in pairs), 1),
            "ratio": round(statistics.median(one / other for one, other in pairs), 3),
            "ratio_of_least": round(min(pair[0] for pair in pairs) / min(pair[1] for pair in pairs), 3),
        }
        for name, pairs in found.items()
    }


def _cost(server: Measured, request: bytes, seconds: float) -> float:
    put_under_load(server.port, request, seconds=0.2, connections=CONNECTIONS, least=1)
    before = cpu_seconds(server.workers)
    load = put_under_load(server.port, request, seconds=seconds, connections=CONNECTIONS, least=4 * CONNECTIONS)
    return (cpu_seconds(server.workers) - before) / load.requests * 1e6


def measure_cold(large: Filled, count: int) -> dict[str, dict[str, float]]:
    """Return how long the first use takes of applications, keys and realms of which this process has seen none."""
    sizes = large.sizes
    of_large = random.Random(1).sample(range(1, sizes.applications // 10), count)
    keys = [10 * each for each in random.Random(2).sample(range(1, sizes.known // 10), 2 * count)]
    acts: dict[str, tuple[Callable[[Client, int], float], Sequence[int]]] = {
        "an application": (lambda client, each: fetch_token(client, sizes, each), [10 * each for each in of_large]),
        "a key and the application that has it: gateway": (check, keys[:count]),
        "a key and the application that has it: exchange": (exchange, keys[count:]),
        "a realm and an application of it": (
            lambda client, each: fetch_token(client, sizes, each),
            _of_different_realms(sizes, count),
        ),
    }
    found = {}
    for name, (act, numbers) in acts.items():
        with large.served() as server, Client(server.port) as client:
            act(client, 20)  # what is done once in a process, and the large realm, are warm
            act(client, 20)
            processes = [*server.workers, large.postmaster]
            first, second = ([_both(processes, act, client, number) for number in numbers] for _ in range(2))
        wall, warm = sorted(one for one, _ in first), statistics.median(one for one, _ in second)
        processor, warm_processor = sorted(one for _, one in first), statistics.median(one for _, one in second)
        found[name] = {
            "median_ms": round(statistics.median(wall), 2),
            "p99_ms": round(wall[int(len(wall) * 0.99)], 2),
            "warm_ms": round(warm, 2),
            "processor_ms": round(statistics.median(processor), 2),
            "processor_p99_ms": round(processor[int(len(processor) * 0.99)], 2),
            "warm_processor_ms": round(warm_processor, 2),
        }
        say(f"  first use of {name}: {found[name]}")
    return found


def _of_different_realms(sizes: Sizes, count: int) -> list[int]:
    """Return applications, each of another realm."""
    found: dict[str, int] = {}
    for number in random.Random(3).sample(range(1, sizes.applications), min(3 * count, sizes.applications - 1)):
        if number % 10 and is_enabled(number):
            found.setdefault(sizes.realm_of(number), number)
    return list(found.values())[:count]


def _both(
    processes: Sequence[psutil.Process], act: Callable[[Client, int], float], client: Client, number: int
) -> tuple[float, float]:
    """Return how long an act takes, and for how long the worker and PostgreSQL have run meanwhile, in milliseconds."""
    before = _milliseconds_run(processes)
    took = act(client, number)
    return took, _milliseconds_run(processes) - before


def list_urls(filled: Filled) -> dict[str, list[str]]:
    """Return lists and searches, by the realm of who looks at them."""
    base, middle = f"/console/realms/{LARGE}", name_of(filled.sizes.applications // 20 * 10)
    programs, key_list, companies = f"{base}/applications", f"{base}/api-keys", "/console/organisations"
    prefix = key_of(filled.sizes.known // 10 * 10)[:15]
    sorts = {
        programs: ("name", "-name", "tokens", "-tokens", "used", "-used", "created", "-created"),
        key_list: ("name", "-name", "expires", "-expires", "used", "-used", "uses", "-uses", "created", "-created"),
        companies: ("name", "-name", "created", "-created"),
    }
    searches = {
        programs: [middle, middle[-7:], "billing", "telemetry-bot", "zzz-nothing", "ap", "thinks of"],
        key_list: [prefix, prefix[7:], "key-77", "zzz-nothing", "ke"],
        companies: ["realm-77", "realm-9999", "zzz-nothing", "re"],
    }
    filters = {
        programs: [("state", each) for each in ("enabled", "disabled", "expiring", "unused", "idle")]
        + [("role", "viewer"), ("role", "administrator"), ("project", "vision")]
        + [("review", f"NHI{number}") for number in (1, 2, 4, 5, 7, 8, 9)],
        key_list: [("state", each) for each in ("active", "expiring", "unused", "inactive", "expired", "revoked")]
        + [("owner", each) for each in (f"application:{middle}", middle, "billing", "zzz-nothing", "user:ann")]
        + [("role", "viewer"), ("project", "vision")]
        + [("review", f"NHI{number}") for number in (1, 7)],
        companies: [("state", each) for each in ("active", "inactive", "pending", "deleted")],
    }
    found: dict[str, list[str]] = {LARGE: [], "master": []}
    for url, orders in sorts.items():
        realm = "master" if url == companies else LARGE
        urls = [url, *(f"{url}?sort={order}" for order in orders)]
        urls += [f"{url}?search={quote(each)}" for each in searches[url]]
        urls += [f"{url}?{urlencode([each])}" for each in filters[url]]
        found[realm] += urls
    found[LARGE] += [
        base,
        f"{base}/find?q={middle[-7:]}",
        f"{base}/find?q=billing",
        f"{base}/suggest?kind=owner&q=billing",
        f"{programs}/{middle}",
        f"{base}/access",
        f"{base}/access?holder={quote(middle)}",
        f"{base}/roles",
        "/v1/applications",
        "/v1/applications?orderBy=-name",
        "/v1/applications?orderBy=-creationTimestamp",
        f"/v1/applications?name={middle}",
        "/v1/applications?name=billing",
        "/v1/applications?name=zzz-nothing",
        "/v1/applications?isActive=false",
        "/v1/applications?offset=50000",
        "/v1/apiKeys?scope=all",
        "/v1/apiKeys?scope=all&orderBy=name",
        "/v1/apiKeys?scope=all&orderBy=-name",
        "/v1/apiKeys?scope=all&orderBy=-creationTimestamp",
        "/v1/apiKeys?scope=all&offset=50000",
    ]
    found["master"] += [
        "/v1/realms",
        "/v1/realms?orderBy=-name",
        "/v1/realms?orderBy=-creationTimestamp",
        "/v1/realms?name=realm-77",
        "/v1/realms?name=zzz-nothing",
        "/v1/realms?state=inactive",
        "/v1/realms?offset=5000",
    ]
    return found


def measure_lists(filled: Filled, rounds: int) -> dict[str, dict[str, float]]:
    """Return milliseconds of each list: at first, the least of some more, and the least that processors have spent on it.

    One that is refused, as the database has taken too long, takes for ever.
    What the worker and PostgreSQL's own processes have run is what counts on a machine that others use.
    """
    found: dict[str, dict[str, float]] = {}
    with filled.served() as server, contextlib.ExitStack() as kept:
        processes = [*server.workers, filled.postmaster]
        for realm, urls in list_urls(filled).items():
            client = kept.enter_context(Client(server.port))
            for url in urls:
                headers = filled.shown_for(url, realm)
                wall, processor = [], []
                for _ in range(rounds + 1):
                    before = _milliseconds_run(processes)
                    try:
                        wall.append(client.milliseconds("GET", url, None, headers))
                    except RuntimeError as error:
                        say(str(error)[:200])
                        wall.append(math.inf)
                    processor.append(_milliseconds_run(processes) - before)
                found[url] = {"first": wall[0], "then": min(wall[1:]), "processor": min(processor[1:])}
                found[url] = {name: round(value, 1) for name, value in found[url].items()}
                if max(found[url]["processor"], 0 if math.isfinite(found[url]["then"]) else math.inf) > LIST_MS:
                    say(f"  {url}: {found[url]}")
    return found


def _milliseconds_run(processes: Sequence[psutil.Process]) -> float:
    """Return for how long all threads of processes and of what these have started have run."""
    ran = 0
    for process in processes:
        for each in (process, *process.children()):
            for file in Path(f"/proc/{each.pid}/task").glob("*/schedstat"):
                with contextlib.suppress(OSError):
                    ran += int(file.read_text().split()[0])
    return ran / 1e6


def measure_memory(filled: Filled, cache_size: int, touched: int) -> dict[str, float]:
    """Return megabytes of the worker before and after it has exchanged so many keys, each of another application."""
    with filled.served(IDP_CACHE_SIZE=str(cache_size)) as server, Client(server.port) as client:
        exchange(client, 1)
        before = proportional_megabytes(server.workers)
        begun = time.monotonic()
        with ThreadPoolExecutor(_AT_ONCE) as callers:
            firsts = range(1, _AT_ONCE + 1)
            parts = [callers.submit(_exchange_all, server.port, filled.sizes, first, touched) for first in firsts]
        for part in parts:
            part.result()
        seconds = time.monotonic() - begun
        after = proportional_megabytes(server.workers)
    return {"before_mb": round(before, 1), "after_mb": round(after, 1), "seconds": round(seconds)}


_AT_ONCE = 4


def _exchange_all(port: int, sizes: Sizes, first: int, last: int) -> None:
    with Client(port) as client:
        for number in range(first, last + 1, _AT_ONCE):
            if is_enabled(sizes.owner_of(number)):
                exchange(client, number)


def measure_start(filled: Filled) -> float:
    """Return seconds from the command to the first answer: with a look whether the schema is the newest, and all chores done once."""
    begun = time.perf_counter()
    with filled.served():
        return round(time.perf_counter() - begun, 2)


CHORES: dict[str, Callable[[], Any]] = {
    "looking for signing keys to rotate": keys.rotate_due_keys,
    "telling of keys that expire": apikeys.send_notices,
    "removing keys that expired long ago": apikeys.remove_long_expired,
    "all of them, every minute": setup.rotate_keys_and_tidy,
    "looking for sequences and marks to seal": trail.seal_trail,
}


def measure_chores(filled: Filled) -> dict[str, tuple[float, float]]:
    """Return how many milliseconds chores take, at first and the least of further ones."""
    app = create_app(filled.settings)
    found = {}
    with app.app_context():
        for name, act in CHORES.items():
            took = []
            for _ in range(3):
                begun = time.perf_counter()
                act()
                commit()
                took.append(1e3 * (time.perf_counter() - begun))
            found[name] = round(took[0], 1), round(min(took[1:]), 1)
    close_app(app)
    return found


def measure_disk(filled: Filled) -> dict[str, str]:
    """Return how many megabytes the largest tables take, their indexes apart."""
    query = (
        "SELECT relname, pg_table_size(oid) / 1000000, pg_indexes_size(oid) / 1000000 FROM pg_class "
        "WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY pg_total_relation_size(oid) DESC LIMIT 5"
    )
    with psycopg.connect(filled.url) as connection:
        rows = connection.execute(query).fetchall()
    whole = filled.ask("SELECT pg_database_size(current_database()) / 1000000")
    return {"the whole database": str(whole), **{name: f"{table} + {indexes}" for name, table, indexes in rows}}


def round_trip(filled: Filled) -> float:
    """Return the milliseconds of a round trip to PostgreSQL."""
    took = []
    with psycopg.connect(filled.url, autocommit=True) as connection:
        for _ in range(500):
            begun = time.perf_counter()
            connection.execute("SELECT 1")
            took.append(1e3 * (time.perf_counter() - begun))
    return round(statistics.median(took), 3)


def measure(large: Filled, small: Filled, options: argparse.Namespace) -> None:
    """Measure everything, and print it as tables."""
    say("how long a start takes, with the large database and the small one in turn")
    starts = [(measure_start(large), measure_start(small)) for _ in range(options.rounds)]
    print("| start, s: least of the large, of the small |\n|---|")
    print(f"| {min(each[0] for each in starts)}, {min(each[1] for each in starts)} |\n", flush=True)
    say("answers from memory")
    _table("warm, µs", measure_warm(large, small, options.rounds), "large", "small", f"ratio, at most {WARM}", "of the least")
    say("first uses")
    print(f"a round trip to PostgreSQL takes {round_trip(large)} ms\n")
    columns = ("median, ms", "p99", "warm", "processor time: median", f"p99, at most {COLD_MS:g} more than warm", "warm")
    _table("first use of", measure_cold(large, options.cold), *columns)
    say("lists and searches")
    lists = measure_lists(large, options.rounds)
    _table("list", lists, "first, ms", "least", f"processor time, at most {LIST_MS:g}")
    slow = [url for url, each in lists.items() if each["processor"] > LIST_MS]
    print(f"{len(slow)} of {len(lists)} take longer than {LIST_MS:g} ms\n", flush=True)
    say("chores")
    chores = {name: {"first": first, "then": then} for name, (first, then) in measure_chores(large).items()}
    _table("chore", chores, "first, ms", "then")
    for cache_size in options.cache_size:
        say(f"memory with IDP_CACHE_SIZE={cache_size}")
        found = {f"{options.touched:,} keys and applications": measure_memory(large, cache_size, options.touched)}
        _table(f"IDP_CACHE_SIZE={cache_size}", found, "MB before", f"after, at most {MEGABYTES}", "seconds")
    _table("disk", {name: {"size": size} for name, size in measure_disk(large).items()}, "MB: tables, indexes")


def _table(title: str, rows: Mapping[str, Mapping[str, object]], *columns: str) -> None:
    print(f"| {' | '.join((title, *columns))} |\n|{'---|' * (len(columns) + 1)}")
    for name, each in rows.items():
        print(f"| {name} | {' | '.join(str(value) for value in each.values())} |")
    print(flush=True)


def main() -> None:
    """Fill a large database and a small one, measure them, and remove both."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.large",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sizes = Sizes()
    parser.add_argument(
        "--applications", type=int, default=sizes.applications, metavar="N", help="a tenth are acme's (%(default)s)"
    )
    parser.add_argument("--realms", type=int, default=sizes.realms, metavar="N", help="organisations besides acme (%(default)s)")
    parser.add_argument(
        "--keys", type=int, default=sizes.keys, metavar="N", help="API keys, of the applications in turn (%(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="how often each thing is measured (%(default)s)")
    parser.add_argument("--cold", type=int, default=300, metavar="N", help="first uses of each kind (%(default)s)")
    parser.add_argument("--touched", type=int, default=100_000, metavar="N", help="keys used, for the memory (%(default)s)")
    parser.add_argument(
        "--cache-size", type=int, nargs="+", default=[20_000, 5_000], metavar="N", help="IDP_CACHE_SIZE for that (20000 5000)"
    )
    parser.add_argument(
        "--folder", type=Path, help="where the data is kept meanwhile (the system's folder for what is temporary)"
    )
    options = parser.parse_args()
    known = min(options.applications, options.keys, max(2 * options.touched, 40 * options.cold))
    sizes = Sizes(options.applications, options.realms, options.keys, known)
    with postgres(options.folder) as make, tempfile.TemporaryDirectory(dir=options.folder) as folder:
        cluster = make().create()
        for setting in ("shared_buffers = '2GB'", "max_wal_size = '8GB'"):
            cluster.execute(f"ALTER SYSTEM SET {setting}")
        cluster.stop()
        cluster.start()
        cluster.execute("CREATE DATABASE small")
        small = fill_database(Path(folder) / "small", cluster.url("small"), SMALL)
        large = fill_database(Path(folder) / "large", cluster.url(), sizes)
        measure(large, small, options)


_EPILOG = """\
examples:
  python -m tests.bench.large                      everything as it is wanted; about half an hour
  python -m tests.bench.large --applications 10000 --realms 100 --keys 100000 --touched 5000
                                                   the same in three minutes, to see that it works

Tables are printed on standard output, and what goes on, with the load average, on standard error. The load average belongs
beside each figure: others who use the machine add to it.
"""


if __name__ == "__main__":
    sys.exit(main())
