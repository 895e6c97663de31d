"""`/v1/federation`: issuers whose word is trusted, which of their programs are admitted as which application, and why not."""

from typing import Literal

from pydantic import Field
from typing_extensions import TypedDict

from idp import clock, federation, rules, runtime
from idp.api.answers import metadata
from idp.api.pages import Page, PageQuery, page
from idp.api.requests import signed_in
from idp.api.schemas import Created, Made, Metadata, Named, Renamed, Schema, Timestamp, Uid
from idp.api.sheets import Spec, changes_in, optional, values_of
from idp.errors import Words, told
from idp.federation import (
    FederatedPerson,
    FederationRule,
    FederationRuleSettings,
    FederationRuleSheet,
    RuleFinding,
    TrustedIssuer,
    TrustedIssuerSettings,
    TrustedIssuerSheet,
)
from idp.jose import MAX_TOKEN
from idp.rules import Authority
from idp.web.answers import time, time_or_none


class NewIssuerSpec(TrustedIssuerSettings, Spec):
    """`spec` of a trusted issuer."""


class NewIssuer(Schema):
    """`POST /v1/federation/issuers`."""

    metadata: Named
    spec: NewIssuerSpec = NewIssuerSpec()


@optional
class IssuerSpecChange(TrustedIssuerSettings, Spec):
    """`spec` of a change: what is left out stays."""


class IssuerChange(Schema):
    """`PATCH /v1/federation/issuers/{uid}`."""

    metadata: Renamed = Renamed()
    spec: IssuerSpecChange = IssuerSpecChange()


class NewRuleSpec(FederationRuleSettings, Spec):
    """`spec` of a rule."""


class NewRule(Schema):
    """`POST /v1/federation/rules`."""

    metadata: Named
    spec: NewRuleSpec


@optional
class RuleSpecChange(FederationRuleSettings, Spec):
    """`spec` of a change: what is left out stays."""


class RuleChange(Schema):
    """`PATCH /v1/federation/rules/{uid}`."""

    metadata: Renamed = Renamed()
    spec: RuleSpecChange = RuleSpecChange()


class Explained(Schema):
    """`POST /v1/federation/explain`."""

    assertion: str = Field(min_length=1, max_length=MAX_TOKEN, repr=False)
    """What a program would send. It is looked at, and neither kept nor used up."""
    clientId: str = Field(default="", max_length=64)
    """The application that the request would name; empty for none."""


class NewPersonSpec(Schema):
    """Whom a subject stands for."""

    issuer: str = Field(max_length=64)
    """Name or uid of a trusted issuer."""
    subject: str = Field(max_length=255)
    """`sub`, as the issuer has it: an id that it never gives to another."""
    user: str = Field(max_length=254)
    """Name or uid of a person."""


class NewPerson(Schema):
    """`POST /v1/federation/people`."""

    read_only = frozenset({"metadata"})

    spec: NewPersonSpec


class PeopleQuery(PageQuery):
    """Which people."""

    issuer: str = Field(default="", max_length=64)
    """Those whom the trusted issuer of this name knows."""
    user: str = Field(default="", max_length=254)
    """Those who are the user of this name."""
    orderBy: Literal["creationTimestamp", "-creationTimestamp"] = "-creationTimestamp"


class IssuerQuery(PageQuery):
    """Which issuers, in which order."""

    name: str = Field(default="", max_length=500)
    """Those whose name or issuer contains this."""
    orderBy: Literal["name", "-name", "changed", "-changed"] = "name"


class RuleQuery(PageQuery):
    """Which rules, in which order."""

    name: str = Field(default="", max_length=200)
    """Those whose name or description contains this."""
    issuer: str = Field(default="", max_length=64)
    """Those of the trusted issuer of this name."""
    application: str = Field(default="", max_length=64)
    """Those that admit the application of this name."""
    orderBy: Literal["name", "-name", "changed", "-changed"] = "name"


class IssuerSpecShown(TrustedIssuerSettings):
    """What a trusted issuer is."""


class IssuerStatus(TypedDict):
    """How a trusted issuer fares."""

    state: Literal["ready", "waiting", "failing", "lost", "disabled"]
    """`waiting` for its first keys; `failing` with its last ones; `lost` when they count no more."""
    keys: int
    keysFetchedAt: Timestamp | None
    keysFetchedNext: Timestamp | None
    problem: str
    """Why the last fetch has failed; empty if it has not."""
    failingSince: Timestamp | None
    rules: int
    audiences: list[str]
    """What its assertions have to be made for: with the default, all that would do."""


class IssuerResource(TypedDict):
    """An issuer that is trusted."""

    metadata: Metadata
    spec: IssuerSpecShown
    status: IssuerStatus


class RuleSpecShown(FederationRuleSettings):
    """What a rule is."""


class RuleStatus(TypedDict):
    """How a rule fares."""

    warning: str
    """What speaks against its lines; empty for nothing."""
    createdBy: str


class RuleResource(TypedDict):
    """Which assertions admit which application."""

    metadata: Metadata
    spec: RuleSpecShown
    status: RuleStatus


class PersonMetadata(TypedDict):
    """Which link it is."""

    uid: Uid
    creationTimestamp: Timestamp


class PersonSpec(TypedDict):
    """Whom a subject stands for."""

    issuer: str
    subject: str
    user: str


class PersonResource(TypedDict):
    """Somebody whom a trusted issuer knows, and who they are here."""

    metadata: PersonMetadata
    spec: PersonSpec


class LineShown(TypedDict):
    """What became of a line of a rule."""

    claim: str
    value: str
    holds: bool
    found: list[str]
    """What the assertion says there; empty for nothing that can be compared."""


class RuleExplained(TypedDict):
    """What became of a rule."""

    name: str
    application: str
    mode: Literal["enforce", "audit"]
    enabled: bool
    """Whether it counts."""
    matches: bool
    """Whether all its lines hold."""
    lines: list[LineShown]


class Explanation(TypedDict):
    """What would become of an assertion."""

    admitted: bool
    problem: str
    """Why it would admit nobody; empty if it would."""
    caveat: str
    """What the application could not have although it would be admitted; empty for nothing."""
    application: str
    rule: str
    issuer: str
    """Name of the trusted issuer; empty for none."""
    subject: str
    rules: list[RuleExplained]
    """Rules of the issuer, those that match first."""
    rulesLeftOut: int
    """How many more it has. Those that can match have been looked at, too."""


@signed_in
def list_issuers(authority: Authority, query: IssuerQuery) -> Page[IssuerResource]:
    """List the trusted issuers of the organisation."""
    rules.federation.check_reading(authority)
    listing = federation.issuer_listing(authority.realm, containing=query.name)
    return page(authority.caller, query, listing, lambda row: _issuer(authority, row), query.orderBy)


@signed_in
def create_issuer(authority: Authority, body: NewIssuer) -> Created[Made]:
    """Have the organisation trust an issuer, as its administrator. Its keys are fetched a moment later, unless they are given."""
    values = values_of(body.spec, TrustedIssuerSheet) | {"description": body.metadata.description or ""}
    row = rules.federation.create_issuer(authority, body.metadata.name, TrustedIssuerSheet.read(values))
    return Created({"uid": row.uid}, f"/v1/federation/issuers/{row.uid}")


@signed_in
def get_issuer(authority: Authority, uid: str) -> IssuerResource:
    """Show a trusted issuer, by uid or name, with how old its keys are."""
    return _issuer(authority, rules.federation.visible_issuer(authority, uid))


@signed_in(current=get_issuer)
def change_issuer(authority: Authority, body: IssuerChange, uid: str) -> None:
    """Update a trusted issuer. If its keys come from elsewhere then, they are fetched anew."""
    issuer = rules.federation.visible_issuer(authority, uid)
    changes = changes_in(body.spec, TrustedIssuerSheet, {"description": body.metadata.description})
    rules.federation.update_issuer(authority, issuer.name, TrustedIssuerSheet.of(issuer).changed(changes))


@signed_in(current=get_issuer)
def delete_issuer(authority: Authority, uid: str) -> None:
    """Delete a trusted issuer that no rule is about."""
    rules.federation.delete_issuer(authority, rules.federation.visible_issuer(authority, uid).name)


@signed_in
def refresh_issuer(authority: Authority, uid: str) -> None:
    """Have the keys of a trusted issuer fetched anew, a moment later."""
    rules.federation.refresh_issuer(authority, rules.federation.visible_issuer(authority, uid).name)


@signed_in
def list_rules(authority: Authority, query: RuleQuery) -> Page[RuleResource]:
    """List the federation rules of the organisation."""
    rules.federation.check_listing(authority, query.application)
    listing = federation.rule_listing(authority.realm, containing=query.name, issuer=query.issuer, application=query.application)
    return page(authority.caller, query, listing, _rule, query.orderBy)


@signed_in
def create_rule(authority: Authority, body: NewRule) -> Created[Made]:
    """Have assertions of a trusted issuer admit an application.

    The tokens carry at most what the application holds now, unless an administrator of the organisation makes the rule.
    """
    values = values_of(body.spec, FederationRuleSheet) | {"description": body.metadata.description or ""}
    row = rules.federation.create_rule(authority, body.metadata.name, FederationRuleSheet.read(values))
    return Created({"uid": row.uid}, f"/v1/federation/rules/{row.uid}")


@signed_in
def get_rule(authority: Authority, uid: str) -> RuleResource:
    """Show a federation rule, by uid or name."""
    return _rule(rules.federation.visible_rule(authority, uid))


@signed_in(current=get_rule)
def change_rule(authority: Authority, body: RuleChange, uid: str) -> None:
    """Update a federation rule."""
    rule = rules.federation.visible_rule(authority, uid)
    changes = changes_in(body.spec, FederationRuleSheet, {"description": body.metadata.description})
    rules.federation.update_rule(authority, rule.name, FederationRuleSheet.of(rule).changed(changes))


@signed_in(current=get_rule)
def delete_rule(authority: Authority, uid: str) -> None:
    """Delete a federation rule: nothing is admitted by it from then on."""
    rules.federation.delete_rule(authority, rules.federation.visible_rule(authority, uid).name)


@signed_in
def list_people(authority: Authority, query: PeopleQuery) -> Page[PersonResource]:
    """List who of the subjects of trusted issuers stands for whom."""
    rules.federation.check_listing_people(authority)
    listing = federation.people_listing(authority.realm, issuer=query.issuer, user=query.user)
    return page(authority.caller, query, listing, _person, query.orderBy)


@signed_in
def link_person(authority: Authority, body: NewPerson) -> Created[Made]:
    """Say whom the subject of a trusted issuer stands for, as an administrator of the organisation.

    Applications can then act for them with a grant of that issuer (Identity Assertion Authorization Grant).
    """
    row = rules.federation.link_person(authority, body.spec.issuer, body.spec.subject, body.spec.user)
    return Created({"uid": row.uid}, f"/v1/federation/people/{row.uid}")


@signed_in
def unlink_person(authority: Authority, uid: str) -> None:
    """Have the subject of a trusted issuer stand for nobody. What was issued by the link ends with it."""
    rules.federation.unlink_person(authority, uid)


@signed_in
def explain(authority: Authority, body: Explained) -> Explanation:
    """Tell what would become of an assertion, rule by rule and line by line. It is neither kept nor used up."""
    explained = rules.federation.explain(authority, body.assertion, body.clientId)
    found = explained.verdict
    return {
        "admitted": found.admitted is not None,
        "problem": told(found.problem, Words()),
        "caveat": told(explained.caveat, Words()),
        "application": found.admitted.client_id if found.admitted is not None else "",
        "rule": found.admitted.name if found.admitted is not None else "",
        "issuer": found.issuer.name if found.issuer is not None else "",
        "subject": found.subject,
        "rules": [_explained(each) for each in explained.rules],
        "rulesLeftOut": explained.left_out,
    }


def _person(row: FederatedPerson) -> PersonResource:
    return {
        "metadata": {"uid": row.uid, "creationTimestamp": time(row.created_at)},
        "spec": {"issuer": row.issuer.name, "subject": row.subject, "user": row.user.name},
    }


def _explained(finding: RuleFinding) -> RuleExplained:
    return {
        "name": finding.rule.name,
        "application": finding.rule.client_id,
        "mode": finding.rule.mode.value,
        "enabled": finding.rule.enabled,
        "matches": finding.matches,
        "lines": [
            {"claim": each.line.claim, "value": each.line.value, "holds": each.holds, "found": list(each.found)}
            for each in finding.lines
        ],
    }


def _issuer(authority: Authority, row: TrustedIssuer) -> IssuerResource:
    return {
        "metadata": metadata(row.uid, row.name, row.created_at, row.updated_at, row.description),
        "spec": IssuerSpecShown.of(row),
        "status": {
            "state": row.state(clock.now()).value,
            "keys": len(row.keys),
            "keysFetchedAt": time_or_none(row.fetched_at),
            "keysFetchedNext": time(row.fetch_at) if row.is_fetched else None,
            "problem": row.fetch_error,
            "failingSince": time_or_none(row.failing_since),
            "rules": federation.count_rules(row),
            "audiences": sorted(federation.audiences_of(row, runtime.current().settings.issuer(authority.realm.name))),
        },
    }


def _rule(row: FederationRule) -> RuleResource:
    return {
        "metadata": metadata(row.uid, row.name, row.created_at, row.updated_at, row.description),
        "spec": RuleSpecShown.of(row),
        "status": {"warning": str(federation.weakness_of(row.issuer, row.lines)), "createdBy": row.created_by},
    }
