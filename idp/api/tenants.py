"""`/v1/tenants/{uid}`: settings that clients of other systems ask for by these names. Both are fixed here, and say so."""

from pydantic import Field
from typing_extensions import TypedDict

from idp import rules
from idp.api.requests import signed_in
from idp.api.schemas import Schema
from idp.callers import Caller, DeniedError
from idp.settings import SESSION_TOKEN_LIFETIME
from idp.users.passwords import LONGEST, SHORTEST


class TokenSettings(Schema):
    """`PUT /v1/tenants/{uid}/authTokenSettings`."""

    expiryTimeMinutes: int = Field(ge=15, le=1440)


class PasswordPolicy(Schema):
    """`POST /v1/tenants/{uid}/password/policy`."""

    read_only = frozenset({"updateTimestamp"})

    minLength: int | None = None
    maxLength: int | None = None
    minNumOfDigits: int | None = None
    minNumOfBlockLetters: int | None = None
    minNumOfSmallLetters: int | None = None
    minNumOfSpecialCharacters: int | None = None
    expiryDurationInDays: int | None = None
    firstReminderInDays: int | None = None
    isRegex: bool | None = None
    regex: str | None = None


class TokenSettingsShown(TypedDict):
    """How long session tokens live."""

    expiryTimeMinutes: int


class PasswordPolicyShown(TypedDict):
    """What a password must be."""

    minLength: int
    maxLength: int
    minNumOfDigits: int
    minNumOfBlockLetters: int
    minNumOfSmallLetters: int
    minNumOfSpecialCharacters: int
    expiryDurationInDays: int
    firstReminderInDays: int
    isRegex: bool
    regex: str


POLICY: PasswordPolicyShown = {
    "minLength": SHORTEST,
    "maxLength": LONGEST,
    "minNumOfDigits": 0,
    "minNumOfBlockLetters": 0,
    "minNumOfSmallLetters": 0,
    "minNumOfSpecialCharacters": 0,
    "expiryDurationInDays": 0,
    "firstReminderInDays": 0,
    "isRegex": False,
    "regex": "",
}
"""What a password must be, everywhere on this server."""


@signed_in
def get_token_settings(caller: Caller, uid: str) -> TokenSettingsShown:
    """Show the lifetime of session tokens: always 15 minutes, since offline verifiers rely on it."""
    rules.realms.own_tenant(caller, uid)
    return {"expiryTimeMinutes": SESSION_TOKEN_LIFETIME // 60}


@signed_in
def set_token_settings(caller: Caller, body: TokenSettings, uid: str) -> None:
    """Accept 15 minutes, and refuse any other lifetime of session tokens."""
    rules.realms.own_tenant(caller, uid, to_change=True)
    if body.expiryTimeMinutes * 60 != SESSION_TOKEN_LIFETIME:
        raise DeniedError("Session tokens live 15 minutes here, always.")


@signed_in
def get_password_policy(caller: Caller, uid: str) -> PasswordPolicyShown:
    """Show the password policy: long enough, and not a common one. No rules on characters, and no expiry (R106)."""
    rules.realms.own_tenant(caller, uid)
    return POLICY


@signed_in
def set_password_policy(caller: Caller, body: PasswordPolicy, uid: str) -> None:
    """Accept the existing policy, and refuse any other."""
    rules.realms.own_tenant(caller, uid, to_change=True)
    if body.model_dump(exclude_none=True).items() - POLICY.items():
        raise DeniedError(f"Passwords take {SHORTEST} to {LONGEST} characters here, and there is no other rule.")
