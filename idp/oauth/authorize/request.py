"""An authorization request: what was sent, and what the checks have made of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from idp.applications import KnownApplication
from idp.errors import IdpError
from idp.realms import KnownRealm

LONGEST_VALUE = 4_000
"""Characters of one parameter."""

MOST_PARAMETERS = 100

PARAMETERS = frozenset(
    {
        "response_type", "response_mode", "client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge",
        "code_challenge_method", "prompt", "max_age", "login_hint", "id_token_hint", "claims", "resource", "request",
        "ui_locales", "acr_values", "display", "claims_locales", "dpop_jkt",
    }
)  # fmt: skip # a list of words
"""Those that mean something; all others are ignored."""


class UnsafeRequestError(IdpError):
    """A request that nobody may be redirected for: its client or its redirect URI is not right (RFC 6749 §4.1.2.1)."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """What was sent: each parameter once, those without a value left out (RFC 6749 §3.1)."""

    values: Mapping[str, str]
    repeated: frozenset[str] = frozenset()


def read_parameters(pairs: Iterable[tuple[str, str]]) -> Parameters:
    """Return the parameters of a request.

    :raises UnsafeRequestError: there are too many.
    """
    values: dict[str, str] = {}
    repeated = set()
    for number, (name, value) in enumerate(pairs):
        if number >= MOST_PARAMETERS:
            raise UnsafeRequestError(f"The request has more than {MOST_PARAMETERS} parameters.")
        if name == "resource" and value:  # it alone may be repeated (RFC 8707 §2)
            values[name] = f"{values[name]} {value}" if name in values else value
            continue
        if name in values:
            repeated.add(name)
        if value:
            values[name] = value
    return Parameters(values, frozenset(repeated))


@dataclass(slots=True, kw_only=True)
class AuthorizationRequest:
    """A request that is being checked. A field is what its check has found right; until then it says nothing."""

    realm: KnownRealm
    unverified: Parameters
    former_sid: str = ""
    """The session that the browser had when it came; empty for none. Whoever signs in for it has another."""
    pushed: str = ""
    """What refers to it, if it was pushed (RFC 9126)."""
    chosen: bool = False
    """Whether the person has chosen the account to go on with."""
    agreed: bool = False
    """Whether the person has agreed just now."""

    application: KnownApplication = field(init=False)
    redirect_uri: str = ""
    """Empty until it is found to be registered: nobody is redirected before that."""
    response_mode: str = "query"
    scopes: list[str] = field(default_factory=list)
    resource: str = ""
    """What its tokens are for, with spaces between several; empty where that is left open."""
    challenge: str = ""
    key_thumbprint: str = ""
    """Of the key that the code is bound to; empty for none."""
    prompts: frozenset[str] = frozenset()
    max_age: int | None = None
    hinted_subject: str = ""
    named_in_id_token: frozenset[str] = frozenset()
    named_in_userinfo: frozenset[str] = frozenset()

    def text(self, name: str) -> str:
        """Return a parameter as it was sent, empty if absent."""
        return self.unverified.values.get(name, "")

    @property
    def state(self) -> str:
        """What the client gets back as it was sent (RFC 6749 §4.1.1)."""
        return self.text("state")

    def written(self) -> dict[str, Any]:
        """Return what a page carries of it, from one form to the next."""
        return {
            "parameters": dict(self.unverified.values),
            "former_sid": self.former_sid,
            "pushed": self.pushed,
            "chosen": self.chosen,
        }
