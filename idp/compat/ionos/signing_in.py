"""Who calls: by Basic or Bearer, in the contract that a number names."""

import functools
from collections.abc import Callable
from typing import Any

from flask import Response, request

from idp import audit, callers, realms, runtime, users
from idp.callers import Caller, CredentialError, CredentialKind, DeniedError
from idp.compat.calls import View, own_realm, signed_in
from idp.db import commit, only_read
from idp.errors import InvalidValueError
from idp.realms import known_realm
from idp.rules import Authority
from idp.users import PasswordPurpose
from idp.web.address import client_address
from idp.web.calls import identify
from idp.web.credentials import Credentials, Shown, check_origin, read_credentials
from idp.web.possession import shown_binding

EVERYWHERE = ("pretty", "depth", "contractNumber")
"""Parameters that every call of the contract takes: about the form of an answer, and which contract is meant."""

_ALLOWED = frozenset({CredentialKind.PASSWORD, CredentialKind.SESSION, CredentialKind.PERSONAL_TOKEN})


def for_people(view: Callable[..., Response]) -> Callable[..., Response]:
    """Find out who calls, by Basic or Bearer, and give the view the `Caller` first. What it changes is committed after it."""

    @functools.wraps(view)
    def called(**arguments: Any) -> Response:
        process = runtime.current()
        process.feed.confirm()
        address = client_address(request.environ, process.settings.trusted_proxies)
        with audit.acting_as(audit.Actor("unauthenticated", address)):
            caller = _identify(address)
        if caller.kind not in _ALLOWED:
            raise DeniedError("Only people can create personal tokens: sign in with user name and password, or use such a token.")
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
    caller = callers.authenticate_token(process, credentials.value, address, shown=shown_binding(request.environ, credentials))
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
    process.feed.confirm_now()
    realm = known_realm(process, used.realm)
    user = users.known_user(realm, row.uid) if realm is not None and realm.enabled and row is not None else None
    if realm is None or row is None or user is None or row.password_hash != used.password_hash or not row.enabled:
        raise CredentialError
    return Caller(realm, user, user.held_roles, CredentialKind.PASSWORD, "", float("inf"), address)


def contract_of_request() -> str | None:
    """Return the realm whose number the request names; a name that no realm has, if there is no such number.

    :raises InvalidValueError: it is no number, or header and parameter name different ones.
    """
    numbers = {request.headers.get("X-Contract-Number"), request.args.get("contractNumber")} - {None}
    if not numbers:
        return None
    if len(numbers) > 1:
        raise InvalidValueError("X-Contract-Number and contractNumber name two contracts. Send one of them.")
    number = str(numbers.pop())
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


def any_caller(view: View) -> View:
    """Take Bearer as every other call does, and Basic with a password, which is checked anew for each."""
    with_token = signed_in(view, _credentials, own_realm)

    @functools.wraps(view)
    def called(**arguments: Any) -> Response:
        if read_credentials(request.environ).shown is Shown.PASSWORD:
            return password_caller(lambda caller: view(Authority(caller, own_realm(caller, arguments)), **arguments))
        return with_token(**arguments)

    return called


def _credentials() -> Credentials:
    credentials = read_credentials(request.environ)
    if credentials.by_cookie:
        raise CredentialError
    contract = contract_of_request()
    if contract is not None and identify(credentials).realm.name != contract:
        raise CredentialError
    return credentials
