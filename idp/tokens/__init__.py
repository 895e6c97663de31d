"""Tokens: issuing them, telling whether one is still good, revoking one, and counting their use."""

from idp.tokens.claims import ScopeError, TargetError, TokenTooLargeError
from idp.tokens.inspect import (
    ForeignTokenError,
    NotRevocableError,
    forget_expired_revocations,
    inspect_token,
    revoke_token,
)
from idp.tokens.issue import IssuedTokens, check_request, issue_tokens
from idp.tokens.models import RevokedToken
from idp.tokens.usage import Usage, usage

__all__ = [
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
