"""Tokens that are bound to a key or a certificate: does the request hold it (RFC 9449 §7, RFC 8705 §3)?"""

import base64
import hashlib
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from idp.jose import InvalidProofError, InvalidTokenError, Proof, check_proof

MOST_REMEMBERED = 100_000
"""Proofs that are remembered; where there are more within a minute, further ones are refused until the first of them are old."""


class UnprovenTokenError(InvalidTokenError):
    """The token is bound to something that the request does not show, or is shown with a proof and bound to nothing."""

    def __init__(self, sentence: str, *, error: str = "invalid_token", by_key: bool = True) -> None:
        """Take the sentence, the code for the answer, and whether it is about a key, and not a certificate."""
        super().__init__(sentence)
        self.error, self.by_key = error, by_key


@dataclass(frozen=True, slots=True)
class Shown:
    """What a request shows beside its token."""

    proof: str | None = None
    """The value of its header `DPoP`, where the token is sent as DPoP; None where it is sent as Bearer."""
    method: str = ""
    url: str = ""
    """As the client knows it; query and fragment do not count."""
    certificate: bytes | None = field(default=None, repr=False)
    """The client certificate of its TLS connection, as DER; None for none."""


class UsedProofs:
    """Which proofs were used here, for as long as they could be used again. Each process remembers its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[tuple[str, str], float] = {}

    def use_up(self, proof: Proof, now: float) -> None:
        """Use a proof up.

        :raises UnprovenTokenError: it was used before, or there are too many to remember it.
        """
        key = (proof.thumbprint, proof.jti)
        with self._lock:
            if len(self._until) >= MOST_REMEMBERED:
                self._until = {each: until for each, until in self._until.items() if until > now}
            if self._until.get(key, now) > now or len(self._until) >= MOST_REMEMBERED:
                raise UnprovenTokenError("The DPoP proof was used before. Make a new one.", error="invalid_dpop_proof")
            self._until[key] = proof.until


def check_possession(token: str, claims: Mapping[str, Any], shown: Shown, used: UsedProofs, now: float) -> None:
    """See that a request holds what its token is bound to.

    :param claims: of the token, which has been checked.
    :raises UnprovenTokenError: it does not.
    """
    confirmation = claims.get("cnf", {})
    if (
        not isinstance(confirmation, dict)
        or not set(confirmation) <= {"jkt", "x5t#S256"}
        or ("cnf" in claims) != bool(confirmation)
        or not all(isinstance(each, str) for each in confirmation.values())
    ):
        raise UnprovenTokenError("The token is bound to something that is not known here.")
    if "x5t#S256" in confirmation and confirmation["x5t#S256"] != _thumbprint(shown.certificate):
        raise UnprovenTokenError("The token is bound to a certificate that the connection does not have.", by_key=False)
    if "jkt" not in confirmation and shown.proof is None:
        return
    if shown.proof is None:
        raise UnprovenTokenError("The token is bound to a key: send it as DPoP, with a proof of that key.")
    if "jkt" not in confirmation:
        raise UnprovenTokenError("The token is bound to no key: send it as Bearer.")
    proof = _checked(token, shown, now)
    if proof.thumbprint != confirmation["jkt"]:
        raise UnprovenTokenError("The DPoP proof is of another key than the token.")
    used.use_up(proof, now)


def _checked(token: str, shown: Shown, now: float) -> Proof:
    try:
        return check_proof(shown.proof or "", method=shown.method, url=shown.url, now=now, token=token)
    except InvalidProofError as error:
        raise UnprovenTokenError(str(error), error="invalid_dpop_proof") from error


def _thumbprint(certificate: bytes | None) -> str | None:
    """Return the SHA-256 of a certificate, as tokens that are bound to it have it; None for none."""
    if certificate is None:
        return None
    return base64.urlsafe_b64encode(hashlib.sha256(certificate).digest()).rstrip(b"=").decode()


def public_url_in(audience: Collection[str]) -> str:
    """Return scheme and host of an API that is called by its URL in `aud`; empty where that is none, or there are several."""
    parts = [urlsplit(each) for each in audience]
    origins = {f"{each.scheme}://{each.netloc}" for each in parts if each.scheme in {"http", "https"} and each.netloc}
    return origins.pop() if len(origins) == 1 and len(parts) == 1 else ""
