"""Authorization codes: what was agreed, sealed, for 60 seconds (RFC 6749 §4.1.2).

Nothing of a code is stored until it is redeemed, so that silent requests of a thousand browsers cost the database nothing. What
it holds, only this server can read; that it is redeemed once, the row that is then written decides.
"""

import json
from dataclasses import dataclass, fields

from idp import clock, crypto, vault
from idp.crypto import DamagedError, MasterKeyError
from idp.db import shared_now
from idp.oauth.authorize.request import AuthorizationRequest
from idp.realms import KnownRealm
from idp.sessions import BrowserSession

LIFETIME = 60
"""Seconds (R38)."""

_CONTEXT = "authorization code"
_LONGEST = 8_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What a code stands for."""

    id: str
    realm: str
    application: str
    """Uid of the application that it was issued to."""
    user: str
    """Uid of who has signed in."""
    sid: str
    auth_time: float
    auth_method: str
    session_ends: float
    redirect_uri: str
    """Empty where the request left it out."""
    challenge: str
    key_thumbprint: str
    """Of the key that its client has to show; empty for none."""
    nonce: str
    scopes: list[str]
    resource: str
    id_token: list[str]
    """Claims that were asked for by name, in the ID token."""
    userinfo: list[str]
    made_at: float

    @property
    def is_over(self) -> bool:
        """Whether it has expired."""
        return clock.now().timestamp() >= self.made_at + LIFETIME


_NAMES = tuple(each.name for each in fields(Code))


def make_code(request: AuthorizationRequest, session: BrowserSession) -> str:
    """Return a new code for what was checked and agreed."""
    now = shared_now().timestamp()
    code = Code(
        id=crypto.ordered_uid(now),
        realm=request.realm.name,
        application=request.application.uid,
        user=session.user.uid,
        sid=session.sid,
        auth_time=session.known.started_at,
        auth_method=session.known.auth_method,
        session_ends=session.known.expires_at,
        redirect_uri=request.text("redirect_uri"),
        challenge=request.challenge,
        key_thumbprint=request.key_thumbprint,
        nonce=request.text("nonce"),
        scopes=request.scopes,
        resource=request.resource,
        id_token=sorted(request.named_in_id_token),
        userinfo=sorted(request.named_in_userinfo),
        made_at=now,
    )
    return vault.seal(
        json.dumps({name: getattr(code, name) for name in _NAMES}, separators=(",", ":")).encode(), context=_CONTEXT
    )


def open_code(realm: KnownRealm, code: str) -> Code | None:
    """Return what a code stands for, also if it has expired; None for what is none of this realm."""
    try:
        content = json.loads(vault.unseal(code, context=_CONTEXT)) if len(code) <= _LONGEST else None
    except (DamagedError, MasterKeyError):
        return None
    if content is None or content.keys() != set(_NAMES) or content["realm"] != realm.name:
        return None
    return Code(**content)
