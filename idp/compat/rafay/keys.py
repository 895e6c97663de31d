"""API keys of users: `/auth/v1/users/{id}/apikey`, `/auth/v1/apikeys`."""

from typing import Any

from flask import Response, request

from idp import apikeys, callers, clock, realms, users
from idp.access import HolderKind
from idp.api.answers import answer, time, time_or_none
from idp.api.errors import NO_STORE
from idp.api.requests import realm_of
from idp.apikeys import ApiKey, NewKey
from idp.callers import Caller
from idp.compat.calls import flag_of, json_body, text_of
from idp.compat.rafay.key_forms import PUBLIC, foreign_key, foreign_public
from idp.errors import InvalidValueError
from idp.realms import MASTER, Realm


def create_key(caller: Caller, uid: str) -> Response:
    """Make a key for a user; its value is in this answer and nowhere else."""
    realm, body = _realm_of_user(caller, uid), json_body()
    hours = body.get("validity_hour")
    never = flag_of(body, "never_expire") or False
    if hours is not None and (not isinstance(hours, int) or isinstance(hours, bool)):
        raise InvalidValueError("validity_hour takes a number of hours, 1 or more.")
    wish = callers.KeyWish(name=text_of(body, "name", "key", longest=64), hours=None if never else hours, never=never)
    owner = None if uid in {"-", caller.subject.uid} else uid
    return answer(_new_key(callers.make_key(caller, realm, owner, wish)), 201)


def list_keys(caller: Caller, uid: str) -> Response:
    """List somebody's keys; never their values."""
    realm = _realm_of_user(caller, uid)
    named = caller.subject.uid if uid == "-" else uid
    if named != caller.subject.uid:
        caller.require("api-keys:read", realm=realm.name)
    owner = callers.own_holder(caller) if named == caller.subject.uid else callers.find_holder(realm, HolderKind.USER, named)
    return answer([_key(key) for key in apikeys.list_keys(realm, owner=owner, limit=apikeys.MOST_KEYS)])


def delete_key(caller: Caller, uid: str) -> Response:
    """Remove a key, by its id or by the part of it that lists show."""
    realm = realm_of(caller)
    if PUBLIC.fullmatch(uid):
        key = next((each for each in _keys(caller, realm) if foreign_public(each.public_part) == uid), None)
        uid = key.uid if key is not None else uid
    apikeys.delete_key(realm, callers.writable_key(caller, realm, uid))
    return Response(b"", 204, NO_STORE)


def _keys(caller: Caller, realm: Realm) -> list[ApiKey]:
    return list(apikeys.list_keys(realm, owner=callers.own_holder(caller), limit=apikeys.MOST_KEYS))


def _realm_of_user(caller: Caller, uid: str) -> Realm:
    """Return the realm that a user belongs to: for operators any, whether or not a header names it."""
    realm = realm_of(caller)
    if caller.realm.name == MASTER and realm.name == MASTER and uid not in {"-", caller.subject.uid}:
        home = users.find_realm_of(uid)
        if home is not None:
            return (realms.lock_realm(home.name) or home) if request.method != "GET" else home
    return realm


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
