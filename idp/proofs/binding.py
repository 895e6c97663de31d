"""What a token is bound to, and what a request shows that it holds (RFC 7800 §3.1, RFC 9449 §6, RFC 8705 §3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from idp.errors import IdpError, Kind
from idp.jose import Proof

_MEMBERS = ("jkt", "x5t#S256")


class ProofError(IdpError):
    """A request does not show that it holds what its token is bound to."""

    kind = Kind.UNAUTHENTICATED

    def __init__(self, sentence: str, *, error: str = "invalid_dpop_proof", nonce: str = "", by_key: bool = True) -> None:
        """Take what the client is told.

        :param error: the code of the protocol.
        :param nonce: to try again with; empty for none.
        :param by_key: whether it is about a proof, and not about a certificate.
        """
        super().__init__(sentence)
        self.error, self.nonce, self.by_key = error, nonce, by_key


@dataclass(frozen=True, slots=True)
class Binding:
    """Keys that somebody holds: those that a request has shown, and those that a token is bound to."""

    jkt: str = ""
    """Thumbprint of the key of a DPoP proof; empty for none."""
    x5t: str = ""
    """SHA-256 of the certificate of the TLS connection; empty for none."""
    proof: Proof | None = None
    """The proof, which has still to be used up."""

    @property
    def confirmation(self) -> dict[str, str]:
        """The claim `cnf` of a token that is bound to it; empty for one that anybody can use."""
        return {name: value for name, value in zip(_MEMBERS, (self.jkt, self.x5t), strict=True) if value}

    @property
    def claim(self) -> str:
        """The same as it is added to claims that were written out; empty for none. Thumbprints need no escapes."""
        if not self.jkt and not self.x5t:
            return ""
        members = ",".join(f'"{name}":"{value}"' for name, value in self.confirmation.items())
        return f',"cnf":{{{members}}}'

    @property
    def token_type(self) -> str:
        """How a token that is bound to it is presented (RFC 9449 §5)."""
        return "DPoP" if self.jkt else "Bearer"


ANYBODYS = Binding()
"""Of a token that anybody can use who has it, and of a request that shows nothing."""


def bound_to(claims: Mapping[str, Any]) -> Binding:
    """Return what a token of ours is bound to.

    :raises ProofError: to something that is not known here.
    """
    confirmation = claims.get("cnf", {})
    if (
        not isinstance(confirmation, dict)
        or not set(confirmation) <= set(_MEMBERS)
        or ("cnf" in claims) != bool(confirmation)
        or not all(isinstance(each, str) and each for each in confirmation.values())
    ):
        raise ProofError("The token is bound to something that is not known here.", error="invalid_token")
    return Binding(*(confirmation.get(name, "") for name in _MEMBERS))


def check_binding(claims: Mapping[str, Any], shown: Binding) -> None:
    """See that a request holds what its token is bound to, and shows no proof where it is bound to no key.

    :param claims: of the token, which has been opened.
    :raises ProofError: it does not.
    """
    if "cnf" not in claims and not shown.jkt:
        return
    bound = bound_to(claims)
    if bound.jkt and not shown.jkt:
        raise ProofError("The token is bound to a key: send it as DPoP, with a proof of that key.", error="invalid_token")
    if bound.jkt != shown.jkt:
        sentence = (
            "The proof is of another key than the token." if bound.jkt else "The token is bound to no key: send it as Bearer."
        )
        raise ProofError(sentence, error="invalid_token")
    if bound.x5t and bound.x5t != shown.x5t:
        sentence = "The token is bound to a certificate: use it over a connection with that certificate."
        raise ProofError(sentence, error="invalid_token", by_key=False)
