"""Personal tokens, as the clients of the IONOS Auth API make and delete them: `/auth/v1/tokens`."""

import functools
import json
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException

from idp import audit, callers, personal_tokens, realms, runtime, users
from idp.api.answers import answer, time
from idp.api.errors import NO_STORE, classify, log_unexpected
from idp.callers import Caller, CredentialError, CredentialKind, DeniedError
from idp.compat.parameters import add_calls, argument, takes
from idp.db import commit, only_read
from idp.errors import ConflictError, InvalidValueError
from idp.personal_tokens import Criteria, PersonalToken
from idp.realms import known_realm
from idp.users import PasswordPurpose
from idp.wire.address import client_address
from idp.wire.credentials import Credentials, Shown, check_origin, read_credentials
from idp.wire.edges import answer_errors

PREFIX = "/auth/v1/tokens"
HARMLESS = ("pretty", "depth")
"""Parameters about the form of an answer, which every call of the contract takes."""

UNAUTHORIZED = "315"
"""The one error code that the contract publishes."""

_ALLOWED = frozenset({CredentialKind.PASSWORD, CredentialKind.SESSION, CredentialKind.PERSONAL_TOKEN})


def register(app: Flask) -> None:
    """Add the URLs below `/auth/v1/tokens` to the application."""
    calls = (
        ("GET", f"{PREFIX}/generate", generate),
        ("GET", PREFIX, list_tokens),
        ("DELETE", PREFIX, delete_tokens),
        ("GET", f"{PREFIX}/<token_id>", get_token),
        ("DELETE", f"{PREFIX}/<token_id>", delete_token),
    )
    add_calls(app, "ionos", calls, harmless=HARMLESS, slash=False)
    answer_errors(app, PREFIX, answer_error)


def _for_people(view: Callable[..., Response]) -> Callable[..., Response]:
    """Find out who calls, by Basic or Bearer, and give the view the `Caller` first. What it changes is committed after it."""

    @functools.wraps(view)
    def called(**arguments: Any) -> Response:
        process = runtime.current()
        process.feed.confirm()
        address = client_address(request.environ, process.settings.trusted_proxies)
        with audit.acting_as(audit.Actor("unauthenticated", address)):
            caller = _identify(address)
        if caller.kind not in _ALLOWED:
            raise DeniedError("Personal tokens are made by people: sign in with user name and password, or use such a token.")
        with audit.acting_as(caller.actor):
            response = view(caller, **arguments)
            commit()
            return response

    return called


def _identify(address: str) -> Caller:
    process = runtime.current()
    credentials = read_credentials(request.environ)
    # `generate` changes something by a GET, and browsers remember passwords that they were asked for
    check_origin(request.environ, process.settings.public_url)
    contract = contract_of_request()
    if credentials.shown is Shown.PASSWORD:
        return _by_password(credentials, contract, address)
    if credentials.shown is not Shown.TOKEN or credentials.by_cookie:
        raise CredentialError
    caller = callers.authenticate_token(process, credentials.value, address)
    if contract is not None and caller.realm.name != contract:
        raise CredentialError
    if request.method == "GET" and not request.path.endswith("/generate"):
        only_read()
        return caller
    return callers.identify_again(caller, credentials.value, lock=caller.realm.name)


def _by_password(credentials: Credentials, contract: str | None, address: str) -> Caller:
    """Return who shows a right password, as they are now; until the commit nobody can change the account."""
    process = runtime.current()
    used = users.use_password(credentials.name, credentials.value, realm=contract, address=address, purpose=PasswordPurpose.CALL)
    realms.lock_realm(used.realm)
    row = users.lock_user(used.user_id)
    process.feed.expire()
    process.feed.confirm()
    realm = known_realm(process, used.realm)
    user = users.known_user(realm, row.uid) if realm is not None and realm.enabled and row is not None else None
    if realm is None or row is None or user is None or row.password_hash != used.password_hash or not row.enabled:
        raise CredentialError
    return Caller(realm, user, user.held_roles, CredentialKind.PASSWORD, "", float("inf"), address)


def contract_of_request() -> str | None:
    """Return the realm whose number the request names; a name that no realm has, if there is no such number."""
    number = request.headers.get("X-Contract-Number")
    if number is None:
        return None
    if not (number.isascii() and number.isdigit() and len(number) <= 10 and int(number) < 2**31):
        raise InvalidValueError("X-Contract-Number takes a number.")
    return realms.find_name_by_contract(int(number)) or ""


def password_caller(act: Callable[[Caller], Response]) -> Response:
    """Do something as who shows a right password, and commit it."""
    process = runtime.current()
    process.feed.confirm()
    address = client_address(request.environ, process.settings.trusted_proxies)
    check_origin(request.environ, process.settings.public_url)
    with audit.acting_as(audit.Actor("unauthenticated", address)):
        caller = _by_password(read_credentials(request.environ), contract_of_request(), address)
    with audit.acting_as(caller.actor):
        response = act(caller)
        commit()
        return response


@takes("ttl")
@_for_people
def generate(caller: Caller) -> Response:
    """Make a token. A GET that changes something, as the contract has it; so no cookie is taken here."""
    text = argument("ttl")
    if text and not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidValueError("ttl takes a number of seconds.")
    seconds = int(text) if text else None
    made_with = caller.credential_id if caller.kind is CredentialKind.PERSONAL_TOKEN else ""
    token = personal_tokens.create_personal_token(caller.realm, caller.user, seconds=seconds, made_with=made_with)
    return answer({"token": token})


@_for_people
def list_tokens(caller: Caller) -> Response:
    """List the caller's tokens, expired ones too."""
    rows = personal_tokens.list_personal_tokens(caller.realm.id, caller.user.id)
    return answer({"tokens": [_shown(row) for row in rows]})


@_for_people
def get_token(caller: Caller, token_id: str) -> Response:
    """Show one of the caller's tokens."""
    return answer(_shown(personal_tokens.get_personal_token(caller.realm.id, caller.user.id, token_id)))


@_for_people
def delete_token(caller: Caller, token_id: str) -> Response:
    """Delete one of the caller's tokens; it is refused everywhere within a second."""
    row = personal_tokens.get_personal_token(caller.realm.id, caller.user.id, token_id)
    personal_tokens.delete_personal_tokens(caller.realm, caller.user.id, Criteria.CURRENT, current=row.uid)
    return answer({"success": True})


@takes("criteria")
@_for_people
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


def answer_error(error: Exception) -> Response:
    """Return the answer to any error in the contract's form."""
    status, _, message, headers = classify(error)
    if status == 500:
        message = log_unexpected(error)
    if status in {400, 409} and not isinstance(error, HTTPException):
        status = 422
    code = UNAUTHORIZED if status == 401 else str(status)
    text = f"Unauthorized. {message}" if status == 401 else message
    body = {"httpStatus": status, "messages": [{"errorCode": code, "message": text}]}
    response = Response(json.dumps(body), status, Headers([*NO_STORE.items(), *headers.items()]), mimetype="application/json")
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Basic realm="tokens", charset="UTF-8"'
    return response
