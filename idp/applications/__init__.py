"""Applications: programs with an identity, secrets and grants of their own."""

from idp.applications.assertions import ASSERTION_ALGORITHMS, check_assertion, forget_expired_assertions
from idp.applications.known import KnownApplication, KnownSecret, known_application, read_application, recall_application
from idp.applications.models import Application, ApplicationSecret, UsedAssertion
from idp.applications.review import expiring_secrets, safe_to_retire, unused_secrets
from idp.applications.secrets import (
    NewSecret,
    add_secret,
    change_expiry,
    find_secret,
    list_secrets,
    mark_secrets_shown,
    renew_unshown_secrets,
    retire_secret,
    use_up,
)
from idp.applications.service import (
    check_audiences,
    check_client_id,
    check_jwks,
    create_application,
    delete_application,
    find_application_by_uid,
    get_application,
    holder_of,
    is_claimed,
    list_applications,
    update_application,
)

__all__ = [
    "ASSERTION_ALGORITHMS",
    "Application",
    "ApplicationSecret",
    "KnownApplication",
    "KnownSecret",
    "NewSecret",
    "UsedAssertion",
    "add_secret",
    "change_expiry",
    "check_assertion",
    "check_audiences",
    "check_client_id",
    "check_jwks",
    "create_application",
    "delete_application",
    "expiring_secrets",
    "find_application_by_uid",
    "find_secret",
    "forget_expired_assertions",
    "get_application",
    "holder_of",
    "is_claimed",
    "known_application",
    "list_applications",
    "list_secrets",
    "mark_secrets_shown",
    "read_application",
    "recall_application",
    "renew_unshown_secrets",
    "retire_secret",
    "safe_to_retire",
    "unused_secrets",
    "update_application",
    "use_up",
]
