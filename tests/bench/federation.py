"""What it costs to admit a program by the word of a trusted issuer, beside one that signs with its own key."""

import json
import statistics
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.jwk import RSAKey

from idp.settings import Settings
from tests.bench import seed
from tests.bench.bound import cost_of_each
from tests.bench.load import post
from tests.bench.serving import Measured, set_up
from tests.factories import assertion_form
from tests.federation.issuing import Issuer, github
from tests.serving import PROJECT

ALGORITHMS = ("ES256", "RS256")
"""What the tokens are signed with; the assertions are RS256."""

RULES = 10_000


def bench_federation(folder: Path, rounds: int, count: int) -> dict[str, Any]:
    """Compare the processor time of the two kinds of assertion, and of a realm with one rule and one with many, in turn.

    Each assertion is signed with RS256, counts once, and gets an access token.

    :param count: requests of one kind in a round.
    """
    server, hub, own = set_up(folder), github(), RSAKey.generate_key(2048)
    _prepare(server, hub, own)
    seed.add_rules(
        Settings.load(data_dir=server.data_dir, port=server.port, realms_dir=PROJECT / "realms"), "crowd", "hub", RULES
    )
    server.start()
    kinds: dict[str, Callable[[], str]] = {"one rule": lambda: hub.sign(aud=server.issuer())}
    kinds["many rules"] = lambda: hub.sign(aud=server.issuer("crowd"))
    costs: dict[str, list[float]] = {}
    for _ in range(rounds):
        for algorithm in ALGORITHMS:
            name = algorithm.lower()
            form = {"client_id": f"hub-{name}"}
            own_kind = _requests(lambda name=name: _own(server, own, f"key-{name}"), count)  # type: ignore[misc]
            costs.setdefault(f"private_key_jwt {algorithm}", []).append(cost_of_each(server, own_kind))
            for kind, sign in kinds.items():
                realm = "crowd" if kind == "many rules" else "acme"
                costs.setdefault(f"{kind} {algorithm}", []).append(cost_of_each(server, _requests(sign, count, realm, **form)))
    server.stop()
    return {algorithm: _figures(costs, algorithm) for algorithm in ALGORITHMS}


def _figures(costs: dict[str, list[float]], algorithm: str) -> dict[str, float]:
    own, one, many = (costs[f"{kind} {algorithm}"] for kind in ("private_key_jwt", "one rule", "many rules"))
    return {
        "private_key_jwt_us": round(statistics.median(own)),
        "federated_us": round(statistics.median(one)),
        "among_many_rules_us": round(statistics.median(many)),
        "federated_over_private_key_jwt": round(statistics.median(a / b for a, b in zip(one, own, strict=True)), 2),
        "many_over_one_rule": round(statistics.median(a / b for a, b in zip(many, one, strict=True)), 3),
    }


def rows(result: dict[str, Any]) -> Iterator[tuple[str, object, str]]:
    """Yield the figures as lines of the table."""
    for algorithm, each in result["federation"].items():
        yield f"federated over private_key_jwt, {algorithm}", each["federated_over_private_key_jwt"], "at most 1.6"
        yield f"{RULES:,} rules over one, {algorithm}", each["many_over_one_rule"], "1: they cost nothing"


def _prepare(server: Measured, hub: Issuer, own: RSAKey) -> None:
    """Have two realms trust an issuer and admit an application of each kind of token by it, and one more with a key of its own."""
    for name, content in (("hub", hub.jwks), ("own", {"keys": [own.as_dict(private=False) | {"kid": "own", "alg": "RS256"}]})):
        (server.data_dir / f"{name}.json").write_text(json.dumps(content))
    server.idp("realms", "create", "crowd")
    for realm in ("acme", "crowd"):
        keys = ("--key-source", "uploaded", "--jwks", str(server.data_dir / "hub.json"))
        server.idp("federation", "issuers", "create", "--realm", realm, "--preset", "github", *keys, "hub")
        for algorithm in ALGORITHMS:
            name = algorithm.lower()
            made = ("applications", "create", "--realm", realm, "--algorithm", algorithm)
            server.idp(*made, "--no-secret", f"hub-{name}")
            server.idp(*made, "--jwks", str(server.data_dir / "own.json"), f"key-{name}")
            lines = ("--line", "repository_id=4711", "--line", "ref=refs/heads/main")
            about = ("--realm", realm, "--issuer", "hub", "--application", f"hub-{name}")
            server.idp("federation", "rules", "create", *about, *lines, f"main-{name}")


def _own(server: Measured, key: RSAKey, client_id: str) -> str:
    now = int(time.time())
    claims = {"iss": client_id, "sub": client_id, "aud": server.issuer(), "iat": now, "exp": now + 250, "jti": str(uuid.uuid4())}
    return jwt.encode({"alg": "RS256", "kid": "own"}, claims, key, algorithms=["RS256"])


def _requests(sign: Callable[[], str], count: int, realm: str = "acme", **form: str) -> list[bytes]:
    path = f"/auth/realms/{realm}/protocol/openid-connect/token"
    return [post(path, urlencode(assertion_form(sign(), **form)).encode()) for _ in range(count)]
