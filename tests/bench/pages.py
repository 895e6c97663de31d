"""What pages of the console cost in a large realm: server time and size, measured at the application itself."""

import statistics
import time
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from idp import clock, realms, sessions, users
from idp.access import Grant, Role
from idp.app import close_app, create_app
from idp.applications import Application
from idp.audit import AuditEvent, Tag, event_values
from idp.db import commit, db
from tests.bench import seed
from tests.bench.serving import set_up
from tests.factories import Factory

BASE = "/console/realms/acme"
COUNT_EVENTS = 200_000


def bench_pages(folder: Path, rounds: int, count_applications: int, count_realms: int) -> dict[str, Any]:
    """Return milliseconds of server time and kilobytes of each page, median of the rounds."""
    from tests.bench.__main__ import settings_of

    server = set_up(folder)
    settings = settings_of(server)
    seed.add_applications(settings, "acme", count_applications)
    seed.add_realms(settings, count_realms)
    app = create_app(settings)
    factory = Factory(app)
    factory.user("root@example.test", realm="master", roles=("administrator",))
    with app.app_context():
        _add_grants_and_events()
        master = realms.get_realm("master")
        sid = sessions.begin_session(master, users.get_user(master, "root@example.test"))
        cookie = sessions.seal_session("master", sid)
    client = app.test_client()
    client.set_cookie("realmgate-session", cookie)
    last = f"seed-{count_applications - 1}"
    urls = {
        "overview": BASE,
        "applications, first page": f"{BASE}/applications",
        "applications, far down": f"{BASE}/applications?after=seed-9",
        "applications, a search that finds one": f"{BASE}/applications?search={last}",
        "applications, a search that finds nothing": f"{BASE}/applications?search=nowhere",
        "one application": f"{BASE}/applications/{last}",
        "access review, first page": f"{BASE}/access",
        "access review of one holder": f"{BASE}/access?holder=application:{last}",
        "audit trail": f"{BASE}/audit",
        "audit trail of one application": f"{BASE}/audit?target=application:{last}",
        "organisations, first page": "/console/organisations",
        "organisations, a search": "/console/organisations?search=realm-999",
    }
    times: dict[str, list[float]] = {name: [] for name in urls}
    sizes: dict[str, float] = {}
    for _ in range(rounds + 1):
        for name, url in urls.items():
            started = time.perf_counter()
            answer = client.get(url)
            times[name].append((time.perf_counter() - started) * 1e3)
            if answer.status_code != 200:
                raise RuntimeError(f"{url}: {answer.status_code}")
            sizes[name] = len(answer.data) / 1000
    close_app(app)
    figures = {
        name: {"milliseconds": round(statistics.median(each[1:]), 1), "kilobytes": round(sizes[name], 1)}
        for name, each in times.items()
    }
    slowest = max(each["milliseconds"] for each in figures.values())
    return {
        "applications": count_applications,
        "realms": count_realms,
        "events": COUNT_EVENTS,
        "pages": figures,
        "slowest_ms": slowest,
    }


def _add_grants_and_events() -> None:
    """Give every application a role, and the trail as many events as an hour of work brings."""
    realm = realms.get_realm("acme")
    role = db.session.query(Role.id).filter_by(realm_id=realm.id, name="viewer").scalar()
    now = clock.now()
    seeded = (
        db.session.query(Application.id, Application.name)
        .filter_by(realm_id=realm.id)
        .filter(Application.name.startswith("seed-"))
    )
    grants = [
        {
            "realm_id": realm.id,
            "holder_kind": "application",
            "holder_id": number,
            "holder_name": name,
            "role_id": role,
            "uid": str(uuid.uuid4()),
            "created_at": now,
            "granted_by": "seed",
        }
        for number, name in seeded
    ]
    events = [
        event_values(
            now - timedelta(seconds=number / 50),
            "acme",
            Tag.TOKEN_ISSUE,
            f"application:seed-{number}",
            f"token:{number}",
            "127.0.0.1",
            "success",
        )
        for number in range(COUNT_EVENTS)
    ]
    for table, rows in ((Grant, grants), (AuditEvent, events)):
        for start in range(0, len(rows), 10_000):
            db.session.execute(insert(table), rows[start : start + 10_000])
    commit()
