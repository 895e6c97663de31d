"""The native REST API, `/v1`: one resource a file. The edge of administrators' programs, and of everybody's own credentials."""

from collections.abc import Callable

from flask import Flask, Response, request

from idp.api import api_keys, auth, me, personal_tokens, sessions, users
from idp.api.errors import answer_error
from idp.api.exchange import PATH, ExchangeExpress, exchange
from idp.api.idempotency import forget_old_answers
from idp.wire.edges import answer_errors

__all__ = ["forget_old_answers", "register"]

_ROUTES: tuple[tuple[str, str, Callable[..., Response]], ...] = (
    ("POST", "/v1/auth/authenticate", auth.authenticate),
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
    ("POST", PATH, lambda: exchange(request.environ)),
    ("POST", "/v1/auth/credentials/report", auth.report_leak),
    ("POST", "/v1/users/default/login", me.default_login),
    ("POST", "/v1/users/auth/tokens/revoke", me.revoke_tokens),
    ("GET", "/v1/users/info", me.info),
    ("PATCH", "/v1/users/password/change", me.change_password),
    ("PATCH", "/v1/users/<uid>/password/change", me.change_own_password),
    ("PATCH", "/v1/users/<uid>/password/reset", users.start_reset),
    ("GET", "/v1/users", users.list_users),
    ("POST", "/v1/users", users.create_user),
    ("GET", "/v1/users/<uid>", users.get_user),
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
    ("DELETE", "/v1/sessions/<uid>", sessions.end_session),
    ("GET", "/v1/apiKeys", api_keys.list_keys),
    ("POST", "/v1/apiKeys", api_keys.create_key),
    ("GET", "/v1/apiKeys/<uid>", api_keys.get_key),
    ("PUT", "/v1/apiKeys/<uid>", api_keys.replace_key),
    ("PATCH", "/v1/apiKeys/<uid>", api_keys.set_state),
    ("PUT", "/v1/apiKeys/<uid>/state", api_keys.set_state),
    ("DELETE", "/v1/apiKeys/<uid>", api_keys.delete_key),
    ("POST", "/v1/apiKeys/<uid>/rotate", api_keys.rotate_key),
    ("POST", "/v1/apiKeys/<uid>/revoke", api_keys.revoke_key),
)


def register(app: Flask) -> None:
    """Add the URLs below `/v1` to the application."""
    for method, path, view in _ROUTES:
        app.add_url_rule(path, f"api {method} {path}", view, methods=[method])
    answer_errors(app, "/v1/", answer_error)
    # takes POST before Flask does; the rule is what answers other methods
    app.wsgi_app = ExchangeExpress(app)  # type: ignore[method-assign]  # the way Flask documents for middleware
