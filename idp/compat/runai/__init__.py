"""Applications, access keys, users, access rules and projects, as the clients of Run:ai's control plane manage them.

The paths name no realm: a call is about the realm of whoever makes it. Where nobody is known yet (the token calls), it is
`IDP_COMPAT_REALM`, or the only realm there is besides `master`.
"""

from collections.abc import Callable
from functools import partial

from flask import Flask, Response

from idp.compat.calls import public, signed_in
from idp.compat.parameters import add_calls
from idp.compat.runai import access_keys, access_rules, people, projects, roles, service_accounts, tenant, tokens
from idp.compat.runai.answers import answer_error, not_served
from idp.web.edges import Edge, Limit, register_edge

__all__ = ["register"]

Call = tuple[str, str, Callable[..., Response]]

BASE = "/api/v1"

NOT_SERVED = (
    "POST /api/v1/idps",
    "GET PUT DELETE /api/v1/idps/<alias>",
    "GET PUT /api/v1/idps/<alias>/mappers",
    "PUT /api/v1/security/settings/<key>",
    "GET /api/v1/org-unit/priorities",
    "GET /api/v1/org-unit/projects/telemetry",
    "GET /api/v1/org-unit/projects/<uid>/metrics",
    "PUT PATCH /api/v1/org-unit/projects/<uid>/resources",
    "GET POST PUT PATCH DELETE /v1/k8s/<path:rest>",
)
"""Calls that the vendor publishes beside those of identity, and that are answered 501."""


def register(app: Flask) -> None:
    """Add the URLs of the contract to the application."""
    calls: list[Call] = [("POST", f"{BASE}/token", public(tokens.token))]
    calls += [*_service_accounts(), *_access_keys(), *_people(), *_access_rules(), *_projects_and_tenant()]
    add_calls(app, "runai", calls)
    # a token endpoint passes over what it does not know (RFC 6749 §3.2)
    app.add_url_rule("/api/v2/token", "runai POST /api/v2/token", tokens.oauth_token, methods=["POST"], strict_slashes=False)
    for call in NOT_SERVED:
        *methods, path = call.split()
        app.add_url_rule(path, f"runai {call}", not_served, methods=methods, strict_slashes=False)
    register_edge(app, Edge("compat", ("/api/v1/", "/api/v2/", "/v1/k8s/"), Limit.BY_RESOURCE, answer_error))


def _service_accounts() -> list[Call]:
    calls: list[Call] = []
    for name, secret in (("apps", "secret"), ("service-accounts", "clientSecret")):
        one = f"{BASE}/{name}/<uid>"
        calls += [
            ("GET", f"{BASE}/{name}", signed_in(service_accounts.list_apps)),
            ("POST", f"{BASE}/{name}", signed_in(partial(service_accounts.create_app, member=secret))),
            ("GET", one, signed_in(service_accounts.get_app)),
            ("PATCH", one, signed_in(service_accounts.change_app)),
            ("DELETE", one, signed_in(service_accounts.delete_app)),
            ("POST", f"{one}/secret", signed_in(partial(service_accounts.renew_secret, member=secret))),
        ]
    return calls


def _access_keys() -> list[Call]:
    calls: list[Call] = []
    # a list of access keys is in an object, one of user applications is none
    for name, secret, listed in (("access-keys", "clientSecret", "accessKeys"), ("user-applications", "secret", "")):
        one = f"{BASE}/{name}/<uid>"
        calls += [
            ("GET", f"{BASE}/{name}", signed_in(partial(access_keys.list_own, member=listed))),
            ("POST", f"{BASE}/{name}", signed_in(partial(access_keys.create_key, member=secret))),
            ("GET", one, signed_in(access_keys.get_key)),
            ("DELETE", one, signed_in(access_keys.delete_key)),
            ("POST", f"{one}/secret", signed_in(partial(access_keys.renew_secret, member=secret))),
            ("GET", f"{BASE}/administration/{name}", signed_in(partial(access_keys.list_all, member=listed))),
            ("DELETE", f"{BASE}/administration/{name}/<uid>", signed_in(access_keys.delete_key)),
        ]
    return calls


def _people() -> list[Call]:
    one = f"{BASE}/users/<uid>"
    return [
        ("GET", f"{BASE}/users", signed_in(people.list_users)),
        ("POST", f"{BASE}/users", signed_in(people.create_user)),
        ("GET", f"{BASE}/users/count", signed_in(people.count_users)),
        ("GET", one, signed_in(people.get_user)),
        ("DELETE", one, signed_in(people.delete_user)),
        ("POST", f"{one}/logout", signed_in(people.sign_out_user)),
        ("POST", f"{one}/password", signed_in(people.reset_password)),
        ("POST", f"{BASE}/me/password", signed_in(people.change_password)),
    ]


def _access_rules() -> list[Call]:
    authorization, own = f"{BASE}/authorization", ("authorization/me/access-rules", "me/access-rules")
    rules = f"{authorization}/access-rules"
    return [
        ("GET", rules, signed_in(access_rules.list_rules)),
        ("POST", rules, signed_in(access_rules.create_rule)),
        ("GET", f"{rules}/count", signed_in(access_rules.count_rules)),
        ("POST", f"{rules}/batch", signed_in(access_rules.delete_rules)),
        ("POST", f"{rules}/batch-create", signed_in(access_rules.create_rules)),
        ("GET", f"{rules}/<int:number>", signed_in(access_rules.get_rule)),
        ("DELETE", f"{rules}/<int:number>", signed_in(access_rules.delete_rule)),
        ("GET", f"{authorization}/roles", signed_in(roles.list_roles)),
        ("GET", f"{authorization}/roles/<int:number>", signed_in(roles.get_role)),
        ("GET", f"{authorization}/permissions", signed_in(roles.list_permissions)),
        ("POST", f"{authorization}/permitted-scopes", signed_in(roles.permitted_scopes)),
        *(("GET", f"{BASE}/{path}", signed_in(access_rules.list_own_rules)) for path in own),
        *(("GET", f"{BASE}/{path}/count", signed_in(access_rules.count_own_rules)) for path in own),
    ]


def _projects_and_tenant() -> list[Call]:
    several, one = f"{BASE}/org-unit/projects", f"{BASE}/org-unit/projects/<uid>"
    return [
        ("GET", several, signed_in(projects.list_projects)),
        ("POST", several, signed_in(projects.create_project)),
        ("GET", f"{several}/count", signed_in(projects.count_projects)),
        ("GET", one, signed_in(projects.get_project)),
        ("PUT", one, signed_in(projects.change_project)),
        ("DELETE", one, signed_in(projects.delete_project)),
        ("GET", f"{BASE}/idps", signed_in(tenant.list_providers)),
        ("GET", f"{BASE}/security/settings", signed_in(tenant.get_settings)),
        ("GET", f"{BASE}/security/settings/<key>", signed_in(tenant.get_setting)),
    ]
