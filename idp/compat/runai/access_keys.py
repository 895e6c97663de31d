"""Access keys, which are API keys: the id is the client's, the value the client's secret. `user-applications` is an old name."""

from flask import Response, request

from idp import apikeys, rules
from idp.apikeys import ApiKey, ApiKeySheet
from idp.compat.calls import json_body, text_of
from idp.compat.filters import Term
from idp.compat.parameters import takes
from idp.compat.runai.answers import CONDITIONS, LISTED, Shape, maker, page
from idp.paging import Comparison, Listing
from idp.rules import Authority
from idp.web.answers import answer, done, time, time_or_none

_TERMS: dict[str, Term] = {
    "name": "name",
    "id": "uid",
    "clientId": "uid",
    "createdBy": "maker",
    "createdAt": "created",
    "lastLogin": "used",
}


@takes(*LISTED, many=CONDITIONS)
def list_own(authority: Authority, member: str) -> Response:
    """List the caller's own access keys."""
    return _listed(apikeys.key_listing(authority.realm, owner=rules.api_keys.own_holder(authority.caller)), member)


@takes(*LISTED, "clientId", "createdBy", many=CONDITIONS)
def list_all(authority: Authority, member: str) -> Response:
    """List everybody's access keys."""
    rules.api_keys.check_listing(authority)
    listing = apikeys.key_listing(authority.realm)
    for name, field in (("clientId", "uid"), ("createdBy", "maker")):
        if name in request.args:
            listing = listing.narrowed(field, Comparison.EQUAL, request.args[name])
    return _listed(listing, member)


def _listed(listing: Listing, member: str) -> Response:
    rows, *_ = page(listing, _TERMS, default=500)
    keys = [_shown(row) for row in rows]
    return answer({member: keys} if member else keys)


def create_key(authority: Authority, member: str) -> Response:
    """Make an access key; its secret is in this answer and nowhere else."""
    name = text_of(json_body(), "name", longest=64)
    new = rules.api_keys.create(authority, None, rules.api_keys.NewApiKey(ApiKeySheet.read({"name": name})))
    return answer(_shown(new.key) | {member: new.plain_key}, 201)


def get_key(authority: Authority, uid: str) -> Response:
    """Show an access key; never its secret."""
    return answer(_shown(rules.api_keys.visible(authority, uid)))


def delete_key(authority: Authority, uid: str) -> Response:
    """Remove an access key."""
    apikeys.delete_key(authority.realm, rules.api_keys.writable(authority, uid))
    return done()


def renew_secret(authority: Authority, uid: str, member: str) -> Response:
    """Give an access key a new secret; the old one stops working at once."""
    return answer({member: rules.api_keys.renew(authority, uid).plain_key})


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
