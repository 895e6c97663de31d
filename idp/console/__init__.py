"""The console: web pages for administrators, operators and everybody with credentials. Pages by group, one group a file."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Flask

from idp.console import (
    api_keys,
    applications,
    audit_trail,
    client_secrets,
    connections,
    credentials,
    grants,
    groups,
    keysets,
    organisations,
    overview,
    people,
    projects,
    protected_apis,
    registrations,
    roles,
    settings,
    sign_in,
    signing_keys,
)
from idp.console.assets import ASSETS
from idp.console.errors import answer_error
from idp.console.headers import PREFIX, add_headers
from idp.console.render import set_up_templates
from idp.web.edges import Edge, Limit, register_edge

__all__ = ["register"]

_REALM = "/console/realms/<realm>"

_ROUTES: tuple[tuple[str, str, Callable[..., Any]], ...] = (
    ("GET", "/console/assets/<digest>/<name>", ASSETS.serve),
    ("GET", "/", sign_in.to_front),
    ("GET", "/console", sign_in.to_front),
    ("GET", "/console/", sign_in.front),
    ("GET POST", "/console/sign-in", sign_in.sign_in),
    ("GET POST", "/console/choose", sign_in.choose),
    ("POST", "/console/sign-out", sign_in.sign_out),
    ("GET POST", "/console/first-start", sign_in.first_start),
    ("GET POST", "/console/sign-up", sign_in.sign_up),
    ("GET POST", "/console/sign-up/<code>", sign_in.verify_sign_up),
    ("GET POST", "/console/invitation/<code>", sign_in.invitation),
    ("GET POST", "/console/reset/<code>", sign_in.reset),
    ("GET POST", "/console/confirm-address/<code>", credentials.confirm_address),
    ("GET POST", "/console/forgotten", sign_in.forgotten),
    ("GET", _REALM, overview.show),
    ("GET", f"{_REALM}/applications", applications.list_applications),
    ("GET POST", f"{_REALM}/new-application", applications.new_application),
    ("GET POST", f"{_REALM}/applications/<name>", applications.show_application),
    ("GET POST", f"{_REALM}/applications/<name>/try", applications.try_application),
    ("GET POST", f"{_REALM}/applications/<name>/disable", applications.disable_application),
    ("POST", f"{_REALM}/applications/<name>/enable", applications.enable_application),
    ("GET POST", f"{_REALM}/applications/<name>/delete", applications.delete_application),
    ("GET POST", f"{_REALM}/applications/<name>/secrets/new", client_secrets.new_secret),
    ("GET POST", f"{_REALM}/applications/<name>/secrets/<secret>/retire", client_secrets.retire_secret),
    ("GET", f"{_REALM}/registration-tokens", registrations.list_tokens),
    ("GET POST", f"{_REALM}/registration-tokens/new", registrations.new_token),
    ("GET POST", f"{_REALM}/registration-tokens/<uid>/revoke", registrations.revoke_token),
    ("GET", f"{_REALM}/users", people.list_users),
    ("GET POST", f"{_REALM}/new-user", people.new_user),
    ("GET POST", f"{_REALM}/users/<key>", people.show_user),
    ("POST", f"{_REALM}/users/<key>/send-link", people.send_link),
    ("POST", f"{_REALM}/users/<key>/end-sessions", people.end_sessions),
    ("GET POST", f"{_REALM}/users/<key>/disable", people.disable_user),
    ("POST", f"{_REALM}/users/<key>/enable", people.enable_user),
    ("GET POST", f"{_REALM}/users/<key>/delete", people.delete_user),
    ("POST", f"{_REALM}/users/<key>/applications/<name>/disconnect", connections.disconnect_user),
    ("GET", f"{_REALM}/groups", groups.list_groups),
    ("GET POST", f"{_REALM}/new-group", groups.new_group),
    ("GET POST", f"{_REALM}/groups/<name>", groups.show_group),
    ("GET POST", f"{_REALM}/groups/<name>/members", groups.add_member),
    ("POST", f"{_REALM}/groups/<name>/members/<key>/remove", groups.remove_member),
    ("GET POST", f"{_REALM}/groups/<name>/delete", groups.delete_group),
    ("GET", f"{_REALM}/roles", roles.list_roles),
    ("GET POST", f"{_REALM}/new-role", roles.new_role),
    ("GET POST", f"{_REALM}/roles/<name>", roles.show_role),
    ("GET POST", f"{_REALM}/roles/<name>/delete", roles.delete_role),
    ("GET", f"{_REALM}/projects", projects.list_projects),
    ("GET POST", f"{_REALM}/new-project", projects.new_project),
    ("GET POST", f"{_REALM}/projects/<name>", projects.show_project),
    ("GET POST", f"{_REALM}/projects/<name>/delete", projects.delete_project),
    ("GET", f"{_REALM}/access", grants.review),
    ("GET", f"{_REALM}/access.csv", grants.review_csv),
    ("GET POST", f"{_REALM}/access/give", grants.give),
    ("GET POST", f"{_REALM}/access/take", grants.take),
    ("GET", f"{_REALM}/api-keys", api_keys.list_keys),
    ("GET POST", f"{_REALM}/api-keys/new", api_keys.new_key),
    ("GET POST", f"{_REALM}/api-keys/<uid>", api_keys.show_key),
    ("GET POST", f"{_REALM}/api-keys/<uid>/rotate", api_keys.rotate_key),
    ("GET POST", f"{_REALM}/api-keys/<uid>/deactivate", api_keys.deactivate_key),
    ("POST", f"{_REALM}/api-keys/<uid>/activate", api_keys.activate_key),
    ("GET POST", f"{_REALM}/api-keys/<uid>/revoke", api_keys.revoke_key),
    ("GET POST", f"{_REALM}/api-keys/<uid>/delete", api_keys.delete_key),
    ("GET", f"{_REALM}/keysets", keysets.list_keysets),
    ("GET POST", f"{_REALM}/new-keyset", keysets.new_keyset),
    ("GET POST", f"{_REALM}/keysets/<uid>", keysets.show_keyset),
    ("GET POST", f"{_REALM}/keysets/<uid>/replace", keysets.replace_values),
    ("GET POST", f"{_REALM}/keysets/<uid>/delete", keysets.delete_keyset),
    ("GET", f"{_REALM}/leases", keysets.list_leases),
    ("GET POST", f"{_REALM}/leases/<uid>/end", keysets.end_lease),
    ("GET", f"{_REALM}/apis", protected_apis.list_apis),
    ("GET POST", f"{_REALM}/new-api", protected_apis.new_api),
    ("GET POST", f"{_REALM}/apis/<name>", protected_apis.show_api),
    ("GET POST", f"{_REALM}/apis/<name>/delete", protected_apis.delete_api),
    ("GET", f"{_REALM}/personal-tokens", credentials.list_tokens),
    ("GET POST", f"{_REALM}/personal-tokens/<uid>/delete", credentials.delete_token),
    ("GET", f"{_REALM}/sessions", credentials.list_sessions),
    ("POST", f"{_REALM}/sessions/<uid>/end", credentials.end_session),
    ("GET", f"{_REALM}/signing-keys", signing_keys.list_keys),
    ("GET POST", f"{_REALM}/signing-keys/<algorithm>/rotate", signing_keys.rotate_key),
    ("GET POST", f"{_REALM}/signing-keys/<kid>/revoke", signing_keys.revoke_key),
    ("GET", f"{_REALM}/audit", audit_trail.list_events),
    ("GET", f"{_REALM}/audit.jsonl", audit_trail.export),
    ("GET POST", f"{_REALM}/settings", settings.show),
    ("GET", "/console/my/keys", api_keys.my_keys),
    ("GET POST", "/console/my/keys/new", api_keys.new_own_key),
    ("GET", "/console/my/personal-tokens", credentials.my_tokens),
    ("GET POST", "/console/my/personal-tokens/new", credentials.new_token),
    ("GET", "/console/my/sessions", credentials.my_sessions),
    ("POST", "/console/my/sessions/end-all", credentials.sign_out_everywhere),
    ("GET", connections.MINE, connections.my_connections),
    ("POST", f"{connections.MINE}/<name>/disconnect", connections.disconnect_own),
    ("GET POST", "/console/my/email", credentials.change_address),
    ("GET POST", "/console/my/password", credentials.change_password),
    ("GET", organisations.LIST, organisations.list_organisations),
    ("GET POST", f"{organisations.LIST}/new", organisations.new_organisation),
    ("POST", f"{organisations.LIST}/<realm>/approve", organisations.approve),
    ("GET POST", f"{organisations.LIST}/<realm>/deactivate", organisations.deactivate),
    ("POST", f"{organisations.LIST}/<realm>/activate", organisations.activate),
    ("GET POST", f"{organisations.LIST}/<realm>/delete", organisations.delete),
    ("POST", f"{organisations.LIST}/<realm>/restore", organisations.restore),
)


def register(app: Flask) -> None:
    """Add the pages below `/console` to the application."""
    app.register_blueprint(Blueprint("console", __name__, template_folder="templates"))
    set_up_templates(app)
    for methods, path, view in _ROUTES:
        app.add_url_rule(path, f"console {path}", view, methods=methods.split())
    register_edge(app, Edge("console", (PREFIX,), Limit.ITS_OWN, answer_error))
    add_headers(app)
