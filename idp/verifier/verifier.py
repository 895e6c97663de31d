"""Checking an access token as a resource server (RFC 9068 §4)."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from idp.jose import (
    ID_TOKEN_SHOWN,
    InvalidTokenError,
    Kind,
    check_times,
    has_audience,
    kind_of,
    open_token,
    read_unverified,
    types_of,
    unverified_kind,
)
from idp.verifier.introspection import Introspection
from idp.verifier.keyset import KeySet, KeySetStaleError
from idp.verifier.possession import Shown, UsedProofs, check_possession, public_url_in
from idp.verifier.recall import Recall

ALGORITHMS = ("RS256", "ES256")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls, as an accepted token says."""

    subject: str
    """`sub`: the application's id, which never changes and is never given to another."""
    client_id: str
    """The application's name."""
    roles: frozenset[str]
    """Roles on the whole realm."""
    projects: dict[str, frozenset[str]]
    """Roles by project name. Neither here nor on the realm are there roles that have ended since the token was issued."""
    claims: dict[str, Any] = field(repr=False)
    """All claims of the token."""

    def has_role(self, role: str, project: str | None = None) -> bool:
        """Tell whether the caller holds a role: on the realm, or on one project when that is named."""
        return role in (self.roles if project is None else self.projects.get(project, frozenset()))


class Verifier:
    """Checks tokens of one issuer for one API. Thread-safe; make one and keep it."""

    def __init__(
        self,
        issuer: str,
        audience: str | Collection[str],
        *,
        algorithms: Collection[str] = ALGORITHMS,
        id_token_audience: str | Collection[str] = (),
        session_tokens: bool = False,
        introspection: Introspection | None = None,
        recall: Recall | None = None,
        leeway: float = 30,
        jwks_uri: str | None = None,
        cooldown: float = 10,
        timeout: float = 5,
        public_url: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare to check tokens; nothing is fetched before the first one comes.

        :param issuer: the realm's issuer, `<public url>/auth/realms/<realm>`, compared as a whole.
        :param audience: what this API is called in `aud`; mandatory, for a token made for another API is none for this.
        :param algorithms: signature algorithms to accept.
        :param id_token_audience: client ids whose *ID tokens* are accepted as well; by default none are. An ID token
            carries no roles or projects.
        :param session_tokens: accept the session tokens of people, and of exchanged API keys, too. They are made for the
            whole realm: their audience is the issuer.
        :param introspection: as whom to ask the issuer about tokens. With it, personal tokens are accepted: they can be
            deleted at any time, so they cannot be checked by their signature.
        :param recall: what the issuer has taken back, followed in the background: a token that was is refused within seconds, and
            none is accepted while that is not known. By default tokens count until they expire.
        :param leeway: seconds that clocks may differ, at most 60.
        :param jwks_uri: address of the key set; by default the issuer is asked for it.
        :param cooldown: seconds between two fetches that unknown key ids may cause.
        :param timeout: seconds that a fetch may take.
        :param public_url: scheme and host under which clients know this API, for proofs of tokens that are bound to a key; by
            default those of the audience, where that is one URL. The helpers for Flask and ASGI put the path behind it.
        """
        self._audience = names(audience)
        if not self._audience or not all(self._audience):
            raise ValueError("audience is mandatory: name this API as the tokens' `aud` does")
        if not 0 <= leeway <= 60:
            raise ValueError("leeway takes 0 to 60 seconds")
        if not algorithms or not set(algorithms) <= {"RS256", "PS256", "ES256"}:
            raise ValueError("algorithms takes RS256, PS256 and ES256")
        if recall is not None and recall.issuer != issuer:
            raise ValueError("recall follows another issuer")
        self._issuer, self._recall = issuer, recall
        self._algorithms = frozenset(algorithms)
        self._id_token_audience = names(id_token_audience)
        self._introspection = introspection
        self._kinds = {Kind.ACCESS}
        self._kinds |= {Kind.ID} if self._id_token_audience else set()
        self._kinds |= {Kind.SESSION} if session_tokens else set()
        self._leeway = leeway
        self._clock = clock
        self.public_url = public_url.rstrip("/") or public_url_in(self._audience)
        self._used_proofs = UsedProofs()
        self._key_set = KeySet(issuer, jwks_uri=jwks_uri, cooldown=cooldown, timeout=timeout)

    def verify(
        self,
        token: str,
        *,
        fetch: bool = True,
        proof: str | None = None,
        method: str = "",
        url: str = "",
        certificate: bytes | None = None,
    ) -> Identity:
        """Check a token and return who calls. One that is bound needs proof of what it is bound to (RFC 9449, RFC 8705).

        :param token: the token as it was sent.
        :param fetch: False raises KeySetStaleError where the issuer would have to be asked, for use on an event loop.
        :param proof: the header `DPoP` of a request that sends its token as `DPoP`; None where it sends it as `Bearer`.
        :param method: of that request.
        :param url: of that request, as its client knows it.
        :param certificate: the client certificate of the TLS connection, as DER; None for none.
        :raises UnprovenTokenError: the request does not hold what the token is bound to; answer 401 with a challenge for DPoP.
        :raises InvalidTokenError: the token is refused; answer 401 `invalid_token`.
        :raises KeySetUnavailableError: no keys to check with, or it is not known what was taken back; answer 503.
        """
        identity = self._checked(token, fetch=fetch)
        shown = Shown(proof, method, url, certificate)
        check_possession(token, identity.claims, shown, self._used_proofs, self._clock())
        return identity

    def _checked(self, token: str, *, fetch: bool) -> Identity:
        if self._introspection is not None and unverified_kind(token) is Kind.PERSONAL:
            return self._asked(token, self._introspection, self._audience | {self._issuer}, fetch=fetch)
        opened = open_token(
            token,
            keys=lambda kid, alg: [] if kid is None else self._key_set.find(kid, alg, fetch=fetch),
            algorithms=self._algorithms,
            types=types_of(self._kinds),
        )
        claims, kind = opened.claims, kind_of(opened)
        if claims.get("iss") != self._issuer:
            raise InvalidTokenError("The token was issued by another issuer.")
        check_times(claims, self._clock(), early=self._leeway, late=self._leeway)
        if kind not in self._kinds:
            raise InvalidTokenError(ID_TOKEN_SHOWN if kind is Kind.ID else "The token is not of the kind expected here.")
        audience = self._audience_of(kind)
        if not has_audience(claims, audience):
            raise InvalidTokenError("The token is meant for another API.")
        if self._recall is not None:
            self._recall.check(opened.header.get("kid"), claims, session=kind is Kind.SESSION, fetch=fetch)
        if self._introspection is not None and self._introspection.every_token:
            return self._asked(token, self._introspection, audience, fetch=fetch)
        return _identity(claims, self._clock())

    def _audience_of(self, kind: Kind) -> frozenset[str]:
        if kind is Kind.SESSION:
            return frozenset({self._issuer})
        return self._audience if kind is Kind.ACCESS else self._id_token_audience

    def _asked(self, token: str, introspection: Introspection, audience: frozenset[str], *, fetch: bool) -> Identity:
        """Return who calls as the issuer says it."""
        if read_unverified(token).claims.get("iss") != self._issuer:
            raise InvalidTokenError("The token was issued by another issuer.")
        if not fetch:
            raise KeySetStaleError
        claims = introspection.ask(self._issuer, token)
        if claims is None or claims.get("iss") != self._issuer or not has_audience(claims, audience):
            raise InvalidTokenError("The issuer says that the token is not active for this API.")
        return _identity(claims, self._clock())


def names(value: str | Collection[str]) -> frozenset[str]:
    """Return one name or several as a set; a text is one name, not its letters."""
    return frozenset({value} if isinstance(value, str) else value)


def _identity(claims: dict[str, Any], now: float) -> Identity:
    try:
        return Identity(
            subject=_text(claims["sub"]),
            client_id=_text(claims.get("client_id", claims.get("azp", ""))),
            roles=_live({"roles": [], **claims.get("realm_access", {})}, now),
            projects={_text(project["name"]): _live(project, now) for project in _list(claims.get("projects", []))},
            claims=claims,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidTokenError("The token's claims do not have the expected form.") from error


def _live(held: dict[str, Any], now: float) -> frozenset[str]:
    """Return roles without those whose end, which stands beside them, has passed: a token outlives them."""
    ends = held.get("ends", {})
    if not isinstance(ends, dict):
        raise TypeError("not the ends of roles")
    return frozenset(role for role in map(_text, _list(held["roles"])) if role not in ends or now < _number(ends[role]))


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("not a number")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value
