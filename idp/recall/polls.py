"""Those who wait for news of what was taken back."""

from idp.long_polls import Waiting
from idp.realms import KnownRealm
from idp.recall.known import KnownCauses
from idp.recall.writing import CACHED
from idp.runtime import Runtime


def await_news(process: Runtime, realm: KnownRealm, known: KnownCauses, seconds: float) -> bool:
    """Wait until something else may be known of a realm; tell whether that was waited for at all.

    :param known: what was known last.
    """
    cache = process.feed.cache(CACHED)
    return waiting(process).wait(lambda: cache.get(realm.name) is not known, seconds)


def waiting(process: Runtime) -> Waiting:
    """Return the waiting of a process."""
    found: Waiting = process.extensions.setdefault("recall-waiting", Waiting(process.feed.confirm, "recall"))
    return found
