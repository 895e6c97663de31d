"""Finding the realm of a request."""

from idp import realms, runtime
from idp.errors import StorageUnavailableError
from idp.feed import CONFIRM_AT_LAST
from idp.oauth.errors import AccessDeniedError, UnknownRealmError
from idp.realms import KnownRealm
from idp.runtime import Runtime
from idp.telemetry import span


def open_realm(name: str) -> KnownRealm:
    """Return the realm that a URL names, once what is in memory is confirmed to be true.

    :raises UnknownRealmError: there is none.
    :raises AccessDeniedError: it is disabled.
    """
    process = runtime.current()
    with span("open realm"):
        process.feed.confirm()
        return _find(process, name)


def open_realm_document(name: str) -> KnownRealm:
    """Return the realm whose public documents a URL names: from memory while the database does not answer, for as long as
    the operator allows. They are public, and verifiers everywhere keep working by them.

    :raises StorageUnavailableError: memory has it not, or has not been confirmed for too long.
    :raises UnknownRealmError: there is none.
    :raises AccessDeniedError: it is disabled.
    """
    process = runtime.current()
    if process.feed.confirm_unless_away() > max(process.settings.stale_documents, CONFIRM_AT_LAST):
        raise StorageUnavailableError(cause="memory has not been confirmed for too long")
    return _find(process, name)


def _find(process: Runtime, name: str) -> KnownRealm:
    realm = realms.known_realm(process, name)
    if realm is None:
        raise UnknownRealmError
    if not realm.enabled:
        raise AccessDeniedError("The realm is disabled. Ask its operator.")
    return realm
