"""Protecting an ASGI application."""

import asyncio
import functools
import json
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from idp.jose import InvalidTokenError, escaped_path
from idp.verifier.bearer import RefusalError, is_preflight, require_roles, unavailable
from idp.verifier.keyset import KeySetStaleError, KeySetUnavailableError
from idp.verifier.presented import refusal_of, shown_in
from idp.verifier.resource import HEADERS, ProtectedResource, challenge
from idp.verifier.verifier import Identity, Verifier, names

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class BearerMiddleware:
    """Lets only callers with an accepted token through; `scope["identity"]` says who calls. WebSockets are refused."""

    def __init__(
        self,
        app: Callable[[Scope, Receive, Send], Awaitable[None]],
        verifier: Verifier,
        *,
        roles: str | Collection[str] = (),
        open_paths: Collection[str] = (),
        preflights: bool = False,
        resource: ProtectedResource | None = None,
    ) -> None:
        """Wrap an application.

        :param roles: the caller must hold one of these on the realm; by default any token will do.
        :param open_paths: paths that need no token, compared as a whole.
        :param preflights: let through what browsers ask before a call from another origin, on every path: such a request
            cannot carry a token. The application answers it.
        :param resource: what the API says of itself: it is answered at `resource.path`, and refusals lead clients there.
        """
        self._app, self._verifier = app, verifier
        self._roles, self._open_paths, self._preflights = names(roles), frozenset(open_paths), preflights
        self._resource = resource

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if self._resource is not None and scope["type"] == "http" and scope["path"] == self._resource.path:
            await _describe(send, scope["method"], self._resource)
        elif scope["type"] == "lifespan" or (scope["type"] == "http" and self._is_open(scope)):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self._serve(scope, receive, send)

    def _is_open(self, scope: Scope) -> bool:
        if scope["path"] in self._open_paths:
            return True
        if not self._preflights:
            return False
        headers = dict(scope["headers"])
        return is_preflight(scope["method"], headers.get(b"origin"), headers.get(b"access-control-request-method"))

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            identity = await identify(self._verifier, scope)
            require_roles(identity, self._roles, None)
        except RefusalError as refusal:
            await _refuse(send, refusal, self._resource)
        else:
            scope["identity"] = identity
            await self._app(scope, receive, send)


async def identify(verifier: Verifier, scope: Scope) -> Identity:
    """Return who sends a request: checked on the event loop, which takes microseconds; only a fetch of keys goes to a thread.

    :raises RefusalError: nobody who is known.
    """
    try:
        token, shown = shown_in(
            _values(scope, b"authorization"),
            _values(scope, b"dpop"),
            method=scope["method"],
            public_url=verifier.public_url,
            path=_path(scope),
        )
        verify = functools.partial(verifier.verify, token, proof=shown.proof, method=shown.method, url=shown.url)
        try:
            return verify(fetch=False)
        except KeySetStaleError:
            return await asyncio.to_thread(verify)
    except InvalidTokenError as error:
        raise refusal_of(error) from error
    except KeySetUnavailableError as error:
        raise unavailable(error) from error


def _values(scope: Scope, name: bytes) -> list[str]:
    """Return the values of all headers of a name."""
    return [value.decode("latin-1") for each, value in scope["headers"] if each == name]


def _path(scope: Scope) -> str:
    """Return the path of a request as it was sent."""
    raw: bytes | None = scope.get("raw_path")
    return raw.decode("latin-1") if raw else escaped_path(scope["path"].encode())


async def _describe(send: Send, method: str, resource: ProtectedResource) -> None:
    """Answer the metadata of a protected resource (RFC 9728 §3)."""
    headers = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
    allowed = [(b"allow", b"GET, HEAD, OPTIONS"), (b"access-control-allow-headers", b"*")]
    status = {"GET": 200, "HEAD": 200, "OPTIONS": 204}.get(method, 405)
    body = json.dumps(resource.document()).encode() if method == "GET" else b""
    await send({"type": "http.response.start", "status": status, "headers": headers if status == 200 else headers[2:] + allowed})
    await send({"type": "http.response.body", "body": body})


async def _refuse(send: Send, refusal: RefusalError, resource: ProtectedResource | None) -> None:
    body = {"error": refusal.error or "invalid_token", "error_description": refusal.description}
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    if refusal.status == 503:
        headers.append((b"retry-after", b"5"))
    else:
        headers.append((b"www-authenticate", challenge(refusal, resource).encode()))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
