"""Trusted issuers and rules: made, changed, deleted."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Select, func, or_, select, update

from idp import access, applications, audit, clock, feed, recall, runtime
from idp.access import Frozen
from idp.applications import Application
from idp.db import db, holds, is_meant
from idp.errors import ConflictError, InvalidValueError, NotFoundError, Sentence
from idp.federation.conditions import NO_SUBJECT, check_lines
from idp.federation.fetching import usable_keys
from idp.federation.known import CACHED_ISSUERS, CACHED_RULES, pin_of
from idp.federation.models import FederatedPerson, FederationRule, KeySource, Mode, TrustedIssuer
from idp.federation.presets import PRESETS, Preset
from idp.federation.sheet import FederationRuleSheet, TrustedIssuerSheet
from idp.outbound import OutboundError
from idp.paging import Listing
from idp.realms import Realm, check_name, lock_realm

MOST_ISSUERS = 100
"""Trusted issuers of a realm: each worker keeps all of them in memory."""

MOST_PIN_CLAIMS = 20
"""Different claims that the rules of an issuer pin: each is looked at in each assertion."""

SPIFFE = "spiffe://"


def create_issuer(realm: Realm, name: str, sheet: TrustedIssuerSheet) -> TrustedIssuer:
    """Have a realm trust an issuer. Its keys are fetched a moment later, unless they were uploaded.

    :raises ConflictError: the name or the issuer is taken, or there are too many.
    :raises InvalidValueError: a value is not usable.
    """
    check_name("a trusted issuer", name)
    values = issuer_values(sheet)
    _refuse_own(values["issuer"])
    lock_realm(realm.name)  # nobody makes it between here and there
    if db.session.scalar(_by_name(TrustedIssuer, realm, name)) is not None:
        raise ConflictError(Sentence("{Realm} already has a trusted issuer {name!r}.", realm=realm.name, name=name), field="name")
    _refuse_known(realm, values["issuer"])
    if (db.session.scalar(select(func.count()).where(TrustedIssuer.realm_id == realm.id)) or 0) >= MOST_ISSUERS:
        raise ConflictError(f"An organisation can trust at most {MOST_ISSUERS} issuers.")
    issuer = TrustedIssuer(realm_id=realm.id, name=name, created_by=audit.current_actor().name, **values)
    db.session.add(issuer)
    db.session.flush()
    audit.record(audit.Tag.TRUSTED_ISSUER_CREATE, realm.name, f"trusted-issuer:{name}", **_told(values))
    feed.publish(CACHED_ISSUERS, realm.name)
    return issuer


def update_issuer(realm: Realm, issuer: TrustedIssuer, sheet: TrustedIssuerSheet) -> None:
    """Change a trusted issuer to what a sheet says. Its keys are fetched anew if they come from elsewhere now.

    :raises ConflictError: another is called so.
    :raises InvalidValueError: a value is not usable, or cannot be changed.
    """
    if sheet.preset != issuer.preset:
        raise InvalidValueError(
            "The preset of a trusted issuer cannot be changed: its rules were checked against it.", field="preset"
        )
    values = issuer_values(sheet)
    changes = {name: value for name, value in values.items() if getattr(issuer, name) != value}
    if not changes:
        return
    if "issuer" in changes:
        _refuse_own(values["issuer"])
        _refuse_known(realm, values["issuer"])
        _refuse_used(issuer)
    former = issuer.issuer
    for name, value in changes.items():
        setattr(issuer, name, value)
    if changes.keys() & {"issuer", "key_source", "jwks_url"}:
        # what was fetched is of somebody else
        issuer.fetched_keys, issuer.fetched_at, issuer.fetch_error, issuer.failing_since = [], None, "", None
        issuer.fetch_at = clock.now()
    issuer.updated_at = clock.now()
    if not issuer.enabled or changes.keys() & {"issuer", "key_source", "jwks_url", "jwks"}:
        # whoever had the keys of before may have admitted whom they liked
        recall.withdraw(realm.name, recall.Kind.ISSUER, former)
    audit.record(audit.Tag.TRUSTED_ISSUER_UPDATE, realm.name, f"trusted-issuer:{issuer.name}", **_told(changes))
    feed.publish(CACHED_ISSUERS, realm.name)


def delete_issuer(realm: Realm, issuer: TrustedIssuer) -> None:
    """Delete a trusted issuer that no rule is about.

    :raises ConflictError: rules are.
    """
    if count := count_rules(issuer):
        raise ConflictError(Sentence("The issuer still has rules: {count}. Delete them first.", count=count))
    db.session.delete(issuer)
    recall.withdraw(realm.name, recall.Kind.ISSUER, issuer.issuer)
    audit.record(audit.Tag.TRUSTED_ISSUER_DELETE, realm.name, f"trusted-issuer:{issuer.name}", issuer=issuer.issuer)
    feed.publish(CACHED_ISSUERS, realm.name)


def count_rules_by_issuer(realm: Realm) -> dict[int, int]:
    """Return how many rules are about each trusted issuer that any is about, by its row number."""
    query = select(FederationRule.issuer_id, func.count()).where(FederationRule.realm_id == realm.id)
    return {row[0]: row[1] for row in db.session.execute(query.group_by(FederationRule.issuer_id))}


def vouches_for(application: Application) -> bool:
    """Tell whether any rule that counts, of an issuer that does, admits an application."""
    query = select(FederationRule.id).where(
        FederationRule.application_id == application.id,
        FederationRule.enabled.is_(True),
        FederationRule.mode == Mode.ENFORCE,
        FederationRule.issuer.has(TrustedIssuer.enabled.is_(True)),
    )
    return db.session.scalar(query.limit(1)) is not None


def refresh_issuer(realm: Realm, issuer: TrustedIssuer) -> None:
    """Have the keys of an issuer fetched a moment later.

    :raises ConflictError: they were uploaded.
    """
    if issuer.key_source == KeySource.UPLOADED:
        raise ConflictError("The keys of this issuer were uploaded: upload others instead.")
    db.session.execute(update(TrustedIssuer).where(TrustedIssuer.id == issuer.id).values(fetch_at=clock.now()))
    audit.record(audit.Tag.TRUSTED_ISSUER_UPDATE, realm.name, f"trusted-issuer:{issuer.name}", refreshed=True)


def get_issuer(realm: Realm, named: str) -> TrustedIssuer:
    """Return a trusted issuer by uid or name.

    :raises NotFoundError: there is none.
    """
    issuer: TrustedIssuer | None = db.session.scalar(_meant(TrustedIssuer, realm, named))
    if issuer is None:
        raise NotFoundError(Sentence("{Realm} has no trusted issuer {name!r}.", realm=realm.name, name=named[:80]))
    return issuer


def list_issuers(realm: Realm) -> Sequence[TrustedIssuer]:
    """Return the trusted issuers of a realm by name."""
    return db.session.scalars(select(TrustedIssuer).where(TrustedIssuer.realm_id == realm.id).order_by(TrustedIssuer.name)).all()


def count_rules(issuer: TrustedIssuer) -> int:
    """Return how many rules are about a trusted issuer."""
    return db.session.scalar(select(func.count()).where(FederationRule.issuer_id == issuer.id)) or 0


def issuer_listing(realm: Realm, *, containing: str = "") -> Listing:
    """Return trusted issuers as a list in pages.

    :param containing: only those whose name or issuer contains this, ignoring case.
    """
    query = select(TrustedIssuer).where(TrustedIssuer.realm_id == realm.id)
    if containing:
        query = query.where(or_(holds(TrustedIssuer.name, containing), holds(TrustedIssuer.issuer, containing)))
    return Listing(query, TrustedIssuer.id, {"name": TrustedIssuer.name, "changed": TrustedIssuer.updated_at})


def create_rule(realm: Realm, name: str, sheet: FederationRuleSheet, *, frozen: Frozen | None) -> FederationRule:
    """Have the assertions of an issuer admit an application.

    :param frozen: what its tokens carry at the most; None for all that the application holds. See `access.freeze`.
    :raises ConflictError: the name is taken.
    :raises InvalidValueError: a value is not usable, or no line pins an owner.
    :raises NotFoundError: it names an issuer, an application, a role or a project that the realm does not have.
    """
    check_name("a rule", name)
    issuer, application = get_issuer(realm, sheet.issuer), applications.get_application(realm, sheet.application)
    lock_realm(realm.name)
    if db.session.scalar(_by_name(FederationRule, realm, name)) is not None:
        raise ConflictError(Sentence("{Realm} already has a rule {name!r}.", realm=realm.name, name=name), field="name")
    rule = FederationRule(
        realm_id=realm.id,
        issuer_id=issuer.id,
        application_id=application.id,
        name=name,
        created_by=audit.current_actor().name,
        frozen=frozen,
        **_checked_rule(realm, issuer, sheet),
    )
    db.session.add(rule)
    db.session.flush()
    audit.record(
        audit.Tag.FEDERATION_RULE_CREATE,
        realm.name,
        f"application:{application.name}",
        rule=name,
        issuer=issuer.name,
        lines=rule.lines,
    )
    _publish(realm)
    return rule


def update_rule(realm: Realm, rule: FederationRule, sheet: FederationRuleSheet, *, frozen: Frozen | None) -> None:
    """Change a rule to what a sheet says.

    :param frozen: see `create_rule`.
    :raises InvalidValueError: a value is not usable, or cannot be changed.
    :raises NotFoundError: it names a role or a project that the realm does not have.
    """
    issuer, application = rule.issuer, rule.application
    if (sheet.issuer, sheet.application) != (issuer.name, application.name):
        raise InvalidValueError("The issuer and application of a rule cannot be changed. Make another rule.", field="application")
    values = _checked_rule(realm, issuer, sheet) | {"frozen": frozen}
    changes = {name: value for name, value in values.items() if getattr(rule, name) != value}
    if not changes:
        return
    for name, value in changes.items():
        setattr(rule, name, value)
    rule.updated_at = clock.now()
    if not rule.enabled or rule.mode == Mode.AUDIT:
        recall.withdraw(realm.name, recall.Kind.RULE, rule.name)
    audit.record(
        audit.Tag.FEDERATION_RULE_UPDATE, realm.name, f"application:{application.name}", rule=rule.name, **_told(changes)
    )
    _publish(realm)


def delete_rule(realm: Realm, rule: FederationRule) -> None:
    """Delete a rule: nothing is admitted by it from then on, and tokens of what was are over."""
    application = rule.application
    db.session.delete(rule)
    recall.withdraw(realm.name, recall.Kind.RULE, rule.name)
    audit.record(audit.Tag.FEDERATION_RULE_DELETE, realm.name, f"application:{application.name}", rule=rule.name)
    _publish(realm)


def get_rule(realm: Realm, named: str) -> FederationRule:
    """Return a rule by uid or name.

    :raises NotFoundError: there is none.
    """
    rule: FederationRule | None = db.session.scalar(_meant(FederationRule, realm, named))
    if rule is None:
        raise NotFoundError(Sentence("{Realm} has no federation rule {name!r}.", realm=realm.name, name=named[:80]))
    return rule


def list_rules(realm: Realm) -> Sequence[FederationRule]:
    """Return the rules of a realm by name."""
    return db.session.scalars(
        select(FederationRule).where(FederationRule.realm_id == realm.id).order_by(FederationRule.name)
    ).all()


def rule_listing(realm: Realm, *, containing: str = "", issuer: str = "", application: str = "") -> Listing:
    """Return rules as a list in pages.

    :param containing: only those whose name or description contains this, ignoring case.
    :param issuer: only those of the trusted issuer of this name.
    :param application: only those that admit the application of this name.
    """
    query = select(FederationRule).where(FederationRule.realm_id == realm.id)
    if containing:
        query = query.where(or_(holds(FederationRule.name, containing), holds(FederationRule.description, containing)))
    if issuer:
        query = query.where(FederationRule.issuer.has(TrustedIssuer.name == issuer))
    if application:
        query = query.where(FederationRule.application.has(Application.name == application))
    return Listing(query, FederationRule.id, {"name": FederationRule.name, "changed": FederationRule.updated_at})


def weakness_of(issuer: TrustedIssuer, lines: Sequence[dict[str, str]]) -> str:
    """Return why somebody else might come to match the lines of a rule one day; empty if nothing is known against them."""
    pins = PRESETS[issuer.preset].pins  # type: ignore[index]  # what was stored was checked
    if pins or any(line["claim"] == "sub" and "*" not in line["value"] for line in lines):
        return ""
    return NO_SUBJECT


def issuer_values(sheet: TrustedIssuerSheet) -> dict[str, Any]:
    """Return what a sheet makes of a trusted issuer, by the names of the columns.

    :raises InvalidValueError: a value is not usable, or does not go with another.
    """
    preset = PRESETS[sheet.preset]
    values = sheet.model_dump() | {"issuer": sheet.issuer or preset.issuer}
    _check_issuer(values["issuer"], preset)
    source = KeySource(sheet.key_source)
    if source is KeySource.DISCOVERY and not _is_https(values["issuer"]):
        raise InvalidValueError(
            "Only an issuer that is an https URL can be discovered: give the keys, or their URL.", field="key_source"
        )
    if (source is KeySource.URL) != bool(sheet.jwks_url) or (sheet.jwks_url and not _is_https(sheet.jwks_url)):
        raise InvalidValueError("An https URL of the key set goes with keys from a URL, and with no others.", field="jwks_url")
    if (source is KeySource.UPLOADED) != (sheet.jwks is not None):
        raise InvalidValueError("A JWK set goes with uploaded keys, and with no others.", field="jwks")
    if sheet.jwks is not None:
        try:
            values["jwks"] = {"keys": usable_keys(sheet.jwks)}
        except OutboundError as error:
            raise InvalidValueError(str(error), field="jwks") from None
    return values


def _refuse_own(issuer: str) -> None:
    if issuer.startswith(runtime.current().settings.issuer("")):
        raise InvalidValueError("An organisation of this server cannot be a trusted issuer.", field="issuer")


def _check_issuer(issuer: str, preset: Preset) -> None:
    if issuer.startswith(SPIFFE):
        domain = issuer.removeprefix(SPIFFE)
        usable = bool(domain) and domain == domain.lower() and domain.replace("-", "").replace(".", "").replace("_", "").isalnum()
    else:
        usable = issuer.isascii() and issuer.isprintable() and " " not in issuer and bool(urlsplit(issuer).hostname)
    if not usable or (preset.title == "SPIFFE") != issuer.startswith(SPIFFE):
        raise InvalidValueError("The issuer must be a URL; for SPIFFE, it is spiffe:// and the trust domain.", field="issuer")


def _is_https(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.hostname) and not parts.username and not parts.fragment


def _refuse_used(issuer: TrustedIssuer) -> None:
    """See that nothing was said of an issuer that would be said of another then: ids mean something there alone."""
    people = db.session.scalar(select(func.count()).where(FederatedPerson.issuer_id == issuer.id)) or 0
    if count_rules(issuer) or people:
        sentence = "The issuer still has rules or people, who would be those of another then. Trust that one under its own name."
        raise ConflictError(sentence, field="issuer")


def _refuse_known(realm: Realm, issuer: str) -> None:
    query = select(TrustedIssuer.name).where(TrustedIssuer.realm_id == realm.id, TrustedIssuer.issuer == issuer)
    if (name := db.session.scalar(query)) is not None:
        raise ConflictError(Sentence("{issuer} is already trusted, as {name!r}.", issuer=issuer[:100], name=name), field="issuer")


def rule_values(sheet: FederationRuleSheet) -> dict[str, Any]:
    """Return what a sheet makes of a rule, by the names of the columns, but for what it is about and for its pin.

    :raises InvalidValueError: a line is not usable.
    """
    try:
        lines = check_lines(sheet.plain_lines)
    except ValueError as error:
        raise InvalidValueError(str(error), field="lines") from None
    return {
        "description": sheet.description,
        "enabled": sheet.enabled,
        "mode": sheet.mode,
        "lines": lines,
        "token_seconds": sheet.token_seconds,
        "roles": sorted(set(sheet.roles)),
        "projects": sorted(set(sheet.projects)),
    }


def _checked_rule(realm: Realm, issuer: TrustedIssuer, sheet: FederationRuleSheet) -> dict[str, Any]:
    """Return the columns of a rule, but for what it is about."""
    values = rule_values(sheet)
    for role in sheet.roles:
        access.get_role(realm, role)
    for project in sheet.projects:
        access.get_project(realm, project)
    pin = _pin(issuer, values["lines"])
    return values | {"pin_claim": pin["claim"], "pin": pin_of(pin["claim"], pin["value"])}


def _pin(issuer: TrustedIssuer, lines: Sequence[dict[str, str]]) -> dict[str, str]:
    """Return the line that a rule is found by.

    :raises InvalidValueError: none has a single value, or none names an owner by an id that is not given to another.
    """
    exact = [line for line in lines if "*" not in line["value"]]
    pins = PRESETS[issuer.preset].pins  # type: ignore[index]  # what was stored was checked
    if pins:
        found = next((line for pin in pins for line in exact if line["claim"] == pin), None)
        if found is None:
            sentence = "A rule needs a line with an exact id ({pins}): others can register a name again, but not an id."
            raise InvalidValueError(Sentence(sentence, pins=", ".join(pins)), field="lines")
        return found
    if not exact:
        raise InvalidValueError("A rule needs a line with an exact value, without *.", field="lines")
    found = next((line for line in exact if line["claim"] == "sub"), exact[0])
    known = set(db.session.scalars(select(FederationRule.pin_claim).where(FederationRule.issuer_id == issuer.id).distinct()))
    if found["claim"] not in known and len(known) >= MOST_PIN_CLAIMS:
        raise ConflictError(f"The rules of an issuer can pin at most {MOST_PIN_CLAIMS} different claims.")
    return found


def _told(values: dict[str, Any]) -> dict[str, Any]:
    """Return what the trail is told of values: of keys, only that they are others."""
    return {name: "replaced" if name == "jwks" else value for name, value in values.items() if name != "frozen"}


def _publish(realm: Realm) -> None:
    feed.publish(CACHED_RULES, f"{realm.name}/*")
    feed.publish(CACHED_ISSUERS, realm.name)  # which know what their rules pin


def _meant(table: Any, realm: Realm, named: str) -> Select[Any]:
    return select(table).where(table.realm_id == realm.id, is_meant(table, named))


def _by_name(table: Any, realm: Realm, name: str) -> Select[Any]:
    return select(table).where(table.realm_id == realm.id, table.name == name)
