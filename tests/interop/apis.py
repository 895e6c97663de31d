"""APIs that check Realmgate's tokens with libraries that nobody here wrote: how they are started, and what they are asked."""

import base64
import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.bound.proving import Prover
from tests.interop.signing import Sign, bound_tokens, realm_signer
from tests.serving import PATIENCE, Server, send, wait_until

HOUR = 3600


class Realm:
    """Realm acme, looked after through its API: commands take a second each."""

    def __init__(self, server: Server) -> None:
        self.server = server
        token = server.token(server.create_application("interop-administrator", "--role", "administrator")).json["access_token"]
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    @cached_property
    def sign(self) -> Sign:
        """What signs claims with the realm's key."""
        return realm_signer(self.server)

    def post(self, path: str, body: Any) -> Any:
        """Make something."""
        answer = send(self.server.url + path, json.dumps(body).encode(), self._headers)
        assert answer.status in (200, 201), answer.body
        return answer.json

    def project(self, name: str) -> str:
        """Return a project's uid."""
        listed = send(f"{self.server.url}/v1/projects", headers=self._headers).json["items"]
        return next(str(each["metadata"]["uid"]) for each in listed if each["metadata"]["name"] == name)

    def create(self, name: str, spec: Any, **ends: str) -> dict[str, str]:
        """Make an application, and return its client_id and client_secret.

        :param ends: roles on the realm, and when they end.
        """
        made = self.post("/v1/applications", {"metadata": {"name": name}, "spec": spec})
        holder = {"kind": "application", "uid": made["uid"]}
        for role, until in ends.items():
            self.post("/v1/grants", {"spec": {"holder": holder, "role": role, "until": until}})
        return {"client_id": made["clientId"], "client_secret": made["clientSecret"]}


@dataclass(frozen=True)
class Callers:
    """Tokens of those who call an API."""

    server: Server = field(repr=False)
    application: dict[str, str] = field(repr=False)
    """The one that `viewer` was issued to."""
    audience: str
    """The API's name, and the client_id of `viewer`: its ID tokens have the right `aud`, and are still none for APIs."""
    viewer: str
    """RS256; `viewer` on the realm for an hour, `ml-engineer` on vision."""
    engineer: str
    """ES256; `researcher` on the realm, `ml-engineer` on speech for an hour."""
    viewer_elsewhere: str
    """As `viewer`, for another audience."""
    id_token: str
    """The ID token of `viewer`."""
    without_openid: str
    """As `viewer`, without the scope openid."""
    bound: dict[str, str]
    """As `viewer`, by what they are bound to."""
    prover: Prover = field(repr=False)
    """Has the key."""

    @classmethod
    def of(cls, realm: Realm, name: str, token_type: str) -> "Callers":
        """Make the callers, and fetch their tokens.

        :param name: of the API.
        :param token_type: header `typ` of the access tokens.
        """
        server, end = realm.server, (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        ours = {"accessTokenType": token_type, "audience": [name]}
        on_vision = {"projectUid": realm.project("vision"), "role": "ml-engineer"}
        wider = {"signingAlgorithm": "RS256", "audience": [name, "elsewhere"], "projects": [on_vision]}
        viewer = realm.create(name, ours | wider, viewer=end)
        on_speech = {"projectUid": realm.project("speech"), "role": "ml-engineer", "until": end}
        engineer = realm.create(
            f"{name}-engineer", ours | {"signingAlgorithm": "ES256", "roles": ["researcher"], "projects": [on_speech]}
        )
        answer = server.token(viewer, scope="openid", audience=name).json
        prover = Prover()
        return cls(
            server,
            viewer,
            name,
            viewer=answer["access_token"],
            engineer=server.token(engineer, scope="openid").json["access_token"],
            viewer_elsewhere=server.token(viewer, scope="openid", audience="elsewhere").json["access_token"],
            id_token=answer["id_token"],
            without_openid=server.token(viewer, audience=name).json["access_token"],
            bound=bound_tokens(server, realm.sign, viewer, prover, scope="openid", audience=name),
            prover=prover,
        )

    def fetch(self) -> str:
        """Return another token like `viewer`."""
        token: str = self.server.token(self.application, scope="openid", audience=self.audience).json["access_token"]
        return token

    def revoke(self, token: str) -> None:
        """Revoke a token that was fetched."""
        assert send(self.server.endpoint("revoke"), self.application | {"token": token}).status == 200


@dataclass(frozen=True)
class Api:
    """A process that serves `/jobs` for `viewer`, and `/projects/<name>/jobs` for `ml-engineer` on that project."""

    port: int
    clock: Path
    output: Path

    @property
    def url(self) -> str:
        """Return where it is."""
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str, token: str | None = None, **headers: str) -> int:
        """Return the status for who shows that token as `Bearer`, with further headers or others."""
        shown = {} if token is None else {"Authorization": f"Bearer {token}"}
        return send(self.url + path, headers=shown | headers).status

    def advance(self, seconds: int) -> None:
        """Let the process's clock be ahead of this one's."""
        written = self.clock.with_suffix(".new")
        written.write_text(str(seconds))
        written.replace(self.clock)

    def answers(self) -> bool:
        """Tell whether it answers."""
        try:
            return self.ask("/jobs") > 0
        except OSError:
            return False


@contextlib.contextmanager
def running(command: Sequence[str], folder: Path, port: int, **environment: str) -> Iterator[Api]:
    """Run an API in a folder, until the block is left.

    :param command: ends up listening on the port; reads its clock by clock.mjs, or as django_api.py does.
    """
    api = Api(port, folder / "clock", folder / "output")
    api.advance(0)
    with api.output.open("wb") as output:
        surroundings = os.environ | {"CLOCK": str(api.clock)} | environment
        process = subprocess.Popen(command, cwd=folder, env=surroundings, stdout=output, stderr=subprocess.STDOUT)
    try:

        def ready() -> bool:
            assert process.poll() is None, api.output.read_text()
            return api.answers()

        wait_until(ready, f"the start of {command}")
        yield api
    finally:
        process.terminate()
        process.wait(PATIENCE)


def statuses(api: Api, callers: Callers) -> dict[str, int]:
    """Ask what every API on the pages is asked, and return the statuses by what was shown."""
    found = {
        "a role": api.ask("/jobs", callers.viewer),
        "a role on a project": api.ask("/projects/vision/jobs", callers.viewer),
        "ES256": api.ask("/projects/speech/jobs", callers.engineer),
        "not the role": api.ask("/jobs", callers.engineer),
        "the role on another project": api.ask("/projects/vision/jobs", callers.engineer),
        "no such project": api.ask("/projects/constructor/jobs", callers.engineer),
        "no token": api.ask("/jobs"),
        "no JWT": api.ask("/jobs", "x"),
        "another audience": api.ask("/jobs", callers.viewer_elsewhere),
        "an ID token": api.ask("/jobs", callers.id_token),
        "a changed token": api.ask("/jobs", _changed(callers.engineer)),
        "an unsigned token": api.ask("/jobs", _unsigned(callers.viewer)),
    }
    found |= {f"a token that is bound to {what}": api.ask("/jobs", token) for what, token in callers.bound.items()}
    api.advance(2 * HOUR)
    found |= {
        "a role that has ended": api.ask("/jobs", callers.viewer),
        "its other role": api.ask("/projects/vision/jobs", callers.viewer),
        "a role on a project that has ended": api.ask("/projects/speech/jobs", callers.engineer),
    }
    api.advance(11 * HOUR)
    found["an expired token"] = api.ask("/projects/vision/jobs", callers.viewer)
    api.advance(0)
    return found


EXPECTED = {
    "a role": 200,
    "a role on a project": 200,
    "ES256": 200,
    "not the role": 403,
    "the role on another project": 403,
    "no such project": 403,
    "no token": 401,
    "no JWT": 401,
    "another audience": 401,
    "an ID token": 401,
    "a changed token": 401,
    "an unsigned token": 401,
    "a token that is bound to a key": 401,
    "a token that is bound to a certificate": 401,
    "a token that is bound to both": 401,
    "a token that is bound to something else": 401,
    "a token that is bound to nothing": 401,
    "a role that has ended": 403,
    "its other role": 200,
    "a role on a project that has ended": 403,
    "an expired token": 401,
}


def _changed(token: str) -> str:
    """Give a token the role that it lacks, under the signature that it has."""
    header, payload, signature = token.split(".")
    claims = _read(payload)
    claims["realm_access"] = {"roles": ["viewer"]}
    return f"{header}.{_written(claims)}.{signature}"


def _unsigned(token: str) -> str:
    header, payload, _ = token.split(".")
    return f"{_written(_read(header) | {'alg': 'none'})}.{payload}."


def _read(part: str) -> dict[str, object]:
    read: dict[str, object] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return read


def _written(part: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
