"""What was taken back of a realm's tokens, for verifiers that ask nobody about a token (docs/recall.md)."""

import re
import time
from collections.abc import Iterable

from flask import Response, request

from idp import ratelimit, recall, runtime
from idp.long_polls import LONGEST_WAIT
from idp.oauth.errors import UnknownRealmError
from idp.ratelimit import BURST, Rate, Use
from idp.realms import KnownRealm, known_realm
from idp.runtime import Runtime
from idp.web.address import client_address
from idp.web.places import give_back_place

PATH = "protocol/realmgate/revocations"
"""Below the realm."""

_WAIT = re.compile(r'\s*wait\s*=\s*"?(\d{1,6})"?\s*(?:;.*)?', re.IGNORECASE | re.ASCII)
_HEADERS = {"Cache-Control": "no-cache"}


def revocations(realm: str) -> Response:
    """Answer the signed document, or 304 to a verifier that has it: after a while, if it is ready to wait (RFC 7240 §4.3).

    Also of a realm that is disabled: then the document says that none of its tokens counts.
    """
    process = runtime.current()
    _count(process)
    process.feed.confirm_now()  # all that was answered before this is in it, whichever worker and node has
    tags = request.if_none_match.as_set()
    end = time.monotonic() + _wait(request.headers.getlist("Prefer"))
    known = _find(process, realm)
    edition, causes = recall.edition(known)
    while tags and not edition.is_news_to(tags) and (left := min(end - time.monotonic(), edition.seconds_left)) > 0:
        give_back_place(request.environ)
        if not recall.await_news(process, known, causes, left):
            break
        known = _find(process, realm)
        edition, causes = recall.edition(known)
    headers = _HEADERS | {"ETag": f'"{edition.tag}"'}
    if tags and not edition.is_news_to(tags):
        return Response(b"", 304, headers)
    body = recall.document(known, edition, causes, request.args.get("since", ""))
    return Response(body, 200, headers, mimetype="application/jwt")


def _find(process: Runtime, name: str) -> KnownRealm:
    realm = known_realm(process, name)
    if realm is None:
        raise UnknownRealmError
    return realm


def _count(process: Runtime) -> None:
    """Count a request against the rate of its address.

    :raises RateExceededError: it asks too often.
    """
    per_second = process.settings.rate_api
    address = ratelimit.network_of(client_address(request.environ, process.settings.trusted_proxies))
    ratelimit.limiter(process).use(Use(Rate("revocations", per_second, BURST * per_second), address))


def _wait(preferences: Iterable[str]) -> float:
    """Return for how many seconds somebody is ready to wait; 0 for not at all."""
    for each in (part for line in preferences for part in line.split(",")):
        if match := _WAIT.fullmatch(each):
            return min(int(match[1]), LONGEST_WAIT)
    return 0
