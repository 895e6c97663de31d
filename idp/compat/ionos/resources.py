"""What the contract's users and groups own and share: nothing, since data centres, snapshots and buckets are not managed here.

Lists are empty, as the contract has them; what somebody names is not there; and what would have to be made is refused in words.
"""

from typing import NoReturn

from flask import Response

from idp import rules
from idp.compat.calls import not_served
from idp.compat.ionos.groups import find_group
from idp.compat.ionos.lists import collected, filter_names, flag, ordered_by, sent_filters
from idp.compat.parameters import takes
from idp.errors import NotFoundError
from idp.rules import Authority

KINDS = ("datacenter", "snapshot", "image", "ipblock", "pcc", "backupunit", "k8s")

_PROPERTIES = ("name", "secAuthProtection")
_RESOURCES = ("orderBy", "maxResults", *filter_names(*_PROPERTIES))
_SHARE_PROPERTIES = ("editPrivilege", "sharePrivilege")
_SHARES = ("orderBy", "maxResults", *filter_names(*_SHARE_PROPERTIES))
_KEY_PROPERTIES = ("secretKey", "active")
_KEYS = ("orderBy", "maxResults", *filter_names(*_KEY_PROPERTIES))
_TEXTS = {"name", "secretKey"}


@takes(*_RESOURCES)
def owned_by(authority: Authority, uid: str) -> Response:
    """List the resources of a user: there are none."""
    rules.users.visible(authority, uid)
    return _nothing(f"um/users/{uid}/owns", _PROPERTIES)


@takes(*_RESOURCES)
def resources_of_group(authority: Authority, uid: str) -> Response:
    """List the resources that a group may use: there are none."""
    find_group(authority, uid)
    return _nothing(f"um/groups/{uid}/resources", _PROPERTIES)


@takes(*_RESOURCES)
def list_resources(authority: Authority) -> Response:
    """List all resources: there are none."""
    rules.users.check_listing(authority)
    return _nothing("um/resources", _PROPERTIES)


@takes(*_RESOURCES)
def list_resources_of_kind(authority: Authority, kind: str) -> Response:
    """List the resources of a kind: there are none."""
    rules.users.check_listing(authority)
    if kind not in KINDS:
        raise NotFoundError(f"There are no resources of this kind (not found). The contract has {', '.join(KINDS)}.")
    return _nothing(f"um/resources/{kind}", _PROPERTIES)


def get_resource(authority: Authority, kind: str, uid: str) -> NoReturn:  # noqa: ARG001 (every view of the contract takes it)
    """Say that a resource is not there."""
    rules.users.check_listing(authority)
    raise NotFoundError("There is no resource with this id (not found): resources are not served here.")


@takes(*_SHARES)
def shares_of_group(authority: Authority, uid: str) -> Response:
    """List what is shared with a group: nothing."""
    find_group(authority, uid)
    return _nothing(f"um/groups/{uid}/shares", _SHARE_PROPERTIES)


def any_share(authority: Authority, uid: str, resource: str) -> NoReturn:  # noqa: ARG001 (every view of the contract takes it)
    """Say that a share is not there."""
    find_group(authority, uid)
    raise NotFoundError("There is no share with this id (not found): resources and their shares are not served here.")


share_resource = not_served("there are no resources here that a group could share.")


@takes(*_KEYS)
def keys_of_user(authority: Authority, uid: str) -> Response:
    """List the object storage keys of a user: there are none."""
    rules.users.visible(authority, uid)
    return _nothing(f"um/users/{uid}/s3keys", _KEY_PROPERTIES)


def any_key(authority: Authority, uid: str, key: str) -> NoReturn:  # noqa: ARG001 (every view of the contract takes it)
    """Say that an object storage key is not there."""
    rules.users.visible(authority, uid)
    raise NotFoundError("There is no key with this id (not found): object storage and its keys are not served here.")


make_key = not_served("there is no object storage that a key could be for. Keysets keep the credentials of other systems.")
open_storage = not_served("there is no object storage to sign in to.")


def _nothing(name: str, properties: tuple[str, ...]) -> Response:
    """Return an empty collection, to a question that could be asked of one that is not."""
    ordered_by(dict.fromkeys(properties))
    for each, value in sent_filters().items():
        if each not in _TEXTS:
            flag(each, value)
    return collected(name, [])
