"""What a worker keeps of trusted issuers and rules in memory: enough to admit an assertion without SQL.

Rules are found by what they pin, and never looked through: ten thousand of them cost what one does.
"""

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, select

from idp.access import Frozen
from idp.applications import Application
from idp.db import reading
from idp.federation.conditions import Line
from idp.federation.models import FederationRule, Mode, TrustedIssuer
from idp.federation.presets import PRESETS
from idp.feed import Cache
from idp.jose import InvalidTokenError
from idp.published_keys import PublicKey, public_key_of
from idp.realms import KnownRealm

CACHED_ISSUERS, CACHED_RULES = "trusted-issuer", "federation-rule"

_MOST_ABSENT = 1_000
"""Pins without rules of an issuer that are remembered."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KnownIssuer:
    """A trusted issuer as of the last change to it, or to its keys."""

    id: int
    name: str
    issuer: str
    enabled: bool
    audiences: frozenset[str]
    replays: bool
    """Whether an assertion is accepted more than once."""
    longest_life: int
    longest_age: int
    leeway: int
    token_seconds: int
    keys: tuple[PublicKey, ...] = field(repr=False)
    keys_until: float
    """When the keys stop counting (seconds since 1970), if none are fetched until then."""
    is_fetched: bool
    pin_claims: tuple[str, ...]
    """The claims that rules of it are found by."""
    derived: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)
    """What this worker remembers of it, for as long as the fields above hold."""


@dataclass(frozen=True, slots=True)
class KnownRule:
    """A rule as of the last change to it."""

    id: int
    name: str
    client_id: str
    """The application that it admits."""
    application_uid: str
    """Its uid: a name may be given to another application."""
    enabled: bool
    """Whether it counts. What admits asks for no others; explanations do."""
    mode: Mode
    lines: tuple[Line, ...]
    token_seconds: int
    """0 for no limit of its own."""
    roles: frozenset[str]
    projects: frozenset[str]
    frozen: Frozen | None


def audiences_of(row: TrustedIssuer, own: str) -> frozenset[str]:
    """Return what the assertions of an issuer have to be made for.

    :param own: the issuer of the realm that trusts it.
    """
    return frozenset(row.audiences or (own, f"{own}/protocol/openid-connect/token"))


def pin_of(claim: str, value: str) -> str:
    """Return what a rule is found by that pins a claim to a value."""
    return hashlib.sha256(f"{claim}\0{value}".encode()).hexdigest()


def known_issuers(realm: KnownRealm) -> Mapping[str, KnownIssuer]:
    """Return the trusted issuers of a realm from memory, by their `iss`."""
    cache = realm.runtime.feed.cache(CACHED_ISSUERS)
    found: Mapping[str, KnownIssuer] | None = cache.get(realm.name)
    return found if found is not None else cache.load(realm.name, lambda: _read_issuers(realm))


def known_rules(realm: KnownRealm, issuer: KnownIssuer, pins: Iterable[str]) -> list[KnownRule]:
    """Return the enabled rules of an issuer that pin one of these from memory, by name."""
    cache = realm.runtime.feed.cache(CACHED_RULES)
    # taken before anything is read: when a rule is made meanwhile, the cache has dropped this set, and what goes into it is lost
    absent = _absent_pins(cache, f"{realm.name}/{issuer.id}/absent")
    found: dict[int, KnownRule] = {}
    for pin in pins:
        if pin in absent:
            continue
        key = f"{realm.name}/{issuer.id}/{pin}"
        rules: Sequence[KnownRule] | None = cache.get(key)
        if rules is None:
            rules = cache.load(key, lambda pin=pin: _read_rules(issuer, pin))  # type: ignore[misc]
        if rules is None:
            if len(absent) >= _MOST_ABSENT:
                absent.clear()
            absent.add(pin)
        found.update((rule.id, rule) for rule in rules or ())
    return sorted(found.values(), key=lambda rule: rule.name)


def _absent_pins(cache: Cache[Any], key: str) -> set[str]:
    """Return the pins that an issuer is known to have no rules for, to add to. It goes when a rule of the realm is changed.

    Rules of one issuer pin different claims, and an assertion has them all: without this, each that no rule pins costs a query.
    """
    absent: set[str] | None = cache.get(key)
    return absent if absent is not None else cache.load(key, set)


def known_audits(realm: KnownRealm, issuer: KnownIssuer, client_id: str) -> Sequence[KnownRule]:
    """Return the enabled rules in audit mode by which an issuer would admit an application, from memory."""
    cache = realm.runtime.feed.cache(CACHED_RULES)
    key = f"{realm.name}/{issuer.id}/audit {client_id}"
    found: Sequence[KnownRule] | None = cache.get(key)
    if found is None:
        query = rules_of(issuer.id).where(
            FederationRule.mode == Mode.AUDIT, FederationRule.application.has(Application.name == client_id)
        )
        found = cache.load(key, lambda: read_rules(query))
    return found


def read_rules(query: Select[FederationRule]) -> list[KnownRule]:
    """Return rules from the database, past what is in memory: for explanations, which may ask for any of an issuer."""
    with reading() as session:
        return [_known_rule(row) for row in session.scalars(query)]


def rules_of(issuer_id: int) -> Select[FederationRule]:
    """Return the query of the enabled rules of an issuer."""
    of_issuer = select(FederationRule).where(FederationRule.issuer_id == issuer_id, FederationRule.enabled.is_(True))
    return of_issuer.order_by(FederationRule.name)


def _read_rules(issuer: KnownIssuer, pin: str) -> Sequence[KnownRule] | None:
    """Return the rules with a pin; None for none, which is not kept beside them: what assertions say is endless."""
    return read_rules(rules_of(issuer.id).where(FederationRule.pin == pin)) or None


def _read_issuers(realm: KnownRealm) -> Mapping[str, KnownIssuer]:
    with reading() as session:
        rows = session.scalars(select(TrustedIssuer).where(TrustedIssuer.realm_id == realm.id)).all()
        pinned = select(FederationRule.issuer_id, FederationRule.pin_claim).where(FederationRule.realm_id == realm.id).distinct()
        claims: dict[int, list[str]] = {}
        for issuer_id, claim in session.execute(pinned.order_by(FederationRule.pin_claim)):
            claims.setdefault(issuer_id, []).append(claim)
        return {row.issuer: _known_issuer(realm, row, claims.get(row.id, ())) for row in rows}


def _known_issuer(realm: KnownRealm, row: TrustedIssuer, pin_claims: Sequence[str]) -> KnownIssuer:
    preset = PRESETS[row.preset]  # type: ignore[index]  # what was stored was checked
    return KnownIssuer(
        id=row.id,
        name=row.name,
        issuer=row.issuer,
        enabled=row.enabled,
        audiences=audiences_of(row, realm.issuer),
        replays=(row.replay or preset.replay) == "reuse",
        longest_life=row.longest_life_seconds or preset.longest_life,
        longest_age=row.longest_age_seconds or preset.longest_age,
        leeway=row.leeway_seconds,
        token_seconds=row.token_seconds,
        keys=tuple(_usable(row.name, row.keys)),
        keys_until=row.keys_until.timestamp() if row.keys_until is not None else float("inf"),
        is_fetched=row.is_fetched,
        pin_claims=tuple(pin_claims),
    )


def _usable(name: str, jwks: Sequence[dict[str, Any]]) -> Iterable[PublicKey]:
    for jwk in jwks:
        try:
            yield public_key_of(jwk)
        except InvalidTokenError as error:
            _log.warning("a key of the trusted issuer %s is not accepted: %s", name, error)


def _known_rule(row: FederationRule) -> KnownRule:
    return KnownRule(
        id=row.id,
        name=row.name,
        client_id=row.application.name,
        application_uid=row.application.uid,
        enabled=row.enabled,
        mode=Mode(row.mode),
        lines=tuple(Line(each["claim"], each["value"]) for each in row.lines),
        token_seconds=row.token_seconds or 0,
        roles=frozenset(row.roles),
        projects=frozenset(row.projects),
        frozen=row.frozen,
    )
