"""What Palette's clients ask of identity and the native API does not do: the answer says so, instead of that nothing is there.

All else of their contract is the native API itself, `/v1`.
"""

from flask import Flask

from idp.compat.calls import not_served

NOT_SERVED: tuple[tuple[str, str], ...] = (
    ("PATCH", "/v1/audits/<uid>/userMsg"),
    ("GET", "/v1/auth/org/<org>/oidc/callback"),
    ("POST", "/v1/auth/org/<org>/saml/callback"),
    ("POST", "/v1/auth/org/<org>/saml/logout"),
    ("GET", "/v1/auth/sso/<app>/callback"),
    ("GET", "/v1/users/mfa/devices/<name>"),
    ("DELETE", "/v1/users/mfa/devices/<name>"),
    ("POST", "/v1/users/mfa/register/device/start"),
    ("POST", "/v1/users/mfa/register/device/finish"),
    ("PATCH", "/v1/users/<uid>/status/loginMode"),
    ("GET", "/v1/tenants/<uid>/domains"),
    ("POST", "/v1/tenants/<uid>/domains"),
    ("GET", "/v1/tenants/<uid>/loginBanner"),
    ("PUT", "/v1/tenants/<uid>/loginBanner"),
    ("GET", "/v1/tenants/<uid>/oidc/config"),
    ("POST", "/v1/tenants/<uid>/oidc/config"),
    ("GET", "/v1/tenants/<uid>/saml/config"),
    ("POST", "/v1/tenants/<uid>/saml/config"),
    ("GET", "/v1/tenants/<uid>/sso/auth/providers"),
    ("POST", "/v1/tenants/<uid>/sso/auth/providers"),
)
"""Method and path of the calls about people's other ways to sign in, and of notes in the audit trail, which nobody can change."""


def register(app: Flask) -> None:
    """Add the calls that are not served to the application."""
    refuse = not_served("docs/compatible-apis.md lists what is.")
    for method, path in NOT_SERVED:
        app.add_url_rule(path, f"palette {method} {path}", refuse, methods=[method], strict_slashes=False)
