"""Protecting a Flask view."""

import functools
import inspect
import json
from collections.abc import Callable, Collection
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, g, jsonify, request

from idp.jose import InvalidTokenError
from idp.verifier.bearer import RefusalError, is_preflight, require_roles, unavailable
from idp.verifier.keyset import KeySetUnavailableError
from idp.verifier.presented import refusal_of, shown_in
from idp.verifier.resource import HEADERS, ProtectedResource, challenge
from idp.verifier.verifier import Verifier, names

View = TypeVar("View", bound=Callable[..., Any])


def require_token(
    verifier: Verifier,
    *,
    roles: str | Collection[str] = (),
    project_argument: str | None = None,
    preflights: bool = False,
    resource: ProtectedResource | None = None,
) -> Callable[[View], View]:
    """Decorate a view so that it runs only for callers with an accepted token; `flask.g.identity` says who calls.

    :param roles: the caller must hold one of these; by default any token will do.
    :param project_argument: name of the view's argument that names a project: the role must be held on that project.
    :param preflights: let through what browsers ask before a call from another origin, where the view takes OPTIONS itself;
        `flask.g.identity` is None then. Otherwise Flask answers OPTIONS before any view.
    :param resource: what refusals lead clients to, which `add_metadata` serves.
    """
    required = names(roles)

    def decorate(view: View) -> View:
        parameters = inspect.signature(view).parameters.values()
        if project_argument and not any(each.name == project_argument or each.kind is each.VAR_KEYWORD for each in parameters):
            raise ValueError(f"{view.__name__} has no argument {project_argument!r} to name the project")

        @functools.wraps(view)
        def protected(*args: Any, **kwargs: Any) -> Any:
            headers = request.headers
            asked = headers.get("Access-Control-Request-Method")
            if preflights and is_preflight(request.method, headers.get("Origin"), asked):
                g.identity = None
                return view(*args, **kwargs)
            try:
                token, shown = shown_in(
                    headers.getlist("Authorization"),
                    headers.getlist("DPoP"),
                    method=request.method,
                    public_url=verifier.public_url,
                    path=urlsplit(request.url).path,
                )
                g.identity = verifier.verify(token, proof=shown.proof, method=shown.method, url=shown.url)
                require_roles(g.identity, required, kwargs[project_argument] if project_argument else None)
            except InvalidTokenError as error:
                return _refuse(refusal_of(error), resource)
            except RefusalError as refusal:
                return _refuse(refusal, resource)
            except KeySetUnavailableError as error:
                fault = unavailable(error)
                response = jsonify(error=fault.error, error_description=fault.description)
                response.headers["Retry-After"] = "5"
                response.headers["Cache-Control"] = "no-store"
                response.status_code = 503
                return response
            return view(*args, **kwargs)

        return protected  # type: ignore[return-value]

    return decorate


def add_metadata(app: Flask | Blueprint, resource: ProtectedResource) -> None:
    """Serve the metadata of a protected resource (RFC 9728 §3). A blueprint must have no prefix."""
    body = json.dumps(resource.document())
    app.add_url_rule(resource.path, "oauth_protected_resource", lambda: Response(body, headers=HEADERS), methods=["GET"])


def _refuse(refusal: RefusalError, resource: ProtectedResource | None) -> Response:
    response = jsonify(error=refusal.error or "invalid_token", error_description=refusal.description)
    response.status_code = refusal.status
    response.headers["WWW-Authenticate"] = challenge(refusal, resource)
    response.headers["Cache-Control"] = "no-store"
    return response
