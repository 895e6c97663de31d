"""The first examples of the READMEs in clients/, one in Python beside them, and the gateway: each is shown tokens, and answers."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.clients.building import GO, MISSING, build_typescript, go, program
from tests.interop.built.golang import running
from tests.interop.pages import write_files
from tests.prepare import TYPESCRIPT
from tests.serving import PROJECT, Answer, Server, free_port, send

ISSUER = "https://id.example.com/auth/realms/acme"
"""What stands in the READMEs for the reader's own."""
AUDIENCE = "https://jobs.acme.example"
GATEWAY_AUDIENCE = "https://telemetry.acme.example"
"""Audience of the protected API of realms/acme.toml, which the gateway answers for."""

Ask = Callable[[str], Answer]


@dataclass(frozen=True)
class Wanted:
    """What an API is to accept: tokens of one issuer for one audience."""

    issuer: str
    audience: str
    recall: bool
    """Whether it follows what is taken back."""
    session_tokens: bool


@dataclass(frozen=True)
class _Started:
    command: list[str]
    environment: dict[str, str]


def _python(folder: Path, wanted: Wanted, port: int) -> _Started:
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--port", str(port), "--http", "1", "--no-ws"]
    command += ["--blocking-threads", "8", "--log-level", "error", "--working-dir", str(PROJECT), "tests.clients.flask_api:app"]
    options = {"API_RECALL": "yes" if wanted.recall else "", "API_SESSION_TOKENS": "yes" if wanted.session_tokens else ""}
    return _Started(command, {"API_ISSUER": wanted.issuer, "API_AUDIENCE": wanted.audience} | options)


def _typescript(folder: Path, wanted: Wanted, port: int) -> _Started:
    """Write the example out, and return how it is started."""
    build_typescript()
    options = f'audience: "{wanted.audience}",'
    options += " recall: true," if wanted.recall else ""
    options += " sessionTokens: true," if wanted.session_tokens else ""
    changes = {ISSUER: wanted.issuer, f'audience: "{AUDIENCE}",': options, "listen(8000)": f'listen({port}, "127.0.0.1")'}
    write_files("../../clients/typescript/README", folder, changes)
    package = folder / "node_modules" / "@realmgate" / "verifier"
    package.parent.mkdir(parents=True)
    package.symlink_to(TYPESCRIPT)
    return _Started([program("node"), str(folder / "api.mjs")], {})


def _go(folder: Path, wanted: Wanted, port: int) -> _Started:
    """Write the example out, build it, and return how it is started."""
    options = f'Audience: []string{{"{wanted.audience}"}},'
    options += " Recall: &verifier.RecallConfig{}," if wanted.recall else ""
    options += " SessionTokens: true," if wanted.session_tokens else ""
    changes = {ISSUER: wanted.issuer, f'Audience: []string{{"{AUDIENCE}"}},': options, '":8000"': f'"127.0.0.1:{port}"'}
    write_files("../../clients/go/README", folder, changes | {"../realmgate/clients/go": str(GO)})
    go("build", "-o", "api", ".", cwd=folder)
    return _Started([str(folder / "api")], {})


EXAMPLES = {"python": _python, "typescript": _typescript, "go": _go}


def missing(language: str) -> str | None:
    """Return why an example cannot be run on this machine; None when it can."""
    return MISSING.get(language)


@contextlib.contextmanager
def example(
    language: str,
    server: Server,
    folder: Path,
    *,
    audience: str = AUDIENCE,
    recall: bool = False,
    session_tokens: bool = False,
) -> Iterator[Ask]:
    """Run an example in a process of its own until the block ends, and return what shows it a token."""
    port = free_port()
    started = EXAMPLES[language](folder, Wanted(server.issuer(), audience, recall, session_tokens), port)

    def ask(token: str) -> Answer:
        return send(f"http://127.0.0.1:{port}/", headers=_bearer(token))

    with running(started.command, os.environ | started.environment, lambda: ask("").status == 401, folder / "log"):
        yield ask


def gateway(server: Server) -> Ask:
    """Return what shows a token to the gateway, as a proxy in front of the protected API does. The server is to trust it as one."""
    url = f"{server.url}/gateway/check/acme/telemetry?method=GET&uri=/api/v1/query"
    return lambda token: send(url, headers=_bearer(token))


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


@contextlib.contextmanager
def all_four(server: Server, folder: Path) -> Iterator[dict[str, Ask]]:
    """Run all of them that this machine can run, following what is taken back, and return what shows each a token.

    All accept tokens for `GATEWAY_AUDIENCE`, and session tokens.
    """
    with contextlib.ExitStack() as stack:
        found: dict[str, Ask] = {}
        for language in EXAMPLES:
            if missing(language) is None:
                (folder / language).mkdir()
                running_one = example(
                    language, server, folder / language, audience=GATEWAY_AUDIENCE, recall=True, session_tokens=True
                )
                found[language] = stack.enter_context(running_one)
        yield found | {"gateway": gateway(server)}
