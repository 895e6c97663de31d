"""API keys: long-lived secrets of users and applications, their policy, and their exchange for session tokens."""

from idp.apikeys.check import KeyExpiredError, KeyRefusedError, check_key, count_use, is_allowed_from
from idp.apikeys.exchange import exchange_key
from idp.apikeys.known import CheckedKey, KnownKey, find_live_key
from idp.apikeys.leaks import can_be_leaked, revoke_leaked
from idp.apikeys.models import ApiKey, KeyStatus
from idp.apikeys.notices import remove_long_expired, send_notices
from idp.apikeys.policy import LifetimeError, choose_expiry
from idp.apikeys.review import count_expiring, expiring_keys, unused_keys
from idp.apikeys.rotation import quiet_since, renew_secret, rotate_key, successor_of
from idp.apikeys.service import (
    MOST_KEYS,
    NewKey,
    create_key,
    delete_key,
    get_key,
    key_listing,
    key_works,
    list_keys,
    owner_of,
    owners_of,
    revoke_key,
    unused_since,
    update_key,
)
from idp.apikeys.sheet import ApiKeyNarrowing, ApiKeySheet
from idp.apikeys.usage import key_usage

__all__ = [
    "MOST_KEYS",
    "ApiKey",
    "ApiKeyNarrowing",
    "ApiKeySheet",
    "CheckedKey",
    "KeyExpiredError",
    "KeyRefusedError",
    "KeyStatus",
    "KnownKey",
    "LifetimeError",
    "NewKey",
    "can_be_leaked",
    "check_key",
    "choose_expiry",
    "count_expiring",
    "count_use",
    "create_key",
    "delete_key",
    "exchange_key",
    "expiring_keys",
    "find_live_key",
    "get_key",
    "is_allowed_from",
    "key_listing",
    "key_usage",
    "key_works",
    "list_keys",
    "owner_of",
    "owners_of",
    "quiet_since",
    "remove_long_expired",
    "renew_secret",
    "revoke_key",
    "revoke_leaked",
    "rotate_key",
    "send_notices",
    "successor_of",
    "unused_keys",
    "unused_since",
    "update_key",
]
