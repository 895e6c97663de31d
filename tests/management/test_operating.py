"""What operators see: health, metrics, request ids in answers and logs, traces; and a management port apart from the world's."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from idp.settings import Settings
from tests.collecting import QUICKLY, Collector, collecting, values
from tests.serving import PATIENCE, PROJECT, Server, free_port, send, wait_until


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """Something that traces are sent to."""
    with collecting() as found:
        yield found


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Server]:
    settings = {
        "IDP_WORKERS": "2",
        "IDP_MANAGEMENT_PORT": str(free_port()),
        "IDP_ACCESS_LOG": "true",
        "IDP_OTLP_ENDPOINT": collector.url,
        "IDP_AUDIT_SEAL_SECONDS": "0.2",
        "IDP_TRUSTED_PROXIES": "127.0.0.1",
    } | QUICKLY
    server = Server(tmp_path_factory.mktemp("operated"), settings=settings)
    server.start()
    yield server
    server.stop()


def management(server: Server, path: str) -> Any:
    return send(f"http://127.0.0.1:{server.settings['IDP_MANAGEMENT_PORT']}{path}")


def metrics(server: Server) -> dict[str, float]:
    text = management(server, "/metrics").body.decode()
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def test_health_on_both_ports(operated: Server) -> None:
    for ask in (lambda path: send(operated.url + path), lambda path: management(operated, path)):
        assert ask("/health/live").json == {"status": "UP"}
        assert ask("/health/ready").json == {
            "status": "UP",
            "checks": {"database": "UP", "clock": "UP", "threads": "UP", "serving": "UP"},
        }
    assert send(f"{operated.url}/metrics").status == 404, "metrics are for the management port"
    assert management(operated, "/v1/users").status == 404


def test_metrics_of_all_workers_together(operated: Server) -> None:
    bot = operated.create_application("metered")
    for _ in range(20):
        assert operated.token(bot).status == 200
    assert operated.token(bot | {"client_secret": "wrong"}).status == 401
    name = 'realmgate_http_request_duration_seconds_count{area="token",code="200",method="POST"}'

    def logged() -> int:
        """Return how many tokens were given out, as the access log has it: other tests have asked for some, too."""
        return sum('"POST"' in line and '/token", "status": 200' in line for line in list(operated.output))

    def agree() -> bool:
        now, given = metrics(operated), logged()
        issued = 'realmgate_tokens_issued_total{grant="client_credentials"}'
        return (
            given >= 20
            and now.get(name, 0) == now.get(issued, 0) == given
            and now.get('realmgate_refusals_total{kind="client"}', 0) >= 1
            and now["realmgate_audit_events_sealed_total"] > 0
        )

    wait_until(agree, "metrics")


def test_metrics_have_names_by_the_conventions_and_no_label_that_grows(operated: Server) -> None:
    operated.token(operated.create_application("labelled"))
    for path in ("/v1/users/7d3a5b8e-3ee7-4d8f-8d41-9b7de1a0a6cf", "/auth/realms/who/ever", "/x" * 50, "/console/"):
        send(operated.url + path)

    def shown() -> str:
        """Return the metrics when they tell of all requests: workers hand over what they count every now and then."""
        text = str(management(operated, "/metrics").body.decode())
        return text if all(f'area="{area}"' in text for area in ("token", "api", "console")) else ""

    text = wait_until(shown, "all of them")
    kinds = dict(re.findall(r"# TYPE (\S+) (\S+)", text))
    assert all(name.startswith("realmgate_") for name in kinds)
    assert all(name.endswith("_total") for name, kind in kinds.items() if kind == "counter")
    assert all(name.endswith("_seconds") for name, kind in kinds.items() if kind == "histogram")
    labels = set(re.findall(r'(\w+)="([^"]*)"', text))
    assert {name for name, _ in labels if name not in {"version", "python", "database"}} == {
        "area", "method", "code", "le", "grant", "kind", "limit", "error", "outcome"
    }  # fmt: skip # a list of words
    assert not any(value in text for value in ("labelled", "acme", "7d3a5b8e", "who"))


def test_every_number_that_is_counted_is_a_metric() -> None:
    from idp.telemetry import metrics

    declared = metrics._COUNTERS.keys() | metrics._GAUGES.keys() | metrics._OF_THE_WATCHER.keys()
    used = {
        name
        for path in (PROJECT / "idp").rglob("*.py")
        for name in re.findall(r'(?:(?:count|count_watching|set_gauge)\(\s*"|\b)(realmgate_[a-z_]+)(?:"|=)', path.read_text())
        if path.name != "metrics.py"
    }
    in_discovery = {"realmgate_revocations_endpoint"}
    assert used - in_discovery == declared


def test_a_lease_is_served_and_counted(operated: Server) -> None:
    operated.idp("roles", "create", "--realm", "acme", "borrower")
    operated.idp("roles", "permit", "--realm", "acme", "borrower", "keysets:lease")
    application = operated.create_application("lent-to", "--role", "borrower")
    (operated.data_dir / "token").write_text("canary")
    options = ["--realm", "acme", "--key", f"token={operated.data_dir / 'token'}"]
    operated.idp("keysets", "create", *options, "provider", "do", "counted")
    header = {"Authorization": f"Bearer {operated.token(application).json['access_token']}"}
    header |= {"Content-Type": "application/json", "X-Forwarded-Proto": "https"}  # a proxy is configured
    body = json.dumps({"spec": {"keyset": "counted", "reason": "test"}}).encode()
    answer = send(f"{operated.url}/v1/leases", body, header)
    assert (answer.status, answer.json["values"]) == (201, {"token": "canary"})
    port = operated.settings["IDP_MANAGEMENT_PORT"]
    shown = "realmgate_leases_taken_total 1.0"
    wait_until(lambda: shown in send(f"http://127.0.0.1:{port}/metrics").body.decode(), "the count")


def test_request_id_leads_from_the_answer_to_the_log(operated: Server) -> None:
    answer = send(f"{operated.url}/v1/users")
    assert answer.json["ref"] == answer.headers["X-Request-Id"]
    given = send(f"{operated.url}/v1/users", headers={"X-Request-Id": "from-the-proxy-1"})
    assert given.json["ref"] == given.headers["X-Request-Id"] == "from-the-proxy-1"
    made_up = send(f"{operated.url}/v1/users", headers={"X-Request-Id": 'x" onload=evil'})
    assert re.fullmatch(r"[0-9a-f]{16}", made_up.headers["X-Request-Id"])

    def logged() -> Any:
        lines = [json.loads(line) for line in list(operated.output) if line.startswith("{")]
        return next((line for line in lines if line.get("request_id") == "from-the-proxy-1"), None)

    line = wait_until(logged, "the log line")
    assert (line["method"], line["path"], line["status"]) == ("GET", "/v1/users", 401)


@pytest.mark.spec("T106", "T107")
def test_log_is_one_object_a_line_and_holds_no_code_and_no_token(operated: Server) -> None:
    token = "eyJ" + "a" * 200
    for path in (
        f"/v1/auth/refresh/{token}",
        "/v1/x%0d%0a%7b%22level%22%3a%22forged%22%7d",
        "/v1/%e2%80%a8",
        "/v1/users?apiKey=idp_ak_secret",
    ):
        send(operated.url + path, headers={"User-Agent": 'x" \u00e9'.encode("latin-1").decode("latin-1")})
    marker = send(f"{operated.url}/v1/last", headers={"X-Request-Id": "the-last-one"})
    assert marker.status == 404
    wait_until(lambda: any("the-last-one" in line for line in operated.output), "the log line")
    lines = [line for line in operated.output if '"logger"' in line]
    for line in lines:
        assert json.loads(line)["level"] != "forged"
        assert token not in line
        assert "idp_ak_secret" not in line


TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_traces_are_sent_when_that_is_configured(operated: Server, collector: Collector) -> None:
    answer = send(f"{operated.url}/v1/roles", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
    span = collector.await_span(TRACE, "GET api")
    assert span.parent_span_id.hex() == PARENT
    attributes = {each.key: each.value for each in span.attributes}
    assert attributes["http.response.status_code"].int_value == 401
    assert attributes["realmgate.request_id"].string_value == answer.headers["X-Request-Id"]
    assert "url.path" not in attributes
    lines = [json.loads(line) for line in list(operated.output) if line.startswith("{")]
    assert any(line["trace_id"] == TRACE for line in lines if line.get("request_id") == answer.headers["X-Request-Id"])


def test_token_request_is_traced_through_all_of_its_parts(operated: Server, collector: Collector) -> None:
    bot = operated.create_application("traced")
    trace = TRACE[:-4] + "cafe"
    form = {"grant_type": "client_credentials", "scope": "openid"} | {name: bot[name] for name in ("client_id", "client_secret")}
    answer = send(operated.endpoint("token"), form, {"traceparent": f"00-{trace}-{PARENT}-01"})
    assert answer.status == 200
    root = collector.await_span(trace, "POST token")
    assert root.parent_span_id.hex() == PARENT
    spans = collector.trace(trace)
    # on a busy machine, what is in memory may have to be confirmed in between, which is a statement of its own
    parts = [span.name for span in spans if span.parent_span_id == root.span_id and not span.name.isupper()]
    assert parts == ["open realm", "authenticate client", "make claims", "sign", "sign", "note usage"]
    (authentication,) = [span for span in spans if span.name == "authenticate client"]
    reads = [values(span) for span in spans if span.parent_span_id == authentication.span_id and span.name == "SELECT"]
    assert any("FROM application" in each["db.query.text"] for each in reads), "it was not in memory yet"
    assert all(root.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano for span in spans)
    sent = "".join(map(str, spans))
    assert not any(secret in sent for secret in (bot["client_secret"], bot["client_id"], answer.json["access_token"][-20:]))

    def written() -> set[str]:
        # refusals of clients are written under the same name, and count nothing at an application: look for an issue
        traces = [collector.trace(span.trace_id.hex()) for span in list(collector.spans) if span.name == "write usage"]
        return next((names for names in ({span.name for span in each} for each in traces) if "UPDATE" in names), set())

    names = wait_until(written, "the trace of what writes usage, beside the requests")
    assert names >= {"BEGIN", "UPDATE", "INSERT", "commit", "COMMIT"}


def test_refused_client_is_seen_in_the_trace(operated: Server, collector: Collector) -> None:
    trace = TRACE[:-4] + "beef"
    form = {"grant_type": "client_credentials", "client_id": "nobody", "client_secret": "canary-secret"}
    assert send(operated.endpoint("token"), form, {"traceparent": f"00-{trace}-{PARENT}-01"}).status == 401
    collector.await_span(trace, "POST token")
    spans = {span.name: span for span in collector.trace(trace)}
    assert values(spans["authenticate client"])["error.type"] == "InvalidClientError"
    assert "sign" not in spans
    assert "canary" not in str(spans)


def test_what_the_caller_does_not_sample_is_not_sent(operated: Server, collector: Collector) -> None:
    unwanted, wanted = TRACE[:-4] + "0000", TRACE[:-4] + "0001"
    for trace, flags in ((unwanted, "00"), (wanted, "01")):
        send(f"{operated.issuer()}/protocol/openid-connect/certs", headers={"traceparent": f"00-{trace}-{PARENT}-{flags}"})
    collector.await_span(wanted, "GET protocol")
    assert collector.trace(unwanted) == []


def test_workers_without_a_collector_do_not_load_what_traces(settings: Settings) -> None:
    script = """
import os, sys
from idp.server.worker import load
from idp.telemetry.tracing import span, start_tracing
load()
def loaded():
    with span("nothing"):
        return any(name.startswith("opentelemetry") for name in sys.modules)
print(loaded(), start_tracing("http://127.0.0.1:9/v1/traces") is None, loaded(), flush=True)
os._exit(0)
"""
    environment = {"PATH": os.environ["PATH"], "IDP_CONFIG": os.devnull, "IDP_DATA_DIR": str(settings.data_dir)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.split()) == (0, ["False", "False", "True"]), done.stderr


def test_not_ready_without_the_database(client: FlaskClient, settings: Settings) -> None:
    assert client.get("/health/ready").status_code == 200
    path = settings.sqlite_path
    assert path is not None
    from idp.db import db

    with client.application.app_context():
        db.engine.dispose()
    for each in path.parent.glob(path.name + "*"):
        each.rename(each.with_suffix(".away"))
    path.mkdir()
    answer = wait_until(lambda: (found := client.get("/health/ready")).status_code != 200 and found, "the end of readiness")
    assert (answer.status_code, answer.json) == (
        503,
        {"status": "DOWN", "checks": {"database": "DOWN", "clock": "UP", "threads": "UP", "serving": "UP"}},
    )
    assert client.get("/health/live").status_code == 200
    path.rmdir()


def test_not_ready_while_the_file_cannot_be_written(client: FlaskClient, app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    from sqlalchemy import event

    from idp.db import db

    assert client.get("/health/ready").status_code == 200
    with app.app_context():
        engine = db.engine
        engine.dispose()
        event.listen(engine, "connect", lambda connection, _record: connection.execute("PRAGMA query_only = 1"))
    wait_until(lambda: client.get("/health/ready").status_code == 503, "the end of readiness")
    assert any("(read-only)" in line for line in caplog.messages)
    answer = client.post("/v1/auth/authenticate", json={"emailId": "nobody@example.test", "password": "x", "org": "acme"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


@pytest.mark.skipif(sys.platform != "linux", reason="another process's limits can be set on Linux only")
def test_disk_that_takes_no_more_is_an_outage_and_passes(own_server: Server) -> None:
    import psutil

    own_server.start()
    assert own_server.process is not None
    (worker,) = psutil.Process(own_server.process.pid).children()
    before = worker.rlimit(psutil.RLIMIT_FSIZE)
    body = json.dumps({"emailId": "nobody@example.test", "password": "x", "org": "acme"}).encode()

    def sign_in() -> int:
        return send(f"{own_server.url}/v1/auth/authenticate", body, {"Content-Type": "application/json"}).status

    assert sign_in() == 401
    worker.rlimit(psutil.RLIMIT_FSIZE, (4_096, before[1]))  # no page more in any file, as on a full disk
    wait_until(lambda: send(f"{own_server.url}/health/ready").status == 503, "the end of readiness")
    assert sign_in() == 503
    worker.rlimit(psutil.RLIMIT_FSIZE, before)
    wait_until(lambda: send(f"{own_server.url}/health/ready").status == 200, "the recovery")
    assert sign_in() == 401
    own_server.stop()
    assert any("not ready: database: its file cannot be read or written" in line for line in own_server.output)


def test_not_ready_while_the_database_is_locked(client: FlaskClient, settings: Settings) -> None:
    import sqlite3

    assert settings.sqlite_path is not None
    writer = sqlite3.connect(settings.sqlite_path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    wait_until(lambda: client.get("/health/ready").status_code == 503, "the end of readiness")
    writer.close()
    wait_until(lambda: client.get("/health/ready").status_code == 200, "the recovery")


def test_taken_management_port_is_told_in_a_sentence(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = Server(tmp_path / "data", settings={"IDP_MANAGEMENT_PORT": str(taken.getsockname()[1])})
        server.launch()
        assert server.process is not None
        assert server.process.wait(PATIENCE) == 1
        server.reader.join(PATIENCE)
    assert "IDP_MANAGEMENT_PORT" in server.output[-1]


def test_server_starts_without_a_management_port_that_nobody_chose(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = (taken.getsockname()[1] - 1000) % 65_536
        if port < 1024:
            pytest.skip("the free port that was found leaves none 1000 below it")
        server = Server(tmp_path / "data", port=port, settings={"IDP_MANAGEMENT_PORT": "-1"})
        server.start()
        wait_until(lambda: any("metrics and health are not served" in line for line in server.output), "the warning is printed")
        server.stop()
