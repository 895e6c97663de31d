"""`idp login`: the command line signs in as any other application, in a browser or with a code."""

import json
import os
import re
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browsing import Person
from tests.factories import PASSWORD
from tests.serving import IDP, PATIENCE, Server, send

ANN = "ann@example.test"

BROWSER = """
    import sys
    sys.path.insert(0, {project!r})
    import urllib.request
    from tests.browsing import Person

    class Where:
        url = {url!r}

    person = Person(Where)
    _, page, location = person.open(sys.argv[1])
    _, page, location = person.send_form(page, name={name!r}, password={password!r})
    try:
        urllib.request.urlopen(location.replace("state=", {mangle!r} + "state="))
    except OSError as error:
        print(error, file=sys.stderr, flush=True)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    found = Server(tmp_path_factory.mktemp("login"))
    found.start()
    done = found.run(
        "users", "create", "--realm", "acme", "--email", ANN, "--role", "administrator", "--password-stdin", typed=PASSWORD
    )
    assert done.returncode == 0, done.stderr
    spec = ("--kind", "native", "--redirect-uri", "http://127.0.0.1/signed-in", "--audience", found.issuer())
    found.idp("applications", "create", "--realm", "acme", *spec, "idp")
    yield found
    found.stop()


def environment_of(home: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "IDP_CONFIG": os.devnull} | more


def idp(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = environment_of(home, **more)
    return subprocess.run([IDP, *arguments], env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)


def begin(home: Path, *arguments: str, **more: str) -> subprocess.Popen[str]:
    environment = environment_of(home, **more)
    return subprocess.Popen([IDP, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def read_until(process: subprocess.Popen[str], pattern: str) -> str:
    """Return what a process says on standard error, once that has a pattern, and the pattern's first group."""
    assert process.stderr is not None
    said = ""
    while (found := re.search(pattern, said)) is None:
        line = process.stderr.readline()
        assert line, said
        said += line
    return found[0]


def browser(home: Path, server: Server, mangle: str = "") -> str:
    """Return a command that does what a person does in a browser."""
    script = home / "browser.py"
    values = {"project": str(Path(__file__).parents[2]), "url": server.url, "name": ANN, "password": PASSWORD, "mangle": mangle}
    script.write_text(textwrap.dedent(BROWSER).format(**values))
    return f"{sys.executable} {script} %s"


def test_login_in_a_browser_and_what_follows(tmp_path: Path, server: Server) -> None:
    done = idp(tmp_path, "login", server.url, "--realm", "acme", BROWSER=browser(tmp_path, server))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == f"Signed in at {server.issuer()} as {ANN}.\n"
    kept = tmp_path / ".config" / "realmgate" / "login.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert idp(tmp_path, "whoami").stdout == f"{ANN} at {server.issuer()}\n"
    assert json.loads(idp(tmp_path, "whoami", "--json").stdout)["email"] == ANN
    token = idp(tmp_path, "token").stdout.strip()
    listed = send(f"{server.url}/v1/applications", headers={"Authorization": f"Bearer {token}"})
    assert listed.status == 200, "the roles were asked for, and the token is for this server"
    said: dict[str, Any] = json.loads(kept.read_text())
    kept.write_text(json.dumps(said | {"expires_at": 0}))
    again = idp(tmp_path, "token").stdout.strip()
    assert again not in {"", token}, "refreshed"
    assert json.loads(kept.read_text())["refresh_token"] != said["refresh_token"]
    assert idp(tmp_path, "logout").stdout == f"Signed out of {server.issuer()}.\n"
    assert not kept.exists()
    assert send(server.endpoint("userinfo"), headers={"Authorization": f"Bearer {again}"}).status == 401
    nobody = idp(tmp_path, "whoami")
    assert (nobody.returncode, "Nobody has signed in here" in nobody.stderr) == (1, True)


def test_answer_to_another_request_is_not_taken(tmp_path: Path, server: Server) -> None:
    """Code injection: what comes with another state is not ours."""
    process = begin(tmp_path, "login", server.url, "--realm", "acme", BROWSER=browser(tmp_path, server, "not"))
    read_until(process, "HTTP Error 404")
    assert process.poll() is None, "it waits for its own"
    process.kill()
    process.communicate()


def test_login_with_a_code(tmp_path: Path, server: Server) -> None:
    process = begin(tmp_path, "login", server.url, "--realm", "acme", "--device")
    person = Person(server)
    _, page, _ = person.open(f"{server.url}/device", user_code=read_until(process, r"[B-Z]{4}-[B-Z]{4}"))
    _, page, _ = person.send_form(page, name=ANN, password=PASSWORD)
    _, page, _ = person.send_form(page, decision="agree")
    out, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (0, f"Signed in at {server.issuer()} as {ANN}.\n"), errors
    assert idp(tmp_path, "whoami").stdout == f"{ANN} at {server.issuer()}\n"


@pytest.mark.parametrize(
    ("url", "said"),
    [("http://id.example.com", "is not an https URL"), ("http://127.0.0.1:1", "127.0.0.1"), ("ftp://x", "is not an https URL")],
)
def test_wrong_address_is_said(tmp_path: Path, url: str, said: str) -> None:
    done = idp(tmp_path, "login", url, "--realm", "acme")
    assert done.returncode == 1
    assert said in done.stderr


def test_unregistered_command_line_is_told_how(tmp_path: Path, server: Server) -> None:
    done = idp(tmp_path, "login", server.url, "--realm", "acme", "--device", "--client", "nobody")
    assert done.returncode == 1
    assert "idp login --help" in done.stderr
    assert idp(tmp_path, "login", server.url, "--realm", "nowhere").returncode == 1
