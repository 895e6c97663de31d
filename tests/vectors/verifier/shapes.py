"""What is no token, or one in another shape."""

import json
from collections.abc import Iterator

from tests.vectors.verifier.building import NOW, Token, Vector, accepted, claims, header, refused, segment, sign, with_json
from tests.vectors.verifier.keys import EC_1, encode

GOOD = sign()
HEADER, PAYLOAD, SIGNATURE = GOOD.split(".")


def vectors() -> Iterator[Vector]:
    """Return the vectors."""
    yield from _segments()
    yield from _base64()
    yield from _json()
    yield from _sizes()


def _segments() -> Iterator[Vector]:
    about = "RFC 7515 §7.1: three segments"
    for name, token in {
        "nothing": "",
        "one dot": ".",
        "two dots": "..",
        "three letters": "a.b.c",
        "two segments": f"{HEADER}.{PAYLOAD}",
        "no signature": f"{HEADER}.{PAYLOAD}.",
        "no payload": f"{HEADER}..{SIGNATURE}",
        "no header": f".{PAYLOAD}.{SIGNATURE}",
        "four segments": f"{GOOD}.{SIGNATURE}",
        "dot behind": f"{GOOD}.",
        "dot in front": f".{GOOD}",
        "five segments, as a JWE has": f"{segment({'alg': 'RSA-OAEP-256', 'enc': 'A256GCM', 'kid': 'rsa-1'})}.AAAA.AAAA.AAAA.AAAA",
        "token of a JWE's header": f"{segment({'alg': 'dir', 'enc': 'A128CBC-HS256'})}..AAAA.AAAA.AAAA",
        "twice": GOOD + GOOD,
        "encoded dots": GOOD.replace(".", "%2e"),
        "full-width dots": GOOD.replace(".", "\uff0e"),
        "JSON serialisation": json.dumps({"protected": HEADER, "payload": PAYLOAD, "signature": SIGNATURE}),
        "Bearer in front": f"Bearer {GOOD}",
        "quotes": f'"{GOOD}"',
        "header and payload swapped": f"{PAYLOAD}.{HEADER}.{SIGNATURE}",
    }.items():
        cause = "header" if name == "header and payload swapped" else "malformed"
        yield Vector(f"shape: {name}", about, token, refused(cause))


def _base64() -> Iterator[Vector]:
    about = "RFC 7515 §2: base64url without padding, RFC 4648 §3.5: no stray bits"
    for name, token in {
        "padding behind the signature": GOOD + "==",
        "padding behind the header": f"{HEADER}=.{PAYLOAD}.{SIGNATURE}",
        "padding behind the payload": f"{HEADER}.{PAYLOAD}=.{SIGNATURE}",
        "space in front": " " + GOOD,
        "space behind": GOOD + " ",
        "newline behind": GOOD + "\n",
        "space in the payload": f"{HEADER}. {PAYLOAD}.{SIGNATURE}",
        "newline in the header": f"{HEADER[:9]}\n{HEADER[9:]}.{PAYLOAD}.{SIGNATURE}",
        "tab in the signature": f"{HEADER}.{PAYLOAD}.\t{SIGNATURE}",
        "NUL in front": "\0" + GOOD,
        "letter that is no ASCII": "é" + GOOD,
        "full-width letter in the signature": f"{HEADER}.{PAYLOAD}.\uff21{SIGNATURE}",
        "signature in plain base64": f"{HEADER}.{PAYLOAD}.+/+/",
        "header in plain base64": f"+{HEADER[1:]}.{PAYLOAD}.{SIGNATURE}",
        "payload of one letter more than fits": f"{HEADER}.{'A' * 5}.{SIGNATURE}",
    }.items():
        yield Vector(f"base64: {name}", about, token, refused("malformed"))
    stray = _with_stray_bits(json.dumps(header()).encode())
    unsigned = f"{stray}.{PAYLOAD}"
    yield Vector(
        "base64: stray bits in the header", about, f"{unsigned}.{encode(EC_1.es256(unsigned.encode()))}", refused("malformed")
    )
    unsigned = f"{HEADER}.{_with_stray_bits(json.dumps(claims()).encode())}"
    yield Vector(
        "base64: stray bits in the payload", about, f"{unsigned}.{encode(EC_1.es256(unsigned.encode()))}", refused("malformed")
    )
    yield Vector("base64: stray bits in the signature", about, GOOD[:-1] + _next(GOOD[-1]), refused("signature"))
    yield Vector("base64: letter more than fits in the signature", about, GOOD + "AAA", refused("signature"))


def _with_stray_bits(data: bytes) -> str:
    """Return base64url whose last letter says more than the data."""
    data = data if len(data) % 3 else data[:-1] + b" }"
    text = encode(data)
    return text[:-1] + _next(text[-1])


def _next(letter: str) -> str:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return letters[letters.index(letter) + 1]


def _json() -> Iterator[Vector]:
    about = "RFC 7519 §7.2: header and claims are JSON objects"
    for name, value in (
        ("a list", []),
        ("a text", "x"),
        ("a number", 1),
        ("null", b"null"),
        ("true", b"true"),
        ("nothing but spaces", b"  "),
        ("half an object", b'{"alg":"ES256"'),
        ("two objects", b"{}{}"),
        ("an object and more", b"{} x"),
        ("not UTF-8", b'{"alg":"\xff"}'),
        ("UTF-8 in two bytes where one will do", b'{"alg":"\xc0\xa2"}'),
        ("half a pair in UTF-8", b'{"alg":"\xed\xa0\x80"}'),
        ("UTF-16", '{"alg":"ES256"}'.encode("utf-16")),
    ):
        yield Vector(f"header is {name}", about, sign(head=value), refused("malformed"))
        yield Vector(f"claims are {name}", about, sign(value), refused("malformed"))
    plain = json.dumps(header()).encode()
    for name, text in {
        "byte order mark": b"\xef\xbb\xbf" + plain,
        "comment": plain[:-1] + b"/**/}",
        "comma behind": plain[:-1] + b",}",
        "single quotes": plain.replace(b'"', b"'"),
        "name without quotes": b'{alg:"ES256","kid":"ec-1","typ":"at+jwt"}',
        "control character": plain.replace(b"ec-1", b"ec-1\x01"),
        "newline in a text": plain.replace(b"ec-1", b"ec\n1"),
        "escape that is unknown": plain.replace(b"ec-1", b"e\\c-1"),
        "escape that is short": plain.replace(b"ec-1", b"\\u65"),
        "escape in hexadecimal of C": plain.replace(b"ec-1", b"\\x65c-1"),
        "half a pair, the first": plain.replace(b"ec-1", b"\\ud83d"),
        "half a pair, the second": plain.replace(b"ec-1", b"\\udd11"),
        "pair the wrong way round": plain.replace(b"ec-1", b"\\udd11\\ud83d"),
        "half a pair as a name": plain[:-1] + b',"\\ud800":1}',
        "form feed between": plain.replace(b", ", b",\x0c"),
        "space that is no ASCII": plain.replace(b", ", ",\u00a0".encode()),
        "number with letters of another script": plain[:-1] + ', "cty": \u0661}'.encode(),
    }.items():
        yield Vector(f"JSON: {name}", "RFC 8259", sign(head=text), refused("malformed"))
    spaced = plain.replace(b", ", b" ,\t\r\n ").replace(b"{", b" { ")
    yield Vector("JSON: spaces wherever they may be", "RFC 8259 §2", sign(head=spaced + b"\n"), accepted())
    twice = "RFC 7515 §4, RFC 7519 §4: names are unique"
    yield Vector(
        "JSON: alg twice", twice, sign(head=b'{"alg":"none","alg":"ES256","kid":"ec-1","typ":"at+jwt"}'), refused("malformed")
    )
    yield Vector(
        "JSON: alg twice with the same value",
        twice,
        sign(head=b'{"alg":"ES256","alg":"ES256","kid":"ec-1","typ":"at+jwt"}'),
        refused("malformed"),
    )
    yield Vector(
        "JSON: alg twice, once escaped",
        twice,
        sign(head=b'{"alg":"none","\\u0061lg":"ES256","kid":"ec-1","typ":"at+jwt"}'),
        refused("malformed"),
    )
    yield Vector("JSON: exp twice", twice, sign(with_json(f'"exp": {NOW + 9999}')), refused("malformed"))
    yield Vector("JSON: aud twice", twice, sign(with_json('"aud": "https://other.example"')), refused("malformed"))
    yield Vector(
        "JSON: name twice further inside", twice, sign(with_json('"more": {"a": [{"b": 1, "b": 2}]}')), refused("malformed")
    )
    yield Vector("JSON: names that differ in case", twice, sign(with_json('"Exp": 1, "EXP": 1, "SUB": 1')), accepted())
    yield Vector("JSON: names that look alike", twice, sign(with_json('"\\u0435xp": 1, "ﬀ": 1, "ff": 2')), accepted())
    yield Vector("JSON: empty name", twice, sign(with_json('"": 1')), accepted())
    yield Vector(
        "JSON: __proto__ among the claims",
        "names that mean something to a language",
        sign(with_json('"__proto__": {"realm_access": {"roles": ["administrator"]}}')),
        accepted(),
    )
    proto = claims(realm_access=None) | {"__proto__": {"realm_access": {"roles": ["administrator"]}}}
    yield Vector(
        "JSON: __proto__ in place of a claim", "names that mean something to a language", sign(proto), accepted(roles=[])
    )
    for depth, verdict in ((62, accepted()), (63, accepted()), (64, refused("malformed")), (500, refused("malformed"))):
        yield Vector(
            f"JSON: {depth} lists in each other", "depth", sign(with_json(f'"more": {"[" * depth}{"]" * depth}')), verdict
        )
        text = '{"a":' * depth + "1" + "}" * depth
        yield Vector(f"JSON: {depth} objects in each other", "depth", sign(with_json(f'"more": {text}')), verdict)
    yield Vector("JSON: 5000 lists in each other", "depth", sign(b"[" * 5000), refused("malformed"))
    yield Vector(
        "JSON: 2000 lists beside each other", "depth", sign(with_json(f'"more": [{",".join(["[]"] * 2000)}]')), accepted()
    )
    yield Vector("JSON: 2000 brackets in a text", "depth", sign(with_json(f'"more": "{"[" * 2000}"')), accepted())


def _sizes() -> Iterator[Vector]:
    about = "T17: at most 16384 characters are looked at"

    def of(length: int) -> str:
        """Return a good token of so many characters."""
        missing = length - len(sign(claims(pad="")))
        for size in range(missing * 3 // 4 - 4, missing * 3 // 4 + 4):
            token = sign(claims(pad="x" * size))
            if len(token) == length:
                return token
        raise ValueError(f"no token has {length} characters")

    yield Vector("16384 characters", about, of(16384), accepted())
    yield Vector("16386 characters", about, of(16386), refused("malformed"))
    huge: dict[str, Token] = {
        "2 MB of a letter": [{"repeat": "A", "times": 2_000_000}],
        "2 MB of dots": [{"repeat": ".", "times": 2_000_000}],
        "2 MB of payload": [f"{HEADER}.", {"repeat": "A", "times": 2_000_000}, f".{SIGNATURE}"],
        "2 MB of signature": [f"{HEADER}.{PAYLOAD}.", {"repeat": "A", "times": 2_000_000}],
        "2 MB of lists in each other": [f"{HEADER}.", {"repeat": "W1tb", "times": 500_000}, f".{SIGNATURE}"],
        "2 MB in front of a token": [{"repeat": " ", "times": 2_000_000}, GOOD],
    }
    for name, token in huge.items():
        yield Vector(name, about, token, refused("malformed"))
