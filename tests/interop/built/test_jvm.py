"""Spring Boot, Quarkus and Nimbus, built of the pages in docs/integrations, against the served program."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.factories import claims_of, compact
from tests.interop.built import write_files
from tests.interop.built.jvm import MISSING, build, call, realm_key, running
from tests.serving import Server

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"missing here: {MISSING}")

AUDIENCE = "jobs"
"""What the API is called: the name of an application too, whose ID tokens are for that audience."""

ON_THE_PAGE = {"https://id.example/auth/realms/acme": "", "https://jobs.acme.example": AUDIENCE}

Note = Callable[[str, str, str], None]


@pytest.fixture(scope="module")
def tokens(served: Server) -> Iterator[dict[str, str]]:
    """Tokens of every kind, of which the API is to take `good`, `es256` and, without some roles, two more."""
    audience = ("--audience", AUDIENCE)
    roles = ("--role", "viewer", "--project", "vision:ml-engineer")
    good = served.token(served.create_application("jvm-good", *audience, *roles)).json["access_token"]
    namesake = served.create_application(AUDIENCE, "--audience", AUDIENCE, *roles)
    with_id = served.token(namesake, scope="openid").json
    elsewhere = served.create_application("jvm-elsewhere", "--audience", AUDIENCE, "--role", "viewer", realm="master")
    made = {
        "good": good,
        "es256": served.create_application("jvm-es256", *audience, *roles, "--algorithm", "ES256"),
        "without a role": served.create_application("jvm-without", *audience),
        "for another audience": served.create_application("jvm-other", "--audience", "other", *roles),
    }
    claims = claims_of(good)
    with realm_key(served) as sign:
        yield {
            **{name: each if isinstance(each, str) else served.token(each).json["access_token"] for name, each in made.items()},
            "of another realm": served.token(elsewhere, realm="master").json["access_token"],
            "ID token for that audience": with_id["id_token"],
            "expired": sign("at+jwt", past(claims)),
            "roles that ended": sign("at+jwt", ended(claims)),
            "session token for that audience": sign("session+jwt", claims),
            "tampered": tampered(good),
            "unsigned": compact({"alg": "none", "typ": "at+jwt"}, claims, b""),
        }


def past(claims: dict[str, Any]) -> dict[str, Any]:
    """Return the claims as of a day ago."""
    return claims | {name: claims[name] - 86_400 for name in ("iat", "nbf", "exp")}


def ended(claims: dict[str, Any]) -> dict[str, Any]:
    """Return the claims with roles that ended a minute before the token was made."""
    end = claims["iat"] - 60
    held = {"roles": ["viewer"], "ends": {"viewer": end}}
    (project,) = claims["projects"]
    return claims | {"realm_access": held, "projects": [project | {"ends": {"ml-engineer": end}}]}


def tampered(token: str) -> str:
    """Return a token that asks for more, below a signature that says nothing of it."""
    header, _, signature = token.split(".")
    payload = compact({}, claims_of(token) | {"realm_access": {"roles": ["administrator"]}}, b"").split(".")[1]
    return f"{header}.{payload}.{signature}"


EXPECTED = {
    # reads jobs (a role on the realm), submits one (a role on the project in the URL), submits one elsewhere
    "": (401, 401, 401),
    "good": (200, 200, 403),
    "es256": (200, 200, 403),
    "without a role": (403, 403, 403),
    "roles that ended": (403, 403, 403),
    "for another audience": (401, 401, 401),
    "of another realm": (401, 401, 401),
    "ID token for that audience": (401, 401, 401),
    "session token for that audience": (401, 401, 401),
    "expired": (401, 401, 401),
    "tampered": (401, 401, 401),
    "unsigned": (401, 401, 401),
}


def seen(url: str, tokens: dict[str, str]) -> dict[str, tuple[int, int, int]]:
    """Return what the API answers to each token; see `EXPECTED`."""
    return {
        name: (
            call(f"{url}/jobs", token).status,
            call(f"{url}/projects/vision/jobs", token, post=True).status,
            call(f"{url}/projects/speech/jobs", token, post=True).status,
        )
        for name, token in {"": "", **tokens}.items()
    }


def built(page: str, folder: Path, served: Server, *without: str) -> Path:
    """Write and build the program of a page, without the files of the other way, and return the folder."""
    write_files(page, folder, {**ON_THE_PAGE, "https://id.example/auth/realms/acme": served.issuer()})
    for each in without:
        (folder / "src/main/java/example" / each).unlink()
    build(folder)
    return folder


@pytest.fixture(scope="module")
def spring_at_jwt(served: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API of docs/integrations/spring.md that takes `typ: at+jwt`; yields its URL."""
    folder = built("spring", tmp_path_factory.mktemp("spring-at-jwt"), served, "PlainJwt.java")
    with running(folder / "target/jobs.jar", port_option="--server.port", options=("--server.address=127.0.0.1",)) as url:
        yield url


def test_spring_boot_with_at_jwt(spring_at_jwt: str, tokens: dict[str, str], client: Note) -> None:
    client("Spring Boot, with a JwtDecoder of its own", "3.5.7", "checks tokens of type at+jwt, maps roles")
    assert seen(spring_at_jwt, tokens) == EXPECTED
