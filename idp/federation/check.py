"""Examining an assertion: who issued it, whether it counts, which rules it matches, and which application that admits.

One examination serves both who is admitted and who wants to know why not, so that an explanation cannot differ from what happens:
whatever refuses an assertion belongs into `_decide`, and never behind it. Only using it up is beside that.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from idp import access, clock, spent_assertions
from idp.applications import ASSERTION_ALGORITHMS, KnownApplication, Origin, known_application
from idp.errors import IdpError, Kind, Sentence
from idp.federation.conditions import Line, values_at
from idp.federation.known import KnownIssuer, KnownRule, known_audits, known_issuers, known_rules, pin_of
from idp.federation.models import Mode
from idp.federation.people import person_of
from idp.federation.spending import is_used, names_of, refused_from, use_up
from idp.jose import InvalidTokenError, Key, check_times, open_token, read_unverified
from idp.realms import KnownRealm
from idp.spent_assertions import Signer

LONGEST_JTI = 255
LONGEST_SUBJECT = 500
_USED = "The assertion has already been used."

_GRANT_TYPE = "oauth-id-jag+jwt"
"""`typ` of a grant for a person (draft-ietf-oauth-identity-assertion-authz-grant)."""

_SPIFFE = "spiffe://"

_HINTS = frozenset({"x5t", "x5t#S256"})
"""Header members that some issuers add, which name a certificate and bring none: they decide nothing here."""


class AssertionRefusedError(IdpError):
    """An assertion admits nobody. The text is for the trail and for explanations; clients are told one thing."""

    kind = Kind.INVALID

    def __init__(self, examination: "Examination") -> None:
        super().__init__(examination.problem)
        self.examination = examination


@dataclass(frozen=True, slots=True)
class LineFinding:
    """What became of a line of a rule."""

    line: Line
    found: tuple[str, ...]
    """What the assertion says there; empty for nothing that can be compared."""
    holds: bool


@dataclass(frozen=True, slots=True)
class RuleFinding:
    """What became of a rule: it matches if all its lines hold."""

    rule: KnownRule
    lines: tuple[LineFinding, ...]

    @property
    def matches(self) -> bool:
        """Whether all lines hold."""
        return all(each.holds for each in self.lines)

    @property
    def failing(self) -> LineFinding | None:
        """The first line that does not hold."""
        return next((each for each in self.lines if not each.holds), None)


@dataclass(frozen=True, slots=True)
class Examination:
    """What became of an assertion."""

    problem: str | Sentence
    """Why it admits nobody; empty if it does."""
    issuer: KnownIssuer | None = None
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)
    rules: Sequence[RuleFinding] | None = None
    """What became of the rules that can match it, which pin what it says; None if it did not come to that."""
    admitted: KnownRule | None = None
    """The rule that admits; None if none does."""
    application: KnownApplication | None = field(default=None, repr=False)
    """The one that a rule has led to, also if it is not admitted after all."""
    wants_keys: bool = False
    """Whether it names a key that the issuer may have since its keys were fetched."""

    def refused(self, problem: str | Sentence) -> "Examination":
        """Return what became of the assertion when something beside it admits nobody."""
        return replace(self, problem=problem, admitted=None)

    @property
    def subject(self) -> str:
        """Who the issuer says it is."""
        subject = self.claims.get("sub")
        return subject if isinstance(subject, str) else ""


@dataclass(frozen=True, slots=True)
class Admission:
    """An application that an assertion has admitted, with no more than the rule lets it have."""

    application: KnownApplication
    issuer: KnownIssuer
    rule: KnownRule
    subject: str
    digest: str
    """SHA-256 of the assertion, in hexadecimal digits."""
    unmatched: Sequence[RuleFinding]
    """Rules in audit mode of this application that would have refused it."""


def trusted(realm: KnownRealm, claims: Mapping[str, Any]) -> KnownIssuer | None:
    """Return the trusted issuer that the claims of an assertion name, before anything of it is checked; None for none."""
    issuers = known_issuers(realm)
    issuer, subject = claims.get("iss"), claims.get("sub")
    if isinstance(issuer, str) and issuer in issuers:
        return issuers[issuer]
    if isinstance(subject, str) and subject.startswith(_SPIFFE):
        domain = subject.removeprefix(_SPIFFE).partition("/")[0]
        return issuers.get(f"{_SPIFFE}{domain}")
    return None


def examine(realm: KnownRealm, assertion: str, *, client_id: str = "") -> Examination:
    """Find out what an assertion would admit now. Nothing is written, and nothing is used up.

    :param client_id: the application that the request names; empty for the only one that the rules lead to.
    """
    found = _decide(realm, assertion, client_id)
    if found.admitted is None or found.issuer is None or found.issuer.replays:
        return found
    return found.refused(_USED) if is_used(realm, found.issuer, found.claims) else found


def admit(realm: KnownRealm, assertion: str, *, client_id: str = "") -> Admission:
    """Return the application that an assertion admits, and use the assertion up where each counts once. The caller commits.

    :param client_id: see `examine`.
    :raises AssertionRefusedError: it admits nobody.
    """
    found = _decide(realm, assertion, client_id)
    issuer, rule, application = found.issuer, found.admitted, found.application
    if issuer is None or rule is None or application is None:
        raise AssertionRefusedError(found)
    if not issuer.replays and not use_up(realm, issuer, found.claims):
        raise AssertionRefusedError(found.refused(_USED))
    audits = [compare(each, found.claims) for each in known_audits(realm, issuer, rule.client_id)]
    return Admission(
        application=_limited(application, issuer, rule, found.subject),
        issuer=issuer,
        rule=rule,
        subject=found.subject,
        digest=_digest(assertion),
        unmatched=[each for each in audits if not each.matches],
    )


def _decide(realm: KnownRealm, assertion: str, client_id: str) -> Examination:
    """Decide what an assertion admits, but for whether it was used already."""
    try:
        claims = read_unverified(assertion).claims
    except InvalidTokenError as error:
        return Examination(str(error))
    issuer = trusted(realm, claims)
    if issuer is None:
        return Examination(_unknown_issuer(claims), claims=claims)
    now = clock.timestamp()
    try:
        if not issuer.enabled:
            raise InvalidTokenError("The issuer is disabled.")
        _check_signature(issuer, assertion, now)
        _check_claims(issuer, claims, now)
    except InvalidTokenError as error:
        return _refused(error, issuer, claims)
    findings = tuple(compare(rule, claims) for rule in known_rules(realm, issuer, pins_of(issuer, claims)))
    found = _choose(issuer, claims, findings, client_id)
    return found if found.admitted is None else _check_application(realm, found, found.admitted)


def _check_application(realm: KnownRealm, found: Examination, rule: KnownRule) -> Examination:
    """Return what becomes of an assertion that matches a rule: whether its application takes the word of an issuer."""
    application = known_application(realm, rule.client_id)
    if application is None or application.uid != rule.application_uid:
        return found.refused(Sentence("The application {name!r} has been deleted.", name=rule.client_id))
    found = replace(found, application=application)
    if not realm.enabled:
        return found.refused(Sentence("{Realm} is disabled.", realm=realm.name))
    if not application.enabled:
        return found.refused(Sentence("The application {name!r} is disabled.", name=application.name))
    if application.is_fapi:
        # FAPI 2.0 §5.3.2.1 has keys of its own, and nobody else's word
        sentence = "The application {name!r} follows fapi2: it has to show a key of its own, and no issuer's word will do."
        return found.refused(Sentence(sentence, name=application.name))
    return found


@dataclass(frozen=True, slots=True)
class Grant:
    """What a sign-in server that is trusted has let an application do for a person."""

    issuer: KnownIssuer
    subject: str
    user_uid: str
    link_uid: str
    """Of the federated person that they are known by."""
    scopes: tuple[str, ...]
    resource: str
    """What the tokens are for; empty for what the application chooses."""
    auth_time: float
    """When the person has signed in there (seconds since 1970); when the grant was made if it does not say."""
    code_id: str
    """Stands for it: it is redeemed once."""
    jti: str
    names: frozenset[str]
    """What its issuer could be trusted as."""
    refused_from: datetime
    """When it has expired, by whatever clock."""
    digest: str
    """SHA-256 of it, in hexadecimal digits."""


def is_grant(assertion: str) -> bool:
    """Tell whether an assertion says of itself that it is a grant for a person.

    :raises InvalidTokenError: it is no token.
    """
    typ = read_unverified(assertion).header.get("typ")
    return isinstance(typ, str) and typ.lower().removeprefix("application/") == _GRANT_TYPE


def take_grant(realm: KnownRealm, assertion: str, *, client_id: str) -> Grant:
    """Return what a sign-in server has let an application do. It is not used up by this: redeem it by its `code_id`.

    :param client_id: the application, which has shown who it is.
    :raises AssertionRefusedError: it is no such grant, or for another application, or for nobody who is known.
    """
    claims = read_unverified(assertion).claims
    issuer = trusted(realm, claims)
    if issuer is None:
        raise AssertionRefusedError(Examination(_unknown_issuer(claims), claims=claims))
    now = clock.timestamp()
    try:
        if not issuer.enabled:
            raise InvalidTokenError("The issuer is disabled.")
        _check_signature(issuer, assertion, now, types=(_GRANT_TYPE,))
        _check_claims(issuer, claims, now)
        _check_grant(claims, client_id)
    except InvalidTokenError as error:
        raise AssertionRefusedError(_refused(error, issuer, claims)) from error
    link = person_of(issuer.id, claims["sub"])
    if link is None:
        raise AssertionRefusedError(Examination(Sentence("Nobody here is linked to this subject of the issuer."), issuer, claims))
    signed_in = claims.get("auth_time")
    is_usable = isinstance(signed_in, int) and 0 < signed_in <= claims["iat"]
    return Grant(
        issuer=issuer,
        subject=claims["sub"],
        user_uid=link.user_uid,
        link_uid=link.uid,
        scopes=tuple(claims.get("scope", "").split()),
        resource=claims.get("resource", ""),
        auth_time=float(signed_in if is_usable and signed_in is not None else claims["iat"]),
        code_id=f"grant of issuer {issuer.id}: {claims['jti']}",
        jti=claims["jti"],
        names=names_of(issuer, claims),
        refused_from=refused_from(issuer, claims),
        digest=_digest(assertion),
    )


def _check_grant(claims: Mapping[str, Any], client_id: str) -> None:
    _check_jti(claims)
    if claims.get("client_id") != client_id:
        raise InvalidTokenError("The grant was given to another client.")
    if not isinstance(claims.get("resource", ""), str) or not isinstance(claims.get("scope", ""), str):
        raise InvalidTokenError("The scope or resource of the grant is not a string.")


def _check_jti(claims: Mapping[str, Any]) -> None:
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 1 <= len(jti) <= LONGEST_JTI:
        raise InvalidTokenError("The assertion has no usable jti, but is accepted only once.")


def _refused(error: InvalidTokenError, issuer: KnownIssuer, claims: Mapping[str, Any]) -> Examination:
    return Examination(str(error), issuer, claims, wants_keys=isinstance(error, _UnknownKeyError) and issuer.is_fetched)


def _digest(assertion: str) -> str:
    return hashlib.sha256(assertion.encode()).hexdigest()


class _UnknownKeyError(InvalidTokenError):
    """The assertion names a key that is not known."""


def _unknown_issuer(claims: Mapping[str, Any]) -> Sentence:
    return Sentence("There is no trusted issuer {iss!r}.", iss=_shown(claims.get("iss")))


def _check_signature(issuer: KnownIssuer, assertion: str, now: float, types: Sequence[str] = ("", "jwt", "jose")) -> None:
    """Check the signature against the keys of the issuer.

    :param types: accepted values of `typ`.
    :raises InvalidTokenError: it is of none of them, or they are not known any more.
    """
    if now >= issuer.keys_until:
        raise _UnknownKeyError("The keys of the issuer have not been fetched, or are too old.")

    def keys(kid: str | None, algorithm: str) -> list[Key]:
        named = [each for each in issuer.keys if kid in {None, each.kid}]
        if not named:
            raise _UnknownKeyError("The assertion names a key that the issuer's key set does not have.")
        return [each.key for each in named if algorithm in each.algorithms]

    open_token(assertion, keys=keys, algorithms=ASSERTION_ALGORITHMS, types=types, hints=_HINTS)


def _check_claims(issuer: KnownIssuer, claims: Mapping[str, Any], now: float) -> None:
    audience = claims.get("aud")
    values = audience if isinstance(audience, list) else [audience]
    if not values or not all(isinstance(value, str) and value in issuer.audiences for value in values):
        accepted = ", ".join(sorted(issuer.audiences))
        raise InvalidTokenError(f"aud of the assertion is {_shown(audience)}; only {accepted} is accepted.")
    check_times(dict(claims), now, early=issuer.leeway, late=issuer.leeway)
    if "iat" not in claims:
        raise InvalidTokenError("The assertion does not say when it was issued (iat).")
    life, age = claims["exp"] - claims["iat"], now - claims["iat"]
    if life > issuer.longest_life:
        raise InvalidTokenError(f"The assertion is valid for {life:.0f} seconds, and may be for at most {issuer.longest_life}.")
    if age > issuer.longest_age + issuer.leeway:
        raise InvalidTokenError(
            f"The assertion was issued {age:.0f} seconds ago, and may be at most {issuer.longest_age} seconds old."
        )
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 1 <= len(subject) <= LONGEST_SUBJECT:
        raise InvalidTokenError("The assertion has no usable sub.")
    if not issuer.replays:
        _check_jti(claims)


def pins_of(issuer: KnownIssuer, claims: Mapping[str, Any]) -> list[str]:
    """Return what the rules pin that an assertion can match."""
    return [pin_of(claim, value) for claim in issuer.pin_claims for value in values_at(claims, claim)]


def compare(rule: KnownRule, claims: Mapping[str, Any]) -> RuleFinding:
    """Compare each line of a rule with what an assertion says."""
    return RuleFinding(
        rule, tuple(LineFinding(line, tuple(values_at(claims, line.claim)), line.holds(claims)) for line in rule.lines)
    )


def _choose(issuer: KnownIssuer, claims: Mapping[str, Any], findings: Sequence[RuleFinding], client_id: str) -> Examination:
    """Choose the rule that admits: of several for one application, the first by name."""

    def refused(problem: str | Sentence) -> Examination:
        return Examination(problem, issuer, claims, findings)

    matching = [each.rule for each in findings if each.matches and each.rule.mode is Mode.ENFORCE]
    named = [rule for rule in matching if client_id in {"", rule.client_id}]
    if not matching:
        return refused(Sentence("No rule matches."))
    if not named:
        return refused(Sentence("No rule for the application {name!r} matches.", name=client_id[:80]))
    if len({rule.client_id for rule in named}) > 1:
        return refused(Sentence("Rules of several applications match: name one of them in client_id."))
    return Examination("", issuer, claims, findings, named[0])


def _limited(application: KnownApplication, issuer: KnownIssuer, rule: KnownRule, subject: str) -> KnownApplication:
    """Return the application with what the rule lets it have, and no longer than issuer and rule do."""
    limited = application.limited_to(rule.frozen)
    if rule.roles or rule.projects:
        kept = [
            each
            for each in limited.held_roles
            if (not rule.roles or each.role in rule.roles) and (not rule.projects or each.project in rule.projects)
        ]
        limited = application.limited_to(access.freeze(kept, clock.timestamp()))
    longest = min(application.token_seconds, issuer.token_seconds, rule.token_seconds or issuer.token_seconds)
    return limited.admitted_by(Origin(issuer.issuer, subject, rule.name), longest)


def use_up_grant(realm: KnownRealm, grant: Grant) -> bool:
    """Use a grant for a person up, whatever has become of the issuer since it was shown first: True for exactly one caller."""
    return spent_assertions.spend(realm.id, Signer.GRANT, grant.names, grant.jti, grant.refused_from)


def _shown(value: Any) -> str:
    """Return a claim as it is shown in a sentence."""
    return "missing" if value is None else str(value)[:200]
