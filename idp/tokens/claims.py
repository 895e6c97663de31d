"""What a token says: the claims of an application, as of now, and narrowed to what was asked for."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from idp.access import HeldRole
from idp.applications import KnownApplication
from idp.errors import IdpError
from idp.realms import KnownRealm

LONGEST_SCOPE = 2_000
"""Characters of a `scope` parameter that are looked at."""

PROJECT_SCOPE = "project:"

SERVICE_ACCOUNT = "service-account-"
"""How the `preferred_username` of an application begins. No application and no user is called so."""

LONGEST_CLAIMS = 5_500
"""Characters of an access token's claims, so that the token stays under 8,000 and fits a header of 8 KB with its name."""

MOST_TEMPLATES = 50
"""Different requests of one application that are remembered."""

_IGNORED_SCOPES = frozenset(
    {
        # OpenID Connect Core §5.4 and §11
        "profile", "email", "address", "phone", "offline_access",
        # what clients that were set up for Keycloak ask for
        "roles", "groups", "web-origins", "microprofile-jwt", "acr", "basic", "service_account",
    }
)  # fmt: skip
"""Scopes that client libraries ask for by habit and that give a program nothing; they are left out of what is granted."""

_LONGEST_NAMED = 60
"""Characters of an unknown scope that the answer repeats."""

_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
"""RFC 6749 §3.3."""


class ScopeError(IdpError):
    """A scope was asked for that cannot be granted."""


class TargetError(IdpError):
    """A token was asked for an audience that the application may not address (RFC 8707 §2)."""


class TokenTooLargeError(IdpError):
    """The grants of the application do not fit a token."""


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What a request wants less of than it could have."""

    scope: str
    """The granted scope values, in the order asked, joined with spaces; empty when none were asked for."""
    openid: bool
    projects: frozenset[str]
    """Names of the only projects to name in the token; empty for all."""
    audience: str
    """The only audience; empty for all."""


FULL = Narrowing("", openid=False, projects=frozenset(), audience="")


@dataclass(frozen=True, slots=True)
class Profile:
    """The claims of an application that do not change from token to token."""

    access: dict[str, Any]
    id: dict[str, Any]
    project_names: frozenset[str]
    valid_until: float
    """When the next of its grants ends (seconds since 1970)."""


def profile_of(realm: KnownRealm, application: KnownApplication, now: float) -> Profile:
    """Return the unchanging claims, worked out once and kept with the application until a grant ends or it changes."""
    profile: Profile | None = application.memo.get("profile")
    if profile is None or now >= profile.valid_until:
        profile = application.memo["profile"] = _profile(realm, application, now)
    return profile


@dataclass(frozen=True, slots=True)
class Held:
    """Roles as tokens carry them.

    Beside the roles of the realm, and of each project, `ends` tells of those that end when (seconds since 1970): a token
    outlives them, and whoever checks it looks there.
    """

    on_realm: dict[str, Any]
    """`roles`, and `ends` where one of them has an end: the value of `realm_access`."""
    projects: list[dict[str, Any]]
    """`uid`, `name`, `roles`, and `ends` where one of them has an end: the value of `projects`."""
    valid_until: float
    """When the next of them ends; infinite if none does."""

    @property
    def roles(self) -> list[str]:
        """The roles on the realm."""
        roles: list[str] = self.on_realm["roles"]
        return roles


def what_is_held(held_roles: Iterable[HeldRole], now: float) -> Held:
    """Return roles as tokens carry them, without those that have ended."""
    held = [each for each in held_roles if now < each.until]
    uids = {each.project: each.project_uid for each in held if each.project}
    projects = [{"uid": uids[name], "name": name, **_with_ends(held, name)} for name in sorted(uids)]
    return Held(_with_ends(held, ""), projects, min((each.until for each in held), default=float("inf")))


def _with_ends(held: Iterable[HeldRole], project: str) -> dict[str, Any]:
    """Return the roles on a project, or on the realm, and the ends of those that have one; held twice, the later counts."""
    until: dict[str, float] = {}
    for each in held:
        if each.project == project:
            until[each.role] = max(until.get(each.role, 0), each.until)
    ends = {role: int(until[role]) for role in sorted(until) if until[role] != float("inf")}
    return {"roles": sorted(until), **({"ends": ends} if ends else {})}


def _profile(realm: KnownRealm, application: KnownApplication, now: float) -> Profile:
    held = what_is_held(application.held_roles, now)
    identity = {
        "iss": realm.issuer,
        "sub": application.uid,
        "azp": application.client_id,
        "preferred_username": SERVICE_ACCOUNT + application.client_id,
    }
    audience = application.audience
    access: dict[str, Any] = identity | {
        "typ": "Bearer",
        "aud": audience[0] if len(audience) == 1 else list(audience),
        "client_id": application.client_id,
        "realm_access": held.on_realm,
        "resource_access": {application.client_id: held.on_realm},
        "projects": held.projects,
    }
    if application.frozen is not None:
        # roles stand in a token by their names: what they permit, and until when, is looked up here, within this limit
        access["limited"] = application.frozen
    return Profile(
        access=access,
        id=identity | {"typ": "ID", "aud": application.client_id},
        project_names=frozenset(project["name"] for project in held.projects),
        valid_until=held.valid_until,
    )


def narrow(
    realm: KnownRealm, application: KnownApplication, profile: Profile, scope: str, resource: str, audience: str
) -> Narrowing:
    """Work out what a request asks for.

    :param scope: the `scope` parameter (RFC 6749 §3.3): `openid`, and `project:<name>` for each project to name.
    :param resource: the `resource` parameter (RFC 8707 §2), empty if absent.
    :param audience: the `audience` parameter (RFC 8693 §2.1, used alike here), empty if absent.
    :raises ScopeError: a scope that is unknown, or a project that the application has no grant on.
    :raises TargetError: an audience that the application does not have.
    """
    if not scope and not resource and not audience:
        return FULL
    granted = requested_scopes(scope, "openid")
    projects = projects_among(granted)
    if not projects <= profile.project_names:
        raise ScopeError("The application has no grant on one of the requested projects. Check the name and the grant.")
    target = _target(realm, application, resource, audience)
    return Narrowing(" ".join(granted), openid="openid" in granted, projects=projects, audience=target)


def requested_scopes(scope: str, *known: str) -> list[str]:
    """Return what a `scope` parameter asks for, each value once, without those that client libraries send by habit.

    :param known: values that mean something here, beside `project:<name>`.
    :raises ScopeError: a value is unknown or malformed; the text names the first unknown one.
    """
    asked = [each for each in dict.fromkeys(_split(scope)) if each not in _IGNORED_SCOPES]
    if unknown := [each for each in asked if each not in known and not each.startswith(PROJECT_SCOPE)]:
        # RFC 6749 §3.3 and §5.2: a scope has no character that error_description could not have
        named = unknown[0] if len(unknown[0]) <= _LONGEST_NAMED else f"{unknown[0][:_LONGEST_NAMED]}..."
        more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
        use = " and ".join([*known, "project:<name>"])
        raise ScopeError(f"The scope {named}{more} is unknown. Known here: {use}, which narrows the token to a project.")
    return asked


def projects_among(scopes: Iterable[str]) -> frozenset[str]:
    """Return the names of the projects that are asked for."""
    return frozenset(each.removeprefix(PROJECT_SCOPE) for each in scopes if each.startswith(PROJECT_SCOPE))


def _split(scope: str) -> Sequence[str]:
    if len(scope) > LONGEST_SCOPE:
        raise ScopeError(f"The scope is longer than {LONGEST_SCOPE} characters.")
    asked = [each for each in scope.split(" ") if each]
    if not all(_SCOPE_TOKEN.fullmatch(each) for each in asked):
        raise ScopeError("The scope contains characters that are not allowed. Separate its values with single spaces.")
    return asked


def may_manage(realm: KnownRealm, application: KnownApplication) -> bool:
    """Tell whether an application may have tokens for this server: it is its audience, or it has none and asks for one."""
    return realm.issuer in application.audience or application.audience == (realm.general_audience,)


def _target(realm: KnownRealm, application: KnownApplication, resource: str, audience: str) -> str:
    if resource and audience and resource != audience:
        raise TargetError("resource and audience name two different targets. Request one token for each.")
    target = resource or audience
    may_address = target in application.audience or (target == realm.issuer and may_manage(realm, application))
    if target and not may_address:
        raise TargetError("The application is not allowed to address this target. Add it to the application's audience.")
    return target


@dataclass(frozen=True, slots=True)
class Template:
    """Everything of a token that does not change from one request to the next like it, written out once."""

    access: str
    """The access token's claims as JSON, without the closing brace."""
    id: str
    """The ID token's likewise; empty when `openid` was not asked for."""
    scope: str
    valid_until: float


def template_for(
    realm: KnownRealm, application: KnownApplication, now: float, *, scope: str, resource: str, audience: str
) -> Template:
    """Return the template for a request, made once and kept with the application while it holds; see `narrow`."""
    key = (scope, resource, audience)
    template: Template | None = application.memo.get(key)
    if template is None or now >= template.valid_until:
        template = _template(realm, application, now, narrow(realm, application, profile_of(realm, application, now), *key))
        if len(application.memo) >= MOST_TEMPLATES:
            application.memo.clear()
        application.memo[key] = template
    return template


def _template(realm: KnownRealm, application: KnownApplication, now: float, narrowing: Narrowing) -> Template:
    profile = profile_of(realm, application, now)
    claims = profile.access.copy()
    if narrowing.scope:
        claims["scope"] = narrowing.scope
    if narrowing.projects:
        claims["projects"] = [each for each in claims["projects"] if each["name"] in narrowing.projects]
    if narrowing.audience:
        claims["aud"] = narrowing.audience
    access = open_json(claims)
    if len(access) > LONGEST_CLAIMS:
        raise TokenTooLargeError(
            f"The application has grants on {len(claims['projects'])} projects, which do not fit in one token. "
            "Name those that are needed: scope=project:<name> project:<name>."
        )
    return Template(
        access=access,
        id=open_json(profile.id) if narrowing.openid else "",
        scope=narrowing.scope,
        valid_until=profile.valid_until,
    )


def open_json(claims: dict[str, Any]) -> str:
    """Return claims as JSON without the closing brace, for the times and the `jti` to be added."""
    return json.dumps(claims, separators=(",", ":"))[:-1]
