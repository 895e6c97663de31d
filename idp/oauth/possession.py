"""What the tokens of a request are bound to: the key whose proof comes with it (RFC 9449), or its certificate (RFC 8705)."""

from idp import proofs
from idp.applications import FAPI_ALGORITHMS, KnownApplication
from idp.oauth.client_auth import Client
from idp.oauth.errors import InvalidDpopProofError, InvalidRequestError, UseDpopNonceError
from idp.proofs import Binding, ProofError
from idp.realms import KnownRealm
from idp.web.body import Environ
from idp.web.certificates import certificate_thumbprint
from idp.web.possession import note_nonce, read_proof


def confirmation_of(client: Client) -> dict[str, str]:
    """Return what the refresh tokens of a client are bound to: what it shows, unless it shows who it is each time anyway.

    RFC 9449 §5 and RFC 8705 §4: those of a client that keeps a secret are bound to that client already, and its key may change.
    """
    return client.binding.confirmation if client.application.kind.is_public else {}


def bind(realm: KnownRealm, environ: Environ, application: KnownApplication, *, needed: bool = True) -> Binding:
    """Return what the tokens of a request are to be bound to, once the proof that it carries is used up.

    :param application: the one that asks, after it has shown who it is, or been counted.
    :param needed: whether tokens are issued for this request, which an application may have to have bound.
    :raises InvalidRequestError: the connection has no certificate, and the application needs one.
    :raises InvalidDpopProofError: the proof is not right, was used before, or is missing where the application needs one.
    :raises UseDpopNonceError: it lacks the nonce that it should have.
    """
    x5t = certificate_thumbprint(environ) if application.binds_to_certificates else ""
    if needed and application.binds_to_certificates and not x5t:
        raise InvalidRequestError("The tokens of this application are bound to its certificate: connect with that (RFC 8705).")
    try:
        proof = read_proof(environ)
        if proof is None:
            if needed and application.binds_tokens:
                raise ProofError("The tokens of this application are bound to a key: send a proof in the header DPoP (RFC 9449).")
            return _over_tls(environ, application, x5t, needed=needed)
        if application.is_fapi and proof.algorithm not in FAPI_ALGORITHMS:
            raise ProofError("By the profile fapi2, the algorithm of the DPoP proof must be PS256, ES256 or EdDSA.")
        proofs.check_nonce(realm, proof, demanded=application.demands_nonces)
        proofs.use_up(proof)
    except ProofError as error:
        if error.nonce:
            raise UseDpopNonceError(str(error), error.nonce) from error
        raise InvalidDpopProofError(str(error)) from error
    if application.demands_nonces or proof.nonce:
        note_nonce(environ, proofs.current_nonce(realm))
    return Binding(jkt=proof.thumbprint, x5t=x5t)


def _over_tls(environ: Environ, application: KnownApplication, x5t: str, *, needed: bool) -> Binding:
    """Return what the tokens of a request without a proof are to be bound to.

    :raises InvalidRequestError: nothing, and the profile of the application needs something.
    """
    if application.is_fapi and not x5t:
        x5t = certificate_thumbprint(environ)
    if application.is_fapi and needed and not x5t:
        # FAPI 2.0 Security Profile §5.3.2.1
        raise InvalidRequestError("By the profile fapi2, tokens are bound: send a DPoP proof, or connect with a certificate.")
    return Binding(x5t=x5t) if x5t else proofs.ANYBODYS
