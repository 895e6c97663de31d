"""Files that are made while they are sent, over real connections and on PostgreSQL: slow readers, silent ones, failures half-way."""

import contextlib
import csv
import http.client
import io
import re
import shutil
import socket
import statistics
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from sqlalchemy import event, insert, select

from idp import access, realms, setup, users
from idp.access import Grant, HolderKind
from idp.app import close_app, create_app
from idp.db import commit, db
from idp.server.flows import TEXT
from idp.settings import Settings
from idp.users import Membership, User
from idp.web.downloads import AT_ONCE
from tests.factories import Factory
from tests.serving import PATIENCE, PROJECT, Server, send, wait_until

MEMBERS, PROJECTS, APART = 2_000, 50, 1_000
"""Members of a group, the projects that it has a role on, and users with a role of their own."""

LINES = 1 + PROJECTS * (1 + MEMBERS) + APART
"""At the least, with the heading."""

REVIEW = "/v1/accessReview?format=csv"


def add_people(prefix: str, count: int) -> list[tuple[int, str]]:
    """Add users to acme, and return their row numbers and names."""
    owner = realms.get_realm("acme")
    rows = [{"realm_id": owner.id, "name": f"{prefix}{n:06}@example.test", "kind": "person"} for n in range(count)]
    db.session.execute(insert(User), rows)
    return [(row.id, row.name) for row in db.session.execute(select(User.id, User.name).where(User.name.startswith(prefix)))]


def add_grants(people: list[tuple[int, str]], kind: HolderKind = HolderKind.USER, project_id: int | None = None) -> None:
    """Give each the role `viewer`."""
    owner = realms.get_realm("acme")
    same = {"realm_id": owner.id, "holder_kind": kind.value, "project_id": project_id, "granted_by": "system"}
    same |= {"role_id": access.get_role(owner, "viewer").id}
    rows = [{"holder_id": number, "holder_name": name, **same} for number, name in people]
    db.session.execute(insert(Grant), rows)


def fill() -> None:
    """Add the group, its members and its grants, and the users who hold a role themselves."""
    owner = realms.get_realm("acme")
    crew = users.create_group(owner, "crew")
    db.session.execute(insert(Membership), [{"group_id": crew.id, "user_id": each} for each, _ in add_people("m", MEMBERS)])
    for number in range(PROJECTS):
        project = access.create_project(owner, f"p{number}")
        add_grants([(crew.id, "crew")], HolderKind.GROUP, project.id)
    add_grants(add_people("u", APART))
    commit()


@dataclass
class Full:
    """A server whose access review is long."""

    server: Server
    database: str
    header: dict[str, str]

    def request(self, version: str = "1.1", method: str = "GET") -> bytes:
        """Return the request for the review."""
        lines = [f"{method} {REVIEW} HTTP/{version}", "Host: x", *(f"{name}: {value}" for name, value in self.header.items())]
        return "\r\n".join([*lines, "", ""]).encode()

    def ask(self, version: str = "1.1") -> socket.socket:
        """Ask for the review on a connection that takes little at once."""
        connection = socket.socket()
        connection.settimeout(PATIENCE)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.connect(("127.0.0.1", self.server.port))
        connection.sendall(self.request(version))
        return connection

    def worker(self) -> psutil.Process:
        """Return the only worker."""
        assert self.server.process is not None
        (worker,) = psutil.Process(self.server.process.pid).children()[-1:]
        return worker

    def begin_worker_anew(self) -> None:
        """End the worker, and wait for the one that takes its place."""
        former = self.worker()
        former.kill()
        assert self.server.process is not None
        parent = psutil.Process(self.server.process.pid)
        wait_until(lambda: any(child.pid != former.pid for child in parent.children()), "another worker")
        wait_until(lambda: send(f"{self.server.url}/health/ready").status == 200, "readiness")

    def execute(self, statement: str) -> list[Any]:
        """Have the database do something, beside the server."""
        with psycopg.connect(self.database, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="module")
def full(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Full]:
    name, folder = f"downloads_{uuid.uuid4().hex}", tmp_path_factory.mktemp("downloads")
    postgres.psql(f"CREATE DATABASE {name};")
    url = postgres.get_uri(database=name)
    settings = Settings.load(data_dir=folder / "data", realms_dir=PROJECT / "realms", database_url=url)
    close_app(setup.set_up(settings)[0])
    app = create_app(settings)
    with app.app_context():
        fill()
    make = Factory(app)
    make.user("lea@example.test", roles=("auditor",))
    header = make.key("lea@example.test").header
    close_app(app)
    server = Server(folder / "data", settings={"IDP_DATABASE_URL": url, "IDP_ANSWER_TIMEOUT": "300", "IDP_RATE_API": "0"})
    server.start()
    yield Full(server, url, header)
    server.stop()


def peak(process: psutil.Process) -> int:
    """Return the most memory that a process has had since this was last asked, in bytes; Linux counts it."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


def test_long_review_is_sent_whole_and_takes_no_memory(full: Full) -> None:
    grown = []
    for _ in range(3):  # of which each is a new worker's: what else it begins meanwhile takes memory, too, now and then
        grown.append(growth_by_review(full))
        full.begin_worker_anew()
    assert statistics.median(grown) < 5_000_000, grown


def growth_by_review(full: Full) -> int:
    """Get the long review, see that it is whole, and return by how many bytes the most memory of the worker has grown."""
    for name in ("user:u", "group:crew"):  # what is loaded once
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", full.server.port, timeout=PATIENCE)) as connection:
            connection.request("GET", f"{REVIEW}&holder={name}", headers=full.header)
            assert connection.getresponse().read(1_000_000)
    peak(full.worker())
    before = peak(full.worker())
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", full.server.port, timeout=PATIENCE)) as connection:
        connection.request("GET", REVIEW, headers=full.header)
        answer = connection.getresponse()
        body = answer.read()
    grown = peak(full.worker()) - before
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert len(body) > 8_000_000
    rows = list(csv.DictReader(io.StringIO(body.decode())))
    assert len(rows) >= LINES - 1
    by_group = [row["holder"] for row in rows if row["via"] == "group:crew" and row["project"] == "p7"]
    assert by_group == [f"m{n:06}@example.test" for n in range(MEMBERS)]
    assert {row["holder"] for row in rows if row["holder"].startswith("u")} == {f"u{n:06}@example.test" for n in range(APART)}
    return grown


def test_slow_reader_holds_no_connection_to_the_database(full: Full) -> None:
    with full.ask() as connection:
        first = connection.recv(1_000)
        assert first.startswith(b"HTTP/1.1 200 ")
        busy = f"SELECT pid FROM pg_stat_activity WHERE datname = '{full.database.partition('?')[0].rpartition('/')[2]}' "
        busy += "AND application_name = 'realmgate' AND state <> 'idle'"
        wait_until(lambda: not full.execute(busy), "a moment without a transaction")
        assert send(f"{full.server.url}/health/ready").status == 200
        parts = [first]
        while not parts[-1].endswith(b"0\r\n\r\n"):
            parts.append(connection.recv(1_000_000))
            assert parts[-1]
    assert b"".join(parts).count(b"group:crew") == PROJECTS * MEMBERS


def test_others_are_told_to_come_back_while_all_places_are_taken(full: Full) -> None:
    url = f"{full.server.url}{REVIEW}&role=auditor"
    with contextlib.ExitStack() as slow:
        for _ in range(AT_ONCE):
            assert slow.enter_context(full.ask()).recv(12) == b"HTTP/1.1 200"
        refused = send(url, headers=full.header)
        assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
        assert send(f"{full.server.url}/v1/grants", headers=full.header).status == 200
    wait_until(lambda: send(url, headers=full.header).status == 200, "the end of those who have gone")


def test_who_takes_nothing_is_cut_off(full: Full, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    shutil.copy(full.server.data_dir / "master.key", tmp_path / "data" / "master.key")
    impatient = replace(full, server=Server(tmp_path / "data", settings=full.server.settings | {"IDP_ANSWER_TIMEOUT": "1"}))
    impatient.server.start()
    try:
        with impatient.ask() as silent:
            port = silent.getsockname()[1]
            wait_until(lambda: port in ports_of(impatient.worker()), "the connection")
            wait_until(lambda: port not in ports_of(impatient.worker()), "its end")
            with pytest.raises(ConnectionResetError):
                while silent.recv(1_000_000):
                    pass
    finally:
        impatient.server.stop()


def ports_of(process: psutil.Process) -> set[int]:
    """Return the ports of those whom a process is connected to."""
    return {each.raddr.port for each in process.net_connections("tcp") if each.raddr}


def test_who_leaves_or_asks_for_the_head_alone_holds_no_place(full: Full) -> None:
    for _ in range(AT_ONCE + 1):
        with full.ask() as connection:
            assert connection.recv(12) == b"HTTP/1.1 200"
        connection = http.client.HTTPConnection("127.0.0.1", full.server.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request("HEAD", f"{REVIEW}&role=auditor", headers=full.header)
            assert connection.getresponse().status in {200, 503}, "there is a place, or one that is still given back"
    url = f"{full.server.url}{REVIEW}&role=auditor"
    wait_until(lambda: all(send(url, headers=full.header).status == 200 for _ in range(AT_ONCE + 1)), "all places")


@contextlib.contextmanager
def others_ask(server: Server) -> Iterator[list[int]]:
    """Have others at the same address ask for something else inside the block, and return how they are answered."""
    over, answered = threading.Event(), list[int]()

    def ask() -> None:
        while not over.is_set():
            answered.append(send(f"{server.issuer()}/.well-known/openid-configuration").status)

    asking = [threading.Thread(target=ask) for _ in range(2)]
    for thread in asking:
        thread.start()
    try:
        yield answered
    finally:
        over.set()
        for thread in asking:
            thread.join()


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_half_a_file_does_not_look_like_a_whole_one(full: Full, version: str) -> None:
    with full.ask(version) as connection, others_ask(full.server) as answered:
        parts = [connection.recv(1_000)]
        full.execute("ALTER TABLE membership RENAME TO elsewhere")
        try:
            with pytest.raises(ConnectionResetError):
                while part := connection.recv(1_000_000):
                    parts.append(part)
        finally:
            full.execute("ALTER TABLE elsewhere RENAME TO membership")
    assert set(answered) == {200}, "others are not cut off"
    text = b"".join(parts)
    assert 10_000 < len(text) < 8_000_000
    assert not text.endswith(b"0\r\n\r\n")
    assert "a download was cut off" in "".join(full.server.output)
    assert TEXT.encode() in text or text.startswith(b"HTTP/1.1 200 ")  # what a reset has overtaken is lost
    assert send(f"{full.server.url}{REVIEW}&role=auditor", headers=full.header).status == 200


def test_failure_before_the_first_piece_is_answered(full: Full) -> None:
    full.execute("ALTER TABLE membership RENAME TO elsewhere")
    try:
        assert send(f"{full.server.url}{REVIEW}", headers=full.header).status == 500
    finally:
        full.execute("ALTER TABLE elsewhere RENAME TO membership")
    for _ in range(AT_ONCE + 1):
        assert send(f"{full.server.url}{REVIEW}&role=auditor", headers=full.header).status == 200


@pytest.mark.parametrize("path", [REVIEW, "/v1/accessReview?limit=500", "/v1/grants?limit=500"])
def test_pages_are_read_with_what_they_show(pg_make: Factory, path: str) -> None:
    """However many grants there are, of users and of groups, a page of them takes a few statements."""
    with pg_make.app.app_context():
        owner = realms.get_realm("acme")
        people = add_people("u", 600)
        groups = [users.create_group(owner, f"g{n}") for n in range(150)]
        pairs = [{"group_id": group.id, "user_id": people[n][0]} for n, group in enumerate(groups)]
        db.session.execute(insert(Membership), pairs)
        add_grants(people)
        add_grants([(group.id, group.name) for group in groups], HolderKind.GROUP)
        commit()
    pg_make.user("lea@example.test", roles=("auditor",))
    header = pg_make.key("lea@example.test").header
    client = pg_make.app.test_client()
    assert client.get(path, headers=header).status_code == 200  # who calls is known from now on
    statements: list[str] = []
    with pg_make.app.app_context():
        engine = db.engine

    @event.listens_for(engine, "before_cursor_execute")
    def _note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    text = client.get(path, headers=header).text
    read = [each for each in statements if each.startswith("SELECT")]
    assert "u000200@example.test" in text
    assert len(read) <= 12 * 4, "\n".join(read)
