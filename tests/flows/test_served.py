"""The served program: the published curl line, an API of its own process, workers that know at once, and slow clients."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from idp.jose import read_unverified
from tests.factories import claims_of
from tests.serving import PATIENCE, PROJECT, Server, free_port, send, wait_until


@pytest.fixture(scope="module")
def bot(served: Server) -> dict[str, str]:
    return served.create_application("flow-bot", "--role", "researcher", "--project", "vision")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_published_curl_line_gets_tokens(served: Server, bot: dict[str, str]) -> None:
    """The line as the page prints it; only the host and the values differ."""
    line = f"""curl -X POST '{served.url}/auth/realms/acme/protocol/openid-connect/token' \\
--header 'Content-Type: application/x-www-form-urlencoded' \\
--data-urlencode 'grant_type=client_credentials' \\
--data-urlencode 'scope=openid' \\
--data-urlencode 'response_type=id_token' \\
--data-urlencode 'client_id={bot["client_id"]}' \\
--data-urlencode 'client_secret={bot["client_secret"]}'"""
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=PATIENCE, check=True)
    answer = json.loads(done.stdout)
    assert answer["expires_in"] == 36000
    assert answer["token_type"].lower() == "bearer"
    assert claims_of(answer["access_token"])["client_id"] == claims_of(answer["id_token"])["aud"] == "flow-bot"


def test_published_python_snippet_gets_a_token(served: Server, bot: dict[str, str]) -> None:
    import requests

    payload = (
        "grant_type=client_credentials&scope=openid&response_type=id_token&client_id="
        + bot["client_id"]
        + "&client_secret="
        + bot["client_secret"]
    )
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    response = requests.request("POST", served.endpoint("token"), headers=headers, data=payload, timeout=PATIENCE)
    assert response.status_code // 100 == 2
    assert json.loads(response.text)["access_token"]


@pytest.fixture(scope="module")
def api(served: Server) -> Iterator[str]:
    """The example API of docs/, in a process of its own that knows nothing but issuer and audience."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, str(PROJECT / "docs" / "examples" / "protected_api.py")],
        env={"PATH": os.environ["PATH"], "ISSUER": served.issuer(), "AUDIENCE": "https://jobs.acme.example", "PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return send(f"{url}/whoami").status == 401
        except OSError:
            return False

    wait_until(answers, "the start of the example API")
    yield url
    process.terminate()
    process.wait(PATIENCE)


@pytest.fixture(scope="module")
def job_bot(served: Server) -> dict[str, str]:
    options = ("--audience", "https://jobs.acme.example", "--role", "viewer", "--project", "vision:ml-engineer")
    return served.create_application("job-bot", *options)


def test_another_process_accepts_the_access_token(served: Server, api: str, job_bot: dict[str, str]) -> None:
    token = served.token(job_bot).json["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert send(f"{api}/whoami", headers=bearer).json == {
        "application": "job-bot",
        "roles": ["viewer"],
        "projects": {"vision": ["ml-engineer"]},
    }
    assert send(f"{api}/projects/vision/jobs", {}, bearer).json == {"submitted_by": "job-bot", "project": "vision"}


def test_another_process_refuses_everything_it_should(
    served: Server, api: str, job_bot: dict[str, str], bot: dict[str, str]
) -> None:
    answer = served.token(job_bot, scope="openid").json
    token = answer["access_token"]
    master = served.create_application("job-bot", "--audience", "https://jobs.acme.example", realm="master")
    refused = {
        "ID token": answer["id_token"],
        "token for another API": served.token(bot).json["access_token"],
        "token of another realm": served.token(master, "master").json["access_token"],
        "altered": token[:-8] + "AAAAAAAA",
        "cut": token.rpartition(".")[0],
        "unsigned": token.rpartition(".")[0] + ".",
        "rubbish": "abc",
    }
    for name, each in refused.items():
        shown = send(f"{api}/whoami", headers={"Authorization": f"Bearer {each}"})
        assert (shown.status, shown.json["error"]) == (401, "invalid_token"), name
    for project, status in (("speech", 403), ("vision", 200)):
        assert send(f"{api}/projects/{project}/jobs", {}, {"Authorization": f"Bearer {token}"}).status == status
    narrowed = served.token(job_bot, scope="openid").json["access_token"]
    assert send(f"{api}/whoami?access_token={narrowed}").status == 401


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    # a new key is announced for 6 s, whole seconds: 2 s at the least for a busy machine to publish it, beside the 3 of a cache
    server = Server(tmp_path_factory.mktemp("two"), settings={"IDP_WORKERS": "2", "IDP_KEY_SET_MAX_AGE": "3"})
    yield server.start()
    server.stop()


def statuses(server: Server, application: dict[str, str], count: int = 24) -> set[int]:
    """Ask over new connections, so that both workers are asked."""
    return {server.token(application).status for _ in range(count)}


@pytest.mark.spec("R53")
def test_retired_secret_and_disabled_application_are_refused_by_every_worker_at_once(two_workers: Server) -> None:
    """At most a second later; the time itself is measured by `make bench`."""
    application = two_workers.create_application("rotating")
    assert statuses(two_workers, application) == {200}
    second = json.loads(two_workers.idp("applications", "secrets", "add", "--realm", "acme", "--json", "rotating", "next"))
    assert statuses(two_workers, second) == {200}, "what was made a moment ago works, whichever worker is asked"
    two_workers.idp("applications", "secrets", "retire", "--realm", "acme", "--yes", "rotating", "main")
    wait_until(lambda: 200 not in statuses(two_workers, application), "the refusal of the retired secret")
    assert statuses(two_workers, second) == {200}
    two_workers.idp("applications", "disable", "--realm", "acme", "rotating")
    wait_until(lambda: statuses(two_workers, second) == {401}, "the refusal of the disabled application")
    two_workers.idp("applications", "enable", "--realm", "acme", "rotating")
    assert statuses(two_workers, second) == {200}


@pytest.mark.spec("R53")
def test_revoked_token_is_inactive_on_every_worker(two_workers: Server) -> None:
    application = two_workers.create_application("revoker")
    form = {"client_id": application["client_id"], "client_secret": application["client_secret"]}
    token = two_workers.token(application).json["access_token"]
    assert send(two_workers.endpoint("revoke"), form | {"token": token}).status == 200
    shown = {send(two_workers.endpoint("token/introspect"), form | {"token": token}).body for _ in range(16)}
    assert shown == {b'{"active": false}'}


@pytest.mark.spec("R62", "R63")
def test_keys_rotate_under_load_and_no_verifier_refuses_a_good_token(two_workers: Server) -> None:
    """Four verifiers of two libraries, each with a cache of its own, while RS256 and ES256 keys rotate three times."""
    import jwt as pyjwt

    from idp.verifier import Verifier

    issuer = two_workers.issuer()
    applications = [
        two_workers.create_application(f"rotation-{alg.lower()}", "--algorithm", alg, "--audience", "api")
        for alg in ("RS256", "ES256")
    ]
    ours = [Verifier(issuer, "api", cooldown=1) for _ in range(2)]
    foreign = [pyjwt.PyJWKClient(two_workers.endpoint("certs"), lifespan=1) for _ in range(2)]
    stop = threading.Event()
    failures: list[str] = []
    seen: dict[str, set[str]] = {"RS256": set(), "ES256": set()}
    checked = [0]

    def load() -> None:
        while not stop.is_set():
            for application in applications:
                token = two_workers.token(application).json["access_token"]
                header = read_unverified(token).header
                seen[header["alg"]].add(header["kid"])
                try:
                    for verifier in ours:
                        verifier.verify(token)
                    for client in foreign:
                        pyjwt.decode(
                            token,
                            client.get_signing_key_from_jwt(token).key,
                            algorithms=[header["alg"]],
                            audience="api",
                            leeway=5,
                        )
                except Exception as error:
                    failures.append(f"{type(error).__name__}: {error}")
                checked[0] += 4

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for rotation in range(3):
            two_workers.idp("keys", "rotate", "--realm", "acme")
            wait_until(
                lambda rotation=rotation: all(len(kids) >= rotation + 2 for kids in seen.values()), "the new keys' first tokens"
            )  # type: ignore[misc]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert checked[0] >= 100


def test_token_events_of_every_worker_are_written_at_the_end(own_server: Server) -> None:
    own_server.settings["IDP_WORKERS"] = "2"
    own_server.start()
    application = own_server.create_application("counted")
    issued = {claims_of(own_server.token(application).json["access_token"])["jti"] for _ in range(40)}
    own_server.stop()
    events = json.loads(
        own_server.idp("audit", "list", "--realm", "acme", "--tag", "client:token:issue", "--limit", "100", "--json")
    )
    assert {event["target"] for event in events} == {f"token:{jti}" for jti in issued}
    (secret,) = json.loads(own_server.idp("applications", "secrets", "list", "--realm", "acme", "--json", "counted"))
    assert secret["use_count"] == 40


@pytest.mark.spec("T28")
def test_clients_that_never_finish_their_body_do_not_stop_the_others(own_server: Server) -> None:
    own_server.settings |= {"IDP_THREADS": "3"}
    own_server.start()
    application = own_server.create_application("patient")
    head = b"POST /auth/realms/acme/protocol/openid-connect/token HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
    with contextlib.ExitStack() as open_connections:
        slow = []
        for _ in range(6):
            # From an address of their own: silent connections of an address that holds threads may be cut, whosever they are.
            connection = socket.create_connection(("127.0.0.1", own_server.port), 20, source_address=("127.0.0.2", 0))
            slow.append(open_connections.enter_context(connection))
            connection.sendall(head + b"Content-Type: application/x-www-form-urlencoded\r\n\r\ngrant_type=")
        assert own_server.token(application).status == 200
        for connection in slow:
            assert b" 200 " not in connection.recv(1000).partition(b"\r\n")[0]


@pytest.mark.spec("T28", "T110")
@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        b"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST {path} HTTP/1.1\r\nHost: x\r\n X-Folded: y\r\n\r\n",
        b"POST {path} HTTP/1.1\r\nHost : x\r\n\r\n",
        b"POST {path} HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(200)) + b"\r\n",
        b"POST {path} HTTP/1.1\r\nHost: x\r\nX-Long: " + b"y" * 65_536 + b"\r\n\r\n",
        b"POST {path} HTTP/9.9\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 32,
        b"GET\r\n\r\n",
    ],
)
def test_broken_http_ends_the_connection_and_nothing_else(served: Server, bot: dict[str, str], request_bytes: bytes) -> None:
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.settimeout(20)
        connection.sendall(request_bytes.replace(b"{path}", b"/auth/realms/acme/protocol/openid-connect/token"))
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(4096)
    assert not answer.startswith((b"HTTP/1.1 5", b"HTTP/1.1 2"))
    assert served.token(bot).status == 200


@pytest.mark.spec("T23")
def test_large_body_is_answered_over_a_real_connection(served: Server, bot: dict[str, str]) -> None:
    answer = served.token(bot, scope="x" * 1_000_000)
    assert (answer.status, answer.json["error"]) == (400, "invalid_request")


@pytest.mark.spec("T28")
def test_body_without_its_length_is_411(served: Server, bot: dict[str, str]) -> None:
    body = f"grant_type=client_credentials&client_id={bot['client_id']}&client_secret={bot['client_secret']}".encode()
    head = (
        b"POST /auth/realms/acme/protocol/openid-connect/token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.settimeout(20)
        # all at once: the answer comes without waiting for the rest, and the connection may be closed with it
        connection.sendall(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        assert connection.recv(4096).startswith(b"HTTP/1.1 411 ")


def in_chunks(server: Server, *parts: bytes, whole: bool = True) -> bytes:
    """Return the answer to a sign-in whose body comes in chunks; without the last one if it is cut."""
    head = (
        b"POST /v1/auth/authenticate HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.settimeout(20)
        connection.sendall(head + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n" * whole)
        if not whole:
            connection.shutdown(socket.SHUT_WR)
        return connection.makefile("rb").read()


@pytest.mark.spec("T28")
def test_json_in_chunks_is_read_when_it_is_whole(served: Server) -> None:
    """Granian ends a body that was cut as it ends a whole one; what is cut of a JSON object is none."""
    first, second = b'{"emailId": "nobody@example.com", ', b'"password": "wrong wrong wrong"}'
    whole = in_chunks(served, first, second)
    assert whole.startswith(b"HTTP/1.1 401 "), whole
    # a connection that its client has half closed may be ended before the answer
    assert in_chunks(served, first, whole=False)[9:12] in {b"400", b""}
    assert in_chunks(served, first, second[:-1], whole=False)[9:12] in {b"400", b""}
    assert in_chunks(served, first).startswith(b"HTTP/1.1 400 ")
    assert in_chunks(served).startswith(b"HTTP/1.1 411 ")
    large = in_chunks(served, first, b" " * 65_536, second)
    assert large.startswith(b"HTTP/1.1 400 ")
    assert b"larger than 65536 bytes" in large


def test_body_that_ends_early_is_not_taken_for_a_whole_one(served: Server, bot: dict[str, str]) -> None:
    body = f"grant_type=client_credentials&client_id={bot['client_id']}&client_secret={bot['client_secret']}".encode()
    head = (
        b"POST /auth/realms/acme/protocol/openid-connect/token HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n"
    )
    for missing, status in ((0, b"200"), (20, b"400")):
        with socket.create_connection(("127.0.0.1", served.port)) as connection:
            connection.settimeout(20)
            connection.sendall(head % (len(body) + missing) + body)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(4096)
        assert answer.split(b" ")[1:2] in ([status], []), answer
        assert missing == 0 or b"access_token" not in answer


@pytest.mark.spec("T107", "AUTHLIB-6")
def test_no_secret_and_no_token_reaches_log_audit_export_or_database(tmp_path: Path) -> None:
    """A canary in every place that a secret is presented in; then everything the server leaves behind is searched."""
    server = Server(tmp_path / "data", settings={"IDP_LOG_LEVEL": "debug"})
    server.start()
    application = server.create_application("canary", "--role", "viewer")
    answer = server.token(application, scope="openid").json
    canary = "canary-9f8e7d6c5b4a"
    form = {"client_id": application["client_id"], "client_secret": application["client_secret"]}
    send(server.endpoint("revoke"), form | {"token": answer["access_token"]})
    send(server.endpoint("token/introspect"), form | {"token": canary})
    server.token({"client_id": "canary", "client_secret": canary}, scope=canary)
    server.token(application, scope=canary, resource=canary)
    assertion_type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    send(
        server.endpoint("token"),
        {"grant_type": "client_credentials", "client_assertion": canary, "client_assertion_type": assertion_type},
    )
    send(server.endpoint("token"), {"grant_type": canary}, {"Authorization": f"Basic {canary}"})
    send(server.endpoint("token") + f"?client_secret={canary}", {})
    printed = "".join(server.output)
    server.stop()
    left = "".join(server.output)[len(printed) :]
    left += printed.partition("Realmgate is running at")[2]
    left += server.idp("audit", "list", "--json", "--limit", "1000") + server.idp("realms", "export", "acme")
    left += server.idp("applications", "show", "--realm", "acme", "--json", "canary")
    left += "".join(path.read_bytes().decode("latin-1") for path in (tmp_path / "data").glob("realmgate.db*"))
    for secret in (application["client_secret"], canary, answer["access_token"], answer["id_token"]):
        assert secret not in left
