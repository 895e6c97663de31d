"""The access review of many grants as CSV, on PostgreSQL: `python -m tests.bench.downloads --grants 100000`."""

import argparse
import http.client
import sys
import tempfile
import time
from pathlib import Path

import psutil
from sqlalchemy import insert, text

from idp import access, realms, setup
from idp.access import Grant
from idp.app import close_app, create_app
from idp.db import commit, db
from idp.settings import Settings
from idp.users import User
from tests.factories import Factory
from tests.faults.surroundings import postgres
from tests.forking import PROJECT
from tests.serving import Server

PATH = "/v1/accessReview?format=csv"


def add_grants(count: int) -> None:
    """Add users, each with a role on the realm."""
    realm = realms.get_realm("acme")
    same = {"realm_id": realm.id, "holder_kind": "user", "granted_by": "seed", "role_id": access.get_role(realm, "viewer").id}
    for start in range(0, count, 10_000):
        names = [f"u{number:07}@example.test" for number in range(start, min(count, start + 10_000))]
        people = [{"realm_id": realm.id, "name": name, "kind": "person"} for name in names]
        added = db.session.execute(insert(User).returning(User.id, User.name), people)
        db.session.execute(insert(Grant), [{"holder_id": number, "holder_name": name, **same} for number, name in added])
    db.session.execute(text("ANALYZE"))
    commit()


def main() -> None:
    """Fill a realm, and print when the first byte and the last one come, and what memory that takes."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.downloads", description=__doc__)
    parser.add_argument("--grants", type=int, default=100_000)
    grants = parser.parse_args().grants
    with postgres() as make, tempfile.TemporaryDirectory() as folder:
        url = make().create().url()
        settings = Settings.load(data_dir=Path(folder) / "data", realms_dir=PROJECT / "realms", database_url=url)
        close_app(setup.set_up(settings)[0])
        app = create_app(settings)
        with app.app_context():
            add_grants(grants)
        factory = Factory(app)
        factory.user("lea@example.test", roles=("auditor",))
        header = factory.key("lea@example.test").header
        close_app(app)
        server = Server(Path(folder) / "data", settings={"IDP_DATABASE_URL": url})
        server.start()
        try:
            print(f"| {grants:,} grants | first byte, ms | all, s | MB | memory before and after, MB |\n|---|---|---|---|---|")
            for _ in range(3):
                print(measure(server, header), flush=True)
        finally:
            server.stop()


def measure(server: Server, header: dict[str, str]) -> str:
    """Take a file once, and return the figures as a line of a table."""
    assert server.process is not None
    worker = psutil.Process(server.process.pid).children()[-1]
    before, begun = worker.memory_info().rss, time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
    connection.request("GET", PATH, headers=header)
    answer = connection.getresponse()
    size, first = len(answer.read(1)), time.perf_counter() - begun
    while part := answer.read(65_536):
        size += len(part)
    took = time.perf_counter() - begun
    connection.close()
    memory = f"{before / 1e6:.0f}, {worker.memory_info().rss / 1e6:.0f}"
    return f"| {answer.status} | {1000 * first:.0f} | {took:.1f} | {size / 1e6:.1f} | {memory} |"


if __name__ == "__main__":
    sys.exit(main())
