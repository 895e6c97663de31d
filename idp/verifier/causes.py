"""What a realm has taken back of its tokens, as its feed tells it, and whether a token is among that (docs/recall.md)."""

import base64
import binascii
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

EARLY = 60
"""Seconds before its time from which on a cause counts, since clocks differ."""

_LENGTH = 8

_REASONS = {
    "subject": "whose token it is, or who acted for them, was disabled or deleted",
    "session": "its session has ended",
    "key": "the API key that it was exchanged for does not work any more",
    "grant": "the sign-in that it belongs to has ended",
    "token": "it was revoked, or a token that it was exchanged for",
    "signing_key": "the key that signed it was revoked",
    "issuer": "the issuer by whose word it was issued is not trusted any more",
    "rule": "the rule by which it was issued admits nobody any more",
}


class MalformedFeedError(ValueError):
    """A document does not have the form that it should have."""


@lru_cache(maxsize=20_000)
def _identifier(kind: str, text: str) -> bytes:
    return hashlib.sha256(f"{kind}\0{text}".encode()).digest()[:_LENGTH]


@dataclass(frozen=True, slots=True)
class Causes:
    """All that is known as of one position."""

    epoch: str
    position: int
    made_at: float
    expires_at: float
    """Of the document that said so last (seconds since 1970)."""
    closed: bool
    tokens_from: float
    by_kind: Mapping[str, Mapping[bytes, int]] = field(repr=False)
    """By kind and identifier, from when on a cause counts (seconds since 1970)."""

    def reason(self, kid: object, claims: Mapping[str, Any], now: float, *, session: bool) -> str | None:
        """Return why a token does not count any more; None if nothing speaks against it.

        :param kid: of its header.
        :param session: whether it is a session token.
        """
        if self.closed:
            return "its issuer works no more"
        if self.tokens_from and not claims.get("iat", 0) >= self.tokens_from:
            return "it is of before a backup was put back"
        by_kind = self.by_kind
        for kind, text in _named(kid, claims, session=session):
            group = by_kind.get(kind)
            if group and isinstance(text, str):
                at = group.get(_identifier(kind, text))
                if at is not None and at <= now + EARLY and (kind not in _UNTIL or claims.get("iat", 0) <= at):
                    return _REASONS[kind]
        return None

    def recalls_key(self, kid: str) -> bool:
        """Tell whether a signing key was revoked: then it signs no document either."""
        return _identifier("signing_key", kid) in self.by_kind.get("signing_key", {})


_UNTIL = frozenset({"issuer", "rule"})
"""Kinds that concern what was issued until then."""


def _named(kid: object, claims: Mapping[str, Any], *, session: bool) -> Iterator[tuple[str, object]]:
    """Return what of a token causes are compared with."""
    yield "subject", claims.get("sub")
    yield "token", claims.get("jti")
    yield "signing_key", kid
    if session:
        yield "session", claims.get("sid")
        yield "key", claims.get("key")
    if "grant_id" in claims:
        yield "grant", claims["grant_id"]
    if "origin" in claims:
        origin = claims["origin"]
        for each in origin if isinstance(origin, list) else (origin,):
            yield "token", each
    if "act" in claims:
        actor = claims["act"]
        while isinstance(actor, dict):
            yield "subject", actor.get("sub")
            actor = actor.get("act")
    if "federation" in claims and isinstance(claims["federation"], dict):
        yield "issuer", claims["federation"].get("iss")
        yield "rule", claims["federation"].get("rule")


def read_causes(claims: Mapping[str, Any], former: Causes | None, now: float) -> Causes:
    """Return what a document says, on top of what was known before if it adds to that.

    :param claims: those of a document of the right issuer that was opened.
    :raises MalformedFeedError: it does not have the form that it should have.
    """
    since = None if "since" not in claims else _number(claims["since"])
    if since is not None and former is None:
        raise MalformedFeedError("it adds to what is not known")
    life, base = _number(claims.get("life")), _number(claims.get("base"))
    closed, tokens_from = claims.get("closed", False), claims.get("tokens_from", 0)
    if not isinstance(closed, bool) or isinstance(tokens_from, bool) or not isinstance(tokens_from, int | float):
        raise MalformedFeedError("closed or tokens_from is something else")
    known: dict[str, dict[bytes, int]] = {}
    if since is not None and former is not None:
        known = {kind: dict(group) for kind, group in former.by_kind.items()}
    for kind, group in _object(claims.get("causes")).items():
        known.setdefault(kind, {}).update(_read_group(_object(group), base))
    for kind, identifiers in _object(claims.get("lifted", {})).items():
        for identifier in _split(identifiers):
            known.get(kind, {}).pop(identifier, None)
    oldest = now - life
    return Causes(
        epoch=claims["epoch"],
        position=claims["position"],
        made_at=claims["iat"],
        expires_at=claims["exp"],
        closed=closed,
        tokens_from=tokens_from,
        by_kind={
            kind: {mark: at for mark, at in group.items() if at >= oldest} for kind, group in known.items() if kind in _REASONS
        },
    )


def _read_group(group: Mapping[str, Any], base: int) -> dict[bytes, int]:
    identifiers, steps = _split(group.get("ids")), group.get("at")
    if not isinstance(steps, list) or len(steps) != len(identifiers):
        raise MalformedFeedError("there are not as many times as causes")
    found, at = {}, base
    for number, (identifier, step) in enumerate(zip(identifiers, steps, strict=True)):
        if isinstance(step, bool) or not isinstance(step, int) or (number and step < 0):
            raise MalformedFeedError("a time is no number")
        at += step
        found[identifier] = at
    return found


def _split(text: object) -> list[bytes]:
    if not isinstance(text, str):
        raise MalformedFeedError("identifiers are no text")
    try:
        joined = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedFeedError("identifiers are no base64url") from error
    if len(joined) % _LENGTH:
        raise MalformedFeedError("identifiers are cut off")
    return [joined[start : start + _LENGTH] for start in range(0, len(joined), _LENGTH)]


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise MalformedFeedError("a number is missing")
    return value


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedFeedError("an object is missing")
    return value
