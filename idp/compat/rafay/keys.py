"""API keys of users: `/auth/v1/users/{id}/apikey`, `/auth/v1/apikeys`."""

from typing import Any

from flask import Response, request

from idp import apikeys, callers, clock, realms, rules, users
from idp.access import HolderKind
from idp.apikeys import ApiKey, ApiKeySheet, NewKey
from idp.compat.calls import flag_of, json_body, text_of
from idp.compat.rafay.key_forms import PUBLIC, foreign_key, foreign_public
from idp.errors import InvalidValueError
from idp.rules import Authority
from idp.web.answers import NO_STORE, answer, time, time_or_none


def create_key(authority: Authority, uid: str) -> Response:
    """Make a key for a user; its value is in this answer and nowhere else."""
    there, body = _of_user(authority, uid), json_body()
    hours = body.get("validity_hour")
    never = flag_of(body, "never_expire") or False
    if hours is not None and (not isinstance(hours, int) or isinstance(hours, bool)):
        raise InvalidValueError("validity_hour takes a number of hours, 1 or more.")
    wish = rules.api_keys.NewApiKey(
        ApiKeySheet.read({"name": text_of(body, "name", "key", longest=64)}), None if never else hours, never=never
    )
    owner = None if uid == "-" or there.is_self(uid) else uid
    return answer(_new_key(rules.api_keys.create(there, owner, wish)), 201)


def list_keys(authority: Authority, uid: str) -> Response:
    """List somebody's keys; never their values."""
    there, caller = _of_user(authority, uid), authority.caller
    named = caller.subject.uid if uid == "-" else uid
    rules.api_keys.check_listing_of(there, named)
    is_own = there.is_self(named)
    owner = rules.api_keys.own_holder(caller) if is_own else callers.find_holder(there.realm, HolderKind.USER, named)
    return answer([_key(key) for key in apikeys.list_keys(there.realm, owner=owner, limit=apikeys.MOST_KEYS)])


def delete_key(authority: Authority, uid: str) -> Response:
    """Remove a key, by its id or by the part of it that lists show."""
    if PUBLIC.fullmatch(uid):
        key = next((each for each in _keys(authority) if foreign_public(each.public_part) == uid), None)
        uid = key.uid if key is not None else uid
    apikeys.delete_key(authority.realm, rules.api_keys.writable(authority, uid))
    return Response(b"", 204, NO_STORE)


def _keys(authority: Authority) -> list[ApiKey]:
    owner = rules.api_keys.own_holder(authority.caller)
    return list(apikeys.list_keys(authority.realm, owner=owner, limit=apikeys.MOST_KEYS))


def _of_user(authority: Authority, uid: str) -> Authority:
    """Return the caller in the realm that a user belongs to: for operators any, whether or not a header names it."""
    if not (authority.is_operator and authority.is_home) or uid == "-" or authority.is_self(uid):
        return authority
    home = users.find_realm_of(uid)
    if home is None:
        return authority
    realm = (realms.lock_realm(home.name) or home) if request.method != "GET" else home
    return Authority(authority.caller, realm)


def _key(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.uid,
        "name": key.name,
        "key": foreign_public(key.public_part),
        "never_expire": key.expires_at is None,
        "expire_at": time_or_none(key.expires_at),
        "created_at": time(key.created_at),
        "last_used": time_or_none(key.last_used_at),
        "status": key.status(clock.now()).value,
    }


def _new_key(new: NewKey) -> dict[str, Any]:
    written = foreign_key(new.plain_key)
    return _key(new.key) | {"key": written, "secret": written.rpartition(".")[2]}
