"""Telling the tokens of an issuer apart: what is made for one purpose must not serve another (RFC 8725 §3.11 and §3.12)."""

from collections.abc import Iterable
from enum import StrEnum

from idp.jose.reader import InvalidTokenError, OpenedToken, read_unverified

ID_TOKEN_SHOWN = "This is an ID token; send access_token, which came with it."  # noqa: S105 (a sentence)


class Kind(StrEnum):
    """What a token is for."""

    ACCESS = "access token"
    """For an API (RFC 9068). Its header says `at+jwt`, or `JWT` where its application's access_token_type does."""
    ID = "ID token"
    """For the client that it was issued to (OpenID Connect Core §2)."""
    SESSION = "session token"
    PERSONAL = "personal token"


_TYPES = {Kind.ACCESS: ("at+jwt", "jwt"), Kind.ID: ("jwt",), Kind.SESSION: ("session+jwt",), Kind.PERSONAL: ("jwt",)}


def types_of(kinds: Iterable[Kind]) -> frozenset[str]:
    """Return the values of the header `typ` that tokens of these kinds have, in lower case."""
    return frozenset(typ for kind in kinds for typ in _TYPES[kind])


def kind_of(token: OpenedToken) -> Kind | None:
    """Tell what a token is for; None for what is none of these.

    A header of `JWT` says nothing, so there the claim `typ` has to: without `Bearer` it is no access token.
    """
    match _type_of(token), token.claims.get("typ", ""):
        case "at+jwt", "Bearer" | "":
            return Kind.ACCESS
        case "jwt", "Bearer":
            return Kind.ACCESS
        case "jwt", "ID":
            return Kind.ID
        case "session+jwt", _:
            return Kind.SESSION
        case "jwt", "" if token.header["typ"] == "JWT" and token.header.keys() == {"alg", "kid", "typ"}:
            return Kind.PERSONAL
    return None


def _type_of(token: OpenedToken) -> str:
    typ = token.header.get("typ")
    return typ.lower().removeprefix("application/") if isinstance(typ, str) else ""


def unverified_kind(token: str) -> Kind | None:
    """Tell what a token says that it is for, without checking that; None for what is no token."""
    try:
        return kind_of(read_unverified(token))
    except InvalidTokenError:
        return None
