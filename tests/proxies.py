"""Real proxies from Debian's packages, on loopback, ended by their own process id: nginx and Caddy."""

import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.serving import PATIENCE, PROJECT

EXAMPLES = PROJECT / "docs" / "examples"

Process = subprocess.Popen[bytes]


def example(path: str, replaced: dict[str, str]) -> str:
    """Return an example of the documentation with its addresses, names and files replaced."""
    text = (EXAMPLES / path).read_text()
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


STARTS: dict[str, Callable[[Path, str], Process]] = {"nginx": start_nginx, "caddy": start_caddy}


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


def stop(process: Process) -> None:
    """End a proxy."""
    process.terminate()
    process.wait(PATIENCE)
