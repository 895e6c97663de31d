"""Feeds of what was taken back, and tokens that they cover or do not: docs/recall.md."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.vectors.verifier.building import ISSUER, NOW, SUBJECT, accepted, claims, header, refused, sign
from tests.vectors.verifier.keys import EC_STRANGER, PS_1, RSA_1, RSA_STRANGER

EPOCH, OTHER_EPOCH = "kJ0w0c5pT9E", "Zz-_0"
SESSION = {"session_tokens": True}

Causes = dict[str, list[tuple[str, int]]]


@dataclass
class Story:
    """What a verifier is told, one thing after the other, and what is to come of each."""

    name: str
    about: str
    steps: list[dict[str, Any]]
    settings: dict[str, Any] = field(default_factory=dict)
    fail_open_seconds: int = 60

    def as_json(self) -> dict[str, Any]:
        """Return what stands in the file."""
        return self.__dict__


def identifier(kind: str, name: str) -> bytes:
    """Return the identifier of a cause."""
    return hashlib.sha256(f"{kind}\0{name}".encode()).digest()[:8]


def joined(kind: str, names: list[str]) -> str:
    """Return the identifiers of causes as a feed has them."""
    return base64.urlsafe_b64encode(b"".join(identifier(kind, name) for name in names)).rstrip(b"=").decode()


def body(taken_back: Causes | None = None, *, at: int = NOW, base: int = NOW - 1000, **changes: Any) -> dict[str, Any]:
    """Return what a feed says; what is None is left out.

    :param taken_back: by kind, what, and when, in order of times.
    """
    said: dict[str, Any] = {}
    for kind, group in (taken_back or {}).items():
        times = [when for _, when in group]
        steps = [after - before for before, after in zip([base, *times], times, strict=False)]
        said[kind] = {"ids": joined(kind, [name for name, _ in group]), "at": steps}
    whole = {
        "iss": ISSUER,
        "iat": at,
        "exp": at + 60,
        "epoch": EPOCH,
        "position": 7,
        "life": 36_120,
        "base": base,
        "causes": said,
    }
    return {name: value for name, value in (whole | changes).items() if value is not None}


def feed(said: dict[str, Any], head: dict[str, Any] | None = None, signer: Callable[[bytes], bytes] | None = None) -> str:
    """Return a signed feed."""
    return sign(said, head or header(typ="revocations+jwt"), signer)


def told(document: str, time: float = NOW) -> dict[str, Any]:
    """Return a step with a document that is taken."""
    return {"time": time, "feed": document, "expect": "taken"}


def not_believed(document: str, time: float = NOW) -> dict[str, Any]:
    """Return a step with a document that is not taken."""
    return {"time": time, "feed": document, "expect": "refused"}


def nothing_new(time: float, expect: str = "taken") -> dict[str, Any]:
    """Return a step with the answer 304."""
    return {"time": time, "feed": None, "expect": expect}


def shown(verdict: dict[str, Any], token: str = "", time: float = NOW) -> dict[str, Any]:
    """Return a step with a token."""
    return {"time": time, "token": token or sign(), "expect": verdict}


GOOD, RECALLED, UNKNOWN = accepted(), refused("recalled"), refused("unavailable")


def stories() -> Iterator[Story]:
    """Return the stories."""
    yield from _kinds()
    yield from _times()
    yield from _whole_realm()
    yield from _changes()
    yield from _order()
    yield from _disbelief()
    yield from _silence()


def _one(name: str, about: str, causes: Causes, token: str, verdict: dict[str, Any], **settings: Any) -> Story:
    return Story(name, about, [told(feed(body(causes))), shown(verdict, token)], settings)


def _admissions_of_actors(about: str) -> Iterator[Story]:
    """Yield what becomes of tokens in which somebody acts who was admitted by the word of an issuer."""
    admitted = {"iss": "https://issuer.example", "sub": "repo:a/b", "rule": "r-1"}
    first = sign(claims(act={"sub": "robot", "federation": admitted}))
    behind = sign(claims(act={"sub": "robot", "act": {"sub": "its-maker", "act": {"sub": "x", "federation": admitted}}}))
    both = sign(claims(federation={"iss": "https://else.example", "rule": "r-2"}, act={"sub": "robot", "federation": admitted}))
    for who, token in (("who acts", first), ("who acts through others", behind), ("who acts for another who was", both)):
        yield _one(f"issuer that admitted {who}", about, {"issuer": [("https://issuer.example", NOW)]}, token, RECALLED)
        yield _one(f"rule that admitted {who}", about, {"rule": [("r-1", NOW)]}, token, RECALLED)
    yield _one(
        "issuer that admitted who acts, and a token since", about, {"issuer": [("https://issuer.example", NOW - 1)]}, first, GOOD
    )
    yield _one("rule that admitted who acts, and a token since", about, {"rule": [("r-1", NOW - 1)]}, behind, GOOD)
    yield _one("rule that admitted the subject for whom another acts", about, {"rule": [("r-2", NOW)]}, both, RECALLED)
    yield _one("another rule than the one that admitted who acts", about, {"rule": [("r-3", NOW)]}, both, GOOD)
    text = sign(claims(act={"sub": "robot", "federation": "r-1", "act": ["r-1"]}))
    yield _one("federation of who acts that is a text", about, {"rule": [("r-1", NOW)]}, text, GOOD)


def _kinds() -> Iterator[Story]:
    about, before = "kinds of causes", NOW - 5
    yield _one("nothing was taken back", about, {}, sign(), GOOD)
    yield _one("feed signed with RS256", about, {}, sign(head=header("RS256")), GOOD)
    yield _one("subject", about, {"subject": [(SUBJECT, before)]}, sign(), RECALLED)
    yield _one("another subject", about, {"subject": [("other", before)]}, sign(), GOOD)
    yield _one("subject of another kind", about, {"token": [(SUBJECT, before)]}, sign(), GOOD)
    many = [(f"s{count}", NOW - 900 + count) for count in range(500)]
    yield _one("subject among many", about, {"subject": [*many, (SUBJECT, before)]}, sign(), RECALLED)
    yield _one("many others", about, {"subject": many}, sign(), GOOD)
    acting = sign(claims(act={"sub": "robot", "act": {"sub": "its-maker"}}))
    yield _one("who acts", about, {"subject": [("robot", before)]}, acting, RECALLED)
    yield _one("who acts through another", about, {"subject": [("its-maker", before)]}, acting, RECALLED)
    yield _one("act that is a text", about, {"subject": [("robot", before)]}, sign(claims(act="robot")), GOOD)
    session = sign(claims(aud=ISSUER, sid="s-1", key="k-1"), header(typ="session+jwt"))
    yield _one("session", about, {"session": [("s-1", before)]}, session, RECALLED, **SESSION)
    yield _one("key of a session token", about, {"key": [("k-1", before)]}, session, RECALLED, **SESSION)
    yield _one("another session", about, {"session": [("s-2", before)], "key": [("s-1", before)]}, session, GOOD, **SESSION)
    yield _one("sid of an access token", about, {"session": [("s-1", before)]}, sign(claims(sid="s-1")), GOOD)
    yield _one("key of an access token", about, {"key": [("k-1", before)]}, sign(claims(key="k-1")), GOOD)
    yield _one("grant", about, {"grant": [("g-1", before)]}, sign(claims(grant_id="g-1")), RECALLED)
    yield _one("grant that is a number", about, {"grant": [("1", before)]}, sign(claims(grant_id=1)), GOOD)
    yield _one("token", about, {"token": [("5cbf9a", before)]}, sign(), RECALLED)
    yield _one("what a token was exchanged for", about, {"token": [("o-1", before)]}, sign(claims(origin="o-1")), RECALLED)
    yield _one(
        "one of what a token was exchanged for",
        about,
        {"token": [("o-2", before)]},
        sign(claims(origin=["o-1", "o-2"])),
        RECALLED,
    )
    yield _one(
        "none of what a token was exchanged for", about, {"token": [("o-3", before)]}, sign(claims(origin=["o-1", "o-2"])), GOOD
    )
    yield _one("signing key", about, {"signing_key": [("rsa-1", before)]}, sign(head=header("RS256")), RECALLED)
    yield _one("another signing key", about, {"signing_key": [("rsa-1", before)]}, sign(), GOOD)
    federated = sign(claims(federation={"iss": "https://issuer.example", "rule": "r-1"}))
    yield _one("issuer that was trusted", about, {"issuer": [("https://issuer.example", NOW)]}, federated, RECALLED)
    yield _one("issuer, and a token since", about, {"issuer": [("https://issuer.example", NOW - 1)]}, federated, GOOD)
    yield _one("rule", about, {"rule": [("r-1", NOW)]}, federated, RECALLED)
    yield _one("rule, and a token since", about, {"rule": [("r-1", NOW - 1)]}, federated, GOOD)
    yield _one("federation that is a text", about, {"rule": [("r-1", NOW)]}, sign(claims(federation="r-1")), GOOD)
    yield _one("issuer of a token that is not federated", about, {"issuer": [(ISSUER, NOW)]}, sign(), GOOD)
    fetched = sign(claims(credential="c-1"))
    yield _one("credential", about, {"credential": [("c-1", before)]}, fetched, RECALLED)
    yield _one("another credential", about, {"credential": [("c-2", before)]}, fetched, GOOD)
    yield _one("credential of another kind", about, {"token": [("c-1", before)], "key": [("c-1", before)]}, fetched, GOOD)
    handed_on = sign(claims(credential=["c-1", "c-2"]))
    yield _one("one of the credentials of all who fetched it", about, {"credential": [("c-2", before)]}, handed_on, RECALLED)
    yield _one("none of the credentials of all who fetched it", about, {"credential": [("c-3", before)]}, handed_on, GOOD)
    yield _one(
        "credentials that are no texts",
        about,
        {"credential": [("1", before), ("c-1", before)]},
        sign(claims(credential=[1, ["c-1"], {"c-1": True}])),
        GOOD,
    )
    yield _one(
        "credential that is an object", about, {"credential": [("c-1", before)]}, sign(claims(credential={"c-1": 1})), GOOD
    )
    of_session = sign(claims(aud=ISSUER, sid="s-1", credential="c-1"), header(typ="session+jwt"))
    yield _one("credential of a session token", about, {"credential": [("c-1", before)]}, of_session, RECALLED, **SESSION)
    yield from _admissions_of_actors(about)
    yield _one("kind that is unknown", "a verifier may be older than the feed", {"weather": [(SUBJECT, before)]}, sign(), GOOD)
    yield _one(
        "name with letters of everywhere",
        "identifiers are of UTF-8",
        {"subject": [("東京 \U0001f511", before)]},
        sign(claims(sub="東京 \U0001f511")),
        RECALLED,
    )


def _times() -> Iterator[Story]:
    about = "a few causes are announced before they count"
    document = feed(body({"subject": [(SUBJECT, NOW + 600)]}))
    later = feed(body({"subject": [(SUBJECT, NOW + 600)]}, at=NOW + 538))
    steps = [told(document), shown(GOOD), told(later, NOW + 538), shown(GOOD, time=NOW + 539), shown(RECALLED, time=NOW + 541)]
    yield Story("cause that is announced", about, steps)
    fifo = {"subject": [("a", NOW - 900), ("b", NOW - 800), (SUBJECT, NOW + 61), ("c", NOW + 62)]}
    yield Story(
        "times add up",
        "each time is the difference to the one before",
        [told(feed(body(fifo))), shown(GOOD), shown(RECALLED, time=NOW + 2)],
    )
    negative = {"subject": [(SUBJECT, NOW - 3000)]}
    yield Story("first time before the base", "the first time may be negative", [told(feed(body(negative))), shown(RECALLED)])
    yield Story(
        "token issued after the cause",
        "but for issuers and rules it does not matter",
        [told(feed(body({"subject": [(SUBJECT, NOW - 500)]}))), shown(RECALLED)],
    )


def _whole_realm() -> Iterator[Story]:
    yield Story("closed", "a realm that is disabled", [told(feed(body(closed=True))), shown(RECALLED)])
    yield Story("closed false", "a realm that is not", [told(feed(body(closed=False))), shown(GOOD)])
    about = "a backup was put back"
    yield Story("tokens_from later than the token", about, [told(feed(body(tokens_from=NOW + 1))), shown(RECALLED)])
    yield Story("tokens_from as the token", about, [told(feed(body(tokens_from=NOW))), shown(GOOD)])
    yield Story("tokens_from with a fraction", about, [told(feed(body(tokens_from=NOW + 0.5))), shown(RECALLED)])
    yield Story(
        "tokens_from and a token without iat",
        about,
        [told(feed(body(tokens_from=NOW - 9999))), shown(RECALLED, sign(claims(iat=None)))],
    )
    yield Story(
        "expired token that was recalled",
        "the order of checks",
        [told(feed(body(closed=True))), shown(refused("expired"), sign(claims(exp=1)))],
    )


def _changes() -> Iterator[Story]:
    mine, other = {"subject": [(SUBJECT, NOW)]}, {"subject": [("other", NOW)]}
    first = told(feed(body(other)))
    more = told(feed(body(mine, position=9, since=7)))
    none = told(feed(body(position=9, since=7)))
    yield Story(
        "added",
        "a document with since adds",
        [first, shown(GOOD), more, shown(RECALLED), shown(RECALLED, sign(claims(sub="other")))],
    )
    yield Story("nothing added", "what was known stays", [told(feed(body(mine))), none, shown(RECALLED)])
    yield Story(
        "replaced",
        "a document without since replaces everything",
        [told(feed(body(mine))), told(feed(body(other, position=8))), shown(GOOD)],
    )
    lifted = told(feed(body(position=8, since=7, lifted={"subject": joined("subject", [SUBJECT])})))
    yield Story("lifted", "what counts again", [told(feed(body(mine))), shown(RECALLED), lifted, shown(GOOD)])
    back = told(feed(body(position=8, since=7, lifted={"credential": joined("credential", ["c-1"])})))
    yield Story(
        "credential that was given again",
        "what counts again",
        [
            told(feed(body({"credential": [("c-1", NOW)]}))),
            shown(RECALLED, sign(claims(credential="c-1"))),
            back,
            shown(GOOD, sign(claims(credential="c-1"))),
        ],
    )
    of_another = told(feed(body(position=8, since=7, lifted={"token": joined("token", [SUBJECT])})))
    yield Story("lifted of another kind", "what counts again", [told(feed(body(mine))), of_another, shown(RECALLED)])
    stranger = told(feed(body(position=8, since=7, lifted={"weather": joined("weather", ["rain"])})))
    yield Story(
        "lifted of an unknown kind", "a verifier may be older than the feed", [told(feed(body(mine))), stranger, shown(RECALLED)]
    )
    again = told(feed(body({"subject": [(SUBJECT, NOW)]}, position=9, since=8)))
    yield Story("lifted and taken back again", "the last word counts", [told(feed(body(mine))), lifted, again, shown(RECALLED)])
    both = body(mine, position=8, since=7, lifted={"subject": joined("subject", [SUBJECT])})
    yield Story("added and lifted at once", "first it is added, then removed", [first, told(feed(both)), shown(GOOD)])
    later = told(feed(body({"subject": [(SUBJECT, NOW + 600)]}, position=8, since=7)))
    yield Story(
        "with another time",
        "a cause takes the place of one with the same identifier",
        [told(feed(body(mine))), shown(RECALLED), later, shown(GOOD)],
    )
    anew = told(feed(body(other, epoch=OTHER_EPOCH, position=1)))
    yield Story(
        "another epoch",
        "positions are of one timeline",
        [told(feed(body(mine))), anew, shown(GOOD), shown(RECALLED, sign(claims(sub="other")))],
    )
    yield Story("open again", "closed is of one document", [told(feed(body(closed=True))), shown(RECALLED), none, shown(GOOD)])


def _order() -> Iterator[Story]:
    mine = {"subject": [(SUBJECT, NOW)]}
    first = told(feed(body(mine)))
    about = "a feed does not go back"
    for name, said in {
        "position that goes back": body(position=6),
        "epoch that adds": body(epoch=OTHER_EPOCH, position=8, since=7),
        "since of what is not there yet": body(position=9, since=8),
        "document that is older by far": body(at=NOW - 61, exp=NOW + 60),
    }.items():
        yield Story(name, about, [first, not_believed(feed(said)), shown(RECALLED)])
    yield Story(
        "same position again", about, [first, told(feed(body(mine, at=NOW + 20)), NOW + 20), shown(RECALLED, time=NOW + 20)]
    )
    yield Story(
        "document that is a little older", "nodes' clocks differ", [first, told(feed(body(position=8, at=NOW - 50))), shown(GOOD)]
    )
    yield Story("document that is a little ahead", "clocks differ", [told(feed(body(at=NOW + 58))), shown(GOOD)])
    yield Story("document that ended a moment ago", "clocks differ", [told(feed(body(at=NOW - 118))), shown(GOOD)])
    yield Story("since with nothing before", about, [not_believed(feed(body(mine, since=0))), shown(UNKNOWN)])
    yield Story(
        "first document is not believed, the second is",
        about,
        [not_believed(feed(body(mine, since=0))), told(feed(body())), shown(GOOD)],
    )


def _disbelief() -> Iterator[Story]:
    mine: Causes = {"subject": [(SUBJECT, NOW)]}
    good = body(mine)
    group = good["causes"]["subject"]

    def of(name: str, about: str, document: str) -> Story:
        """A document that is not believed leaves a verifier with what it has."""
        return Story(name, about, [told(feed(body(position=1))), not_believed(document), shown(GOOD)])

    signature = "the signature is of a key of the realm's key set"
    yield of("feed by a stranger", signature, feed(good, signer=EC_STRANGER.es256))
    yield of("feed by a stranger's RSA key", signature, feed(good, header("RS256", typ="revocations+jwt"), RSA_STRANGER.rs256))
    yield of(
        "feed with an algorithm that is not accepted", signature, feed(good, header("PS256", typ="revocations+jwt"), PS_1.ps256)
    )
    yield of("feed without a signature", signature, feed(good).rpartition(".")[0] + ".")
    yield of("feed with alg none", signature, feed(good, header("none", typ="revocations+jwt"), lambda _: b"x"))
    yield of("feed by an unknown kid", signature, feed(good, header(typ="revocations+jwt", kid="unknown")))
    yield of("feed without kid", signature, feed(good, header(typ="revocations+jwt", kid=None)))
    head = "the header has alg, kid and typ, and nothing else"
    for typ in ("at+jwt", "JWT", "secevent+jwt", None):
        yield of(f"feed with typ {typ}", head, feed(good, header(typ=typ)))
    yield of("feed with cty", head, feed(good, header(typ="revocations+jwt", cty="JWT")))
    yield of("feed with crit", head, feed(good, header(typ="revocations+jwt", crit=["exp"])))
    yield of("access token as a feed", head, sign())
    yield of("feed of another issuer", "iss is the issuer", feed(body(mine, iss=ISSUER + "/")))
    yield of("feed of tomorrow", "iat is at most 60 seconds ahead", feed(body(mine, at=NOW + 62)))
    yield of("feed of yesterday", "exp is at most 60 seconds ago", feed(body(mine, at=NOW - 58, exp=NOW - 62)))
    form = "every member has its type"
    for name, change in {
        "no iss": {"iss": None},
        "no iat": {"iat": None},
        "no exp": {"exp": None},
        "no epoch": {"epoch": None},
        "no position": {"position": None},
        "no life": {"life": None},
        "no base": {"base": None},
        "no causes": {"causes": None},
        "iat a text": {"iat": str(NOW)},
        "exp true": {"exp": True},
        "epoch a number": {"epoch": 1},
        "epoch empty": {"epoch": ""},
        "epoch with a dot": {"epoch": "a.b"},
        "position a text": {"position": "7"},
        "position negative": {"position": -1},
        "position a fraction": {"position": 7.5},
        "since a text": {"since": "1"},
        "since negative": {"since": -1},
        "life a text": {"life": "1"},
        "closed a number": {"closed": 1},
        "tokens_from a text": {"tokens_from": "1"},
        "tokens_from true": {"tokens_from": True},
        "base a text": {"base": "0"},
        "causes a list": {"causes": []},
        "cause a list": {"causes": {"subject": []}},
        "cause without ids": {"causes": {"subject": {"at": [1]}}},
        "cause without at": {"causes": {"subject": {"ids": group["ids"]}}},
        "ids cut off": {"causes": {"subject": group | {"ids": group["ids"][:-2]}}},
        "ids with padding": {"causes": {"subject": group | {"ids": group["ids"] + "="}}},
        "ids a list": {"causes": {"subject": group | {"ids": [group["ids"]]}}},
        "at too short": {"causes": {"subject": group | {"at": []}}},
        "at too long": {"causes": {"subject": group | {"at": [1, 2]}}},
        "at a text": {"causes": {"subject": group | {"at": ["1"]}}},
        "at true": {"causes": {"subject": group | {"at": [True]}}},
        "at a fraction": {"causes": {"subject": group | {"at": [0.5]}}},
        "at that goes back": {"causes": {"subject": {"ids": joined("subject", ["a", "b"]), "at": [5, -1]}}},
        "lifted a list": {"lifted": [], "since": 1},
        "lifted that is cut off": {"lifted": {"subject": "AAAA"}, "since": 1},
    }.items():
        yield of(f"feed with {name}", form, feed(body(**{"causes": good["causes"]} | change)))
    twice = json.dumps(good)[:-1] + ', "position": 9}'
    yield of("feed with a member twice", "names are unique", sign(twice.encode(), header(typ="revocations+jwt")))
    yield of("feed that is no JSON", "RFC 8259", sign(b"[" * 2000, header(typ="revocations+jwt")))
    recalled = told(feed(body({"signing_key": [("ec-1", NOW)]}), header("RS256", typ="revocations+jwt"), RSA_1.rs256))
    after = not_believed(feed(body(position=8)))
    yield Story(
        "feed by a key that was recalled",
        "a stolen key does not speak for itself",
        [recalled, after, shown(RECALLED), shown(GOOD, sign(head=header("RS256")))],
    )


def _silence() -> Iterator[Story]:
    about = "without news tokens are accepted for a while"
    document = feed(body())
    long = claims(exp=NOW + 36_000)
    yield Story("before the first document", about, [shown(UNKNOWN)])
    yield Story("nothing new before the first document", about, [nothing_new(NOW, "refused"), shown(UNKNOWN)])
    yield Story("silence of 59 seconds", about, [told(document), shown(GOOD, time=NOW + 59)])
    yield Story("silence of 61 seconds", about, [told(document), shown(UNKNOWN, time=NOW + 61)])
    yield Story(
        "silence that ends",
        about,
        [told(document), shown(UNKNOWN, time=NOW + 200), told(feed(body(at=NOW + 200)), NOW + 200), shown(GOOD, time=NOW + 200)],
    )
    yield Story(
        "silence of 9 seconds where 10 are allowed", about, [told(document), shown(GOOD, time=NOW + 9)], fail_open_seconds=10
    )
    yield Story(
        "silence of 11 seconds where 10 are allowed", about, [told(document), shown(UNKNOWN, time=NOW + 11)], fail_open_seconds=10
    )
    yield Story(
        "silence of an hour where it is allowed",
        about,
        [told(document), shown(GOOD, sign(long), NOW + 3600)],
        fail_open_seconds=3601,
    )
    yield Story(
        "document that is not believed is silence",
        about,
        [told(document), not_believed(feed(body(), signer=EC_STRANGER.es256), NOW + 50), shown(UNKNOWN, time=NOW + 61)],
    )
    answers = "304 counts as heard of, until the document that it is about ends"
    yield Story("nothing new", answers, [told(document), nothing_new(NOW + 55), shown(GOOD, time=NOW + 114)])
    yield Story("nothing new, and silence", answers, [told(document), nothing_new(NOW + 55), shown(UNKNOWN, time=NOW + 116)])
    yield Story(
        "nothing new for too long",
        answers,
        [told(document), nothing_new(NOW + 55), nothing_new(NOW + 125, "refused"), shown(UNKNOWN, time=NOW + 126)],
    )
    yield Story(
        "recalled in spite of the silence",
        answers,
        [told(feed(body({"subject": [(SUBJECT, NOW)]}))), shown(RECALLED, time=NOW + 59)],
    )
