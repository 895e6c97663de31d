"""The native REST API, `/v1`: one resource a file. The edge of administrators' programs, and of everybody's own credentials."""

from flask import Flask

from idp.api import (
    api_keys,
    applications,
    audit_trail,
    auth,
    docs,
    grants,
    groups,
    me,
    personal_tokens,
    projects,
    realms,
    roles,
    sessions,
    signing_keys,
    tenants,
    users,
)
from idp.api.errors import answer_error
from idp.api.exchange import PATH, ExchangeExpress, exchange_key
from idp.api.idempotency import forget_old_answers
from idp.api.limits import register_limits
from idp.api.openapi import Route
from idp.wire.edges import answer_errors

__all__ = ["ROUTES", "forget_old_answers", "register"]

ROUTES: tuple[Route, ...] = (
    ("POST", "/v1/auth/authenticate", auth.authenticate),
    ("POST", "/v1/auth/refresh", auth.refresh_session),
    ("GET", "/v1/auth/refresh/<token>", auth.refresh),
    ("POST", "/v1/auth/logout", auth.logout),
    ("GET", "/v1/auth/org", auth.org),
    ("GET", "/v1/auth/orgs", auth.orgs),
    ("GET", "/v1/auth/sso/<any(idps,logins,providers):kind>", auth.sso),
    ("GET", "/v1/auth/org/<name>/oidc/logout", auth.org_logout),
    ("POST", "/v1/auth/user/password/reset", auth.start_reset),
    ("GET", "/v1/auth/user/org/forgot", auth.forgot),
    ("PATCH", "/v1/auth/password/<code>/activate", auth.activate),
    ("PATCH", "/v1/auth/password/<code>/reset", auth.reset),
    ("POST", "/v1/auth/signup", realms.sign_up),
    ("PATCH", "/v1/auth/signup/<code>/verify", realms.verify_sign_up),
    ("POST", PATH, exchange_key),
    ("POST", "/v1/auth/credentials/report", auth.report_leak),
    ("POST", "/v1/users/default/login", me.default_login),
    ("POST", "/v1/users/auth/tokens/revoke", me.revoke_tokens),
    ("GET", "/v1/users/info", me.info),
    ("PATCH", "/v1/users/password/change", me.change_password),
    ("PATCH", "/v1/users/<uid>/password/change", me.change_own_password),
    ("PATCH", "/v1/users/<uid>/password/reset", users.start_reset),
    ("GET", "/v1/users", users.list_users),
    ("POST", "/v1/users", users.create_user),
    ("GET", "/v1/users/meta", users.list_user_names),
    ("POST", "/v1/users/summary", users.summarize_users),
    ("GET", "/v1/users/<uid>", users.get_user),
    ("PUT", "/v1/users/<uid>", users.replace_user),
    ("PATCH", "/v1/users/<uid>", users.change_user),
    ("DELETE", "/v1/users/<uid>", users.delete_user),
    ("POST", "/v1/users/<uid>/invite", users.invite_user),
    ("GET", "/v1/users/<uid>/roles", users.get_roles),
    ("PUT", "/v1/users/<uid>/roles", users.set_roles),
    ("GET", "/v1/users/<uid>/projects", users.get_projects),
    ("PUT", "/v1/users/<uid>/projects", users.set_projects),
    ("DELETE", "/v1/users/<uid>/sessions", sessions.end_all_sessions),
    ("GET", "/v1/users/<uid>/personalTokens", personal_tokens.list_tokens),
    ("DELETE", "/v1/users/<uid>/personalTokens/<token_id>", personal_tokens.delete_token),
    ("GET", "/v1/sessions", sessions.list_sessions),
    ("GET", "/v1/sessions/<uid>", sessions.get_session),
    ("DELETE", "/v1/sessions/<uid>", sessions.end_session),
    ("GET", "/v1/personalTokens", personal_tokens.list_all_tokens),
    ("POST", "/v1/personalTokens", personal_tokens.create_token),
    ("GET", "/v1/personalTokens/<token_id>", personal_tokens.get_token),
    ("DELETE", "/v1/personalTokens/<token_id>", personal_tokens.delete_any_token),
    ("GET", "/v1/apiKeys", api_keys.list_keys),
    ("POST", "/v1/apiKeys", api_keys.create_key),
    ("GET", "/v1/apiKeys/<uid>", api_keys.get_key),
    ("PUT", "/v1/apiKeys/<uid>", api_keys.replace_key),
    ("PATCH", "/v1/apiKeys/<uid>", api_keys.set_state),
    ("PUT", "/v1/apiKeys/<uid>/state", api_keys.set_state),
    ("DELETE", "/v1/apiKeys/<uid>", api_keys.delete_key),
    ("POST", "/v1/apiKeys/<uid>/rotate", api_keys.rotate_key),
    ("POST", "/v1/apiKeys/<uid>/revoke", api_keys.revoke_key),
    ("GET", "/v1/realms", realms.list_realms),
    ("POST", "/v1/realms", realms.create_realm),
    ("GET", "/v1/realms/<uid>", realms.get_realm),
    ("PUT", "/v1/realms/<uid>", realms.replace_realm),
    ("PATCH", "/v1/realms/<uid>", realms.change_realm),
    ("DELETE", "/v1/realms/<uid>", realms.delete_realm),
    ("POST", "/v1/realms/<uid>/approve", realms.approve_realm),
    ("POST", "/v1/realms/<uid>/deactivate", realms.deactivate_realm),
    ("POST", "/v1/realms/<uid>/activate", realms.activate_realm),
    ("POST", "/v1/realms/<uid>/restore", realms.restore_realm),
    ("POST", "/v1/realms/<uid>/purge", realms.purge_realm),
    ("GET", "/v1/applications", applications.list_applications),
    ("POST", "/v1/applications", applications.create_application),
    ("GET", "/v1/applications/<uid>", applications.get_application),
    ("PUT", "/v1/applications/<uid>", applications.replace_application),
    ("PATCH", "/v1/applications/<uid>", applications.change_application),
    ("DELETE", "/v1/applications/<uid>", applications.delete_application),
    ("GET", "/v1/applications/<uid>/secrets", applications.list_secrets),
    ("POST", "/v1/applications/<uid>/secrets", applications.create_secret),
    ("GET", "/v1/applications/<uid>/secrets/<secret>", applications.get_secret),
    ("PUT", "/v1/applications/<uid>/secrets/<secret>", applications.change_secret),
    ("PATCH", "/v1/applications/<uid>/secrets/<secret>", applications.change_secret),
    ("DELETE", "/v1/applications/<uid>/secrets/<secret>", applications.retire_secret),
    ("GET", "/v1/permissions", roles.list_permissions),
    ("GET", "/v1/roles", roles.list_roles),
    ("POST", "/v1/roles", roles.create_role),
    ("GET", "/v1/roles/<uid>", roles.get_role),
    ("PUT", "/v1/roles/<uid>", roles.replace_role),
    ("PATCH", "/v1/roles/<uid>", roles.change_role),
    ("DELETE", "/v1/roles/<uid>", roles.delete_role),
    ("POST", "/v1/roles/<uid>/clone", roles.copy_role),
    ("GET", "/v1/projects", projects.list_projects),
    ("POST", "/v1/projects", projects.create_project),
    ("GET", "/v1/projects/<uid>", projects.get_project),
    ("PUT", "/v1/projects/<uid>", projects.replace_project),
    ("PATCH", "/v1/projects/<uid>", projects.change_project),
    ("DELETE", "/v1/projects/<uid>", projects.delete_project),
    ("PUT", "/v1/projects/<uid>/meta", projects.set_project_meta),
    ("PUT", "/v1/projects/<uid>/users", projects.set_project_users),
    ("PUT", "/v1/projects/<uid>/teams", projects.set_project_teams),
    ("GET", "/v1/dashboard/projects/metadata", projects.list_project_names),
    ("GET", "/v1/grants", grants.list_grants),
    ("POST", "/v1/grants", grants.create_grant),
    ("GET", "/v1/grants/<uid>", grants.get_grant),
    ("PUT", "/v1/grants/<uid>", grants.replace_grant),
    ("PATCH", "/v1/grants/<uid>", grants.change_grant),
    ("DELETE", "/v1/grants/<uid>", grants.delete_grant),
    ("GET", "/v1/accessReview", grants.review_access),
    *(
        (method, path.format(plural), view)
        for plural in ("groups", "teams")
        for method, path, view in (
            ("GET", "/v1/{}", groups.list_groups),
            ("POST", "/v1/{}", groups.create_group),
            ("GET", "/v1/{}/<uid>", groups.get_group),
            ("PUT", "/v1/{}/<uid>", groups.replace_group),
            ("PATCH", "/v1/{}/<uid>", groups.change_group),
            ("DELETE", "/v1/{}/<uid>", groups.delete_group),
            ("GET", "/v1/{}/<uid>/members", groups.list_members),
            ("POST", "/v1/{}/<uid>/members", groups.add_member),
            ("DELETE", "/v1/{}/<uid>/members/<user>", groups.remove_member),
            ("GET", "/v1/{}/<uid>/roles", groups.get_group_roles),
            ("PUT", "/v1/{}/<uid>/roles", groups.set_group_roles),
            ("GET", "/v1/{}/<uid>/projects", groups.get_group_projects),
            ("PUT", "/v1/{}/<uid>/projects", groups.set_group_projects),
        )
    ),
    ("GET", "/v1/signingKeys", signing_keys.list_signing_keys),
    ("POST", "/v1/signingKeys", signing_keys.create_signing_key),
    ("GET", "/v1/signingKeys/<kid>", signing_keys.get_signing_key),
    ("POST", "/v1/signingKeys/<kid>/revoke", signing_keys.revoke_signing_key),
    ("GET", "/v1/audit/events", audit_trail.list_events),
    ("GET", "/v1/audit/export", audit_trail.export_events),
    ("GET", "/v1/audit/checkpoint", audit_trail.get_checkpoint),
    ("GET", "/v1/tenants/<uid>/authTokenSettings", tenants.get_token_settings),
    ("PUT", "/v1/tenants/<uid>/authTokenSettings", tenants.set_token_settings),
    ("GET", "/v1/tenants/<uid>/password/policy", tenants.get_password_policy),
    ("POST", "/v1/tenants/<uid>/password/policy", tenants.set_password_policy),
)
"""All calls of the API: method, path and function."""


def register(app: Flask) -> None:
    """Add the URLs below `/v1`, and `/docs`, to the application."""
    for method, path, view in ROUTES:
        # with or without a slash at the end: clients of other systems write both
        app.add_url_rule(path, f"api {method} {path}", view, methods=[method], strict_slashes=False)
    for path, page in (
        ("/v1/openapi.json", docs.describer(ROUTES)),
        ("/docs", docs.docs),
        ("/docs/life-cycle", docs.life_cycle),
        ("/docs/assets/<name>", docs.asset),
    ):
        app.add_url_rule(path, f"api {path}", page, methods=["GET"], strict_slashes=False)
    answer_errors(app, "/v1/", answer_error)
    register_limits(app)
    # takes POST before Flask does; the rule is what answers other methods
    app.wsgi_app = ExchangeExpress(app)  # type: ignore[method-assign]  # the way Flask documents for middleware
