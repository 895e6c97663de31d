"""Real proxies from Debian's packages, on loopback, ended by their own process id: nginx, Caddy and HAProxy."""

import http.client
import os
import socket
import ssl
import subprocess
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.serving import PATIENCE, PROJECT, Answer

Process = subprocess.Popen[bytes]


def example(path: str, replaced: dict[str, str]) -> str:
    """Return an example of deploy/ or docs/ with its addresses, names and files replaced."""
    text = (PROJECT / path).read_text()
    for written, real in replaced.items():
        assert written in text, f"{path} has no {written}"
        text = text.replace(written, real)
    return text


def start_nginx(folder: Path, site: str) -> Process:
    """Start nginx with a site."""
    paths = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "site.conf").write_text(site)
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\nevents {{}}\n"
        f"http {{ access_log off; {paths} include {folder}/site.conf; }}\n"
    )
    command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    return subprocess.Popen(command, env=os.environ | {"PATH": path}, stderr=subprocess.DEVNULL)


def start_caddy(folder: Path, site: str) -> Process:
    """Start Caddy with a site."""
    (folder / "Caddyfile").write_text("{\n\tadmin off\n\tauto_https disable_redirects\n\tskip_install_trust\n}\n" + site)
    environment = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "PATH": os.environ["PATH"]}
    command = ["caddy", "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def start_haproxy(folder: Path, site: str) -> Process:
    """Start HAProxy with a whole configuration."""
    (folder / "haproxy.cfg").write_text(site)
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    return subprocess.Popen(["haproxy", "-db", "-q", "-f", str(folder / "haproxy.cfg")], env=os.environ | {"PATH": path})


STARTS: dict[str, Callable[[Path, str], Process]] = {"nginx": start_nginx, "caddy": start_caddy}
"""Proxies that ask the gateway, too."""


def make_certificate(folder: Path, name: str) -> None:
    """Write a certificate that signs itself, and its key, to `realmgate.pem` and `realmgate.key`."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "realmgate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "realmgate.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def ask_over_tls(
    host: str,
    port: int,
    folder: Path,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: str | None = None,
    source: str = "127.0.0.1",
) -> Answer:
    """Ask a proxy on loopback, whose certificate is in a folder, as a client of some address of loopback.

    :raises OSError: it cannot be reached, or breaks off.
    """
    context = ssl.create_default_context(cafile=str(folder / "realmgate.pem"))
    plain = socket.create_connection(("127.0.0.1", port), PATIENCE, (source, 0))
    connection = http.client.HTTPConnection(host)
    with context.wrap_socket(plain, server_hostname=host) as connection.sock:
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())


def stop(process: Process) -> None:
    """End a proxy."""
    process.terminate()
    process.wait(PATIENCE)
