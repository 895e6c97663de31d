"""Who may make and change which applications. Who has an application's secret acts as it, so the rules are those of keys."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from idp import access, applications, clock, federation
from idp.applications import NEW_SECRET, Application, ApplicationSecret, ApplicationSheet, SecretSheet
from idp.callers import DeniedError
from idp.db import db
from idp.errors import ConflictError, NotFoundError, Sentence
from idp.rules import grants
from idp.rules.authority import Authority
from idp.rules.delegation import covers, frozen_for, owns_realm, refuse_admitted

READ, WRITE = "applications:read", "applications:write"

FIRST_SECRET = "main"  # noqa: S105 (a name, no secret)


@dataclass(frozen=True)
class NewApplication:
    """What a new application is to be, and to hold."""

    name: str
    sheet: ApplicationSheet = field(default_factory=ApplicationSheet)
    roles: Sequence[str] = ()
    """Roles on the realm."""
    projects: Sequence[tuple[str, str, datetime | None]] = ()
    """Project, role on it, and until when."""
    with_secret: bool = True
    """Whether it gets a first secret: one that a trusted issuer vouches for, or that has a key of its own, needs none."""


def create(authority: Authority, wish: NewApplication) -> tuple[Application, str]:
    """Make an application with what it is to hold, and its first secret, which is returned and shown now or never.

    One that can keep no secret gets none, nor does one that is to have none.

    :raises DeniedError: the caller may not make applications, or not give one of the roles.
    """
    authority.require(WRITE)
    _check_signing_in(authority, wish.sheet)
    _check_claims(authority, {wish.name, *wish.sheet.resources})
    if wish.with_secret or wish.sheet.jwks is not None or wish.sheet.jwks_uri:
        refuse_admitted(authority)
    application = applications.create_application(authority.realm, wish.name, wish.sheet)
    holder = applications.holder_of(application)
    for role in wish.roles:
        grants.give(authority, holder, role)
    for project, role, until in wish.projects:
        grants.give(authority, holder, role, project=project, until=until)
    if wish.roles or wish.projects:
        db.session.flush()
        applications.settle_audience(
            authority.realm, application, authority.caller.realm.runtime.settings.issuer(authority.realm.name)
        )
    if wish.sheet.has_keys:
        applications.limit_public_keys(application, frozen_for(authority, holder))
    if application.is_public or not wish.with_secret:
        return application, ""
    return application, add_secret(authority, application, FIRST_SECRET)[1]


def add_secret(
    authority: Authority, application: Application, name: str, sheet: SecretSheet = NEW_SECRET
) -> tuple[ApplicationSecret, str]:
    """Give an application that the caller may manage one more secret; see `applications.add_secret`.

    Whoever makes it may know it. So it carries what the application holds now, which they could have given, and nothing that it
    is given later by others.
    """
    refuse_admitted(authority)
    frozen = frozen_for(authority, applications.holder_of(application))
    return applications.add_secret(authority.realm, application, name, sheet, frozen=frozen)


def rotate_secrets(authority: Authority, named: str, *, name: str, until: datetime | None) -> tuple[ApplicationSecret, str]:
    """Give an application that the caller may manage one more secret, and let those that it has end; see `add_secret`.

    :param name: of the new one.
    :param until: when the others end at the latest; None retires them now, with the tokens that were fetched with them.
    :returns: the stored secret, and the plain one, which is shown only once.
    :raises ConflictError: it has no secret that works, or one of this name.
    """
    application = manageable(authority, named)
    now = clock.now()
    others = [secret for secret in applications.list_secrets(application) if secret.is_live(now)]
    if not others:
        raise ConflictError(f"Application {application.name!r} has no secret that works, so there is none to rotate.")
    made = add_secret(authority, application, name)
    for secret in others:
        if until is None:
            applications.retire_secret(authority.realm, application, secret.name)
        elif secret.expires_at is None or secret.expires_at > until:
            applications.change_expiry(authority.realm, application, secret, until)
    return made


def can_authenticate(application: Application, *, without: ApplicationSecret | None = None) -> bool:
    """Tell whether an application has any way to show who it is: a secret that works, a key, or the word of a trusted issuer.

    :param without: a secret that does not count, as it is about to go.
    """
    now, gone = clock.now(), without.id if without is not None else None
    secrets = (each for each in applications.list_secrets(application) if each.id != gone)
    return application.has_keys or any(each.is_live(now) for each in secrets) or federation.vouches_for(application)


def visible(authority: Authority, named: str) -> Application:
    """Return an application that the caller may see, by uid or name; any other is not there (T73).

    That is itself, all where the caller may read applications of the realm, and those that hold a role on a project where it may.

    :raises NotFoundError: there is none that the caller may see.
    """
    found = applications.find_application(authority.realm, named)
    if found is None or not sees(authority, found):
        raise NotFoundError("There is no application with this uid or name (not found).").leading_to(
            "list applications", realm=authority.realm.name
        )
    return found


def listed(authority: Authority, project: str = "") -> list[str] | None:
    """Return the names of the only projects whose applications the caller may list; None for all of the realm.

    :param project: the only one that is asked about; empty for all.
    :raises DeniedError: there is none.
    """
    if not project:
        return authority.projects_with(READ)
    authority.require(READ, project)
    return [project]


def sees_all(authority: Authority) -> bool:
    """Tell whether the caller may see every application of the realm."""
    return authority.can(READ)


def check_overview(authority: Authority) -> None:
    """See that the caller may see how all applications of the realm fare.

    :raises DeniedError: they may not.
    """
    authority.require(READ)


def check_creating(authority: Authority) -> None:
    """See that the caller may make applications.

    :raises DeniedError: they may not.
    """
    authority.require(WRITE)


def sees(authority: Authority, application: Application) -> bool:
    """Tell whether the caller may see an application; see `visible`."""
    if authority.is_self(application.uid) or authority.can(READ):
        return True
    held = access.list_grants(authority.realm, holder=applications.holder_of(application))
    projects = {grant.project.name for grant in held if grant.project is not None}
    return any(authority.can(READ, project=project) for project in projects)


def manageable(authority: Authority, name: str) -> Application:
    """Return an application that the caller may change, disable and delete, and whose secrets the caller may make and retire.

    :raises NotFoundError: there is none.
    :raises DeniedError: the caller may not, or the application has permissions that the caller has not.
    """
    authority.require(WRITE)
    application = applications.get_application(authority.realm, name)
    _check_signing_in(authority, ApplicationSheet.of(application))
    if not covers(authority, applications.holder_of(application)):
        raise DeniedError(
            "This application has permissions that the caller does not have: only a caller with all of them can manage it, "
            "for whoever has its secret acts as it."
        )
    return application


def update(authority: Authority, name: str, sheet: ApplicationSheet) -> Application:
    """Change an application that the caller may manage to what a sheet says; see `applications.update_application`.

    :raises DeniedError: the caller may not, or not let it answer for an audience that it has not answered for.
    """
    application = manageable(authority, name)
    _check_signing_in(authority, sheet)
    _check_claims(authority, set(sheet.resources) - set(application.resources))
    known_before = application.jwks, application.jwks_uri
    applications.update_application(authority.realm, application, sheet)
    if (application.jwks, application.jwks_uri) != known_before:
        refuse_admitted(authority)
        # who signs with a key of somebody's choice acts as the application, as who has a secret does
        applications.limit_public_keys(application, frozen_for(authority, applications.holder_of(application)))
    return application


HARMLESS_SCOPES = frozenset({"openid", "profile", "email", "groups", "offline_access"})
"""What an application can ask people for without being able to act for them."""


def _check_signing_in(authority: Authority, sheet: ApplicationSheet) -> None:
    """See that nobody gets hold of what others can do by an application that those others sign in to.

    Whoever chooses where people are sent, or has the secret of where they are, acts with whatever they let it have. So that is
    for those who have everything themselves; for others, an application that asks people first, and can learn who they are only.

    :raises DeniedError: the caller is no administrator of the realm, or only for a while.
    """
    for_people = (
        applications.Kind(sheet.kind) is not applications.Kind.MACHINE or set(sheet.grant_types) & applications.FOR_PEOPLE
    )
    issuer = authority.caller.realm.runtime.settings.issuer(authority.realm.name)
    is_harmless = sheet.consent and sheet.scopes and HARMLESS_SCOPES.issuperset(sheet.scopes) and issuer not in sheet.audience
    if not for_people or is_harmless or owns_realm(authority):
        return
    raise DeniedError(
        Sentence(
            "Only an administrator of the {realm} can manage an application that people sign in to, unless it asks them for "
            "consent and may ask for nothing but the scopes {scopes}.",
            scopes=", ".join(sorted(HARMLESS_SCOPES)),
        )
    )


def _check_claims(authority: Authority, audiences: set[str]) -> None:
    """See that nobody has an application answer for what others' tokens are made for, to introspect and exchange them.

    :raises DeniedError: somebody else's tokens are, and the caller is no administrator of the realm, or only for a while.
    """
    if owns_realm(authority):
        return
    # what is made for no API in particular is made for the issuer, as session tokens are
    issuers = authority.caller.realm.runtime.settings.issuer("")
    taken = sorted(each for each in audiences if each.startswith(issuers) or applications.is_claimed(authority.realm, each))
    if taken:
        sentence = (
            "Tokens are made for {audience!r}: only an administrator of the {realm} can let an application introspect them."
        )
        raise DeniedError(Sentence(sentence, audience=taken[0]))
