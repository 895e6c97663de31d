"""APIs behind a proxy that asks the gateway, and the rules of who may call what."""

from idp.protected_apis.known import KnownApi, Rule, allows, is_open, known_api
from idp.protected_apis.models import ProtectedApi
from idp.protected_apis.paths import is_plain
from idp.protected_apis.service import (
    METHODS,
    MOST_RULES,
    api_listing,
    check_rules,
    create_api,
    delete_api,
    get_api,
    list_apis,
    put_api,
)
from idp.protected_apis.sheet import Audience, ProtectedApiSheet, RuleSheet

__all__ = [
    "METHODS",
    "MOST_RULES",
    "Audience",
    "KnownApi",
    "ProtectedApi",
    "ProtectedApiSheet",
    "Rule",
    "RuleSheet",
    "allows",
    "api_listing",
    "check_rules",
    "create_api",
    "delete_api",
    "get_api",
    "is_open",
    "is_plain",
    "known_api",
    "list_apis",
    "put_api",
]
