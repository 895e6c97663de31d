"""Realms: organisations and their settings. Knows no other domain."""

from idp.realms.models import Realm
from idp.realms.service import (
    MASTER,
    NAME_PATTERN,
    SIGNING_ALGORITHMS,
    KnownRealm,
    check_algorithm,
    check_name,
    check_text,
    create_realm,
    find_name_by_contract,
    find_realm,
    get_realm,
    known_realm,
    list_realms,
    lock_realm,
    publish_application,
    publish_user,
    update_realm,
)

__all__ = [
    "MASTER",
    "NAME_PATTERN",
    "SIGNING_ALGORITHMS",
    "KnownRealm",
    "Realm",
    "check_algorithm",
    "check_name",
    "check_text",
    "create_realm",
    "find_name_by_contract",
    "find_realm",
    "get_realm",
    "known_realm",
    "list_realms",
    "lock_realm",
    "publish_application",
    "publish_user",
    "update_realm",
]
