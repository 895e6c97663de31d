"""Public keys that are long and weak all the same are refused, wherever they come in."""

import base64
import itertools
import random
from math import prod
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask.testing import FlaskClient
from joserfc.jwk import ECKey

from idp.jose import InvalidTokenError, import_key, weakness_of_rsa
from idp.manifest import RealmFileError, read_file
from tests.factories import Factory, ask, assertion, assertion_form, session_of
from tests.keysets.lending import wish


def is_prime(number: int) -> bool:
    return all(pow(base, number - 1, number) == 1 for base in (2, 3, 5, 7))


def primes(count: int) -> list[int]:
    found: list[int] = []
    number = 2
    while len(found) < count:
        if all(number % prime for prime in found):
            found.append(number)
        number += 1
    return found


def infineon_key() -> rsa.RSAPrivateKey:
    """Make a key of 2048 bits as the library of CVE-2017-15361 did: primes k*M + (65537^a mod M), M of the first 126 primes."""
    dice, product = random.Random(2017), prod(primes(126))

    def prime() -> int:
        while True:
            least = (3 << 1022) // product + 1  # two such primes make 2048 bits
            found = dice.randrange(least, (1 << 1024) // product) * product + pow(65537, dice.randrange(1 << 250), product)
            if is_prime(found):
                return found

    p, q = prime(), prime()
    d = pow(65537, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPublicNumbers(65537, p * q)
    return rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), numbers).private_key()


ROCA = infineon_key()
GOOD = rsa.generate_private_key(65537, 2048).public_key().public_numbers().n


def encoded(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8 or 1, "big")).rstrip(b"=").decode()


def jwk(modulus: int = GOOD, exponent: int = 65537, **members: Any) -> dict[str, Any]:
    return {"kty": "RSA", "kid": "client-key", "n": encoded(modulus), "e": encoded(exponent), **members}


EC = ECKey.generate_key("P-256").as_dict(private=False)

WEAK: dict[str, tuple[dict[str, Any], str]] = {
    "of the library of CVE-2017-15361": (jwk(ROCA.public_key().public_numbers().n), "CVE-2017-15361"),
    "with an even modulus": (jwk(GOOD + 1), "small factor"),
    "with a small factor": (jwk((GOOD // 1009) * 1009 + (0 if (GOOD // 1009) % 2 else 1009)), "small factor"),
    "with the exponent 1": (jwk(exponent=1), "exponent"),
    "with the exponent 0": (jwk(exponent=0), "exponent"),
    "with an even exponent": (jwk(exponent=65536), "exponent"),
    "with a huge exponent": (jwk(exponent=GOOD - 2), "exponent"),
    "that is short": (jwk(rsa.generate_private_key(65537, 1024).public_key().public_numbers().n), "2048 to 8192 bits"),
    "that is short behind zeros": (jwk() | {"n": "A" * 342}, "2048 to 8192 bits"),
    "that is too long": (jwk(GOOD << 6200 | 1), "2048 to 8192 bits"),
    "that is no base64": (jwk() | {"n": "!" * 342}, "not a usable JWK"),
    "that is cut": (jwk() | {"n": encoded(GOOD) + "AAA"}, "not a usable JWK"),
    "whose point is not on the curve": (EC | {"y": EC["x"]}, "not a usable JWK"),
    "whose point is the origin": (EC | {"x": "A" * 43, "y": "A" * 43}, "not a usable JWK"),
}


@pytest.mark.parametrize(("key", "reason"), WEAK.values(), ids=WEAK)
def test_weak_key_is_refused_with_a_sentence(key: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidTokenError, match=reason) as caught:
        import_key(key)
    assert str(caught.value).endswith(".")


def test_ordinary_keys_pass() -> None:
    """The primes of 21 keys make 820 moduli that are as good as any."""
    made = [rsa.generate_private_key(65537, 2048).private_numbers() for _ in range(21)]
    found = [prime for key in made for prime in (key.p, key.q)]
    for p, q in itertools.combinations(found, 2):
        assert weakness_of_rsa(p * q, 65537) == ""
    for exponent in (3, 17, 65537, 2**32 - 1):
        assert weakness_of_rsa(GOOD, exponent) == ""
    assert import_key(jwk()).raw_value.key_size == 2048
    assert import_key(EC)


def test_weak_key_does_not_get_in(client: FlaskClient, make: Factory, tmp_path: Path) -> None:
    make.user(roles=("administrator",))
    ann = session_of(client)
    weak = {"keys": [WEAK["of the library of CVE-2017-15361"][0]]}
    body = {"metadata": {"name": "weak"}, "spec": {"jwks": weak}}
    answer = client.post("/v1/applications", json=body, headers=ann)
    assert (answer.status_code, "CVE-2017-15361" in answer.json["message"]) == (400, True)
    file = tmp_path / "small.toml"
    text = str(weak).replace("'", '"')
    file.write_text(f"[realm]\nname = \"small\"\n[applications.a]\njwks = '{text}'\n")
    with pytest.raises(RealmFileError, match=r"small\.toml:4: .*CVE-2017-15361"):
        read_file(file)


def test_weak_ssh_key_does_not_get_in(client: FlaskClient, make: Factory) -> None:
    make.user(roles=("administrator",))
    line = ROCA.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    body = wish(keys=[{"type": "pub", "value": line}], category="user_ssh", entity="")
    answer = client.post("/v1/keysets", json=body, headers=session_of(client))
    assert answer.status_code == 400
    assert "CVE-2017-15361" in answer.text


def test_weak_key_that_was_taken_earlier_authenticates_nobody_and_keeps_the_others(client: FlaskClient, make: Factory) -> None:
    from joserfc.jwk import RSAKey

    from tests.factories import key_pair

    good, document = key_pair()
    make.application(jwks=document, secret=False)
    old = jwk(ROCA.public_key().public_numbers().n, kid="old", alg="RS256", use="sig")

    def smuggle(_: Any, application: Any) -> None:
        application.jwks = {"keys": [old, *document["keys"]]}

    make.change(smuggle)
    audience = "http://localhost:8080/auth/realms/acme"
    weak = RSAKey.import_key(ROCA)
    forged = assertion(weak, "ci-bot", audience, alg="RS256", header={"kid": "old"})
    assert ask(client, "token", assertion_form(forged)).status_code == 401
    assert ask(client, "token", assertion_form(assertion(good, "ci-bot", audience))).status_code == 200
