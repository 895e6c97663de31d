"""The APIs of IONOS Cloud that are about people and their tokens."""

from collections.abc import Callable

from flask import Flask, Response

from idp.compat.ionos import contracts, groups, resources, tokens, users
from idp.compat.ionos.errors import answer_error
from idp.compat.ionos.lists import PREFIX
from idp.compat.ionos.signing_in import EVERYWHERE, any_caller
from idp.compat.parameters import add_calls
from idp.web.edges import Edge, Limit, register_edge

__all__ = ["register"]

_USER, _GROUP = f"{PREFIX}/um/users/<uid>", f"{PREFIX}/um/groups/<uid>"

CALLS: tuple[tuple[str, str, Callable[..., Response]], ...] = (
    ("GET", f"{PREFIX}/um/users", users.list_users),
    ("POST", f"{PREFIX}/um/users", users.create_user),
    ("GET", _USER, users.get_user),
    ("PUT", _USER, users.put_user),
    ("DELETE", _USER, users.delete_user),
    ("GET", f"{_USER}/groups", groups.groups_of_user),
    ("GET", f"{_USER}/owns", resources.owned_by),
    ("GET", f"{_USER}/s3keys", resources.keys_of_user),
    ("POST", f"{_USER}/s3keys", resources.make_key),
    ("GET", f"{_USER}/s3keys/<key>", resources.any_key),
    ("PUT", f"{_USER}/s3keys/<key>", resources.any_key),
    ("DELETE", f"{_USER}/s3keys/<key>", resources.any_key),
    ("GET", f"{_USER}/s3ssourl", resources.open_storage),
    ("GET", f"{PREFIX}/um/groups", groups.list_groups),
    ("POST", f"{PREFIX}/um/groups", groups.create_group),
    ("GET", _GROUP, groups.get_group),
    ("PUT", _GROUP, groups.put_group),
    ("DELETE", _GROUP, groups.delete_group),
    ("GET", f"{_GROUP}/users", groups.users_of_group),
    ("POST", f"{_GROUP}/users", groups.add_to_group),
    ("DELETE", f"{_GROUP}/users/<user>", groups.remove_from_group),
    ("GET", f"{_GROUP}/resources", resources.resources_of_group),
    ("GET", f"{_GROUP}/shares", resources.shares_of_group),
    ("GET", f"{_GROUP}/shares/<resource>", resources.any_share),
    ("POST", f"{_GROUP}/shares/<resource>", resources.share_resource),
    ("PUT", f"{_GROUP}/shares/<resource>", resources.any_share),
    ("DELETE", f"{_GROUP}/shares/<resource>", resources.any_share),
    ("GET", f"{PREFIX}/um/resources", resources.list_resources),
    ("GET", f"{PREFIX}/um/resources/<kind>", resources.list_resources_of_kind),
    ("GET", f"{PREFIX}/um/resources/<kind>/<uid>", resources.get_resource),
    ("GET", f"{PREFIX}/contracts", contracts.list_contracts),
)


def register(app: Flask) -> None:
    """Add the URLs of both APIs to the application."""
    tokens.register(app)
    add_calls(app, "ionos", ((method, path, any_caller(view)) for method, path, view in CALLS), harmless=EVERYWHERE)
    register_edge(app, Edge("compat", (f"{PREFIX}/",), Limit.BY_RESOURCE, answer_error))
