"""The many rows that `python -m tests.bench.large` measures with: made all at once, and served like any others."""

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event, func, select

from idp import apikeys, migrations, realms
from idp.access import Grant
from idp.apikeys import ApiKey
from idp.app import close_app, create_app
from idp.applications import Application
from idp.db import db
from idp.realms import Realm
from tests.bench import large
from tests.bench.filling import ROLES, Sizes, name_of
from tests.faults.surroundings import postgres
from tests.forking import PROJECT

SIZES = Sizes(applications=100, realms=7, keys=300, known=200)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[large.Filled]:
    with postgres() as make:
        yield large.fill_database(tmp_path_factory.mktemp("large") / "data", make().create().url(), SIZES)


def test_there_is_as_much_as_was_asked_for_and_the_schema_is_whole(filled: large.Filled) -> None:
    app = create_app(filled.settings)
    with app.app_context():
        counts = {
            table: db.session.scalar(select(func.count()).select_from(table)) or 0 for table in (Application, ApiKey, Grant)
        }
        assert counts[Application] >= SIZES.applications
        assert counts[ApiKey] >= SIZES.keys
        assert counts[Grant] >= SIZES.applications * len(ROLES)
        assert db.session.scalar(select(func.count()).where(Realm.name.startswith("realm-"))) == SIZES.realms
        in_large = select(func.count()).where(Application.realm_id == Realm.id, Realm.name == "acme", Application.name != "first")
        assert (db.session.scalar(in_large) or 0) >= SIZES.applications / 10
        with db.engine.connect() as connection:
            assert migrations.drift(connection) == []
    close_app(app)


def test_its_applications_keys_and_realms_are_served(filled: large.Filled) -> None:
    with filled.served() as server, large.Client(server.port) as client:
        for number in (1, 9, 10, 47, SIZES.applications):
            large.fetch_token(client, SIZES, number)
            answer = server.token(
                {"client_id": name_of(number), "client_secret": large.SECRET}, realm=SIZES.realm_of(number), scope="openid"
            )
            assert answer.status == 200, answer.body
        for number in (1, 10, 47, SIZES.known):
            large.exchange(client, number)
        large.check(client, 10)
        with pytest.raises(RuntimeError, match="401"):
            large.exchange(client, SIZES.known + 1)


@pytest.mark.parametrize(
    ("order", "index"), [("name", "name"), ("expires", "expires_at"), ("used", "last_used_at"), ("uses", "use_count")]
)
@pytest.mark.parametrize("descending", [False, True])
def test_no_order_of_keys_sorts_all_that_a_realm_has(filled: large.Filled, order: str, index: str, *, descending: bool) -> None:
    app = create_app(filled.settings)
    with app.app_context():
        asked: list[Any] = []
        event.listen(db.engine, "before_cursor_execute", lambda *told: asked.append((told[2], told[3])))
        listing = apikeys.key_listing(realms.get_realm("acme"))
        shown = listing.take(order, descending=descending, after=None, limit=3)
        listing.take(order, descending=descending, after=listing.place(order, shown[-1]), limit=3)
        for statement, values in asked[-2:]:
            connection = db.session.connection()
            for way in ("seqscan", "bitmapscan", "sort"):  # of a few keys, all are soon sorted
                connection.exec_driver_sql(f"SET LOCAL enable_{way} = off")
            plan = "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {statement}", values))
            assert f"using ix_api_key_realm_id_{index}" in plan
            assert "Sort" not in plan
    close_app(app)


def test_what_is_listed_is_there(filled: large.Filled) -> None:
    found = large.measure_lists(filled, rounds=1)
    assert set(found) == {url for urls in large.list_urls(filled).values() for url in urls}
    assert [url for url, each in found.items() if math.isinf(each["then"])] == []


def test_first_uses_are_measured(filled: large.Filled) -> None:
    found = large.measure_cold(filled, count=SIZES.realms + 2)  # which are more than there are realms
    assert len(found) == 4
    assert all(0 < each["median_ms"] <= each["p99_ms"] for each in found.values())


def test_memory_is_measured_and_a_key_that_does_not_work_is_told_of(filled: large.Filled) -> None:
    found = large.measure_memory(filled, cache_size=1000, touched=60)
    assert found["before_mb"] > 0
    assert found["after_mb"] > 0
    with pytest.raises(RuntimeError, match="401"):
        large.measure_memory(filled, cache_size=1000, touched=SIZES.known + 1)


def test_the_command_says_how_it_is_used() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "tests.bench.large", "--help"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        cwd=PROJECT,
        check=True,
    ).stdout
    for expected in ("--applications N", "--keys N", "half an hour", "load average"):
        assert expected in said
