"""Asking the issuer whether a token is still good (RFC 7662): for what can be deleted before it expires."""

import base64
import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus, urlsplit

from idp.verifier.keyset import MAX_DOCUMENT, KeySetUnavailableError


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Follow none: a token is shown to the configured issuer, and to nobody else."""


@dataclass(frozen=True)
class Introspection:
    """As whom to ask, and about what.

    The application must name this API in its `resources`; for personal and session tokens, the realm's issuer.
    """

    client_id: str
    client_secret: str = field(repr=False)
    every_token: bool = False
    """Ask about every token, also where its signature has told enough: revocations then count at once, each call costs one."""
    endpoint: str = ""
    """URL of the introspection endpoint; by default the issuer's."""
    timeout: float = 5
    """Seconds that an answer may take."""

    def ask(self, issuer: str, token: str) -> dict[str, Any] | None:
        """Return the claims of an active token, or None for any other.

        :raises KeySetUnavailableError: the issuer does not answer. A fault of the server side: answer 503.
        """
        url = self.endpoint or f"{issuer}/protocol/openid-connect/token/introspect"
        if urlsplit(url).scheme not in {"http", "https"}:
            raise ValueError("the introspection endpoint takes an http or https URL")
        credentials = base64.b64encode(f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret)}".encode()).decode()
        request = urllib.request.Request(  # noqa: S310 (the scheme is checked)
            url,
            data=urllib.parse.urlencode({"token": token}).encode(),
            headers={"Authorization": f"Basic {credentials}", "Accept": "application/json"},
        )
        try:
            with urllib.request.build_opener(_NoRedirects).open(request, timeout=self.timeout) as response:
                answer = json.loads(response.read(MAX_DOCUMENT))
        except urllib.error.HTTPError as error:
            error.close()
            raise KeySetUnavailableError(f"Introspection at {issuer} answered {error.code}.") from error
        except (OSError, ValueError, RecursionError, http.client.HTTPException) as error:
            raise KeySetUnavailableError(f"Introspection at {issuer} does not answer: {error}") from error
        if not isinstance(answer, dict):
            raise KeySetUnavailableError(f"Introspection at {issuer} did not answer a JSON object.")
        return answer if answer.get("active") is True else None
