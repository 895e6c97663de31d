"""Claims: times, issuer, audience, and who calls."""

from collections.abc import Iterator
from typing import Any

from tests.vectors.verifier.building import AUDIENCE, ISSUER, NOW, Vector, accepted, claims, refused, sign, with_json

LEEWAY = 30


def vectors() -> Iterator[Vector]:
    """Return the vectors."""
    yield from _edges_of_time()
    yield from _numbers()
    yield from _issuers()
    yield from _audiences()
    yield from _identities()
    yield from _ends()


def _edges_of_time() -> Iterator[Vector]:
    exp, nbf, iat = "RFC 7519 §4.1.4", "RFC 7519 §4.1.5", "RFC 7519 §4.1.6"
    for leeway in (0, LEEWAY, 60):
        settings = {"leeway": leeway}
        for shift, verdict in ((-1, accepted()), (0, refused("expired")), (1, refused("expired"))):
            token = sign(claims(iat=NOW - 7200, exp=NOW - leeway - shift))
            yield Vector(f"exp {leeway} s ago {shift:+d}, leeway {leeway} s", exp, token, verdict, settings)
        for name, about in (("nbf", nbf), ("iat", iat)):
            for shift, verdict in ((-1, accepted()), (0, accepted()), (1, refused("early"))):
                token = sign(claims(**{name: NOW + leeway + shift}))
                yield Vector(f"{name} in {leeway} s {shift:+d}, leeway {leeway} s", about, token, verdict, settings)
    yield Vector("exp with a fraction, just in time", exp, sign(claims(exp=NOW - LEEWAY + 0.5)), accepted())
    yield Vector(
        "exp with a fraction, just too late", exp, sign(claims(exp=NOW - LEEWAY + 0.5)), refused("expired"), time=NOW + 0.5
    )
    yield Vector("clock with a fraction", exp, sign(claims(exp=NOW - LEEWAY + 1)), accepted(), time=NOW + 0.75)
    yield Vector("no iat and no nbf", iat, sign(claims(iat=None)), accepted())
    yield Vector("exp and nbf both wrong", exp, sign(claims(exp=1, nbf=NOW + 9999)), refused("expired"))
    yield Vector("expired with a wrong signature", "T13: CVE-2024-51744", sign(claims(exp=1))[:-4] + "AAAA", refused("signature"))
    yield Vector(
        "expired token of another issuer",
        "the order of checks",
        sign(claims(exp=1, iss="https://evil.example")),
        refused("issuer"),
    )


def _numbers() -> Iterator[Vector]:
    about = "RFC 7519 §2: NumericDate is a number"
    for name in ("exp", "nbf", "iat"):
        for what, value in (
            ("a text", str(NOW)),
            ("true", True),
            ("a list", [NOW]),
            ("an object", {}),
            ("negative", -1),
            ("in the year 10000", 253402300800),
        ):
            yield Vector(f"{name} is {what}", about, sign(claims(**{name: value})), refused("claims"))
        yield Vector(f"{name} is null", about, sign(claims() | {name: None}), refused("claims"))
    yield Vector("no exp", about, sign(claims(exp=None)), refused("claims"))
    yield Vector("exp at the end of the year 9999", about, sign(claims(exp=253402300799)), accepted())
    yield Vector("exp of 400 digits", about, sign(claims(exp=10**400)), refused("claims"))
    for text in ("1e999", "-1e999", "9" * 400):
        yield Vector(f"nbf {text[:10]}", "numbers that are no doubles", sign(with_json(f'"nbf": {text}')), refused("claims"))
    yield Vector("exp as 1.79e9 with an exponent", "RFC 8259 §6", sign(claims(exp=None) | {"exp": 1.8e9}), accepted())
    raw = b'{"iss":"%s","sub":"s","aud":"%s","exp":18E8}' % (ISSUER.encode(), AUDIENCE.encode())
    minimal = {"subject": "s", "client_id": "", "roles": [], "projects": {}}
    yield Vector("only what is asked for", "RFC 9068 §2.2 asks for more than is looked at", sign(raw), {"accepted": minimal})
    for text in ("NaN", "Infinity", "-Infinity", "01", "+1", "1.", ".5", "0x10", "1e", "--1", "1_000", "undefined", "'1'", "-"):
        yield Vector(f"number {text}", "RFC 8259 §6", sign(with_json(f'"more": {text}')), refused("malformed"))
    for text in ("-0", "0.5E+3", "1e400", "-1E-400", "9" * 4300):
        yield Vector(f"number {text[:10]} that nobody reads", "RFC 8259 §6", sign(with_json(f'"more": {text}')), accepted())
    yield Vector(
        "number of 4301 digits", "numbers that take long to read", sign(with_json('"more": ' + "9" * 4301)), refused("malformed")
    )


def _issuers() -> Iterator[Vector]:
    about = "RFC 9068 §4: iss is compared as a whole"
    for name, iss in (
        ("with a slash behind", ISSUER + "/"),
        ("in capitals", ISSUER.upper()),
        ("with a capital in its host", ISSUER.replace("id.", "ID.")),
        ("of another realm", ISSUER.replace("acme", "globex")),
        ("with more behind", ISSUER + "x"),
        ("that is a prefix", ISSUER[:-1]),
        ("with http", ISSUER.replace("https", "http")),
        ("with its port", ISSUER.replace(".com", ".com:443")),
        ("with a space", ISSUER + " "),
        ("with a query", ISSUER + "?"),
        ("that is empty", ""),
    ):
        yield Vector(f"iss {name}", about, sign(claims(iss=iss)), refused("issuer"))
    for name, value in (("a list", [ISSUER]), ("a number", 1), ("an object", {"iss": ISSUER}), ("true", True)):
        yield Vector(f"iss is {name}", "T11: CVE-2024-53861", sign(claims(iss=value)), refused("issuer"))
    yield Vector("iss is null", about, sign(claims() | {"iss": None}), refused("issuer"))
    yield Vector("no iss", about, sign(claims(iss=None)), refused("issuer"))
    escaped = ISSUER.replace("acme", "\\u0061cme").replace("/", "\\/")
    yield Vector(
        "iss with escapes that mean the same",
        "RFC 8259 §8.3",
        sign(_raw(iss=escaped)),
        accepted(client_id="", roles=[], projects={}),
    )


def _raw(iss: str = ISSUER, sub: str = "1f0e7c1c-5a0d-4a4e-9a51-1f9f6f0f7d10") -> bytes:
    return f'{{"iss":"{iss}","sub":"{sub}","aud":"{AUDIENCE}","exp":{NOW + 60}}}'.encode()


def _audiences() -> Iterator[Vector]:
    about = "RFC 7519 §4.1.3: aud is compared as a whole"
    for name, aud in (
        ("in a list", [AUDIENCE]),
        ("among others", ["https://other.example", AUDIENCE]),
        ("twice", [AUDIENCE, AUDIENCE]),
        ("besides an empty text", ["", AUDIENCE]),
    ):
        yield Vector(f"aud {name}", about, sign(claims(aud=aud)), accepted())
    for name, aud in (
        ("of another API", "https://other.example"),
        ("that is a prefix", AUDIENCE[:-1]),
        ("with a slash behind", AUDIENCE + "/"),
        ("in capitals", AUDIENCE.upper()),
        ("that is the issuer", ISSUER),
        ("that is the client", "ci-bot"),
        ("that is empty", ""),
        ("in one text with another", AUDIENCE + " https://other.example"),
        ("of others in a list", ["https://other.example", "ci-bot"]),
    ):
        yield Vector(f"aud {name}", about, sign(claims(aud=aud)), refused("audience"))
    for name, value in (
        ("an empty list", []),
        ("a list of an empty text", [""]),
        ("a list of null", [None]),
        ("a list with null", [None, AUDIENCE]),
        ("a list with a number", [AUDIENCE, 1]),
        ("a list in a list", [[AUDIENCE]]),
        ("a number", 5),
        ("an object", {AUDIENCE: 1}),
        ("true", True),
    ):
        yield Vector(f"aud is {name}", "T12: CVE-2020-26160", sign(claims(aud=value)), refused("audience"))
    yield Vector("aud is null", about, sign(claims() | {"aud": None}), refused("audience"))
    yield Vector("no aud", about, sign(claims(aud=None)), refused("audience"))
    several = {"audience": [AUDIENCE, "https://api.example.net"]}
    yield Vector("aud is the second of the API's names", about, sign(claims(aud="https://api.example.net")), accepted(), several)
    yield Vector(
        "aud is neither of the API's names", about, sign(claims(aud="https://api.example.org")), refused("audience"), several
    )


def _identities() -> Iterator[Vector]:
    about = "the identity of who calls"
    yield Vector(
        "azp where client_id is missing",
        "OpenID Connect Core §2",
        sign(claims(client_id=None, azp="its-azp")),
        accepted(client_id="its-azp"),
    )
    yield Vector("client_id before azp", "RFC 9068 §2.2", sign(claims(azp="other")), accepted())
    yield Vector("neither client_id nor azp", about, sign(claims(client_id=None, azp=None)), accepted(client_id=""))
    yield Vector("client_id is null", about, sign(claims() | {"client_id": None}), refused("claims"))
    yield Vector("client_id is a number", about, sign(claims(client_id=7)), refused("claims"))
    yield Vector("azp is a list", about, sign(claims(client_id=None, azp=["ci-bot"])), refused("claims"))
    yield Vector("no sub", "RFC 9068 §2.2", sign(claims(sub=None)), refused("claims"))
    for name, value in (("a number", 7), ("a list", ["x"]), ("true", True)):
        yield Vector(f"sub is {name}", "RFC 7519 §4.1.2", sign(claims(sub=value)), refused("claims"))
    yield Vector("sub is null", "RFC 7519 §4.1.2", sign(claims() | {"sub": None}), refused("claims"))
    yield Vector(
        "sub with letters of everywhere",
        "RFC 8259 §8.1",
        sign(claims(sub="Jürgen 東京 \U0001f511")),
        accepted(subject="Jürgen 東京 \U0001f511"),
    )
    paired = accepted(subject="\U0001f511\u00e9\n/", client_id="", roles=[], projects={})
    yield Vector("sub with escapes", "RFC 8259 §7", sign(_raw(sub="\\ud83d\\udd11\\u00e9\\n\\/")), paired)
    yield Vector(
        "no roles and no projects", about, sign(claims(realm_access=None, projects=None)), accepted(roles=[], projects={})
    )
    yield Vector("realm_access without roles", about, sign(claims(realm_access={})), accepted(roles=[]))
    yield Vector("role twice", about, sign(claims(realm_access={"roles": ["a", "a"]})), accepted(roles=["a"]))
    two = [{"name": "vision", "roles": ["a", "b"]}, {"name": "speech", "roles": []}]
    yield Vector("two projects", about, sign(claims(projects=two)), accepted(projects={"vision": ["a", "b"], "speech": []}))
    odd: Any = [{"name": "__proto__", "roles": ["a"]}, {"name": "constructor", "roles": ["b"]}]
    yield Vector(
        "projects with names that mean something to a language",
        about,
        sign(claims(projects=odd)),
        accepted(projects={"__proto__": ["a"], "constructor": ["b"]}),
    )
    form = "claims of another form"
    for name, value in (
        ("a list", []),
        ("a text", "viewer"),
        ("a number", 1),
        ("roles that are a text", {"roles": "viewer"}),
        ("roles that are an object", {"roles": {"viewer": 1}}),
        ("roles that are null", {"roles": None}),
        ("a role that is a number", {"roles": [1]}),
        ("a role that is null", {"roles": ["viewer", None]}),
    ):
        yield Vector(f"realm_access is or has {name}", form, sign(claims(realm_access=value)), refused("claims"))
    yield Vector("realm_access is null", form, sign(claims() | {"realm_access": None}), refused("claims"))
    for name, value in (
        ("a text", "vision"),
        ("an object", {"name": "vision", "roles": []}),
        ("an empty object", {}),
        ("an empty text", ""),
        ("texts", ["vision"]),
        ("a number", 1),
        ("null in a list", [None]),
        ("one without a name", [{"roles": []}]),
        ("one without roles", [{"name": "vision"}]),
        ("a name that is a number", [{"name": 1, "roles": []}]),
        ("roles that are a text", [{"name": "vision", "roles": "researcher"}]),
        ("a role that is a list", [{"name": "vision", "roles": [[]]}]),
    ):
        yield Vector(f"projects are or have {name}", form, sign(claims(projects=value)), refused("claims"))
    yield Vector("projects are null", form, sign(claims() | {"projects": None}), refused("claims"))


def _ends() -> Iterator[Vector]:
    about = "a token outlives roles whose end stands beside them"
    held = {"roles": ["viewer", "editor"], "ends": {"editor": NOW}}
    token = sign(claims(iat=NOW - 60, realm_access=held))
    yield Vector("role that ends at this moment", about, token, accepted())
    yield Vector("role that ends in a second", about, token, accepted(roles=["editor", "viewer"]), time=NOW - 1)
    yield Vector("role that ended in spite of the leeway", about, token, accepted(), time=NOW + 1)
    project = [{"name": "vision", "roles": ["researcher", "viewer"], "ends": {"researcher": NOW + 20}}]
    token = sign(claims(projects=project))
    yield Vector(
        "role on a project that ends later", about, token, accepted(projects={"vision": ["researcher", "viewer"]}), time=NOW + 19
    )
    yield Vector("role on a project that has ended", about, token, accepted(projects={"vision": ["viewer"]}), time=NOW + 20)
    for name, ends in (
        ("a text", "x"),
        ("a number", 1),
        ("a list", ["editor"]),
        ("null", None),
        ("of a text", {"editor": "tomorrow"}),
        ("of null", {"editor": None}),
        ("of true", {"editor": True}),
    ):
        yield Vector(f"ends are {name}", about, sign(claims(realm_access={"roles": ["editor"], "ends": ends})), refused("claims"))
    stray = {"roles": ["viewer"], "ends": {"editor": "tomorrow"}}
    yield Vector("end of a role that nobody holds", about, sign(claims(realm_access=stray)), accepted())
    huge = {"roles": ["viewer"], "ends": {"viewer": 10**400}}
    yield Vector("end in a number that is no double", about, sign(claims(realm_access=huge)), accepted())
    odd = {"roles": ["__proto__", "constructor"], "ends": {}}
    yield Vector(
        "roles with names that mean something to a language",
        about,
        sign(claims(realm_access=odd)),
        accepted(roles=["__proto__", "constructor"]),
    )
