"""Spring Boot, Quarkus, Nimbus and what Elasticsearch checks with, built of the pages in docs/integrations, against the served program."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bound.proving import Prover
from tests.factories import claims_of, compact
from tests.interop.built import PAGES, write_files
from tests.interop.built.jvm import MISSING, build, call, lines_of, running
from tests.interop.signing import Sign, bound_tokens, realm_signer
from tests.serving import Server, send

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"missing here: {MISSING}")

AUDIENCE = "jobs"
"""What the API is called: the name of an application too, whose ID tokens are for that audience."""

ROLES = ("--role", "viewer", "--project", "vision:ml-engineer")

TYPES = ("at+jwt", "JWT")

PROVER = Prover()
"""Has the key that tokens are bound to."""

BOUND = "bound to "

Tokens = dict[str, str]
Note = Callable[[str, str, str], None]


@pytest.fixture(scope="module")
def sign(served: Server) -> Sign:
    return realm_signer(served)


@pytest.fixture(scope="module")
def id_token(served: Server) -> str:
    """An ID token that is for the API's audience, since the application is called so."""
    namesake = served.create_application(AUDIENCE, "--audience", AUDIENCE, *ROLES)
    token: str = served.token(namesake, scope="openid").json["id_token"]
    assert claims_of(token)["aud"] == AUDIENCE
    return token


@pytest.fixture(scope="module")
def tokens(served: Server, sign: Sign, id_token: str) -> dict[str, Tokens]:
    """Tokens by the `typ` of their headers; see `tokens_of`."""
    return {typ: {**tokens_of(served, sign, typ), "ID token for that audience": id_token} for typ in TYPES}


def tokens_of(served: Server, sign: Sign, typ: str) -> Tokens:
    """Return access tokens of one type, good ones and all that are to be refused."""

    def make(name: str, *options: str, realm: str = "acme") -> dict[str, str]:
        name = f"jvm-{typ.replace('+', '-').lower()}-{name}"
        return served.create_application(name, *(() if typ == "at+jwt" else ("--token-type", typ)), *options, realm=realm)

    def token(name: str, *options: str, realm: str = "acme") -> str:
        access_token: str = served.token(make(name, *options, realm=realm), realm=realm).json["access_token"]
        return access_token

    ours = make("good", "--audience", AUDIENCE, *ROLES)
    good: str = served.token(ours).json["access_token"]
    claims = claims_of(good)
    return {
        "good": good,
        "es256": token("es256", "--audience", AUDIENCE, *ROLES, "--algorithm", "ES256"),
        "without a role": token("bare", "--audience", AUDIENCE),
        "roles that end one day": token("until", "--audience", AUDIENCE, *ROLES, "--until", "2090-01-01"),
        "roles that ended": sign(typ, ended(claims)),
        "for another audience": token("other", "--audience", "other", *ROLES),
        "of another realm": token("master", "--audience", AUDIENCE, "--role", "viewer", realm="master"),
        "session token for that audience": sign("session+jwt", untyped(claims)),
        "token that says nothing of its type": sign("JWT", untyped(claims)),
        "ID token that names roles": sign("JWT", claims | {"typ": "ID"}),
        "expired": sign(typ, past(claims)),
        "altered": altered(good),
        "unsigned": compact({"alg": "none", "typ": typ}, claims, b""),
        **{f"{BOUND}{what}": each for what, each in bound_tokens(served, sign, ours, PROVER).items()},
    }


def past(claims: dict[str, Any]) -> dict[str, Any]:
    """Return the claims as of a day ago."""
    return claims | {name: claims[name] - 86_400 for name in ("iat", "nbf", "exp")}


def ended(claims: dict[str, Any]) -> dict[str, Any]:
    """Return the claims with roles that have ended since."""
    end = claims["iat"] - 60
    held = {"roles": ["viewer"], "ends": {"viewer": end}}
    (project,) = claims["projects"]
    return claims | {"realm_access": held, "projects": [project | {"ends": {"ml-engineer": end}}]}


def untyped(claims: dict[str, Any]) -> dict[str, Any]:
    """Return the claims without their type, as session tokens and personal tokens have them."""
    return {name: value for name, value in claims.items() if name != "typ"}


def altered(token: str) -> str:
    """Return a token that asks for more, above a signature that says nothing of it."""
    header, _, signature = token.split(".")
    payload = compact({}, claims_of(token) | {"realm_access": {"roles": ["viewer", "administrator"]}}, b"").split(".")[1]
    return f"{header}.{payload}.{signature}"


EXPECTED = {
    # reads jobs (a role on the realm), submits one (a role on the project in the URL), submits one elsewhere
    "": (401, 401, 401),
    "good": (200, 200, 403),
    "es256": (200, 200, 403),
    "without a role": (403, 403, 403),
    "roles that end one day": (200, 200, 403),
    "roles that ended": (403, 403, 403),
    "for another audience": (401, 401, 401),
    "of another realm": (401, 401, 401),
    "ID token for that audience": (401, 401, 401),
    "session token for that audience": (401, 401, 401),
    "token that says nothing of its type": (401, 401, 401),
    "ID token that names roles": (401, 401, 401),
    "expired": (401, 401, 401),
    "altered": (401, 401, 401),
    "unsigned": (401, 401, 401),
    "bound to a key": (401, 401, 401),
    "bound to a certificate": (401, 401, 401),
    "bound to both": (401, 401, 401),
    "bound to something else": (401, 401, 401),
    "bound to nothing": (401, 401, 401),
}


def seen(url: str, tokens: Tokens) -> dict[str, tuple[int, int, int]]:
    """Return what the API answers without a token and to each; see `EXPECTED`."""
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
    write_files(page, folder, {"https://id.example/auth/realms/acme": served.issuer(), "https://jobs.acme.example": AUDIENCE})
    for each in without:
        (folder / "src/main/java/example" / each).unlink()
    build(folder)
    return folder


def spring(folder: Path, served: Server, without: str) -> Iterator[str]:
    jar = built("spring", folder, served, without) / "target/jobs.jar"
    with running(jar, port="server.port", address="server.address") as url:
        yield url


@pytest.fixture(scope="module")
def spring_at_jwt(served: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API of docs/integrations/spring.md that takes `typ: at+jwt`; yields its URL."""
    yield from spring(tmp_path_factory.mktemp("spring-at-jwt"), served, without="PlainJwt.java")


@pytest.fixture(scope="module")
def spring_plain_jwt(served: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API of docs/integrations/spring.md that takes `typ: JWT`; yields its URL."""
    yield from spring(tmp_path_factory.mktemp("spring-plain-jwt"), served, without="AtJwt.java")


@pytest.fixture(scope="module")
def quarkus(served: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API of docs/integrations/quarkus.md; yields its URL."""
    jar = built("quarkus", tmp_path_factory.mktemp("quarkus"), served) / "target/quarkus-app/quarkus-run.jar"
    with running(jar, port="quarkus.http.port", address="quarkus.http.host") as url:
        yield url


@pytest.fixture(scope="module")
def nimbus(served: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the program of docs/integrations/nimbus.md."""
    return built("nimbus", tmp_path_factory.mktemp("nimbus"), served)


def version_on(page: str, what: str) -> str:
    """Return the version that the pom.xml of a page pins."""
    found = re.search(rf"{what}(?:</artifactId>\s*<version>|>)([0-9.]+)<", (PAGES / f"{page}.md").read_text())
    assert found is not None
    return found[1]


def test_spring_boot_with_at_jwt(spring_at_jwt: str, tokens: dict[str, Tokens], client: Note) -> None:
    client(
        "Spring Boot, with a JwtDecoder bean",
        version_on("spring", "spring-boot-starter-parent"),
        "tokens of type at+jwt: roles, audience, refusals",
    )
    assert seen(spring_at_jwt, tokens["at+jwt"]) == EXPECTED


def test_spring_boot_with_plain_jwt(spring_plain_jwt: str, tokens: dict[str, Tokens], client: Note) -> None:
    client(
        "Spring Boot, with its own decoder",
        version_on("spring", "spring-boot-starter-parent"),
        "tokens of type JWT: roles, audience, refusals",
    )
    passed_over = dict.fromkeys(
        ("bound to something else", "bound to nothing"), (200, 200, 403)
    )  # Realmgate issues no such tokens
    assert seen(spring_plain_jwt, tokens["JWT"]) == EXPECTED | passed_over


def test_spring_boot_takes_one_type(spring_at_jwt: str, spring_plain_jwt: str, tokens: dict[str, Tokens]) -> None:
    assert call(f"{spring_at_jwt}/jobs", tokens["JWT"]["good"]).status == 401
    assert call(f"{spring_plain_jwt}/jobs", tokens["at+jwt"]["good"]).status == 401


def test_spring_boot_takes_a_bound_token_with_a_proof_of_its_key_once(
    spring_at_jwt: str, spring_plain_jwt: str, tokens: dict[str, Tokens]
) -> None:
    for api, typ in ((spring_at_jwt, "at+jwt"), (spring_plain_jwt, "JWT")):
        url, token = f"{api}/jobs", tokens[typ]["bound to a key"]
        shown = PROVER.headers("GET", url, token=token)
        assert [send(url, headers=shown).status for _ in range(2)] == [200, 401]
        assert send(url, headers=Prover().headers("GET", url, token=token)).status == 401
        both = PROVER.headers("GET", url, token=tokens[typ]["bound to both"])
        assert send(url, headers=both).status == 401


@pytest.mark.parametrize("typ", TYPES)
def test_quarkus(quarkus: str, typ: str, tokens: dict[str, Tokens], client: Note) -> None:
    client(
        "Quarkus (quarkus-oidc)",
        version_on("quarkus", "quarkus.version"),
        f"tokens of type {typ}: roles, audience, refusals",
    )
    assert seen(quarkus, tokens[typ]) == EXPECTED


TAKEN = {"good", "es256", "without a role", "roles that end one day", "roles that ended"}


@pytest.mark.parametrize("typ", TYPES)
def test_nimbus(nimbus: Path, typ: str, tokens: dict[str, Tokens], client: Note) -> None:
    client("Nimbus JOSE+JWT", version_on("nimbus", "nimbus-jose-jwt"), f"tokens of type {typ}: roles, audience, refusals")
    of_type = tokens[typ]
    said = dict(zip(of_type, lines_of(nimbus, "example.Check", of_type.values()), strict=True))
    names = {name: claims_of(of_type[name])["client_id"] for name in TAKEN}
    roles = "[viewer, project:vision:ml-engineer]"
    assert {name: said.pop(name) for name in TAKEN} == {
        "good": f"{names['good']} {roles}",
        "es256": f"{names['es256']} {roles}",
        "without a role": f"{names['without a role']} []",
        "roles that end one day": f"{names['roles that end one day']} {roles}",
        "roles that ended": f"{names['roles that ended']} []",
    }
    assert [line for line in said.values() if not line.startswith("refused, answer 401: ")] == []


def elasticsearch_settings(folder: Path, served: Server) -> dict[str, Any]:
    """Return the settings of docs/integrations/elasticsearch.md, with the realm and audience of this test."""
    write_files(
        "elasticsearch", folder, {"https://id.example/auth/realms/acme": served.issuer(), "https://search.acme.example": AUDIENCE}
    )
    lines = re.findall(r"^  (\S+): (.+)$", (folder / "elasticsearch.yml").read_text(), re.MULTILINE)
    return {name: json.loads(value) if value[0] in '["' else value for name, value in lines}


@pytest.fixture(scope="module")
def elasticsearch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what stands in for Elasticsearch's JWT realm."""
    folder = tmp_path_factory.mktemp("elasticsearch")
    shutil.copytree(Path(__file__).with_name("elasticsearch"), folder, dirs_exist_ok=True)
    build(folder)
    return folder


@pytest.mark.parametrize("typ", TYPES)
def test_elasticsearch_settings(
    elasticsearch: Path, served: Server, tmp_path: Path, typ: str, tokens: dict[str, Tokens], client: Note
) -> None:
    client(
        "Elasticsearch (its settings, put to Nimbus JOSE+JWT; the program was not run)",
        "9.1",
        f"tokens of type {typ}: audience, refusals",
    )
    settings = json.dumps(elasticsearch_settings(tmp_path, served))
    of_type = tokens[typ]
    said = dict(zip(of_type, lines_of(elasticsearch, "example.Check", of_type.values(), "JWT,at+jwt", settings), strict=True))
    taken = TAKEN | {name for name in of_type if name.startswith(BOUND)}  # the warning in docs/integrations/elasticsearch.md
    assert {name: said.pop(name) for name in taken} == {name: claims_of(of_type[name])["client_id"] for name in taken}
    assert [line for line in said.values() if not line.startswith("refused: ")] == []


def test_elasticsearch_before_9_1_takes_no_at_jwt(
    elasticsearch: Path, served: Server, tmp_path: Path, tokens: dict[str, Tokens]
) -> None:
    settings = json.dumps(elasticsearch_settings(tmp_path, served))
    good = [tokens[typ]["good"] for typ in TYPES]
    refused, taken = lines_of(elasticsearch, "example.Check", good, "JWT", settings)
    assert "at+jwt not allowed" in refused
    assert taken == claims_of(tokens["JWT"]["good"])["client_id"]
