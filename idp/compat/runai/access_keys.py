"""Access keys, which are API keys: the id is the client's, the value the client's secret. `user-applications` is an old name."""

from flask import Response, request

from idp import apikeys, callers
from idp.api.answers import answer, done, time, time_or_none
from idp.api.requests import realm_of
from idp.apikeys import ApiKey
from idp.callers import Caller
from idp.compat.calls import json_body, text_of
from idp.compat.filters import Term
from idp.compat.parameters import takes
from idp.compat.runai.answers import CONDITIONS, LISTED, Shape, maker, page
from idp.paging import Comparison, Listing

_TERMS: dict[str, Term] = {
    "name": "name",
    "id": "uid",
    "clientId": "uid",
    "createdBy": "maker",
    "createdAt": "created",
    "lastLogin": "used",
}


@takes(*LISTED, many=CONDITIONS)
def list_own(caller: Caller, member: str) -> Response:
    """List the caller's own access keys."""
    return _listed(apikeys.key_listing(realm_of(caller), owner=callers.own_holder(caller)), member)


@takes(*LISTED, "clientId", "createdBy", many=CONDITIONS)
def list_all(caller: Caller, member: str) -> Response:
    """List everybody's access keys."""
    realm = realm_of(caller)
    caller.require("api-keys:read", realm=realm.name)
    listing = apikeys.key_listing(realm)
    for name, field in (("clientId", "uid"), ("createdBy", "maker")):
        if name in request.args:
            listing = listing.narrowed(field, Comparison.EQUAL, request.args[name])
    return _listed(listing, member)


def _listed(listing: Listing, member: str) -> Response:
    rows, *_ = page(listing, _TERMS, default=500)
    keys = [_shown(row) for row in rows]
    return answer({member: keys} if member else keys)


def create_key(caller: Caller, member: str) -> Response:
    """Make an access key; its secret is in this answer and nowhere else."""
    name = text_of(json_body(), "name", longest=64)
    new = callers.make_key(caller, realm_of(caller), None, callers.KeyWish(name=name))
    return answer(_shown(new.key) | {member: new.plain_key}, 201)


def get_key(caller: Caller, uid: str) -> Response:
    """Show an access key; never its secret."""
    return answer(_shown(callers.readable_key(caller, realm_of(caller), uid)))


def delete_key(caller: Caller, uid: str) -> Response:
    """Remove an access key."""
    realm = realm_of(caller)
    apikeys.delete_key(realm, callers.writable_key(caller, realm, uid))
    return done()


def renew_secret(caller: Caller, uid: str, member: str) -> Response:
    """Give an access key a new secret; the old one stops working at once."""
    return answer({member: callers.renew_key(caller, realm_of(caller), uid).plain_key})


def _shown(key: ApiKey) -> Shape:
    return {
        "id": key.uid,
        "clientId": key.uid,
        "name": key.name,
        "createdBy": maker(key.created_by),
        "createdAt": time(key.created_at),
        "lastLogin": time_or_none(key.last_used_at),
        "expiresAt": time_or_none(key.expires_at),
    }
