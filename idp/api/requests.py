"""The steps that every call of the API takes before and after its own: who calls, as whom it is recorded, what is in the body."""

import functools
import json
from collections.abc import Callable
from typing import Any, TypeVar

from flask import Response, request
from pydantic import BaseModel, ConfigDict, ValidationError

from idp import audit, callers, realms, runtime
from idp.callers import Caller, CredentialError
from idp.db import only_read
from idp.errors import InvalidValueError, one_line
from idp.realms import Realm
from idp.wire.address import client_address
from idp.wire.body import read_body, read_json
from idp.wire.credentials import Credentials, Shown, check_origin, read_credentials

View = Callable[..., Response]
SchemaType = TypeVar("SchemaType", bound="Schema")

UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Schema(BaseModel):
    """A body. Members that it does not know are ignored, so that what was read can be sent back changed."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


def parse(schema: type[SchemaType]) -> SchemaType:
    """Return the body of the request in its shape.

    :raises BodyError: it is no JSON object.
    :raises InvalidValueError: a member is missing, or has another shape. What was sent is not repeated.
    """
    try:
        return schema.model_validate_json(json.dumps(read_json(request.environ)))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = one_line(".".join(str(part) for part in first["loc"]))[:200]
        raise InvalidValueError(f"{where}: {first['msg']}.") from None


def address() -> str:
    """Return the client's address."""
    return client_address(request.environ, runtime.current().settings.trusted_proxies)


def public(view: View) -> View:
    """Make a call one that takes no credential. What is recorded names nobody, unless the call finds out who it is."""

    @functools.wraps(view)
    def called(**arguments: Any) -> Response:
        runtime.current().feed.confirm()
        with audit.acting_as(audit.Actor("unauthenticated", address())):
            return view(**arguments)

    return called


def signed_in(view: View) -> View:
    """Make a call one for callers who have proved who they are. It gets the `Caller` first."""

    @functools.wraps(view)
    def called(**arguments: Any) -> Response:
        runtime.current().feed.confirm()
        credentials = read_credentials(request.environ)
        caller = identify(credentials)
        if request.method in UNSAFE:
            read_body(request.environ)  # however slowly it comes, it keeps nobody waiting
            caller = _identify_again(caller, credentials)
        else:
            only_read()
        with audit.acting_as(caller.actor):
            return view(caller, **arguments)

    return called


def _identify_again(caller: Caller, credentials: Credentials) -> Caller:
    """Return the caller as of this moment, in which no other change of the realm can take place.

    What is in memory may be up to a second old: enough for somebody who is losing a role to give it back to themselves.
    """
    is_operator = caller.realm.name == realms.MASTER
    name = request.headers.get("X-Organization-Id", caller.realm.name) if is_operator else caller.realm.name
    return callers.identify_again(caller, "" if credentials.shown is Shown.KEY else credentials.value, lock=name)


def identify(credentials: Credentials) -> Caller:
    """Return who shows these credentials.

    :raises CredentialError: nobody, or they will not do.
    """
    process = runtime.current()
    match credentials.shown:
        case Shown.TOKEN:
            if credentials.by_cookie and request.method in UNSAFE:
                check_origin(request.environ, process.settings.public_url)
            return callers.authenticate_token(process, credentials.value, address())
        case Shown.KEY:
            return callers.authenticate_key(process, credentials.value, address())
    raise CredentialError


def realm_of(caller: Caller) -> Realm:
    """Return the realm that a call is about: the caller's own, or what an operator names in `X-Organization-Id`.

    :raises CredentialError: the realm is gone.
    """
    named = request.headers.get("X-Organization-Id")
    name = caller.realm.name
    if named is not None and named != name:
        name = named if caller.realm.name == realms.MASTER else ""
        realm = realms.find_realm(name) if name else None
        if realm is None:
            raise callers.DeniedError("The caller does not belong to the organisation named in X-Organization-Id.")
        return realm
    own = realms.find_realm(name)
    if own is None:
        raise CredentialError
    return own
