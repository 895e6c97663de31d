"""The configuration of Kubernetes' API server, and of kubectl, of docs/integrations/kubernetes.md."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import textwrap
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.factories import PASSWORD, claims_of
from tests.interop.built import write_files
from tests.interop.built.browsing import page  # noqa: F401 (a fixture)
from tests.interop.built.golang import go, needs_go, running, version_of
from tests.interop.built.issuer import issuing
from tests.interop.built.tokens import Kind, access_token, bearer, each_kind, id_token, revoke_key, tampered
from tests.prepare import program_missing
from tests.proxies import example, make_certificate, start_nginx, stop
from tests.serving import PATIENCE, Answer, Server, free_port, send, wait_until

pytestmark = [needs_go, pytest.mark.skipif(program_missing("nginx") is not None, reason=str(program_missing("nginx")))]

HOST = "localhost"
"""Name of the server in certificates: Kubernetes wants an issuer of https."""
FOR_IT = ("--audience", "https://kubernetes.acme.example")
PROGRAM = Path(__file__).parent / "kubernetes"
PERSON = "eva@acme.example"

Client = Callable[[str, str, str], None]


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the certificate of Realmgate's front."""
    folder = tmp_path_factory.mktemp("front")
    make_certificate(folder, HOST)
    return folder


@contextlib.contextmanager
def https(front: Path, folder: Path, behind: int) -> Iterator[str]:
    """Put nginx in front of a port, to end TLS, and say where it is."""
    port = free_port()
    files = {f"/etc/ssl/realmgate.{end}": f"{front}/realmgate.{end}" for end in ("pem", "key")}
    addresses = {"127.0.0.1:8080": f"127.0.0.1:{behind}", "127.0.0.1:8443": f"127.0.0.1:{port}"}
    nginx = start_nginx(folder, example("deploy/proxies/nginx.conf", files | addresses))
    try:
        yield f"https://{HOST}:{port}"
    finally:
        stop(nginx)


@pytest.fixture(scope="module")
def realmgate(tmp_path_factory: pytest.TempPathFactory, front: Path) -> Iterator[Server]:
    """Realmgate behind nginx."""
    server = Server(tmp_path_factory.mktemp("realmgate"))
    with https(front, tmp_path_factory.mktemp("nginx"), server.port) as url:
        server.settings |= {"IDP_PUBLIC_URL": url, "IDP_TRUSTED_PROXIES": "127.0.0.1"}
        try:
            yield server.start()
        finally:
            server.stop()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, realmgate: Server, front: Path) -> Path:
    """Folder of the page's files."""
    folder = tmp_path_factory.mktemp("kubernetes")
    authority = textwrap.indent((front / "realmgate.pem").read_text().strip(), " " * 8)
    placeholder = "        -----BEGIN CERTIFICATE-----\n        ...\n        -----END CERTIFICATE-----"
    replaced = {"https://id.example.com": realmgate.settings["IDP_PUBLIC_URL"], placeholder: authority}
    write_files("kubernetes", folder, replaced)
    return folder


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the program that asks the API server's authenticator, built."""
    folder = tmp_path_factory.mktemp("program")
    shutil.copytree(PROGRAM, folder, dirs_exist_ok=True)
    go(folder, "mod", "tidy")
    go(folder, "vet", ".")
    go(folder, "build", "-o", "authentication", ".")
    return folder


@contextlib.contextmanager
def serving(program: Path, folder: Path) -> Iterator[str]:
    """Ask the authenticator with the configuration in a folder, and say where."""
    address = f"127.0.0.1:{free_port()}"
    url = f"http://{address}"
    command = [str(program / "authentication"), str(folder / "authentication.yaml"), address]
    with running(command, os.environ, lambda: send(f"{url}/healthz").status == 200, folder / "log"):
        yield url


@pytest.fixture(scope="module")
def cluster(program: Path, folder: Path) -> Iterator[str]:
    with serving(program, folder) as url:
        yield url


def who(cluster: str, token: str) -> Answer:
    return send(cluster, headers=bearer(token))


@pytest.fixture(scope="module")
def deployer(realmgate: Server) -> dict[str, str]:
    return realmgate.create_application("deployer", *FOR_IT, "--role", "researcher")


@each_kind
def test_api_server_takes_what_is_for_it(cluster: str, program: Path, realmgate: Server, client: Client, kind: Kind) -> None:
    version = version_of("k8s.io/apiserver", program)
    client("Kubernetes' API server", version, f"authenticates by access tokens ({kind}); roles as groups")
    application = kind.create_application(realmgate, "kube", *FOR_IT, "--role", "researcher")
    token = access_token(realmgate, application)
    answer = who(cluster, token)
    assert answer.status == 200, answer.body
    assert answer.json == {
        "Name": f"realmgate:service-account-{application['client_id']}",
        "UID": application["uid"],
        "Groups": ["realmgate:researcher"],
        "Extra": {"authentication.kubernetes.io/credential-id": [f"JTI={claims_of(token)['jti']}"]},
    }


def test_api_server_refuses_what_is_not_for_it(cluster: str, realmgate: Server, deployer: dict[str, str]) -> None:
    assert send(cluster).status == 401
    other = realmgate.create_application("kube-other", "--audience", "https://other.acme.example", "--role", "researcher")
    refused = who(cluster, access_token(realmgate, other))
    assert (refused.status, b"expected audience" in refused.body) == (401, True), refused.body
    refused = who(cluster, tampered(access_token(realmgate, deployer)))
    assert (refused.status, b"failed to verify" in refused.body) == (401, True), refused.body
    assert who(cluster, id_token(realmgate, deployer)).status == 401


def test_api_server_refuses_what_no_issuer_should_sign(
    program: Path, folder: Path, front: Path, realmgate: Server, tmp_path: Path
) -> None:
    port = free_port()
    with https(front, tmp_path, port) as issuer_url, issuing(port, issuer_url) as issuer:
        copy_changed(folder, tmp_path, realmgate.settings["IDP_PUBLIC_URL"], issuer_url)
        with serving(program, tmp_path) as url:
            assert who(url, issuer.sign(issuer.claims(FOR_IT[1]))).status == 200
            found = {what: who(url, token).status for what, token in issuer.wrong_tokens(FOR_IT[1]).items()}
            bound = [who(url, issuer.sign(issuer.claims(FOR_IT[1], cnf=cnf))) for cnf in ({"jkt": "k"}, {"x5t#S256": "c"}, {})]
    assert set(found.values()) == {401}, found
    assert all(each.status == 401 and b"bound to a key" in each.body for each in bound), bound


def copy_changed(folder: Path, target: Path, old: str, new: str) -> None:
    """Copy the configuration into another folder, with something replaced."""
    configuration = (folder / "authentication.yaml").read_text()
    assert old in configuration
    (target / "authentication.yaml").write_text(configuration.replace(old, new))


def test_api_server_refuses_an_id_token_even_where_its_audience_fits(
    program: Path, folder: Path, realmgate: Server, tmp_path: Path
) -> None:
    fitting = realmgate.create_application(
        "kube-fitting", "--token-type", "JWT", "--audience", "kube-fitting", "--role", "researcher"
    )
    copy_changed(folder, tmp_path, FOR_IT[1], "kube-fitting")
    with serving(program, tmp_path) as url:
        assert who(url, access_token(realmgate, fitting)).status == 200
        refused = who(url, id_token(realmgate, fitting))
    assert (refused.status, b"this is no access token" in refused.body) == (401, True), refused.body


def test_api_server_counts_roles_that_last_as_long_as_the_token(cluster: str, realmgate: Server) -> None:
    application = realmgate.create_application("kube-guest", *FOR_IT)
    refused = who(cluster, access_token(realmgate, application))
    assert (refused.status, b"no role on the realm" in refused.body) == (401, True), refused.body
    for role, hours in (("researcher", 1), ("viewer", 100)):
        until = (datetime.now(UTC) + timedelta(hours=hours)).isoformat()
        realmgate.idp("grants", "add", "--realm", "acme", "kube-guest", role, "--until", until)
    token = access_token(realmgate, application)
    assert claims_of(token)["realm_access"]["roles"] == ["researcher", "viewer"]
    assert who(cluster, token).json["Groups"] == ["realmgate:viewer"]


def test_api_server_has_to_be_restarted_after_the_revocation_of_a_key(
    program: Path, folder: Path, realmgate: Server, tmp_path: Path
) -> None:
    """What the page warns of."""
    copy_changed(folder, tmp_path, "realms/acme", "realms/master")
    operator = realmgate.create_application("kube-leak", *FOR_IT, "--role", "researcher", realm="master")
    token = access_token(realmgate, operator, "master")
    with serving(program, tmp_path) as url:
        assert who(url, token).status == 200
        revoke_key(realmgate, "master")
        assert who(url, token).status == 200
        successor = access_token(realmgate, operator, "master")
        assert who(url, successor).status == 401
    with serving(program, tmp_path) as url:
        assert who(url, token).status == 401
        assert who(url, successor).status == 200


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
@pytest.mark.skipif(shutil.which("curl") is None or shutil.which("jq") is None, reason="curl or jq is not installed")
def test_kubectl_fetches_a_token(program: Path, folder: Path, front: Path, deployer: dict[str, str], client: Client) -> None:
    about = subprocess.run(["kubectl", "version", "--client", "-o", "json"], capture_output=True, check=True).stdout
    client("kubectl", json.loads(about)["clientVersion"]["gitVersion"], "fetches a token with a credential plugin")
    server = f"{HOST}:{free_port()}"
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(kubeconfig.read_text().replace("kubernetes.example.com", server))
    shutil.copy(front / "realmgate.pem", folder / "kubernetes.pem")
    (folder / "realmgate-token").chmod(0o700)
    environment = os.environ | {"CURL_CA_BUNDLE": str(front / "realmgate.pem"), "HOME": str(folder)}

    def get(path: str, secret: str = deployer["client_secret"]) -> subprocess.CompletedProcess[str]:
        (folder / "client-secret").write_text(secret)
        command = ["kubectl", "--kubeconfig", "kubeconfig", "get", "--raw", path]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)

    command = [program / "authentication", folder / "authentication.yaml", server]
    certificate = [front / "realmgate.pem", front / "realmgate.key"]
    with running(
        [str(each) for each in command + certificate], os.environ, lambda: get("/healthz").returncode == 0, folder / "log"
    ):
        found = get("/")
        refused = get("/", "wrong")
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["Name"] == "realmgate:service-account-deployer"
    assert refused.returncode != 0
    assert "jq: error" in refused.stderr


KUBELOGIN = ("github.com/int128/kubelogin", "v1.36.3")


@pytest.fixture(scope="module")
def kubelogin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of kubelogin, built."""
    folder = tmp_path_factory.mktemp("kubelogin")
    module, version = KUBELOGIN
    (folder / "go.mod").write_text(f"module example\n\ngo 1.25\n\nrequire {module} {version}\n")
    go(folder, "build", "-o", "bin/", module)
    return folder / "bin"


@pytest.fixture(scope="module")
def person(realmgate: Server) -> str:
    """Somebody with a password, who is a researcher."""
    done = realmgate.run("users", "create", "--realm", "acme", "--email", PERSON, "--password-stdin", typed=PASSWORD)
    assert done.returncode == 0, done.stderr
    realmgate.idp("grants", "add", "--realm", "acme", f"user:{PERSON}", "researcher")
    return PERSON


def kubeconfig_of_people(folder: Path, replaced: dict[str, str], arguments: list[str]) -> str:
    """Return the page's kubeconfig for people, with something replaced, and more arguments for kubelogin."""
    text = (folder / "kubeconfig-people").read_text()
    more = "".join(f"          - {argument}\n" for argument in arguments)
    for old, new in (replaced | {"- get-token\n": f"- get-token\n{more}"}).items():
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(
    ("way", "arguments"),
    [("in the browser", ["--skip-open-browser"]), ("with a code", ["--skip-open-browser", "--grant-type=device-code"])],
)
def test_kubectl_signs_people_in(
    *,
    program: Path,
    folder: Path,
    front: Path,
    realmgate: Server,
    kubelogin: Path,
    person: str,
    page: Page,
    way: str,
    arguments: list[str],
    client: Client,
    tmp_path: Path,
) -> None:
    client("kubelogin, with kubectl", KUBELOGIN[1], f"signs people in {way}, in Chromium; roles as groups")
    port, server, name = free_port(), f"{HOST}:{free_port()}", f"kubectl-{len(arguments)}"
    realmgate.create_application(name, "--kind", "native", *FOR_IT, "--redirect-uri", f"http://localhost:{port}")
    own = {"kubernetes.example.com": server, "client-id=kubectl": f"client-id={name}", "127.0.0.1:8000": f"127.0.0.1:{port}"}
    (tmp_path / "kubeconfig").write_text(kubeconfig_of_people(folder, own, arguments))
    certificate = shutil.copy(front / "realmgate.pem", tmp_path / "kubernetes.pem")
    environment = os.environ | {
        "SSL_CERT_FILE": str(certificate),
        "HOME": str(tmp_path),
        "PATH": f"{kubelogin}:{os.environ['PATH']}",
    }
    get = ["kubectl", "--kubeconfig", "kubeconfig", "get", "--raw", "/"]
    said, printed = tmp_path / "said", tmp_path / "printed"

    def ready() -> bool:
        command = ["curl", "--silent", "--fail", "--cacert", str(certificate), f"https://{server}/healthz"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    authenticator = [program / "authentication", folder / "authentication.yaml", server, certificate, front / "realmgate.key"]
    with (
        running([str(each) for each in authenticator], os.environ, ready, tmp_path / "authentication.log"),
        said.open("w") as out,
        printed.open("w") as err,
        subprocess.Popen(get, cwd=tmp_path, env=environment, stdout=out, stderr=err) as waiting,
    ):
        try:
            address = wait_until(lambda: re.search(r"https?://\S+", printed.read_text()), "an address to open")
            page.goto(address[0])
            if way == "with a code":  # the address has the code in it, and decides nothing by itself
                page.click("button")
            page.fill("#name", person)
            page.fill("#password", PASSWORD)
            page.click("button")
            if way == "with a code":
                page.click("button:has-text('Allow')")
            assert waiting.wait(PATIENCE) == 0, printed.read_text()
        finally:
            waiting.terminate()
        found = json.loads(said.read_text())
        assert (found["Name"], found["Groups"]) == (f"realmgate:{person}", ["realmgate:researcher"])
        again = subprocess.run(get, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert (again.returncode, json.loads(again.stdout)["Name"]) == (0, found["Name"]), "without being asked again"
