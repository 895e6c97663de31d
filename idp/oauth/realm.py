"""Finding the realm of a request."""

from idp import realms, runtime
from idp.oauth.errors import AccessDeniedError, UnknownRealmError
from idp.realms import KnownRealm


def open_realm(name: str) -> KnownRealm:
    """Return the realm that a URL names, once what is in memory is confirmed to be true.

    :raises UnknownRealmError: there is none.
    :raises AccessDeniedError: it is disabled.
    """
    process = runtime.current()
    process.feed.confirm()
    realm = realms.known_realm(process, name)
    if realm is None:
        raise UnknownRealmError
    if not realm.enabled:
        raise AccessDeniedError("The realm is disabled. Ask its operator.")
    return realm
