"""APIs behind a proxy that asks the gateway, and the rules of who may call what."""

from idp.protected_apis.calls import Call, Judgement, Verdict, call_of
from idp.protected_apis.known import KnownApi, Rule, as_known, known_api
from idp.protected_apis.models import ProtectedApi
from idp.protected_apis.paths import is_plain, path_of
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
    "Call",
    "Judgement",
    "KnownApi",
    "ProtectedApi",
    "ProtectedApiSheet",
    "Rule",
    "RuleSheet",
    "Verdict",
    "api_listing",
    "as_known",
    "call_of",
    "check_rules",
    "create_api",
    "delete_api",
    "get_api",
    "is_plain",
    "known_api",
    "list_apis",
    "path_of",
    "put_api",
]
