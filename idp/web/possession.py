"""What a request shows that it holds: the key of a DPoP proof (RFC 9449 §4 and §7), and a certificate (RFC 8705 §3)."""

from idp import clock, runtime
from idp.jose import PROOF_ALGORITHMS, InvalidProofError, Proof, check_proof, escaped_path
from idp.proofs import ANYBODYS, Binding, ProofError
from idp.web.body import Environ
from idp.web.certificates import certificate_thumbprint
from idp.web.credentials import Credentials

_HEADER = "HTTP_DPOP"

_NONCE = "realmgate.dpop_nonce"
"""Where a request keeps the nonce that its answer tells."""


def public_url_of(environ: Environ) -> str:
    """Return the URL of a request as its client knows it: below the public URL, whatever a proxy has made of it."""
    path: str = environ["PATH_INFO"]
    return runtime.current().settings.public_url + escaped_path(path.encode("latin-1", "replace"))


def read_proof(environ: Environ, *, method: str = "", url: str = "", token: str | None = None) -> Proof | None:
    """Return the proof that a request carries, once it is found right for it; None for a request without one.

    :param method: of the request that it is for; by default of this one.
    :param url: of the request that it is for; by default of this one.
    :param token: the access token that comes with it; None where none does.
    :raises ProofError: it is not right.
    """
    header: str | None = environ.get(_HEADER)
    if header is None:
        return None
    asked = {"method": method or environ["REQUEST_METHOD"], "url": url or public_url_of(environ)}
    try:
        return check_proof(header, **asked, now=clock.now().timestamp(), token=token)
    except InvalidProofError as error:
        raise ProofError(str(error)) from error


def shown_binding(environ: Environ, credentials: Credentials, *, method: str = "", url: str = "") -> Binding:
    """Return what a request with an access token shows that it holds; see `read_proof`.

    :raises ProofError: the token is sent as DPoP, without a proof or with one that is not right.
    """
    x5t = certificate_thumbprint(environ)
    if not credentials.by_proof:
        return Binding(x5t=x5t) if x5t else ANYBODYS
    proof = read_proof(environ, method=method, url=url, token=credentials.value)
    if proof is None:
        raise ProofError("A token that is sent as DPoP needs a proof in the header DPoP.")
    return Binding(jkt=proof.thumbprint, x5t=x5t, proof=proof)


def challenge_of(error: ProofError) -> dict[str, str]:
    """Return the headers that tell a client what is missing (RFC 9449 §7.1 and §9)."""
    if not error.by_key:
        return {"WWW-Authenticate": f'Bearer error="{error.error}"'}
    challenge = {"WWW-Authenticate": f'DPoP error="{error.error}", algs="{" ".join(PROOF_ALGORITHMS)}"'}
    return challenge | nonce_headers(error.nonce)


def nonce_headers(nonce: str) -> dict[str, str]:
    """Return the headers that tell a nonce, to pages of other origins, too; none for none."""
    return {"DPoP-Nonce": nonce} if nonce else {}


def note_nonce(environ: Environ, nonce: str) -> None:
    """Note a nonce that the answer to a request tells."""
    environ[_NONCE] = nonce


def noted_nonce(environ: Environ) -> str:
    """Return the nonce that the answer to a request tells; empty for none."""
    found: str = environ.get(_NONCE, "")
    return found
