"""Personal tokens, as the clients of the IONOS Auth API make and delete them: `/auth/v1/tokens`."""

from typing import Any

from flask import Flask, Response, request

from idp import personal_tokens, runtime
from idp.callers import Caller, CredentialKind
from idp.compat.ionos.errors import answer_error
from idp.compat.ionos.signing_in import EVERYWHERE, for_people
from idp.compat.parameters import add_calls, argument, takes
from idp.errors import ConflictError, InvalidValueError
from idp.personal_tokens import Criteria, PersonalToken
from idp.web.answers import answer, time
from idp.web.edges import Edge, Limit, register_edge

PREFIX = "/auth/v1/tokens"


def register(app: Flask) -> None:
    """Add the URLs below `/auth/v1/tokens` to the application."""
    calls = (
        ("GET", f"{PREFIX}/generate", generate),
        ("GET", PREFIX, list_tokens),
        ("DELETE", PREFIX, delete_tokens),
        ("GET", f"{PREFIX}/<token_id>", get_token),
        ("DELETE", f"{PREFIX}/<token_id>", delete_token),
    )
    add_calls(app, "ionos", calls, harmless=EVERYWHERE, slash=False)
    register_edge(app, Edge("compat", (PREFIX,), Limit.BY_RESOURCE, answer_error))


@takes("ttl")
@for_people
def generate(caller: Caller) -> Response:
    """Make a token. A GET that changes something, as the contract has it; so no cookie is taken here."""
    text = request.args.get("ttl")
    if text is not None and not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidValueError("ttl takes a number of seconds.")
    seconds = None if text is None else int(text)
    made_with = caller.credential_id if caller.kind is CredentialKind.PERSONAL_TOKEN else ""
    token = personal_tokens.create_personal_token(caller.realm, caller.user, seconds=seconds, made_with=made_with)
    return answer({"token": token})


@for_people
def list_tokens(caller: Caller) -> Response:
    """List the caller's tokens, expired ones too."""
    rows = personal_tokens.list_personal_tokens(caller.realm.id, caller.user.id)
    return answer({"tokens": [_shown(row) for row in rows]})


@for_people
def get_token(caller: Caller, token_id: str) -> Response:
    """Show one of the caller's tokens."""
    return answer(_shown(personal_tokens.get_personal_token(caller.realm.id, caller.user.id, token_id)))


@for_people
def delete_token(caller: Caller, token_id: str) -> Response:
    """Delete one of the caller's tokens; it is refused everywhere within a second."""
    row = personal_tokens.get_personal_token(caller.realm.id, caller.user.id, token_id)
    personal_tokens.delete_personal_tokens(caller.realm, caller.user.id, Criteria.CURRENT, current=row.uid)
    return answer({"success": True})


@takes("criteria")
@for_people
def delete_tokens(caller: Caller) -> Response:
    """Delete the caller's tokens: all, those that have expired, or the one that is shown."""
    try:
        criteria = Criteria(argument("criteria").upper())
    except ValueError:
        raise InvalidValueError("criteria takes ALL, EXPIRED or CURRENT.") from None
    if criteria is Criteria.CURRENT and caller.kind is not CredentialKind.PERSONAL_TOKEN:
        raise ConflictError("CURRENT takes a call that is made with the token itself.")
    personal_tokens.delete_personal_tokens(caller.realm, caller.user.id, criteria, current=caller.credential_id)
    return answer({"success": True})


def _shown(row: PersonalToken) -> dict[str, Any]:
    return {
        "id": row.uid,
        "href": f"{runtime.current().settings.public_url}{PREFIX}/{row.uid}",
        "createdDate": time(row.created_at),
        "expirationDate": time(row.expires_at),
    }
