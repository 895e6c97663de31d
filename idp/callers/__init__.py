"""Who calls, by whatever credential. What they may do is in `rules`."""

from idp.callers.authenticate import (
    ActiveToken,
    CredentialError,
    NoCredentialError,
    authenticate_browser,
    authenticate_key,
    authenticate_token,
    identify_again,
    identify_browser_again,
    introspect,
    realm_of_token,
    remember_access_token,
)
from idp.callers.first_start import ADMINISTRATOR, FirstSecretError, awaits_administrator, redeem_first_secret
from idp.callers.holders import (
    address_of_holder,
    find_holder,
    holder_of_grant,
    holders_named,
    last_use_of_holder,
    read_holders,
    uid_of_holder,
)
from idp.callers.models import Caller, CredentialKind, DeniedError
from idp.callers.revoke import revoke_credential

__all__ = [
    "ADMINISTRATOR",
    "ActiveToken",
    "Caller",
    "CredentialError",
    "CredentialKind",
    "DeniedError",
    "FirstSecretError",
    "NoCredentialError",
    "address_of_holder",
    "authenticate_browser",
    "authenticate_key",
    "authenticate_token",
    "awaits_administrator",
    "find_holder",
    "holder_of_grant",
    "holders_named",
    "identify_again",
    "identify_browser_again",
    "introspect",
    "last_use_of_holder",
    "read_holders",
    "realm_of_token",
    "redeem_first_secret",
    "remember_access_token",
    "revoke_credential",
    "uid_of_holder",
]
