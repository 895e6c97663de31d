"""Members of the header, and what kinds of token it names."""

from collections.abc import Iterator
from typing import Any

from tests.vectors.verifier.building import ACCEPTED, AUDIENCE, ISSUER, Vector, accepted, claims, header, refused, sign
from tests.vectors.verifier.keys import EC_STRANGER

EMBEDDED = EC_STRANGER.jwk(kid="ec-1")
SESSION = {"session_tokens": True}
ID = {"id_token_audience": ["ci-bot"]}


def vectors() -> Iterator[Vector]:
    """Return the vectors."""
    yield from _types()
    yield from _id_tokens()
    yield from _sessions()
    yield from _members()
    yield from _kids()


def _types() -> Iterator[Vector]:
    about = "RFC 9068 §4: typ is at+jwt or application/at+jwt"
    for typ in ("AT+JWT", "At+Jwt", "application/at+jwt", "Application/AT+JWT"):
        yield Vector(f"typ {typ}", about, sign(head=header(typ=typ)), accepted())
    yield Vector("typ at+jwt without the claim typ", about, sign(claims(typ=None)), accepted())
    yield Vector("typ at+jwt with an empty claim typ", about, sign(claims(typ="")), accepted())
    for typ in (
        "logout+jwt",
        "dpop+jwt",
        "secevent+jwt",
        "at+jwt+x",
        "at+jwt ",
        " at+jwt",
        "application/",
        "application/application/at+jwt",
        "text/at+jwt",
        "JOSE",
        "JWS",
        "at\u212ajwt",
        "",
    ):
        yield Vector(f"typ {typ!a}", about, sign(head=header(typ=typ)), refused("type"))
    yield Vector("no typ", about, sign(head=header(typ=None)), refused("type"))
    for name, typ in (("null", None), ("a number", 1), ("a list", ["at+jwt"]), ("an object", {}), ("true", True)):
        yield Vector(f"typ is {name}", about, sign(head=header() | {"typ": typ}), refused("type"))
    for name, typ in (("ID", "ID"), ("Refresh", "Refresh"), ("bearer", "bearer"), ("a list", ["Bearer"]), ("a number", 1)):
        yield Vector(f"typ at+jwt with the claim typ {name}", "RFC 8725 §3.11", sign(claims(typ=typ)), refused("type"))
    yield Vector("typ at+jwt with the claim typ null", "RFC 8725 §3.11", sign(claims() | {"typ": None}), refused("type"))
    yield Vector("typ JWT with the claim Bearer", "access_token_type = JWT", sign(head=header(typ="JWT")), accepted())
    yield Vector(
        "typ application/jwt with the claim Bearer",
        "access_token_type = JWT",
        sign(head=header(typ="application/jwt")),
        accepted(),
    )
    for name, typ in (
        ("nothing", None),
        ("an empty text", ""),
        ("bearer", "bearer"),
        ("Refresh", "Refresh"),
        ("a list", ["Bearer"]),
        ("an object", {}),
    ):
        yield Vector(
            f"typ JWT where the claim typ is {name}", "RFC 8725 §3.11", sign(claims(typ=typ), header(typ="JWT")), refused("type")
        )
    yield Vector(
        "personal token",
        "personal tokens can be deleted, so a signature says too little",
        sign(claims(typ=None), header(typ="JWT"), None),
        refused("type"),
        SESSION,
    )


def _id_tokens() -> Iterator[Vector]:
    about = "RFC 9068 §5: an ID token is no access token"
    body = claims(typ="ID", aud="ci-bot", client_id=None, realm_access=None, projects=None)
    identity = ACCEPTED | {"roles": [], "projects": {}}
    yield Vector("ID token", about, sign(body, header(typ="JWT")), refused("type"))
    yield Vector("ID token for this API", about, sign(body | {"aud": AUDIENCE}, header(typ="JWT")), refused("type"))
    yield Vector("ID token as at+jwt", about, sign(body | {"aud": AUDIENCE}), refused("type"))
    yield Vector("ID token where it is asked for", "id_token_audience", sign(body, header(typ="JWT")), {"accepted": identity}, ID)
    yield Vector(
        "ID token for another client where it is asked for",
        "id_token_audience",
        sign(body | {"aud": "other"}, header(typ="JWT")),
        refused("audience"),
        ID,
    )
    yield Vector(
        "ID token for the API where it is asked for",
        "id_token_audience",
        sign(body | {"aud": AUDIENCE}, header(typ="JWT")),
        refused("audience"),
        ID,
    )
    yield Vector(
        "access token for the client where ID tokens are asked for",
        "id_token_audience",
        sign(claims(aud="ci-bot")),
        refused("audience"),
        ID,
    )
    yield Vector(
        "access token as JWT for the client where ID tokens are asked for",
        "id_token_audience",
        sign(claims(aud="ci-bot"), header(typ="JWT")),
        refused("audience"),
        ID,
    )
    yield Vector("access token where ID tokens are asked for", "id_token_audience", sign(), accepted(), ID)


def _sessions() -> Iterator[Vector]:
    about = "session tokens are for the whole realm"
    head = header(typ="session+jwt")
    body = claims(aud=ISSUER)
    yield Vector("session token", about, sign(body, head), refused("type"))
    yield Vector("session token where it is asked for", about, sign(body, head), accepted(), SESSION)
    yield Vector("session token for this API", about, sign(claims(), head), refused("audience"), SESSION)
    yield Vector(
        "access token for the issuer where session tokens are asked for", about, sign(body), refused("audience"), SESSION
    )
    dotted = header(typ="sess\u0130on+jwt")
    yield Vector(
        "session token with a capital I that has a dot",
        "case is ASCII's (RFC 2045 §5.1)",
        sign(body, dotted),
        refused("type"),
        SESSION,
    )


def _members() -> Iterator[Vector]:
    crit, keys = "RFC 7515 §4.1.11: no extension is understood", "RFC 8725 §3.10: keys come from the issuer"
    table: dict[str, tuple[str, dict[str, Any]]] = {
        "crit of something unknown": (crit, {"crit": ["bork"], "bork": 1}),
        "crit that is empty": (crit, {"crit": []}),
        "crit that is a text": (crit, {"crit": "exp"}),
        "crit of a claim": (crit, {"crit": ["exp"]}),
        "crit of b64": ("RFC 7797 §6", {"crit": ["b64"], "b64": False}),
        "b64 true": ("RFC 7797 §6", {"b64": True}),
        "b64 false": ("RFC 7797 §6", {"b64": False}),
        "jku": (keys, {"jku": "https://evil.example/keys"}),
        "jwk that is embedded": (keys, {"jwk": EMBEDDED}),
        "jwk with a password": (keys, {"jwk": {"kty": "oct", "k": "AAAA"}}),
        "x5u": (keys, {"x5u": "https://evil.example/cert"}),
        "x5c": (keys, {"x5c": ["AAAA"]}),
        "x5t": (keys, {"x5t": "AAAA"}),
        "x5t#S256": (keys, {"x5t#S256": "AAAA"}),
        "zip": ("T19: bombs", {"zip": "DEF"}),
        "enc": ("RFC 7516: nothing is encrypted", {"enc": "A256GCM"}),
        "p2c": ("T18: CVE-2026-27932", {"p2c": 2147483648}),
        "epk": ("RFC 7516: nothing is encrypted", {"epk": {}}),
        "member that is unknown": ("RFC 8725 §3.10", {"foo": "bar"}),
        "member __proto__": ("names that mean something to a language", {"__proto__": {"kid": "ec-1"}}),
        "member Alg besides alg": ("names are compared as they are", {"Alg": "none"}),
        "cty that is a number": ("RFC 7515 §4.1.10", {"cty": 1}),
    }
    for name, (about, members) in table.items():
        signer = EC_STRANGER.es256 if name in {"jwk that is embedded", "jku"} else None
        yield Vector(f"header has a {name}", about, sign(head=header() | members, signer=signer), refused("header"))
    yield Vector("header has a cty", "RFC 7515 §4.1.10", sign(head=header(cty="JWT")), accepted())
    yield Vector("header that is long", "lengths count together", sign(head=header(cty="x" * 2000)), accepted())


def _kids() -> Iterator[Vector]:
    about = "RFC 7515 §4.1.4"
    yield Vector("no kid", "the issuer names a key in each token", sign(head=header(kid=None)), refused("signature"))
    for kid in (
        "unknown",
        "",
        "EC-1",
        "ec-1 ",
        "../../../../dev/null",
        "' OR 1=1 --",
        "\0",
        "https://evil.example/key",
        "__proto__",
        "constructor",
        "x" * 255,
        "\U0001f511" * 255,
    ):
        yield Vector(f"kid {kid[:20]!a}", about, sign(head=header(kid=kid)), refused("signature"))
    for name, kid in (("null", None), ("a number", 1), ("a list", ["ec-1"]), ("an object", {}), ("of 256 letters", "x" * 256)):
        yield Vector(f"kid is {name}", about, sign(head=header() | {"kid": kid}), refused("header"))
    yield Vector(
        "kid that is escaped", "RFC 8259 §8.3", sign(head=b'{"alg":"ES256","kid":"\\u0065c-1","typ":"at+jwt"}'), accepted()
    )
