"""Tokens: issuing them, telling whether one is still good, revoking one, and counting their use."""

from idp.tokens.claims import ScopeError, TargetError, TokenTooLargeError, may_manage
from idp.tokens.command import curl_command
from idp.tokens.exchange import GATEWAY_CLIENT, SubjectTokenError, exchange_access_token, issue_upstream_token
from idp.tokens.inspect import (
    ForeignTokenError,
    NotRevocableError,
    Subject,
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
from idp.tokens.usage import Usage, usage

__all__ = [
    "GATEWAY_CLIENT",
    "ForeignTokenError",
    "IssuedTokens",
    "NotRevocableError",
    "RevokedToken",
    "ScopeError",
    "Subject",
    "SubjectTokenError",
    "TargetError",
    "TokenTooLargeError",
    "Usage",
    "actors_of",
    "check_request",
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
    "open_token_of",
    "revoke_token",
    "still_held",
    "usage",
    "write_revocation",
]
