"""What a realm has taken back of its tokens, as its feed tells it, and whether a token is among that (docs/recall.md)."""

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
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
    "credential": "the secret or the public key that it was fetched with was taken away",
}


_OFTEN = frozenset({"subject", "signing_key", "key", "issuer", "rule", "credential"})
"""Kinds of what many tokens have in common. To remember the hash of anything else would cost more than it spares."""


class MalformedFeedError(ValueError):
    """A document does not have the form that it should have."""


def _identifying(kind: str) -> Callable[[str], bytes]:
    """Return what makes the identifiers of a kind. Each goes on from a hash begun once, which takes less than a new one."""
    begun = hashlib.sha256(f"{kind}\0".encode())

    def identifier(text: str) -> bytes:
        whole = begun.copy()
        whole.update(text.encode())
        return whole.digest()[:_LENGTH]

    return lru_cache(maxsize=4_096)(identifier) if kind in _OFTEN else identifier


_IDENTIFIER = {kind: _identifying(kind) for kind in _REASONS}


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
        kind = self._matching(kid, claims, now, session=session)
        return _REASONS[kind] if kind is not None else None

    def _matching(self, kid: object, claims: Mapping[str, Any], now: float, *, session: bool) -> str | None:
        """Return the kind of a cause that counts for a token. Written out: each request of an API passes here."""
        counts, named = self._counts, claims.get
        kind: str | None = None
        if counts("subject", named("sub"), now) or ("act" in claims and self._counts_for_actors(claims["act"], now)):
            kind = "subject"
        elif counts("token", named("jti"), now) or ("origin" in claims and self._counts_for_any("token", claims["origin"], now)):
            kind = "token"
        elif counts("signing_key", kid, now):
            kind = "signing_key"
        elif "grant_id" in claims and counts("grant", claims["grant_id"], now):
            kind = "grant"
        elif session and counts("session", named("sid"), now):
            kind = "session"
        elif session and counts("key", named("key"), now):
            kind = "key"
        elif "credential" in claims and self._counts_for_any("credential", claims["credential"], now):
            kind = "credential"
        elif "federation" in claims or "act" in claims:
            kind = self._counts_for_admission(claims, now)
        return kind

    def _counts(self, kind: str, text: object, now: float, issued_at: float | None = None) -> bool:
        group = self.by_kind.get(kind)
        if not group or not isinstance(text, str):
            return False
        at = group.get(_IDENTIFIER[kind](text))
        return at is not None and at <= now + EARLY and (issued_at is None or issued_at <= at)

    def _counts_for_actors(self, actor: object, now: float) -> bool:
        while isinstance(actor, dict):
            if self._counts("subject", actor.get("sub"), now):
                return True
            actor = actor.get("act")
        return False

    def _counts_for_any(self, kind: str, texts: object, now: float) -> bool:
        """Tell whether a cause counts for one of what a claim names, which is a list of texts or one text."""
        if not isinstance(texts, list):
            return self._counts(kind, texts, now)
        for each in texts:  # noqa: SIM110 (a generator takes as long as a comparison)
            if self._counts(kind, each, now):
                return True
        return False

    def _counts_for_admission(self, claims: Mapping[str, Any], now: float) -> str | None:
        """Return which of what admitted the subject of a token, or who acts in it, admits nobody any more since."""
        issued_at, said = claims.get("iat", 0), claims
        while isinstance(said, Mapping):
            admission = said.get("federation")
            if isinstance(admission, dict):
                for kind, name in (("issuer", "iss"), ("rule", "rule")):
                    if self._counts(kind, admission.get(name), now, issued_at):
                        return kind
            said = said.get("act")  # type: ignore[assignment]  # whatever it is: the loop ends where it is no object
        return None

    def recalls_key(self, kid: str) -> bool:
        """Tell whether a signing key was revoked: then it signs no document either."""
        return _IDENTIFIER["signing_key"](kid) in self.by_kind.get("signing_key", {})


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
            raise MalformedFeedError("a time is not a number")
        at += step
        found[identifier] = at
    return found


def _split(text: object) -> list[bytes]:
    if not isinstance(text, str):
        raise MalformedFeedError("identifiers are no text")
    if "=" in text:
        raise MalformedFeedError("identifiers are padded")
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
