"""`idp federation`: programs that are known by the word of an issuer outside, without a secret."""

import sys
from typing import TYPE_CHECKING, Any

import click

from idp.cli.changes import add_update
from idp.cli.lists import limit_option, show_listing
from idp.cli.session import (
    check,
    confirm,
    json_option,
    json_time,
    reads_database,
    realm_option,
    show_json,
    show_table,
    show_time,
    with_database,
)
from idp.cli.sheets import SheetCommand, fields_json, given, sheet_options
from idp.errors import Words, told

if TYPE_CHECKING:
    from idp.realms import Realm


@click.group("federation")
def federation_group() -> None:
    """Admit programs by what their platform signs: GitHub Actions, Kubernetes, GitLab, clouds, SPIFFE. They need no secret.

    \b
    1. idp federation issuers create --realm acme --preset github hub
    2. idp federation rules create --realm acme --issuer hub --application deployer \\
         --line repository_id=4711 --line ref=refs/heads/main deploy-main
    3. idp federation explain --realm acme token.txt       why an assertion is accepted, or not
    """  # noqa: D301 (\b is what click needs here)


@federation_group.group("issuers")
def issuers_group() -> None:
    """List, create, update and delete the issuers that a realm trusts."""


@federation_group.group("rules")
def rules_group() -> None:
    """List, create, update and delete rules: which assertions of an issuer admit which application."""


@federation_group.group("people")
def people_group() -> None:
    """List, link and unlink people whom a trusted issuer knows: whom its grants for people (ID-JAG) are about."""


@people_group.command("list")
@reads_database
@realm_option
@click.option("--issuer", default="", help="Only those whom this trusted issuer knows.")
@click.option("--user", default="", help="Only those who are this user.")
@limit_option
@json_option
def list_people(realm: "Realm", issuer: str, user: str, limit: int | None, as_json: bool) -> None:
    """List whom the subjects of trusted issuers stand for, newest first."""
    from idp import federation

    show_listing(
        federation.people_listing(realm, issuer=issuer, user=user),
        to_json=_person,
        row=_person,
        empty="Nobody is linked. Link somebody with: idp federation people link",
        as_json=as_json,
        limit=limit,
        order="created",
        descending=True,
    )


@people_group.command("link")
@click.argument("issuer")
@click.argument("subject")
@click.argument("user")
@with_database
@realm_option
def link(realm: "Realm", issuer: str, subject: str, user: str) -> None:
    """Say that SUBJECT of the trusted issuer ISSUER is USER.

    \b
    Example:
      idp federation people link --realm acme okta 00u1a2b3c4 ann@acme.example
    """  # noqa: D301 (\b is what click needs here)
    from idp import federation
    from idp.db import commit

    row = federation.link_person(realm, issuer, subject, user)
    commit()
    click.echo(f"{subject} of {row.issuer.name} is {row.user.name} ({row.uid}).")


@people_group.command("unlink")
@click.argument("uid")
@with_database
@realm_option
def unlink(realm: "Realm", uid: str) -> None:
    """Have the subject with the link UID stand for nobody. What was issued by the link ends with it."""
    from idp import federation
    from idp.db import commit

    federation.unlink_person(realm, uid)
    commit()
    click.echo(f"Unlinked {uid}.")


def _person(row: Any) -> dict[str, str]:
    return {
        "uid": row.uid,
        "issuer": row.issuer.name,
        "subject": row.subject,
        "user": row.user.name,
        "created_at": json_time(row.created_at) or "",
    }


@federation_group.command("presets")
@json_option
def presets(as_json: bool) -> None:
    """List what is known beforehand of issuers: their address, and the claims that a rule has to pin."""
    from idp.federation import PRESETS

    if as_json:
        show_json(
            [
                {
                    "name": name,
                    "title": each.title,
                    "issuer": each.issuer,
                    "pins": list(each.pins),
                    "replay": each.replay,
                    "longest_age_seconds": each.longest_age,
                    "longest_life_seconds": each.longest_life,
                }
                for name, each in PRESETS.items()
            ]
        )
        return
    rows = [
        {
            "preset": name,
            "for": each.title,
            "issuer": each.issuer or "-",
            "a rule pins one of": ", ".join(each.pins) or "any claim",
        }
        for name, each in PRESETS.items()
    ]
    show_table(rows, "")


@issuers_group.command("list")
@reads_database
@realm_option
@click.option("--name", default="", help="Only issuers whose name or URL contains this.")
@limit_option
@json_option
def list_issuers(realm: "Realm", name: str, limit: int | None, as_json: bool) -> None:
    """List trusted issuers by name, with how old their keys are."""
    from idp import federation

    show_listing(
        federation.issuer_listing(realm, containing=name),
        to_json=_issuer_json,
        row=_issuer_row,
        empty="No issuer is trusted. Trust one with: idp federation issuers create",
        as_json=as_json,
        limit=limit,
        order="name",
    )


@issuers_group.command("create", cls=SheetCommand)
@click.argument("name")
@with_database
@realm_option
@sheet_options("idp.federation:TrustedIssuerSheet")
@json_option
def create_issuer(realm: "Realm", name: str, as_json: bool, **options: Any) -> None:
    """Trust an issuer, called NAME here. A running server fetches its keys a moment later, unless they are given.

    \b
    Examples:
      idp federation issuers create --realm acme --preset github hub
      idp federation issuers create --realm acme --preset kubernetes --issuer https://kubernetes.default.svc \\
        --key-source uploaded --jwks keys.json cluster
    """  # noqa: D301 (\b is what click needs here)
    from idp import federation
    from idp.db import commit

    sheet = federation.TrustedIssuerSheet.read(given(federation.TrustedIssuerSheet, options))
    row = federation.create_issuer(realm, name, sheet)
    commit()
    if as_json:
        show_json(_issuer_json(row))
        return
    click.echo(f"{realm.name} trusts {row.issuer} as {name}. Say which of its programs are admitted: idp federation rules create")


add_update(
    issuers_group,
    "trusted issuer",
    "idp.federation:TrustedIssuerSheet",
    ("get_issuer", "update_issuer"),
    "--longest-age-seconds 300 hub",
    within="federation",
)


@issuers_group.command("refresh")
@click.argument("name")
@with_database
@realm_option
def refresh(realm: "Realm", name: str) -> None:
    """Have a running server fetch the keys of NAME anew, a moment later."""
    from idp import federation
    from idp.db import commit

    federation.refresh_issuer(realm, federation.get_issuer(realm, name))
    commit()
    click.echo(f"The keys of {name} are fetched in a moment. `idp federation issuers list` shows when they were.")


@issuers_group.command("delete")
@click.argument("name")
@with_database
@realm_option
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def delete_issuer(realm: "Realm", name: str, yes: bool) -> None:
    """Stop trusting NAME, which no rule may be about any more."""
    from idp import federation
    from idp.db import commit

    issuer = federation.get_issuer(realm, name)
    if not yes:
        confirm(f"Stop trusting {issuer.issuer}?")
        issuer = federation.get_issuer(realm, name)
    federation.delete_issuer(realm, issuer)
    commit()
    click.echo(f"{realm.name} does not trust {name} any more.")


@rules_group.command("list")
@reads_database
@realm_option
@click.option("--name", default="", help="Only rules whose name or description contains this.")
@click.option("--issuer", default="", help="Only rules about this trusted issuer.")
@click.option("--application", default="", help="Only rules that admit this application.")
@limit_option
@json_option
def list_rules(realm: "Realm", name: str, issuer: str, application: str, limit: int | None, as_json: bool) -> None:
    """List rules by name."""
    from idp import federation

    show_listing(
        federation.rule_listing(realm, containing=name, issuer=issuer, application=application),
        to_json=_rule_json,
        row=_rule_row,
        empty="There are no rules. Create one with: idp federation rules create",
        as_json=as_json,
        limit=limit,
        order="name",
    )


_line_option = click.option(
    "--line", "texts", multiple=True, metavar="CLAIM=VALUE", help="What a claim has to be; may be repeated, and all have to hold."
)


@rules_group.command("create", cls=SheetCommand)
@click.argument("name")
@with_database
@realm_option
@_line_option
@sheet_options("idp.federation:FederationRuleSheet", without={"lines"})
@json_option
def create_rule(realm: "Realm", name: str, texts: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Create a rule called NAME: which assertions of an issuer admit which application.

    In a value, * stands for anything within one component: it crosses neither / nor :.

    \b
    Example:
      idp federation rules create --realm acme --issuer hub --application deployer \\
        --line repository_id=4711 --line "ref=refs/heads/release-*" deploy-releases
    """  # noqa: D301 (\b is what click needs here)
    from idp import federation
    from idp.db import commit

    wanted = given(federation.FederationRuleSheet, options) | {"lines": _lines(texts)}
    row = federation.create_rule(realm, name, federation.FederationRuleSheet.read(wanted), frozen=None)
    commit()
    if as_json:
        show_json(_rule_json(row))
        return
    click.echo(f"Assertions of {row.issuer.name} that match {name} admit {row.application.name}.")
    if warning := federation.weakness_of(row.issuer, row.lines):
        click.echo(f"Warning: {warning}", err=True)


@rules_group.command("update", cls=SheetCommand)
@click.argument("name")
@with_database
@realm_option
@_line_option
@sheet_options("idp.federation:FederationRuleSheet", without={"lines", "issuer", "application"}, empties=True)
def update_rule(realm: "Realm", name: str, texts: tuple[str, ...], empty: tuple[str, ...], **options: Any) -> None:
    """Update the rule NAME; options that you leave out keep their values. Lines are replaced together.

    \b
    Example:
      idp federation rules update --realm acme --mode audit deploy-main
    """  # noqa: D301 (\b is what click needs here)
    from idp import federation
    from idp.cli.sheets import changes, named_options
    from idp.db import commit

    sheet = federation.FederationRuleSheet
    said = options | ({"lines": tuple(_lines(texts))} if texts else {})
    wanted = changes(sheet, said, empty, command="idp federation rules update")
    row = federation.get_rule(realm, name)
    federation.update_rule(realm, row, sheet.of(row).changed(wanted), frozen=row.frozen)
    commit()
    click.echo(f"Updated rule {name}: {named_options(wanted)}.")


@rules_group.command("delete")
@click.argument("name")
@with_database
@realm_option
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def delete_rule(realm: "Realm", name: str, yes: bool) -> None:
    """Delete the rule NAME: nothing is admitted by it from then on."""
    from idp import federation
    from idp.db import commit

    rule = federation.get_rule(realm, name)
    if not yes:
        confirm(f"Delete rule {name}? {rule.application.name} is not admitted by it any more.")
        rule = federation.get_rule(realm, name)
    federation.delete_rule(realm, rule)
    commit()
    click.echo(f"Deleted rule {name}.")


@federation_group.command("explain")
@click.argument("file", type=click.File())
@reads_database
@realm_option
@click.option("--client-id", default="", help="The application that the request would name.")
@json_option
def explain(realm: "Realm", file: Any, client_id: str, as_json: bool) -> None:
    """Tell what would become of the assertion in FILE (- for standard input), rule by rule and line by line.

    It is neither kept nor used up, and never an argument, which every user of the machine could see.

    \b
    Example:
      curl -sH "Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" "$ACTIONS_ID_TOKEN_REQUEST_URL" | jq -r .value \\
        | idp federation explain --realm acme -
    """  # noqa: D301 (\b is what click needs here)
    from idp import federation, realms, runtime
    from idp.errors import NotFoundError
    from idp.jose import MAX_TOKEN

    assertion = file.read(MAX_TOKEN + 1).strip()
    check(assertion and len(assertion) <= MAX_TOKEN, f"An assertion has 1 to {MAX_TOKEN:,} characters.")
    known = realms.known_realm(runtime.current(), realm.name)
    if known is None:
        raise NotFoundError(f"There is no realm {realm.name!r}.")
    explained = federation.explain(known, assertion, client_id=client_id)
    if as_json:
        show_json(_explanation_json(explained))
    else:
        _show_explanation(explained)
    if explained.verdict.admitted is None:
        sys.exit(1)


def _show_explanation(explained: Any) -> None:
    found = explained.verdict
    if found.issuer is not None:
        click.echo(f"Issuer: {found.issuer.name} ({found.issuer.issuer})")
    for each in explained.rules:
        state = f"mode {each.rule.mode}" if each.rule.enabled else f"mode {each.rule.mode}, disabled"
        matches = "matches" if each.matches else "does not match"
        click.echo(f"Rule {each.rule.name} for {each.rule.client_id} ({state}): {matches}")
        for line in each.lines:
            said = " or ".join(repr(value[:200]) for value in line.found[:5]) or "nothing"
            click.echo(
                f"  {'ok  ' if line.holds else 'FAIL'}  {line.line.claim} = {line.line.value!r}: the assertion says {said}"
            )
    if explained.left_out:
        click.echo(
            f"Rules of this issuer that are not shown: {explained.left_out}. Those of them that can match were looked at, too."
        )
    if found.admitted is not None:
        click.echo(f"Admitted as {found.admitted.client_id}, by rule {found.admitted.name}.")
    else:
        click.echo(f"Refused: {told(found.problem, Words())}")
    if explained.caveat:
        click.echo(told(explained.caveat, Words()))


def _explanation_json(explained: Any) -> dict[str, Any]:
    found = explained.verdict
    return {
        "admitted": found.admitted is not None,
        "problem": told(found.problem, Words()),
        "caveat": told(explained.caveat, Words()),
        "application": found.admitted.client_id if found.admitted is not None else None,
        "rule": found.admitted.name if found.admitted is not None else None,
        "issuer": found.issuer.name if found.issuer is not None else None,
        "subject": found.subject,
        "rules": [
            {
                "name": each.rule.name,
                "application": each.rule.client_id,
                "mode": each.rule.mode.value,
                "enabled": each.rule.enabled,
                "matches": each.matches,
                "lines": [
                    {"claim": line.line.claim, "value": line.line.value, "holds": line.holds, "found": list(line.found)}
                    for line in each.lines
                ],
            }
            for each in explained.rules
        ],
        "rules_left_out": explained.left_out,
    }


def _lines(texts: tuple[str, ...]) -> list[Any]:
    from idp.federation import LineSheet

    found = []
    for text in texts:
        claim, equals, value = text.partition("=")
        check(equals and claim, f"{text[:80]!r} is not --line CLAIM=VALUE.")
        found.append(LineSheet(claim=claim, value=value))
    return found


def _issuer_json(row: Any) -> dict[str, Any]:
    from idp import clock, federation

    return {
        "uid": row.uid,
        "name": row.name,
        **fields_json(federation.TrustedIssuerSheet, row),
        "state": row.state(clock.now()).value,
        "keys": len(row.keys),
        "keys_fetched_at": json_time(row.fetched_at),
        "problem": row.fetch_error,
        "rules": federation.count_rules(row),
        "created_by": row.created_by,
        "created_at": json_time(row.created_at),
        "updated_at": json_time(row.updated_at),
    }


def _issuer_row(row: Any) -> dict[str, str]:
    from idp import clock

    return {
        "name": row.name,
        "issuer": row.issuer,
        "preset": row.preset,
        "state": row.state(clock.now()).value,
        "keys": str(len(row.keys)),
        "keys fetched": show_time(row.fetched_at) if row.is_fetched else "uploaded",
        "problem": row.fetch_error or "-",
    }


def _rule_json(row: Any) -> dict[str, Any]:
    from idp import federation

    return {
        "uid": row.uid,
        "name": row.name,
        **fields_json(federation.FederationRuleSheet, row, without={"lines"}),
        "lines": row.lines,
        "warning": str(federation.weakness_of(row.issuer, row.lines)),
        "created_by": row.created_by,
        "created_at": json_time(row.created_at),
        "updated_at": json_time(row.updated_at),
    }


def _rule_row(row: Any) -> dict[str, str]:
    lines = ", ".join(f"{line['claim']}={line['value']}" for line in row.lines)
    return {
        "name": row.name,
        "issuer": row.issuer.name,
        "application": row.application.name,
        "mode": row.mode if row.enabled else "disabled",
        "lines": lines,
    }
