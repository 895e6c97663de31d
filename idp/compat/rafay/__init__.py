"""Organisations, users, projects, groups and keys, as the clients of Rafay's controller manage them: `/auth/v1`, `/auth/v2`."""

from collections.abc import Callable

from flask import Flask, Response

from idp.compat.calls import View, public, signed_in
from idp.compat.parameters import add_calls
from idp.compat.rafay import groups, keys, organizations, projects, roles, signing_in, users
from idp.compat.rafay.errors import answer_error
from idp.keys import prepare as prepare_keys
from idp.web.edges import Edge, Limit, register_edge

__all__ = ["register"]


def _call(view: View, prepare: Callable[[], None] = lambda: None) -> View:
    return signed_in(view, signing_in.credentials, prepare=prepare)


CALLS: tuple[tuple[str, str, Callable[..., Response]], ...] = (
    ("POST", "/auth/v1/prelogin", public(signing_in.prelogin)),
    ("POST", "/auth/v1/login", public(signing_in.login)),
    ("POST", "/auth/v1/logout", _call(signing_in.logout)),
    ("POST", "/auth/v1/signup/organization", public(organizations.sign_up)),
    ("POST", "/auth/v1/signup/<offer>", public(organizations.sign_up_by_offer)),
    ("GET", "/auth/v1/organizations", _call(organizations.list_organizations)),
    ("POST", "/auth/v1/organizations", _call(organizations.create_organization, prepare=prepare_keys)),
    ("GET", "/auth/v1/organizations/<uid>", _call(organizations.get_organization)),
    ("PUT", "/auth/v1/organizations/<uid>", _call(organizations.put_organization)),
    ("DELETE", "/auth/v1/organizations/<uid>", _call(organizations.delete_organization)),
    ("GET", "/auth/v1/organizations/<uid>/accountroles", _call(organizations.list_roles)),
    ("POST", "/auth/v1/organizations/<uid>/adduser", _call(organizations.add_user)),
    ("GET", "/auth/v1/users", _call(users.list_users)),
    ("GET", "/auth/v1/users/-/current", _call(users.current)),
    ("GET", "/auth/v1/users/-/profile", _call(users.profile)),
    ("GET", "/auth/v1/users/<uid>", _call(users.get_user)),
    ("DELETE", "/auth/v1/users/<uid>", _call(users.delete_user)),
    ("POST", "/auth/v1/users/<uid>/apikey", _call(keys.create_key)),
    ("GET", "/auth/v1/users/<uid>/apikeys", _call(keys.list_keys)),
    ("DELETE", "/auth/v1/apikeys/<uid>", _call(keys.delete_key)),
    ("GET", "/auth/v2/users", _call(users.find_users)),
    ("GET", "/auth/v1/projects", _call(projects.list_projects)),
    ("POST", "/auth/v1/projects", _call(projects.create_project)),
    ("GET", "/auth/v1/projects/<uid>", _call(projects.get_project)),
    ("PUT", "/auth/v1/projects/<uid>", _call(projects.put_project)),
    ("DELETE", "/auth/v1/projects/<uid>", _call(projects.delete_project)),
    ("GET", "/auth/v1/groups", _call(groups.list_groups)),
    ("POST", "/auth/v1/groups", _call(groups.create_group)),
    ("GET", "/auth/v1/groups/<uid>", _call(groups.get_group)),
    ("PUT", "/auth/v1/groups/<uid>", _call(groups.put_group)),
    ("DELETE", "/auth/v1/groups/<uid>", _call(groups.delete_group)),
    ("GET", "/auth/v1/roles", _call(roles.list_roles)),
    ("POST", "/auth/v1/roles", _call(roles.change_roles)),
    ("GET", "/auth/v1/roles/<uid>", _call(roles.get_role)),
    ("PUT", "/auth/v1/roles/<uid>", _call(roles.change_roles)),
    ("DELETE", "/auth/v1/roles/<uid>", _call(roles.change_roles)),
    ("GET", "/auth/v1/ssos", _call(roles.list_providers)),
    ("POST", "/auth/v1/ssos", _call(roles.change_providers)),
    ("GET", "/auth/v1/ssos/<uid>", _call(roles.get_provider)),
    ("PUT", "/auth/v1/ssos/<uid>", _call(roles.change_providers)),
    ("DELETE", "/auth/v1/ssos/<uid>", _call(roles.change_providers)),
    ("GET", "/auth/v1/audit", _call(roles.list_events)),
)


def register(app: Flask) -> None:
    """Add the URLs of the contract to the application."""
    add_calls(app, "rafay", CALLS)
    register_edge(app, Edge("compat", ("/auth/v1/", "/auth/v2/"), Limit.BY_RESOURCE, answer_error))
