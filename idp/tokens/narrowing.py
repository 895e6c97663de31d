"""What a request wants less of than it could have: the parameters `scope`, `resource` and `audience`."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from idp.applications import PROJECT_SCOPE, SCOPES, KnownApplication
from idp.errors import IdpError
from idp.realms import KnownRealm
from idp.tokens.token_roles import TokenRoles

LONGEST_SCOPE = 2_000
"""Characters of a `scope` parameter that are looked at."""

LONGEST_TARGETS = 255
"""Characters of all that one request names by `resource`."""

NOT_ALLOWED = "The application is not allowed to address this target. Add it to the application's audience."

_IGNORED_SCOPES = frozenset(
    {
        # OpenID Connect Core §5.4 and §11
        "profile", "email", "address", "phone", "offline_access",
        # what clients that were set up for Keycloak ask for
        "roles", "groups", "web-origins", "microprofile-jwt", "acr", "basic", "service_account",
    }
)  # fmt: skip # a list of words
"""Scopes that client libraries ask for by habit and that give a program nothing; they are left out of what is granted."""

SIGNAL_SCOPES = ("ssf.read", "ssf.manage")
"""Scopes that narrow a token to receiving security events (CAEP Interoperability Profile §2.6.2): to looking at streams and
taking what is in them, and to setting them up as well."""

_LONGEST_NAMED = 60
"""Characters of an unknown scope that the answer repeats."""

_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
"""RFC 6749 §3.3."""


class ScopeError(IdpError):
    """A scope was asked for that cannot be granted."""


class TargetError(IdpError):
    """A token was asked for an audience that the application may not address (RFC 8707 §2)."""


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What a request wants less of than it could have."""

    scope: str
    """The granted scope values, in the order asked, joined with spaces; empty when none were asked for."""
    openid: bool
    projects: frozenset[str]
    """Names of the only projects to name in the token; empty for all."""
    audience: tuple[str, ...]
    """The only audiences; empty for all."""


FULL = Narrowing("", openid=False, projects=frozenset(), audience=())


def narrow(
    realm: KnownRealm, application: KnownApplication, held: TokenRoles, scope: str, resource: str, audience: str
) -> Narrowing:
    """Work out what a request asks for.

    :param scope: the `scope` parameter (RFC 6749 §3.3): `openid`, `project:<name>` for each project to name, and
        `SIGNAL_SCOPES`.
    :param resource: the `resource` parameters (RFC 8707 §2), with spaces between several; empty if absent.
    :param audience: the `audience` parameter (RFC 8693 §2.1, used alike here), empty if absent.
    :raises ScopeError: a scope that is unknown, or a project that the application has no grant on.
    :raises TargetError: an audience that the application does not have.
    """
    if not scope and not resource and not audience:
        return FULL
    granted = requested_scopes(scope, "openid", *SIGNAL_SCOPES)
    projects = projects_among(granted)
    if not projects <= held.project_names:
        raise ScopeError("The application has no grant on one of the requested projects. Check the name and the grant.")
    target = _target(realm, application, resource, audience)
    return Narrowing(" ".join(granted), openid="openid" in granted, projects=projects, audience=target)


def requested_scopes(scope: str, *known: str) -> list[str]:
    """Return what a `scope` parameter asks for, each value once, without those that client libraries send by habit.

    :param known: values that mean something here, beside `project:<name>`.
    :raises ScopeError: a value is unknown or malformed; the text names the first unknown one.
    """
    asked = [each for each in dict.fromkeys(_split(scope)) if each in known or each not in _IGNORED_SCOPES]
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


def persons_scopes(application: KnownApplication, scope: str) -> list[str]:
    """Return what of a `scope` parameter an application may ask a person for.

    :raises ScopeError: a value is unknown or malformed, or the application may not ask for it.
    """
    asked = requested_scopes(scope, *SCOPES)
    if application.scopes and not application.scopes.issuperset(asked):
        raise ScopeError("The application may not ask for one of these scopes. Add it to the application's scopes.")
    return asked


def persons_roles(held: TokenRoles, scopes: Sequence[str]) -> TokenRoles:
    """Return which roles of a person a token carries: those on the realm and on all projects with the scope `roles`, those on one
    project with `project:<name>`, and none otherwise.

    :raises ScopeError: the person has no role on a project that is asked for.
    """
    if not projects_among(scopes) <= held.project_names:
        raise ScopeError("The person has no role on one of the requested projects.")
    return persons_roles_left(held, scopes)


def persons_roles_left(held: TokenRoles, scopes: Sequence[str]) -> TokenRoles:
    """Return what is left by now of the roles that a token carries: of a project that is lost nothing, and no other instead."""
    projects = projects_among(scopes)
    with_roles = "roles" in scopes
    named = [each for each in held.projects if each["name"] in projects or (with_roles and not projects)]
    return TokenRoles(held.on_realm if with_roles else {"roles": []}, named, held.valid_until)


def carries_roles(scope: str) -> bool:
    """Tell whether a person has let an application act for them, with some of their roles at least."""
    return any(each == "roles" or each.startswith(PROJECT_SCOPE) for each in scope.split())


def persons_targets(realm: KnownRealm, application: KnownApplication, resource: str) -> tuple[str, ...]:
    """Return what an application asks to address for a person (RFC 8707 §2): some of its own audiences, or of those open to all.

    :param resource: see `targets_among`.
    :returns: nothing where that is left open: then a token is for all of its own.
    :raises TargetError: it may not address one of them.
    """
    return targets_among((*application.audience, *realm.open_audiences), resource)


def targets_among(allowed: Collection[str], resource: str) -> tuple[str, ...]:
    """Return which audiences are meant by what a request names, each once, as they are written where they are allowed.

    A URL means the same with and without one slash at its end, unless both are allowed: programs that are given the address of
    an API write it in either way (RFC 3986 §6.2.3). What goes into a token is what verifiers compare with, byte for byte.

    :param resource: the `resource` parameters of a request (RFC 8707 §2), with spaces between several; empty for none.
    :raises TargetError: one of them is not allowed, or there are too many.
    """
    if len(resource) > LONGEST_TARGETS:
        raise TargetError(f"The resources are longer than {LONGEST_TARGETS} characters together. Request one token for each.")
    found = [_meant(allowed, each) for each in resource.split(" ") if each]
    if None in found:
        raise TargetError(NOT_ALLOWED)
    return tuple(dict.fromkeys(each for each in found if each is not None))


def _meant(allowed: Collection[str], asked: str) -> str | None:
    if asked in allowed:
        return asked
    if "://" not in asked or asked.endswith("//"):
        return None
    other = asked.removesuffix("/") if asked.endswith("/") else f"{asked}/"
    return other if other in allowed else None


def may_manage(realm: KnownRealm, application: KnownApplication) -> bool:
    """Tell whether an application may have tokens for this server: it is its audience, or it has none and asks for one."""
    return realm.issuer in application.audience or application.audience == (realm.general_audience,)


def named_targets(allowed: Collection[str], resource: str, audience: str) -> tuple[str, ...]:
    """Return what a request is for that may say so by `resource` and by `audience`, which is one name, compared as a whole.

    :raises TargetError: that is not allowed, or they name different targets.
    """
    targets = targets_among(allowed, resource)
    if audience and audience not in allowed:
        raise TargetError(NOT_ALLOWED)
    if targets and audience and targets != (audience,):
        raise TargetError("resource and audience name two different targets. Request one token for each.")
    return targets or ((audience,) if audience else ())


def _target(realm: KnownRealm, application: KnownApplication, resource: str, audience: str) -> tuple[str, ...]:
    own = (realm.issuer,) if may_manage(realm, application) else ()
    return named_targets((*application.audience, *own), resource, audience)
