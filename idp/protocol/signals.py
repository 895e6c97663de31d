"""The transmitter of security events: the Shared Signals Framework 1.0, polled by RFC 8936 (docs/signals.md)."""

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

from flask import Response, request

from idp import audit, callers, ratelimit, rules, signals
from idp.applications import KnownApplication, known_application
from idp.callers import Caller, CredentialError, DeniedError
from idp.db import commit
from idp.errors import IdpError, InvalidValueError, Kind
from idp.long_polls import LONGEST_WAIT
from idp.oauth.errors import (
    NO_STORE,
    AccessDeniedError,
    ConflictingRequestError,
    InsufficientScopeError,
    InvalidRequestError,
    InvalidTokenError,
    NothingThereError,
    UnprovenTokenError,
)
from idp.oauth.realm import open_realm, open_realm_document
from idp.proofs import ProofError
from idp.ratelimit import Rate, Use
from idp.realms import KnownRealm
from idp.rules.signals import ScopeMissingError
from idp.signals import SignalStream, Status
from idp.web.address import client_address
from idp.web.body import BodyError, read_json
from idp.web.credentials import MalformedCredentialError, Shown, read_credentials
from idp.web.places import give_back_place
from idp.web.possession import shown_binding
from idp.written import one_line

BASE = "protocol/ssf"
"""Below the issuer."""

MAX_AGE = 3600

MOST_SETTLED = 2_000
"""Events that one request acknowledges or refuses."""

_RATE = Rate("signals", 20, 200)
"""Requests of one receiver."""


def metadata(realm: str) -> Response:
    """Answer what a receiver has to know of this transmitter (SSF §7.1)."""
    known = open_realm_document(realm)
    base = f"{known.issuer}/{BASE}"
    document = {
        "spec_version": "1_0",
        "issuer": known.issuer,
        "jwks_uri": f"{known.issuer}/protocol/openid-connect/certs",
        "delivery_methods_supported": [each.value for each in signals.Method],
        "configuration_endpoint": f"{base}/streams",
        "status_endpoint": f"{base}/status",
        "verification_endpoint": f"{base}/verify",
        "authorization_schemes": [{"spec_urn": "urn:ietf:rfc:6749"}],
        "default_subjects": "ALL",
    }
    return Response(json.dumps(document), 200, {"Cache-Control": f"max-age={MAX_AGE}"}, mimetype="application/json")


def streams(realm: str) -> Response:
    """Create, show, change, replace or delete a stream (SSF §8.1.1)."""
    with _called(realm, manages=request.method not in {"GET", "HEAD"}) as (known, receiver):
        match request.method:
            case "POST":
                stream = signals.create_stream(known, receiver, signals.read_wanted(_body()))
                return _answer(_described(known, receiver, stream), 201)
            case "PATCH" | "PUT":
                return _answer(_change(known, receiver), 200)
            case "DELETE":
                stream = _stream(receiver, request.args.get("stream_id"))
                signals.delete_stream(known, stream)
                return Response(status=204, headers=NO_STORE)
        if "stream_id" in request.args:
            stream = _stream(receiver, request.args["stream_id"])
            return _answer(_described(known, receiver, stream), 200)
        return _answer([_described(known, receiver, each) for each in signals.streams_of(receiver)], 200)


def status(realm: str) -> Response:
    """Show or set what becomes of the events of a stream (SSF §8.1.2)."""
    with _called(realm, manages=request.method == "POST") as (known, receiver):
        if request.method == "POST":
            said = _body()
            stream = _stream(receiver, said.get("stream_id"))
            try:
                wanted = Status(str(said.get("status")))
            except ValueError:
                raise InvalidRequestError(f"status takes {', '.join(each.value for each in Status)}.") from None
            signals.set_status(known, stream, wanted, _text(said, "reason", 300) or "")
        else:
            stream = _stream(receiver, request.args.get("stream_id"))
        reason = {"reason": stream.status_reason} if stream.status_reason else {}
        return _answer({"stream_id": stream.uid, "status": stream.status, **reason}, 200)


def verify(realm: str) -> Response:
    """Send an event by which a receiver can tell that its stream works (SSF §8.1.4.2)."""
    with _called(realm, manages=True) as (_, receiver):
        said = _body()
        stream = _stream(receiver, said.get("stream_id"))
        signals.verify_stream(stream, _text(said, "state", 1_000))
        return Response(status=204, headers=NO_STORE)


def poll(realm: str, stream_id: str) -> Response:
    """Settle events of before, and answer the next ones of a stream: after a while, if there are none yet (RFC 8936 §2.4)."""
    with _called(realm, manages=False) as (known, receiver):
        said = _body()
        stream = _stream(receiver, stream_id)
        most, waits = _most(said), said.get("returnImmediately", False)
        if not isinstance(waits, bool):
            raise InvalidRequestError("returnImmediately takes true or false.")
        signals.settle(stream, _acknowledged(said), _refused(said))
        number = stream.id
        commit()
        end = time.monotonic() + (0 if waits or most == 0 else LONGEST_WAIT)
        newest = signals.newest(known.runtime)
        with newest.turn(number) as turn:
            while True:
                seen = newest.of(number)
                taken = signals.take(*_as_of_now(known, receiver), _stream(receiver, stream_id), most)
                if taken.sets or (left := end - time.monotonic()) <= 0:
                    break
                give_back_place(request.environ)
                if not newest.await_news(number, turn, seen, left):
                    break
    more = {"moreAvailable": True} if taken.is_more else {}
    return _answer({"sets": taken.sets, **more}, 200)


@contextlib.contextmanager
def _called(realm: str, *, manages: bool) -> Iterator[tuple[KnownRealm, KnownApplication]]:
    """Find out who calls, let them do what they may, and commit it; what domains refuse is said as the protocol does."""
    known = open_realm(realm)
    caller = _caller(known)
    try:
        receiver = rules.signals.receiver(known, caller, manages=manages)
        ratelimit.limiter(known.runtime).use(Use(_RATE, receiver.uid))
        with audit.acting_as(caller.actor):
            yield known, receiver
            commit()
    except ScopeMissingError as error:
        raise InsufficientScopeError(error.scope) from error
    except DeniedError as error:
        raise AccessDeniedError(str(error)) from error
    except InvalidValueError as error:
        raise InvalidRequestError(str(error)) from error
    except IdpError as error:
        if error.kind is Kind.NOT_FOUND:
            raise NothingThereError(str(error)) from error
        if error.kind is Kind.CONFLICT:
            raise ConflictingRequestError(str(error)) from error
        raise


def _caller(realm: KnownRealm) -> Caller:
    """Return who calls. Tokens are sent in the header alone; cookies are ignored.

    :raises InvalidTokenError: nobody whose token counts.
    """
    try:
        shown = read_credentials(request.environ)
    except MalformedCredentialError as error:
        raise InvalidTokenError(is_shown=True) from error
    if shown.shown is not Shown.TOKEN or shown.by_cookie:
        raise InvalidTokenError(is_shown=False)
    address = client_address(request.environ, realm.runtime.settings.trusted_proxies)
    try:
        binding = shown_binding(request.environ, shown)
        return callers.authenticate_token(realm.runtime, shown.value, address, shown=binding)
    except ProofError as error:
        raise UnprovenTokenError(error) from error
    except CredentialError as error:
        raise InvalidTokenError(is_shown=True, sentence=str(error)) from error


def _as_of_now(realm: KnownRealm, receiver: KnownApplication) -> tuple[KnownRealm, KnownApplication]:
    """Return realm and receiver as they are by now.

    :raises AccessDeniedError: it may not receive anything any more.
    """
    realm.runtime.feed.confirm_now()
    known = open_realm(realm.name)
    found = known_application(known, receiver.client_id)
    if found is None or found.uid != receiver.uid or not signals.may_receive(found):
        raise AccessDeniedError("The application may not receive security events any more.")
    return known, found


def _stream(receiver: KnownApplication, uid: object) -> SignalStream:
    if not uid:
        raise InvalidRequestError("stream_id is missing.")
    return signals.get_stream(receiver, uid)


def _change(realm: KnownRealm, receiver: KnownApplication) -> dict[str, Any]:
    said = _body()
    stream = _stream(receiver, said.get("stream_id"))
    signals.check_unchanged(said, _described(realm, receiver, stream))
    change = signals.replace_stream if request.method == "PUT" else signals.update_stream
    change(realm, stream, signals.read_wanted(said))
    return _described(realm, receiver, stream)


def _described(realm: KnownRealm, receiver: KnownApplication, stream: SignalStream) -> dict[str, Any]:
    return signals.describe(realm, receiver, stream, f"{realm.issuer}/{BASE}/poll/{stream.uid}")


def _body() -> dict[str, Any]:
    try:
        return read_json(request.environ)
    except BodyError as error:
        raise InvalidRequestError(str(error)) from error


def _text(said: dict[str, Any], name: str, longest: int) -> str | None:
    value = said.get(name)
    if value is not None and (not isinstance(value, str) or len(value) > longest):
        raise InvalidRequestError(f"{name} takes a text of at most {longest} characters.")
    return value


def _most(said: dict[str, Any]) -> int:
    value = said.get("maxEvents", signals.MOST_AT_ONCE)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidRequestError("maxEvents takes a number, 0 or more.")
    return min(value, signals.MOST_AT_ONCE)


def _acknowledged(said: dict[str, Any]) -> list[str]:
    value = said.get("ack", [])
    if not isinstance(value, list) or len(value) > MOST_SETTLED or not all(isinstance(each, str) for each in value):
        raise InvalidRequestError(f"ack takes at most {MOST_SETTLED} ids of events.")
    return value


def _refused(said: dict[str, Any]) -> dict[str, str]:
    value = said.get("setErrs", {})
    if not isinstance(value, dict) or len(value) > MOST_SETTLED or not all(isinstance(each, dict) for each in value.values()):
        raise InvalidRequestError(
            f"setErrs takes an object of at most {MOST_SETTLED} ids of events, each with err and description."
        )
    return {jti: one_line(str(each.get("err", ""))) for jti, each in value.items()}


def _answer(body: object, code: int) -> Response:
    return Response(json.dumps(body), code, NO_STORE, mimetype="application/json")
