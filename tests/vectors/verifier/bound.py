"""Tokens that are bound to a key or a certificate, and come without any proof of it."""

from collections.abc import Iterator
from typing import Any

from tests.vectors.verifier.building import ISSUER, NOW, Vector, accepted, claims, header, refused, sign, with_json
from tests.vectors.verifier.headers import ID, SESSION

JKT = {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}
X5T = {"x5t#S256": "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"}


def vectors() -> Iterator[Vector]:
    """Return the vectors."""
    yield from _bound()
    yield from _unknown()
    yield from _order()
    yield from _not_bound()


def _bound() -> Iterator[Vector]:
    by_key, by_certificate = "RFC 9449 §7.2: bound to a key, and sent as Bearer", "RFC 8705 §3: bound to a certificate"
    for name, about, confirmation in (
        ("a key", by_key, JKT),
        ("a certificate", by_certificate, X5T),
        ("a key and a certificate", f"{by_key}; {by_certificate}", JKT | X5T),
    ):
        yield Vector(f"bound to {name}", about, sign(claims(cnf=confirmation)), refused("bound"))
    yield Vector("bound to a key, typ JWT", by_key, sign(claims(cnf=JKT), header(typ="JWT")), refused("bound"))
    yield Vector("bound to a key, RS256", by_key, sign(claims(cnf=JKT), header("RS256")), refused("bound"))
    session = sign(claims(aud=ISSUER, cnf=JKT), header(typ="session+jwt"))
    yield Vector("session token that is bound to a key", by_key, session, refused("bound"), SESSION)
    id_token = sign(claims(typ="ID", aud="ci-bot", cnf=JKT), header(typ="JWT"))
    yield Vector("ID token that is bound to a key", by_key, id_token, refused("bound"), ID)


def _unknown() -> Iterator[Vector]:
    about = "RFC 7800 §3: bound to something that is not known"
    odd: dict[str, Any] = {
        "an empty object": {},
        "null": None,
        "a text": JKT["jkt"],
        "an empty text": "",
        "a number": 7,
        "0": 0,
        "true": True,
        "false": False,
        "an empty list": [],
        "a list": [JKT],
        "an unknown member": {"jku": "https://keys.example"},
        "a key itself": {"jwk": {"kty": "oct", "k": "AA"}},
        "a key and an unknown member": JKT | {"kid": "ec-1"},
        "a member in capitals": {"JKT": JKT["jkt"]},
        "a key that is null": {"jkt": None},
        "a key that is an empty text": {"jkt": ""},
        "a key that is a list": {"jkt": [JKT["jkt"]]},
        "a certificate that is null": {"x5t#S256": None},
        "a certificate that is an empty text": {"x5t#S256": ""},
        "a certificate that is an object": {"x5t#S256": {}},
    }
    for name, confirmation in odd.items():
        yield Vector(f"cnf is or has {name}", about, sign(claims() | {"cnf": confirmation}), refused("bound"))
    escaped = sign(with_json('"\\u0063nf": {"jkt": "x"}'))
    yield Vector("cnf with an escape in its name", "RFC 8259 §8.3", escaped, refused("bound"))


def _order() -> Iterator[Vector]:
    """What is wrong with a token in other ways is said first."""
    about = "the order of checks"
    yield Vector("bound and expired", about, sign(claims(exp=NOW - 60, iat=NOW - 120, cnf=JKT)), refused("expired"))
    yield Vector("bound and meant for another API", about, sign(claims(aud="https://x.example", cnf=JKT)), refused("audience"))
    yield Vector("bound and with projects of another form", about, sign(claims(projects={}, cnf=JKT)), refused("claims"))
    yield Vector("bound and signed by nobody", about, sign(claims(cnf=JKT))[:-4] + "AAAA", refused("signature"))


def _not_bound() -> Iterator[Vector]:
    about = "RFC 7800 §3.1: cnf is what binds a token, and nothing else does"
    yield Vector("claims whose names are like cnf", about, sign(claims(Cnf=JKT, CNF=JKT, cnf_=JKT, jkt="x")), accepted())
    yield Vector("act with a cnf of its own", about, sign(claims(act={"sub": "x", "cnf": JKT})), accepted())
