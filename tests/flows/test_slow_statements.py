"""Slow statements are logged with their text and the id of the request, and never with what is in them."""

import json
import logging
import threading
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import bindparam, create_engine, func, select, text
from sqlalchemy.exc import OperationalError

from idp.db import commit, db
from idp.settings import Settings
from tests.collecting import QUICKLY, collecting, values
from tests.factories import Factory, ask
from tests.serving import Server, send, wait_until

CANARY = "canary-5f0c9e1d"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def slow_lines(server: Server) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in list(server.output) if line.startswith("{")]
    return [line for line in lines if line["logger"] == "idp.statements"]


def test_statement_that_waits_for_a_lock_is_logged_with_its_request_and_its_trace(
    pg_settings: Settings, pg_make: Factory
) -> None:
    database_url = pg_settings.database_url
    with collecting() as collector:
        settings = {"IDP_DATABASE_URL": database_url, "IDP_SLOW_QUERY_SECONDS": "0.2", "IDP_OTLP_ENDPOINT": collector.url}
        server = Server(pg_settings.data_dir, settings=settings | QUICKLY).start()
        engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))
        waiting = text(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE wait_event_type = 'Lock' AND query LIKE 'SELECT application.%' AND clock_timestamp() - query_start > interval '0.3 s'"
        )
        form = {"grant_type": "client_credentials", "client_id": CANARY, "client_secret": f"{CANARY}-secret"}
        answers: list[Any] = []
        try:
            with engine.connect() as connection:
                connection.execute(text("LOCK TABLE application IN ACCESS EXCLUSIVE MODE"))
                header = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
                asking = threading.Thread(target=lambda: answers.append(send(server.endpoint("token"), form, header)))
                asking.start()
                with engine.connect() as other:
                    look = other.execution_options(isolation_level="AUTOCOMMIT")
                    wait_until(lambda: look.execute(waiting).scalar_one(), "a statement that waits", 20)
            asking.join()
            (answer,) = answers
            assert answer.status == 401
            ref = answer.headers["X-Request-Id"]

            def logged() -> Any:
                found = (line for line in slow_lines(server) if line.get("request_id") == ref)
                return next((line for line in found if "FROM application" in line["statement"]), None)

            line = wait_until(logged, "the line")
            assert (line["level"], line["trace_id"]) == ("warning", TRACE)
            assert line["seconds"] >= 0.3
            assert "%(" in line["statement"], "values have placeholders"
            collector.await_span(TRACE, "POST token")
            reads = [each for each in collector.trace(TRACE) if each.name == "SELECT"]
            slowest = max(reads, key=lambda each: each.end_time_unix_nano - each.start_time_unix_nano)
            assert "FROM application" in values(slowest)["db.query.text"]
            assert slowest.end_time_unix_nano - slowest.start_time_unix_nano >= 3e8
        finally:
            engine.dispose()
            server.stop()
        assert CANARY not in "".join(server.output) + str(collector.spans)


@pytest.mark.parametrize(("threshold", "logged"), [(0.1, True), (0.0, False)])
def test_slow_statement_of_postgresql(
    pg_settings: Settings, pg_make: Factory, caplog: pytest.LogCaptureFixture, threshold: float, logged: bool
) -> None:
    from idp.app import close_app, create_app

    app = create_app(pg_settings.model_copy(update={"slow_query_seconds": threshold}))
    with app.app_context():
        db.session.execute(select(func.pg_sleep(bindparam("nap")), bindparam("secret")), {"nap": 0.15, "secret": CANARY})
        with pytest.raises(OperationalError):
            db.session.execute(text("SET LOCAL statement_timeout = 120"))
            db.session.execute(select(func.pg_sleep(9), bindparam("secret")), {"secret": CANARY})
    close_app(app)
    lines = [record for record in caplog.records if record.name == "idp.statements"]
    assert [record.values["statement"].partition("(")[0] for record in lines] == ["SELECT pg_sleep"] * (2 if logged else 0)
    assert all(record.values["seconds"] >= 0.1 for record in lines), "those that were broken off, too"
    assert CANARY not in str([vars(record) for record in caplog.records])


class TestSqlite:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """Have every statement be slow."""
        return settings.model_copy(update={"slow_query_seconds": 1e-9})

    def test_no_value_of_a_statement_is_logged(
        self, client: FlaskClient, make: Factory, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING)
        form = {"grant_type": "client_credentials", "client_id": CANARY, "client_secret": f"{CANARY}-secret"}
        assert ask(client, "token", form).status_code == 401
        body = {"emailId": f"{CANARY}@example.test", "password": CANARY, "org": CANARY}
        assert client.post("/v1/auth/authenticate", json=body).status_code == 401
        with make.app.app_context():
            db.session.execute(text("UPDATE realm SET display_name = :name"), {"name": CANARY})
            commit()
        lines = [record.values["statement"] for record in caplog.records if record.name == "idp.statements"]
        assert any("FROM application" in line and "?" in line for line in lines)
        assert any(line.startswith("UPDATE realm SET display_name = ?") for line in lines)
        assert lines[-1] == "COMMIT"
        assert CANARY not in str([vars(record) for record in caplog.records])

    def test_line_of_a_statement_is_one_line(self, client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
        from idp.log import JsonLines

        client.get("/auth/realms/acme")
        for record in caplog.records:
            assert "\n" not in JsonLines().format(record)
        assert caplog.records
