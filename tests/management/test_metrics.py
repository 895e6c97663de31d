"""Metrics: what they say, that Prometheus takes them, and that the dashboard, the alerts and the documentation name what there is."""

import contextlib
import json
import re
import secrets
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from flask import Flask
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from idp import feed, runtime
from idp.db import commit, db
from idp.pool import BoundedPool
from idp.server import measures
from idp.server.measures import WorkerMeter, measure_state
from idp.settings import Settings
from tests.serving import PROJECT, Server, free_port, send, wait_until

DASHBOARD = PROJECT / "deploy" / "grafana" / "realmgate.json"
ALERTS = PROJECT / "deploy" / "prometheus" / "alerts.yaml"
OPERATING = (PROJECT / "docs" / "operating.md").read_text()
CANARY = "canary-e0b7d3"

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Prometheus) is not installed")


def promtool(*arguments: str, cwd: Path | None = None, typed: str | None = None) -> None:
    done = subprocess.run(["promtool", *arguments], cwd=cwd, input=typed, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def expressions() -> dict[str, str]:
    """Return all that the dashboard and the alerts ask Prometheus, by where it stands."""
    found = {rule["alert"]: rule["expr"] for rule in alerts()}
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            found[f"{panel['title']} {target['refId']} ({panel['id']})"] = target["expr"]
    return found


def alerts() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
    return found


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server to which every statement is slow."""
    settings = {"IDP_SLOW_QUERY_SECONDS": "0.000000001", "IDP_AUDIT_SEAL_SECONDS": "0.5"}
    settings["IDP_MANAGEMENT_PORT"] = str(free_port())
    server = Server(tmp_path_factory.mktemp("watched"), settings=settings)
    server.start()
    yield server
    server.stop()


def metrics(server: Server) -> str:
    return send(f"http://127.0.0.1:{server.settings['IDP_MANAGEMENT_PORT']}/metrics").body.decode()


def value(server: Server, series: str) -> float:
    match = re.search(rf"^{re.escape(series)} (\S+)$", metrics(server), re.MULTILINE)
    return float(match[1]) if match else -1.0


@pytest.fixture
def shown(watched: Server) -> str:
    """What the server shows after a token and a refusal."""
    form = {"grant_type": "client_credentials", "client_id": CANARY, "client_secret": f"{CANARY}-secret"}
    assert send(watched.endpoint("token"), form).status == 401
    assert watched.token(watched.create_application(f"measured-{secrets.token_hex(6)}")).status == 200
    awaited = ('area="token",code="200"', "\nrealmgate_audit_events_unsealed ", "\nrealmgate_signing_keys_overdue ")
    return str(wait_until(lambda: all(each in (found := metrics(watched)) for each in awaited) and found, "the measurement"))


def test_everything_about_the_process_is_measured(watched: Server, shown: str) -> None:
    import idp

    assert re.search(rf'realmgate_build_info{{database="sqlite",python="3\.[\d.]+\S*",version="{idp.__version__}"}} 1.0', shown)
    # connections of 32 threads, two for each, and 8 for what is beside the requests
    expected = {"workers": 1, "workers_configured": 1, "pool_size": 72, "pool_timeouts_total": 0, "feed_failures_total": 0}
    assert {name: value(watched, f"realmgate_{name}") for name in expected} == expected
    assert 10e6 < value(watched, "realmgate_memory_bytes") < 2e9
    assert value(watched, "realmgate_cpu_seconds_total") > 0.1
    assert value(watched, "realmgate_pool_open") >= 1
    assert value(watched, "realmgate_feed_full_drops_total") == 1, "the first look"
    wait_until(lambda: value(watched, "realmgate_feed_rows_total") >= 1, "the application that was made is a change")
    assert value(watched, "realmgate_feed_age_seconds") < 60
    assert value(watched, "realmgate_signing_key_age_seconds") > 0
    assert value(watched, 'realmgate_protocol_errors_total{error="invalid_client"}') >= 1
    assert value(watched, "realmgate_slow_statements_total") > 1


def test_no_secret_is_in_the_log_of_slow_statements(watched: Server, shown: str) -> None:
    lines = [json.loads(line) for line in list(watched.output) if line.startswith("{")]
    asked = [line for line in lines if line["logger"] == "idp.statements" and "FROM application" in line["statement"]]
    assert any("name = ?" in line["statement"] and line.get("request_id") for line in asked)
    assert all(line["level"] == "warning" and line["seconds"] >= 0 for line in asked)
    assert CANARY not in "".join(watched.output)


def test_worker_that_dies_is_counted(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", settings={"IDP_MANAGEMENT_PORT": str(free_port())}).start()
    try:
        wait_until(lambda: any("Realmgate is running" in line for line in server.output), "the end of the start")
        assert server.process is not None
        (worker,) = psutil.Process(server.process.pid).children()
        worker.kill()
        wait_until(lambda: value(server, "realmgate_worker_deaths_total") == 1, "the count")
        wait_until(lambda: value(server, "realmgate_workers") == 1, "the next one, and no trace of the one before it")
    finally:
        server.stop()


@needs_promtool
def test_metrics_pass_prometheus_own_check(shown: str) -> None:
    promtool("check", "metrics", typed=shown)


def test_all_that_dashboard_and_alerts_name_is_exposed(shown: str) -> None:
    series: dict[str, set[tuple[str, str]]] = {"up": {("job", "realmgate")}}
    for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? ", shown, re.MULTILINE):
        series.setdefault(name, set()).update(re.findall(r'(\w+)="([^"]*)"', labels))
    scraped = {"job", "instance"}
    for place, expression in expressions().items():
        named = re.findall(r"\b(realmgate_\w+|up)\b(?:\{([^}]*)\})?", expression)
        assert named, f"{place}: {expression}"
        labels = scraped.union(*({label for label, _ in series.get(name, ())} for name, _ in named))
        for name, selected in named:
            assert name in series, f"{place} names {name}"
            for label, sign, wanted in re.findall(r'(\w+)(=|!=|=~|!~)"([^"]*)"', selected):
                if label not in scraped:
                    assert label in labels, f"{place}: {name} has no label {label}"
                    assert sign != "=" or (label, wanted) in series[name], f"{place}: {label} of {name} is never {wanted}"
        for grouping in re.findall(r"by \(([^)]*)\)", expression):
            assert {each.strip() for each in grouping.split(",")} <= labels, f"{place}: {expression}"


def test_every_metric_is_documented_on_the_dashboard_or_in_an_alert_and_nothing_else_is(shown: str) -> None:
    families = {name for name, _ in re.findall(r"^# TYPE (\S+) (\S+)", shown, re.MULTILINE)}
    table = OPERATING.partition("## Metrics")[2].partition("```yaml")[0]
    assert set(re.findall(r"`(realmgate_\w+)`", table)) == families
    asked = " ".join(expressions().values())
    assert [name for name in families if name not in asked] == []


@needs_promtool
def test_rules_are_accepted_and_each_fires_for_what_is_ill_and_for_nothing_else() -> None:
    promtool("check", "rules", ALERTS.name, cwd=ALERTS.parent)
    promtool("test", "rules", "alerts_test.yaml", cwd=ALERTS.parent)
    tested = yaml.safe_load((ALERTS.parent / "alerts_test.yaml").read_text())["tests"]
    assert [test["name"] for test in tested] == [rule["alert"] for rule in alerts()]
    assert all(check["exp_alerts"] for test in tested for check in test["alert_rule_test"])


@needs_promtool
def test_dashboard_asks_in_promql(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, expression in enumerate(expressions().values())
    ]
    (tmp_path / "panels.yaml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", "panels.yaml", cwd=tmp_path)


def test_panels_do_not_overlap_and_have_a_unit() -> None:
    taken: set[tuple[int, int]] = set()
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (place["x"] + across, place["y"] + down) for across in range(place["w"]) for down in range(place["h"])
        }  # fmt: skip # a rectangle
        assert not taken & cells, panel["title"]
        taken |= cells
        assert panel["type"] == "row" or panel["fieldConfig"]["defaults"]["unit"]


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_alert_leads_to_what_is_to_be_done(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert anchor == rule["alert"].lower()
    row = re.search(
        rf'^\| <a id="{anchor}"></a>`{rule["alert"]}` \| (.+) \| (.+) \|$', (PROJECT / page).read_text(), re.MULTILINE
    )
    assert row, f"{page} has no row with the anchor {anchor}"


class Recorder:
    """What would be counted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.values: dict[str, float] = {}
        monkeypatch.setattr(measures, "is_measured", lambda: True)
        monkeypatch.setattr(measures, "set_gauge", lambda name, value, *_: self.values.update({name: value}))
        monkeypatch.setattr(measures, "count", lambda name, number: self.values.update({name: self.values.get(name, 0) + number}))

    def __getitem__(self, name: str) -> float:
        return self.values[f"realmgate_{name}"]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(monkeypatch)


def test_waits_for_connections_are_counted(context: Flask, settings: Settings, recorded: Recorder) -> None:
    meter = WorkerMeter(context, settings)
    engine = create_engine("sqlite://", poolclass=BoundedPool, pool_size=3, max_overflow=0, pool_timeout=0.05)
    pool = engine.pool
    assert isinstance(pool, BoundedPool)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(db), "engine", engine)
        with engine.connect():
            meter.measure()
            assert [recorded[f"pool_{name}"] for name in ("size", "open", "in_use", "waits_total"[:-6])] == [3, 1, 1, 0]
            failed: list[Exception] = []

            def take() -> None:
                with contextlib.suppress(AssertionError):
                    try:
                        engine.connect()
                    except PoolTimeoutError as error:
                        failed.append(error)

            other = threading.Thread(target=take)  # the last two are kept for those who have one
            other.start()
            other.join()
            assert len(failed) == 1
            meter.measure()
            meter.measure()
        assert [recorded[f"pool_{name}"] for name in ("waits", "timeouts")] == [1, 1]
        assert 0.05 <= recorded["pool_wait_seconds"] < 60
        with engine.connect(), engine.connect():
            pass
        meter.measure()
        assert (recorded["pool_in_use"], recorded["pool_waits"]) == (2, 1), "the most since the last look"
        meter.measure()
        assert recorded["pool_in_use"] == 0
    engine.dispose()


def test_what_the_feed_does_is_counted_and_its_age_grows_while_the_database_is_away(
    context: Flask, settings: Settings, recorded: Recorder
) -> None:
    meter = WorkerMeter(context, settings)
    meter.measure()
    assert [recorded[f"feed_{name}"] for name in ("questions", "failures", "rows", "full_drops")] == [1, 0, 0, 1]
    for key in ("acme/a", "acme/b"):
        feed.publish("application", key)
    commit()
    worker = runtime.current().feed
    worker.expire()
    meter.measure()
    assert [recorded[f"feed_{name}"] for name in ("questions", "rows", "full_drops")] == [2, 2, 1]
    assert recorded["feed_age_seconds"] < 0.2
    worker.close()

    def fail(*_: Any) -> None:
        raise OperationalError("connect", {}, Exception("away"), connection_invalidated=True)

    event.listen(worker._engine, "engine_connect", fail)
    worker.expire()
    meter.measure()
    assert recorded["feed_failures"] == 1
    assert recorded["feed_age_seconds"] > 0
    age = recorded["feed_age_seconds"]
    meter.measure()
    assert recorded["feed_age_seconds"] > age
    assert recorded["feed_questions"] == 3, "for a second it is known to be away"


def test_state_of_keys_and_mail_is_measured(context: Flask, recorded: Recorder) -> None:
    measure_state()
    assert (recorded["signing_keys_overdue"], recorded["mail_oldest_seconds"]) == (0, 0)
    assert 60 <= recorded["signing_key_age_seconds"] < 3600
    db.session.execute(text("UPDATE signing_key SET active_from = '2020-01-01 00:00:00.000000'"))
    db.session.execute(
        text(
            "INSERT INTO mail_message (occasion, realm, template, sealed, created_at, due_at, tries, last_error, sent) "
            "VALUES ('x', 'acme', 'x', '', '2020-01-01 00:00:00.000000', '2020-01-01 00:00:00.000000', 0, '', 0)"
        )
    )
    commit()
    measure_state()
    assert recorded["signing_keys_overdue"] == 4, "two keys of each of two realms"
    assert recorded["signing_key_age_seconds"] > 86_400 * 365
    assert recorded["mail_oldest_seconds"] > 86_400 * 365
