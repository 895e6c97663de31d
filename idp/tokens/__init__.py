"""Tokens: issuing them, telling whether one is still good, revoking one, and counting their use."""

from idp.tokens.claims import PROJECT_SCOPE, ScopeError, TargetError
from idp.tokens.inspect import (
    ForeignTokenError,
    NotRevocableError,
    forget_expired_revocations,
    inspect_token,
    revoke_token,
)
from idp.tokens.issue import LONGEST_TOKEN, IssuedTokens, TokenTooLargeError, check_request, issue_tokens
from idp.tokens.models import RevokedToken
from idp.tokens.usage import Usage, usage

__all__ = [
    "LONGEST_TOKEN",
    "PROJECT_SCOPE",
    "ForeignTokenError",
    "IssuedTokens",
    "NotRevocableError",
    "RevokedToken",
    "ScopeError",
    "TargetError",
    "TokenTooLargeError",
    "Usage",
    "check_request",
    "forget_expired_revocations",
    "inspect_token",
    "issue_tokens",
    "revoke_token",
    "usage",
]
