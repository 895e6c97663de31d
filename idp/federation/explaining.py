"""Explaining what becomes of an assertion: the verdict of the examination that admits, and the rules of its issuer beside it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, not_, or_, select

from idp.db import reading
from idp.errors import Sentence
from idp.federation.check import Examination, RuleFinding, compare, examine, pins_of
from idp.federation.known import KnownIssuer, KnownRule, read_rules
from idp.federation.models import FederationRule
from idp.realms import KnownRealm

MOST_EXPLAINED = 200
"""Rules of an issuer that an explanation shows. The verdict knows no such bound."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What would become of an assertion, and why."""

    verdict: Examination
    """What would happen now."""
    caveat: str | Sentence
    """What the application cannot have although it would be admitted; empty for nothing."""
    rules: Sequence[RuleFinding]
    """What became of the rules of the issuer, those that match first, and then those that could. Some may be disabled."""
    left_out: int
    """How many more rules the issuer has."""


def explain(realm: KnownRealm, assertion: str, *, client_id: str = "") -> Explanation:
    """Tell what would become of an assertion, rule by rule and line by line. Nothing is written, and nothing is used up.

    :param client_id: see `examine`.
    """
    verdict = examine(realm, assertion, client_id=client_id)
    if verdict.issuer is None or verdict.rules is None:
        return Explanation(verdict, "", (), 0)
    decided = {each.rule.id for each in verdict.rules}
    others = [compare(rule, verdict.claims) for rule in _others(verdict, verdict.issuer) if rule.id not in decided]
    shown = [*_best_first(verdict.rules), *_best_first(others)][:MOST_EXPLAINED]
    return Explanation(verdict, _caveat(verdict), shown, max(0, _count(verdict.issuer.id) - len(shown)))


def _best_first(findings: Sequence[RuleFinding]) -> list[RuleFinding]:
    return sorted(findings, key=lambda each: not each.matches)


def _others(verdict: Examination, issuer: KnownIssuer) -> list[KnownRule]:
    """Return rules that the verdict does not look at, by name, as they are disabled or pin something else.

    Those come first that would be looked at if they were enabled.
    """
    could_match = FederationRule.pin.in_(pins_of(issuer, verdict.claims))
    query = select(FederationRule).where(FederationRule.issuer_id == issuer.id)
    query = query.where(or_(FederationRule.enabled.is_(False), not_(could_match)))
    return read_rules(query.order_by(could_match.desc(), FederationRule.name).limit(MOST_EXPLAINED))


def _caveat(verdict: Examination) -> str | Sentence:
    application = verdict.application
    if verdict.admitted is None or application is None or application.gets_own_tokens:
        return ""
    sentence = "The application {name!r} may not get tokens for itself: its grants lack client_credentials."
    return Sentence(sentence, name=application.name)


def _count(issuer_id: int) -> int:
    with reading() as session:
        return session.scalar(select(func.count()).where(FederationRule.issuer_id == issuer_id)) or 0
