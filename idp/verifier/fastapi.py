"""Protecting a path of FastAPI.

require_token = RequireToken(verifier, roles=["researcher"])

@app.get("/runs")
async def runs(identity: Annotated[Identity, Depends(require_token)]) -> list[Run]: ...
"""

import importlib
import inspect
from collections.abc import Collection
from typing import Any

from idp.verifier.asgi import identify
from idp.verifier.bearer import RefusalError, require_roles
from idp.verifier.resource import HEADERS, ProtectedResource, challenge
from idp.verifier.verifier import Identity, Verifier, names


class RequireToken:
    """A dependency that says who calls, and lets nobody else through (RFC 6750 §3, RFC 9449 §7)."""

    def __init__(
        self,
        verifier: Verifier,
        *,
        roles: str | Collection[str] = (),
        project_parameter: str | None = None,
        resource: ProtectedResource | None = None,
    ) -> None:
        """Prepare; FastAPI must be installed.

        :param roles: the caller must hold one of these; by default any token will do.
        :param project_parameter: name of the parameter of the path that names a project: the role must be held on that project.
        :param resource: what refusals lead clients to, which `add_metadata` serves.
        """
        framework = importlib.import_module("fastapi")
        self._refusal: Any = framework.HTTPException
        self._verifier, self._roles, self._project, self._resource = verifier, names(roles), project_parameter, resource
        # by which the framework knows what to call this with
        request = inspect.Parameter("request", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=framework.Request)
        self.__signature__ = inspect.Signature([request], return_annotation=Identity)

    async def __call__(self, request: Any) -> Identity:
        """Return who calls.

        :raises fastapi.HTTPException: nobody who may.
        """
        try:
            identity = await identify(self._verifier, request.scope)
            require_roles(identity, self._roles, request.path_params[self._project] if self._project else None)
        except RefusalError as refusal:
            raise self._answer(refusal) from refusal
        return identity

    def _answer(self, refusal: RefusalError) -> Exception:
        told = {"Retry-After": "5"} if refusal.status == 503 else {"WWW-Authenticate": challenge(refusal, self._resource)}
        detail = {"error": refusal.error or "invalid_token", "error_description": refusal.description}
        answer: Exception = self._refusal(
            status_code=refusal.status, detail=detail, headers={"Cache-Control": "no-store", **told}
        )
        return answer


def add_metadata(app: Any, resource: ProtectedResource) -> None:
    """Serve the metadata of a protected resource (RFC 9728 §3): an application of FastAPI, or a router of it without a prefix."""
    answers = importlib.import_module("fastapi.responses")

    def oauth_protected_resource() -> Any:
        return answers.JSONResponse(resource.document(), headers=HEADERS)

    app.add_api_route(resource.path, oauth_protected_resource, include_in_schema=False)
