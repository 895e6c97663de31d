"""Settings that may hold a credential: nothing that shows settings, or tells of an error about them, repeats it."""

import json
import logging
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import select

from idp import redaction, trail
from idp.db import commit, db
from idp.log import JsonLines
from idp.settings import Settings, SettingsError
from idp.telemetry.tracing import Tracer
from idp.trail import AuditDelivery
from tests.serving import Server, free_port, wait_until

CANARY = "canary-5f1e0c-secret"

SOUND = {
    "database_url": f"postgresql+psycopg://idp:{CANARY}@127.0.0.1:1/idp?sslpassword={CANARY}",
    "valkey_url": f"valkey://idp:{CANARY}@127.0.0.1:1/0",
    "audit_push_webhook": f"https://127.0.0.1:1/hooks/{CANARY}?key={CANARY}",
    "otlp_endpoint": f"http://{CANARY}:x@127.0.0.1:1/v1/{CANARY}?key={CANARY}",
}

WRONG = {
    "database_url": [f"mysql://idp:{CANARY}@h/d", f"{CANARY}", f"postgresql+psycopg://idp:{CANARY}/x@h/d"],
    "valkey_url": [f"http://idp:{CANARY}@h", f"valkey://:{CANARY}@h/0?x=1", f"{CANARY}"],
    "audit_push_webhook": [
        f"https://idp:{CANARY}@h/x",
        f"ftp://h/{CANARY}",
        f"https://h/{CANARY}#x",
        f"/{CANARY}",
        f"https://[{CANARY}",
    ],
    "outside_keys": [f"pkcs11:token=a;object=b?module-path=/lib/m.so&pin-value={CANARY}", f"{CANARY}"],
    "audit_push_syslog": [f"tcp://idp:{CANARY}@h:601", f"tcp://h/{CANARY}"],
    "otlp_endpoint": [f"grpc://idp:{CANARY}@h", f"http://h/ {CANARY}", f"{CANARY}"],
    "public_url": [f"https://idp:{CANARY}@id.example.com"],
    "smtp_security": [f"smtp://idp:{CANARY}@h"],
    "port": [f"http://idp:{CANARY}@h"],
    "client_certificate_header": [f"http://idp:{CANARY}@h"],
    "trusted_proxies": [f"http://idp:{CANARY}@h"],
}


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_kept_out", set())


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """Log lines as the served program writes them, of all loggers and levels."""
    found: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(self.format(record))

    handler, root = Keep(), logging.getLogger()
    handler.setFormatter(JsonLines())
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield found
    root.setLevel(level)
    root.removeHandler(handler)


def test_every_setting_that_may_hold_a_credential_is_marked() -> None:
    urls = {name for name in Settings.model_fields if name.endswith(("_url", "_endpoint", "_webhook", "_syslog"))}
    marked = set(Settings.confidential())
    assert urls - {"public_url"} | {"outside_keys"} == marked, "a public URL refuses a user, and is told to everybody"
    assert set(SOUND) | {"audit_push_syslog", "outside_keys"} == marked, "one of the two latter with a credential is refused"


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_wrong_value_is_refused_without_the_credential_in_it(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"IDP_{name.upper()}", value)
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    assert f"IDP_{name.upper()}" in str(caught.value)
    assert CANARY not in str(caught.value)


def test_no_way_of_showing_settings_shows_a_credential(own_server: Server) -> None:
    settings = Settings.load(**SOUND)
    assert CANARY not in f"{settings!r} {settings}"
    assert settings.show("database_url") == "postgresql+psycopg://***@127.0.0.1:1/idp?***"
    assert settings.show("valkey_url") == "valkey://***@127.0.0.1:1/0"
    assert settings.show("audit_push_webhook") == "https://127.0.0.1:1/***?***"
    assert settings.show("audit_push_syslog") == ""
    assert Settings.load(database_url="sqlite:////srv/idp.db").show("database_url") == "sqlite:////srv/idp.db"
    own_server.settings |= {f"IDP_{name.upper()}": value for name, value in SOUND.items()}
    assert CANARY not in own_server.idp("settings")
    for command in ("doctor", "serve", "setup"):
        assert CANARY not in own_server.idp(command, status=1, both=True)
    del own_server.settings["IDP_DATABASE_URL"]
    own_server.idp("setup")
    assert CANARY not in own_server.idp("doctor", both=True)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+psycopg://idp:1234/x@h/d", "postgresql+psycopg://***"),
        ("postgresql+psycopg://idp:p/x@h/d", "***"),
        ("https://h", "https://h"),
        ("https://h/", "https://h/"),
        ("unix:///run/valkey.sock?password=p", "unix:///run/valkey.sock?***"),
        ("nonsense", "***"),
        ("", ""),
    ],
)
def test_what_cannot_be_taken_apart_is_not_shown(url: str, shown: str) -> None:
    assert redaction.Confidential(in_path=url.startswith("https")).show(url) == shown


def test_log_lines_of_libraries_hold_no_credential(lines: list[str]) -> None:
    settings = Settings.load(**SOUND | {"otlp_endpoint": SOUND["otlp_endpoint"].replace(":1/", f":{free_port()}/")})
    redaction.keep_out_of_logs(settings.credentials)
    tracer = Tracer(settings.otlp_endpoint)
    with tracer.request("token", {"REQUEST_METHOD": "GET"}, "x") as finish:
        finish(200)
    tracer.close()
    said = "".join(lines)
    assert "opentelemetry" in said
    assert "127.0.0.1" in said, "an operator sees where it was to be sent"
    assert CANARY not in said
    try:
        raise ValueError(settings.database_url)
    except ValueError:
        logging.getLogger("any").exception("failed with %s", settings.audit_push_webhook)
    last = json.loads(lines[-1])
    assert "ValueError" in last["exception"]
    assert CANARY not in lines[-1]


def test_webhook_is_noted_without_its_url(context: Flask) -> None:
    from idp.trail import push

    settings = Settings.load(audit_push_webhook=SOUND["audit_push_webhook"])
    (name,) = push._destinations(settings)
    assert name.startswith("webhook:sha256-")
    assert CANARY not in name
    assert name != next(iter(push._destinations(Settings.load(audit_push_webhook=f"https://127.0.0.1:1/{CANARY}"))))
    old = f"webhook:{settings.audit_push_webhook}"
    trail.seal_trail()
    for destination in (old, name, "file:/x"):
        push._note(destination, trail.newest_checkpoint("acme"))  # type: ignore[arg-type]
    trail.forget_clear_destinations()
    commit()
    assert set(db.session.scalars(select(AuditDelivery.destination))) == {name, "file:/x"}


def test_served_program_logs_no_credential(own_server: Server) -> None:
    own_server.settings |= {f"IDP_{name.upper()}": value for name, value in SOUND.items() if name != "database_url"}
    own_server.settings |= {"IDP_AUDIT_SEAL_SECONDS": "0.2", "IDP_LOG_LEVEL": "debug"}
    own_server.start()
    application = own_server.create_application("ci-bot")
    assert wait_until(lambda: own_server.token(application).status == 200, "a token")
    for logger in ("idp.trail.push", "idp.ratelimit.shared"):
        wait_until(lambda logger=logger: any(logger in line for line in own_server.output), f"a line of {logger}")  # type: ignore[misc]
    own_server.stop()
    said = "".join(own_server.output)
    assert "opentelemetry" in said
    assert CANARY not in said
