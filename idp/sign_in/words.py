"""What people are told that an application wants."""

from collections.abc import Collection, Sequence

from idp.applications import PROJECT_SCOPE

_SCOPES = {
    "profile": "Your name",
    "email": "Your email address",
    "groups": "The groups that you are in",
    "roles": "Your roles, to act with them for you",
    "offline_access": "Stay signed in while you are not there",
}

_CLAIMS = {
    "name": "Your name",
    "given_name": "Your first name",
    "family_name": "Your last name",
    "preferred_username": "The name you sign in with",
    "updated_at": "When your account was last changed",
    "email": "Your email address",
    "email_verified": "Whether your email address has been verified",
    "groups": "The groups that you are in",
    "realm_access": "Your roles",
    "projects": "Your projects",
}


Wish = tuple[str, dict[str, str]]
"""A text in English, and its values."""


def meaning_of_scopes(scopes: Sequence[str], claims: Collection[str]) -> list[Wish]:
    """Return in words what is asked for, each once.

    :param claims: that are asked for by name.
    """
    said = [_SCOPES[scope] for scope in scopes if scope in _SCOPES] + [
        _CLAIMS[claim] for claim in sorted(claims) if claim in _CLAIMS
    ]
    projects = [scope.removeprefix(PROJECT_SCOPE) for scope in scopes if scope.startswith(PROJECT_SCOPE)]
    return [
        ("Who you are: an ID that stays the same", {}),
        *((text, {}) for text in dict.fromkeys(said)),
        *(("Your roles on the project {project}, to act with them for you", {"project": project}) for project in projects),
    ]
