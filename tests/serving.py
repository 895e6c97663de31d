"""The served program, as the tests start it: a process of its own, on loopback, ended by its own process id."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import forking
from tests.forking import PROJECT

IDP = str(Path(sys.executable).with_name("idp"))
PATIENCE = 120
"""Seconds that a busy machine may take for what normally takes a fraction of one."""


def run_idp(
    *arguments: str, environment: Mapping[str, str], cwd: Path = PROJECT, typed: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run `idp` in an environment, and return how it ended.

    :param typed: what it reads from its standard input.
    """
    return forking.run(arguments, environment, cwd=cwd, typed=typed, timeout=PATIENCE)


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """Return the first true value of `condition`, asked again and again.

    :raises AssertionError: it did not come true in time.
    """
    end = time.monotonic() + seconds
    pause = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"{what} did not happen within {seconds} seconds"
        pause.wait(0.02)


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


def send(url: str, form: Mapping[str, str] | bytes | None = None, headers: Mapping[str, str] | None = None) -> Answer:
    """GET a URL, or POST a form to it, and return whatever is answered."""
    data = form if form is None or isinstance(form, bytes) else urllib.parse.urlencode(form).encode()
    request = urllib.request.Request(url, data, dict(headers or {}))
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            return Answer(response.status, response.headers, response.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())


@dataclass
class Server:
    """`idp serve` in a data folder of its own."""

    data_dir: Path
    port: int = field(default_factory=free_port)
    settings: dict[str, str] = field(default_factory=dict)
    within: list[str] = field(default_factory=list)
    """Command that starts the program in surroundings of its own; empty for this process's."""
    process: subprocess.Popen[str] | forking.Process | None = None
    output: list[str] = field(default_factory=list)
    reader: threading.Thread = field(default_factory=threading.Thread)

    @property
    def url(self) -> str:
        """Return the public URL."""
        return f"http://127.0.0.1:{self.port}"

    def issuer(self, realm: str = "acme") -> str:
        """Return a realm's issuer."""
        return f"{self.url}/auth/realms/{realm}"

    def endpoint(self, name: str, realm: str = "acme") -> str:
        """Return the URL of an endpoint: token, token/introspect, revoke, certs."""
        return f"{self.issuer(realm)}/protocol/openid-connect/{name}"

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of the program: this one's, without settings of the machine."""
        others = ("IDP_", "COVERAGE_") if self.within else ("IDP_",)  # what is measured could not be written in such surroundings
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(others)}
        own = {"IDP_DATA_DIR": str(self.data_dir), "IDP_PORT": str(self.port), "IDP_REALMS_DIR": str(PROJECT / "realms")}
        own |= {
            "IDP_RATE_API": "0",
            "IDP_RATE_PASSWORD_RESET": "0",
            "IDP_RATE_FAILURES": "1000000",
        }  # tests/api/test_limits.py has the limits
        own |= {"IDP_MANAGEMENT_PORT": "0", "IDP_CONFIG": os.devnull}
        return inherited | own | self.settings

    def launch(self) -> None:
        """Start the process, and gather what it prints."""
        if self.within:
            self.process = subprocess.Popen(
                [*self.within, IDP, "serve"],
                env=self.environment,
                cwd=PROJECT,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        else:
            self.process = forking.start(["serve"], self.environment)
        self.gather_output()

    def gather_output(self) -> None:
        """Begin to keep what the process prints."""
        assert self.process is not None
        stream = self.process.stdout
        assert stream is not None

        def gather() -> None:
            with stream:
                self.output.extend(stream)

        self.reader = threading.Thread(target=gather, daemon=True)
        self.reader.start()

    def start(self) -> "Server":
        """Start the process and wait until it answers."""
        self.launch()
        wait_until(self.answers, "the start of the server")
        return self

    def answers(self) -> bool:
        """Tell whether the server answers; fail when its process has ended."""
        assert self.process is not None
        assert self.process.poll() is None, "the server ended:\n" + "".join(self.output)
        try:
            return send(f"{self.issuer('master')}/.well-known/openid-configuration").status == 200
        except OSError:
            return False

    def stop(self) -> None:
        """End it gracefully."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(PATIENCE)
            self.reader.join(PATIENCE)

    def kill(self) -> None:
        """End it and its workers with SIGKILL."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(PATIENCE)
            self.reader.join(PATIENCE)

    def run(self, *arguments: str, typed: str = "", **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run the command in this server's settings, and return how it ended.

        :param typed: what it reads from its standard input.
        """
        surroundings = self.environment | environment
        if not self.within:
            return run_idp(*arguments, environment=surroundings, typed=typed)
        command = [*self.within, IDP, *arguments]
        return subprocess.run(
            command, input=typed, env=surroundings, cwd=PROJECT, capture_output=True, text=True, timeout=PATIENCE, check=False
        )

    def idp(self, *arguments: str, status: int = 0, both: bool = False, **environment: str) -> str:
        """Run the command in this server's settings, and return what it prints.

        :param both: return standard output and standard error, whatever the outcome.
        """
        done = self.run(*arguments, **environment)
        assert done.returncode == status, f"idp {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}"
        if both:
            return done.stdout + done.stderr
        return done.stdout if status == 0 else done.stderr

    def create_application(self, name: str, *options: str, realm: str = "acme") -> dict[str, str]:
        """Make an application, and return its client_id, client_secret, uid and issuer."""
        made: dict[str, str] = json.loads(self.idp("applications", "create", "--realm", realm, "--json", *options, name))
        return made

    def token(self, application: Mapping[str, str], realm: str = "acme", **parameters: str) -> Answer:
        """Ask for a token as an application."""
        form = {
            "grant_type": "client_credentials",
            "client_id": application["client_id"],
            "client_secret": application["client_secret"],
        }
        return send(self.endpoint("token", realm), form | parameters)
