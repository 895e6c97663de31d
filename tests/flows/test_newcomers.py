"""What somebody meets who is new here: another folder, a second terminal, a server that does not answer, a key that is lost."""

import contextlib
import datetime as dt
import http.server
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from idp.cli.reach import find_trouble
from idp.settings import Settings
from tests.serving import PATIENCE, PROJECT, Server, free_port, run_idp, send, wait_until


def run(folder: Path, *arguments: str, status: int = 0, **environment: str) -> str:
    """Run the command in a folder, with nothing set, and return all that it prints."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("IDP_", "XDG_"))}
    done = run_idp(*arguments, environment=kept | {"XDG_CONFIG_HOME": str(folder / "none")} | environment, cwd=folder)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder to start a server in, with the example realm."""
    shutil.copytree(PROJECT / "realms", tmp_path / "project" / "realms")
    (tmp_path / "project" / "below").mkdir()
    return tmp_path / "project"


def test_first_start_prints_nothing_that_uses_up_what_it_shows(own_server: Server) -> None:
    own_server.start()
    wait_until(lambda: any("Stop it with" in line for line in own_server.output), "the greeting")
    said = "".join(own_server.output)
    (secret,) = re.findall(r"The administrator's one-time secret, shown only once:\n    (idp_cs_\w+)\n", said)
    assert f"{own_server.url}/console/first-start" in said
    assert "Create the first administrator, with the one-time secret above, at" in said
    lines = re.findall(r"^curl (?:.*\\\n)*.*$", said, re.MULTILINE)
    assert len(lines) == 1
    for line in lines * 2:
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert "access_token" in done.stdout, "it can be run again and again"
    for url in re.findall(r"http://\S+", said):
        send(url.rstrip(",:"))
    administrator = {"client_id": "administrator", "client_secret": secret}
    assert own_server.token(administrator, "master").status == 200, "nothing that was printed has used it up"


def test_second_terminal_and_folders_below_find_the_server(project: Path) -> None:
    server = Server(project / "var", settings={"IDP_RATE_FAILURES": "10"})
    server.start()
    wait_until((project / "var" / "last-served.json").exists, "the data folder's memory")
    assert f"{server.url}/auth/realms/acme" in run(project, "applications", "create", "--realm", "acme", "ci-bot")
    assert f"ok    The server answers on {server.url}." in run(project, "doctor")
    said = run(project / "below", "realms", "list", status=1)
    assert f"Nothing is set up in {project / 'below' / 'var'}." in said
    assert f"There is a data folder {project / 'var'}: go to {project}, or set IDP_DATA_DIR={project / 'var'}" in said
    (project / "realmgate.toml").write_text("rate_api = 0\n")
    (project / "realmgate.toml").chmod(0o600)
    assert f"{server.url}/auth/realms/acme" in run(project / "below", "realms", "list")
    own = {"IDP_PORT": "8081", "IDP_DATA_DIR": str(project / "var")}
    assert "http://127.0.0.1:8081/auth/realms/acme" in run(project, "realms", "list", **own)


def test_settings_of_the_file_are_those_of_the_workers(project: Path) -> None:
    server = Server(project / "var", settings={"IDP_CONFIG": str(project / "named.toml")})
    (project / "named.toml").write_text('access_log = true\nrate_api = 7\nport = 1\npublic_url = "http://localhost:9/"\n')
    (project / "named.toml").chmod(0o600)
    server.launch()
    wait_until(lambda: any("listening on" in line for line in server.output), "the start of the server")
    try:
        url = f"{server.url}/auth/realms/acme/.well-known/openid-configuration"
        assert send(url).json["issuer"] == "http://localhost:9/auth/realms/acme"
        assert any("http://localhost:9 (listening on 127.0.0.1" in line for line in server.output)
    finally:
        server.stop()
    assert any("openid-configuration" in line and '"status"' in line for line in server.output), "requests are logged"


def test_start_under_another_url_is_noted(own_server: Server) -> None:
    own_server.start()
    wait_until((own_server.data_dir / "last-served.json").exists, "the data folder's memory")
    own_server.stop()
    own_server.settings["IDP_PUBLIC_URL"] = f"http://localhost:{own_server.port}"
    own_server.output.clear()
    own_server.launch()
    wait_until(lambda: any("Stop it with" in line for line in own_server.output), "the start")
    assert f"was last served as {own_server.url} and is now served as http://localhost" in "".join(own_server.output)


def test_message_in_an_empty_folder_says_where_it_looked_and_what_to_do(tmp_path: Path) -> None:
    said = run(tmp_path, "realms", "list", status=1)
    for part in (
        f"Nothing is set up in {tmp_path / 'var'}",
        "realmgate.toml",
        str(tmp_path / "none" / "realmgate"),
        "/etc/realmgate",
        "idp serve",
    ):
        assert part in said, part


def test_settings_say_where_each_value_comes_from_and_keep_secrets(tmp_path: Path) -> None:
    file = tmp_path / "realmgate.toml"
    file.write_text('port = 9001\nvalkey_url = "valkey://user:S3cretS3cret@127.0.0.1:1/0"\n')
    file.chmod(0o644)
    text = run(tmp_path, "settings", IDP_WORKERS="2")
    assert f"IDP_PORT = 9001  (file {file}:1)" in text
    assert "IDP_WORKERS = 2  (environment IDP_WORKERS)" in text
    assert "IDP_THREADS = 32  (default)" in text
    values = {each["name"]: each for each in json.loads(run(tmp_path, "settings", "--json"))["settings"]}
    assert values["port"] == {
        "name": "port",
        "variable": "IDP_PORT",
        "value": 9001,
        "source": "file",
        "path": str(file),
        "line": 1,
    }
    assert values["audit_archive_dir"]["value"] is None
    doctor = run(tmp_path, "doctor", status=1)
    assert f"{file} can be read by others, and valkey_url may hold a password. Run: chmod 600 {file}" in doctor
    assert "S3cret" not in text + str(values) + doctor
    assert "nowhere.toml cannot be read" in run(tmp_path, "--config", "nowhere.toml", "settings", status=1)
    assert "nowhere.toml cannot be read" in run(tmp_path, "settings", "--config", "nowhere.toml", status=1)


def test_no_advice_makes_a_new_key_for_an_old_database(own_server: Server) -> None:
    own_server.idp("setup")
    (own_server.data_dir / "master.key").rename(own_server.data_dir / "kept")
    for command, status in ((("doctor",), 1), (("realms", "list"), 1), (("setup",), 1), (("serve",), 1)):
        said = own_server.idp(*command, status=status, both=True)
        assert "no master key" in said, command
        assert "Restore the key file from its backup" in said, command
        assert "idp setup" not in said, command
        assert not (own_server.data_dir / "master.key").exists()
    (own_server.data_dir / "kept").rename(own_server.data_dir / "master.key")
    (own_server.data_dir / "realmgate.db").rename(own_server.data_dir / "database")
    for command in (("doctor",), ("realms", "list")):
        assert "Restore the database from its backup" in own_server.idp(*command, status=1, both=True), command


def test_lost_key_of_postgresql_is_found_out_before_another_is_made(
    own_server: Server, database_url: str, tmp_path: Path
) -> None:
    own_server.settings["IDP_DATABASE_URL"] = database_url
    own_server.idp("setup")
    other = Server(tmp_path / "other", settings=dict(own_server.settings))
    for command in ("setup", "serve", "doctor"):
        assert "Restore the key file from its backup or from another machine" in other.idp(command, status=1, both=True)
        assert not (other.data_dir / "master.key").exists(), command


@contextlib.contextmanager
def answering(handler: type[http.server.BaseHTTPRequestHandler], context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Have another server answer on loopback, and return its port."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that turn away are what is tested
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join(PATIENCE)


def certificate(folder: Path, name: str, days: int) -> ssl.SSLContext:
    """Return the TLS of a server whose certificate signs itself, is for a name, and ends in so many days."""
    key = ec.generate_private_key(ec.SECP256R1())
    own = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(own)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=10))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}{days}.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


class Other(http.server.BaseHTTPRequestHandler):
    """A server that is not Realmgate."""

    status, body = 404, b"nothing"

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def trouble(url: str) -> str:
    found = find_trouble(Settings.load(public_url=url))
    assert found is not None
    return str(found)


@pytest.mark.parametrize(
    ("name", "days", "trusted", "said", "advice"),
    [
        ("localhost", 10, False, "is not trusted by this machine (self-signed certificate)", "SSL_CERT_FILE"),
        ("localhost", -1, True, "has expired", "Renew it"),
        ("other.example", 10, True, "is not for localhost", "IDP_PUBLIC_URL"),
    ],
)
def test_doctor_calls_a_certificate_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, days: int, trusted: bool, said: str, advice: str
) -> None:
    context = certificate(tmp_path, name, days)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / f"{name}{days}.pem"))
    with answering(Other, context) as port:
        found = trouble(f"https://localhost:{port}")
        assert f"A server answers on https://localhost:{port}, but its certificate {said}." in found
        assert advice in found
        assert "idp serve" not in found
        arguments = ["token", "--realm", "acme", "--client-id", "x", "--client-secret", "y", "--url", f"https://localhost:{port}"]
        assert said in run(tmp_path, *arguments, status=1, SSL_CERT_FILE=os.environ.get("SSL_CERT_FILE", ""))


def test_doctor_tells_the_ways_not_to_answer_apart() -> None:
    assert "connection refused" in trouble(f"http://127.0.0.1:{free_port()}")
    assert "The name nowhere.invalid of http://nowhere.invalid:1 is not known to this machine (DNS)" in trouble(
        "http://nowhere.invalid:1"
    )
    with answering(Other) as port:
        assert f"A server other than Realmgate answers on http://127.0.0.1:{port}: it answers 404" in trouble(
            f"http://127.0.0.1:{port}"
        )
        assert "does not speak TLS as expected" in trouble(f"https://127.0.0.1:{port}")
    kinds = {
        (200, b"<html>"): "A server other than Realmgate answers",
        (200, b"[]"): "A server other than Realmgate answers",
        (200, b'{"issuer": "https://id.example.com"}'): "calls itself https://id.example.com, not http://127.0.0.1:",
        (502, b""): "a proxy that does not reach Realmgate",
    }
    for (status, body), said in kinds.items():
        with answering(type("Kind", (Other,), {"status": status, "body": body})) as port:
            assert said in trouble(f"http://127.0.0.1:{port}")


def test_doctor_knows_a_server_that_hangs_from_one_that_speaks_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    from idp.cli import reach

    monkeypatch.setattr(reach, "PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert "did not answer in time" in trouble(f"http://127.0.0.1:{silent.getsockname()[1]}")

    def speak(listener: socket.socket, words: bytes) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1_000)
            connection.sendall(words)

    for words, said in (
        (b"SSH-2.0-x\r\n\r\n", "does not speak HTTP as expected"),
        (b"", "accepted the connection and closed it"),
    ):
        monkeypatch.setattr(reach, "PATIENCE", PATIENCE)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            speaker = threading.Thread(target=speak, args=(listener, words))
            speaker.start()
            assert said in trouble(f"http://127.0.0.1:{listener.getsockname()[1]}")
            speaker.join(PATIENCE)
