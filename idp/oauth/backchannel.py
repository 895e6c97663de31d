"""Telling applications that a person has signed out (OpenID Connect Back-Channel Logout 1.0)."""

import hashlib
import json
import logging
from urllib.parse import urlencode

from idp import clock, keys, outbound, realms, runtime
from idp.applications import Application, KnownApplication, known_application
from idp.authorizations import notices
from idp.authorizations.notices import DueNotice
from idp.db import db
from idp.errors import StorageUnavailableError
from idp.outbound import Reach
from idp.realms import KnownRealm, Realm
from idp.telemetry import count

LIFETIME = 120
"""Seconds that a logout token is valid for (Back-Channel Logout §2.4)."""

_EVENT = "http://schemas.openid.net/event/backchannel-logout"

_log = logging.getLogger(__name__)


def deliver_notices(limit: int = 20) -> int:
    """Tell applications what is due, and return how many were told. Each notice is claimed, so one worker sends it."""
    told = 0
    runtime.current().feed.confirm()
    for _ in range(limit):
        notice = notices.claim()
        if notice is None:
            break
        try:
            told += _deliver(notice)
        except StorageUnavailableError:
            raise
        except Exception:  # noqa: BLE001 (one that cannot be told stands in the way of no other)
            _log.exception("a notice could not be sent")
            db.session.rollback()
            notices.put_off(notice)
    return told


def _deliver(notice: DueNotice) -> bool:
    realm, application = _whom(notice)
    if realm is None or application is None or not application.enabled or not application.backchannel_logout_uri:
        notices.done(notice)
        return False
    body = urlencode({"logout_token": logout_token(realm, application, notice)}).encode()
    settings = realm.runtime.settings
    reach = Reach(private=settings.outbound_private, networks=settings.outbound_networks)
    try:
        status = outbound.post_form(application.backchannel_logout_uri, body, {"Cache-Control": "no-store"}, reach=reach)
        problem = "" if status in {200, 204} else f"status {status}"
    except outbound.OutboundError as error:
        problem = str(error)
    if not problem:
        notices.done(notice)
        count("realmgate_logout_notices", 1, "delivered")
        return True
    again = notices.put_off(notice)
    count("realmgate_logout_notices", 1, "put off" if again else "given up")
    _log.warning("%s was not told that somebody signed out (try %d): %s", application.client_id, notice.tries, problem)
    return False


def _whom(notice: DueNotice) -> tuple[KnownRealm | None, KnownApplication | None]:
    row, name = db.session.get(Application, notice.application_id), db.session.get_one(Realm, notice.realm_id).name
    client_id = row.name if row is not None else ""
    db.session.rollback()  # no transaction is kept open while somebody is called
    realm = realms.known_realm(runtime.current(), name)
    return realm, known_application(realm, client_id) if realm is not None and client_id else None


def logout_token(realm: KnownRealm, application: KnownApplication, notice: DueNotice) -> str:
    """Return a logout token: who has signed out, and of which session; never a nonce (Back-Channel Logout §2.4; R83).

    Each try has one that is as young as the call, and all of them the same `jti`: an application whose answer was lost sees by it
    that it was told before.
    """
    now, sid = clock.timestamp(), notice.session_uid
    # the number alone comes again after a backup was restored
    named = f"{realm.issuer} {application.client_id} {notice.id} {notice.created_at.isoformat()} {notice.subject} {sid}"
    claims = {
        "iss": realm.issuer,
        "sub": notice.subject,
        "aud": application.client_id,
        "iat": now,
        "exp": now + LIFETIME,
        "jti": hashlib.sha256(named.encode()).hexdigest()[:32],
        "events": {_EVENT: {}},
    }
    written = json.dumps(claims | ({"sid": sid} if sid else {}), separators=(",", ":"))
    signer = keys.key_ring(realm).signer(application.algorithm or realm.signing_algorithm, now)
    return signer.sign("logout+jwt", written)
