"""Tokens: issuing them, telling whether one is still good, revoking one, and counting their use."""

from idp.tokens.claim_list import (
    ADVERTISED_CLAIMS,
    INTROSPECTED_CLAIMS,
    KEYS_SESSION,
    PERSONAL,
    PERSONS_SESSION,
    USERINFO_CLAIMS,
    Statement,
    Subject,
    meaning_of,
)
from idp.tokens.claims import TokenTooLargeError, close_claims, write_claims
from idp.tokens.command import curl_command
from idp.tokens.exchange import GATEWAY_CLIENT, SubjectTokenError, exchange_access_token, issue_upstream_token
from idp.tokens.inspect import (
    ForeignTokenError,
    NotRevocableError,
    actors_of,
    forget_expired_revocations,
    inspect_token,
    is_before_restore,
    is_revoked,
    is_revoked_by_now,
    live_subject,
    open_token_of,
    revoke_token,
    still_held,
    write_revocation,
)
from idp.tokens.issue import IssuedTokens, check_request, issue_tokens
from idp.tokens.models import RevokedToken
from idp.tokens.narrowing import ScopeError, TargetError, may_manage, projects_among, requested_scopes
from idp.tokens.token_roles import TokenRoles, roles_for_token
from idp.tokens.usage import Usage, usage

__all__ = [
    "ADVERTISED_CLAIMS",
    "GATEWAY_CLIENT",
    "INTROSPECTED_CLAIMS",
    "KEYS_SESSION",
    "PERSONAL",
    "PERSONS_SESSION",
    "USERINFO_CLAIMS",
    "ForeignTokenError",
    "IssuedTokens",
    "NotRevocableError",
    "RevokedToken",
    "ScopeError",
    "Statement",
    "Subject",
    "SubjectTokenError",
    "TargetError",
    "TokenRoles",
    "TokenTooLargeError",
    "Usage",
    "actors_of",
    "check_request",
    "close_claims",
    "curl_command",
    "exchange_access_token",
    "forget_expired_revocations",
    "inspect_token",
    "is_before_restore",
    "is_revoked",
    "is_revoked_by_now",
    "issue_tokens",
    "issue_upstream_token",
    "live_subject",
    "may_manage",
    "meaning_of",
    "open_token_of",
    "projects_among",
    "requested_scopes",
    "revoke_token",
    "roles_for_token",
    "still_held",
    "usage",
    "write_claims",
    "write_revocation",
]
