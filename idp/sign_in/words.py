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


def meaning_of_scopes(scopes: Sequence[str], claims: Collection[str]) -> list[str]:
    """Return in words what is asked for, each once.

    :param claims: that are asked for by name.
    """
    said = [_SCOPES[scope] for scope in scopes if scope in _SCOPES]
    said += [
        f"Your roles on the project {scope.removeprefix(PROJECT_SCOPE)}, to act with them for you"
        for scope in scopes
        if scope.startswith(PROJECT_SCOPE)
    ]
    said += [_CLAIMS[claim] for claim in sorted(claims) if claim in _CLAIMS]
    return ["Who you are: an ID that stays the same", *dict.fromkeys(said)]
