"""How a program that has a key pair is set up and fetches a token by `private_key_jwt` (RFC 7523): docs/key-pairs.md."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from shlex import quote
from typing import Any, Self

from idp import published_keys
from idp.console.snippets import FROM_THE_SHELL, Snippet, asserted_request, token_url

FIRST, NEXT = "first", "next"
"""What keys are called: the first one, and one that is to replace another."""

_CLASSES = {"EC": "ECKey", "RSA": "RSAKey", "OKP": "OKPKey"}
"""What joserfc calls keys, by their type."""

_BEST = ("PS256", "Ed25519")
"""What a key signs with of which nothing is said, where it can: FAPI 2.0 takes these, too."""


@dataclass(frozen=True)
class Signer:
    """The key that a program signs with."""

    kid: str = FIRST
    algorithm: str = "ES256"
    key_class: str = "ECKey"
    names_key: bool = True
    """Whether its assertions name it: a key that was registered without a name is found by its kind alone."""

    @classmethod
    def of(cls, jwk: Mapping[str, Any]) -> Self:
        """Return what signs for a registered key."""
        kid, algorithms = jwk.get("kid"), published_keys.algorithms_of(jwk)
        algorithm = jwk.get("alg") or next((each for each in _BEST if each in algorithms), algorithms[0])
        return cls(str(kid or FIRST), algorithm, _CLASSES[jwk["kty"]], names_key=kid is not None)


def making_key_pair(kid: str = FIRST) -> Snippet:
    """Return how a key pair is made, where the program runs."""
    return Snippet("New key pair", "new_key.sh", _MAKING % {"kid": kid})


def registering(realm: str, name: str) -> Snippet:
    """Return how the public half of a key pair is registered, by whoever may use the command `idp`."""
    return Snippet("Register its public half", "register.sh", _REGISTERING % {"realm": quote(realm), "name": quote(name)})


def signing(issuer: str, client_id: str, signer: Signer) -> Sequence[Snippet]:
    """Return how a program fetches a token: by a command, and by a library.

    :param issuer: of the realm.
    """
    kind = {"key_class": signer.key_class, "algorithm": signer.algorithm}
    words = {"kid": quote(signer.kid), "client_id": quote(client_id), "issuer": quote(issuer)}
    names = {
        "named": ', "kid": kid' if signer.names_key else "",
        "allowed": "" if signer.algorithm == "ES256" else _ALLOWED % kind,
        "request": asserted_request(issuer, client_id, FROM_THE_SHELL),
    }
    texts = {
        "url": json.dumps(token_url(issuer)),
        "issuer": json.dumps(issuer),
        "client_id": json.dumps(client_id),
        "file": json.dumps(f"{signer.kid}.private.json"),
        "headers": json.dumps({"kid": signer.kid} if signer.names_key else {}),
    }
    return (
        Snippet("Key pair: curl", "token.sh", _COMMAND % (kind | names | words)),
        Snippet("Key pair: Python", "token.py", _LIBRARY % (kind | texts)),
    )


_MAKING = '''\
# pip install joserfc
cat > new_key.py <<'END'
"""Creates a key pair: python new_key.py KID. Writes the private half to KID.private.json and adds the public half to public-keys.json."""
import json, os, pathlib, sys
from joserfc.jwk import ECKey

kid = sys.argv[1]
key = ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": "ES256"})
private = os.open(f"{kid}.private.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
os.write(private, json.dumps(key.as_dict(private=True)).encode())
public = pathlib.Path("public-keys.json")
keys = json.loads(public.read_text())["keys"] if public.exists() else []
public.write_text(json.dumps({"keys": [*keys, key.as_dict(private=False)]}, indent=2))
END
python new_key.py %(kid)s
cat public-keys.json
'''  # noqa: E501 (a line of docs/key-pairs.md)

_REGISTERING = """\
idp applications update --realm %(realm)s --jwks public-keys.json %(name)s
"""

_ALLOWED = ', algorithms=["%(algorithm)s"]'

_COMMAND = '''\
# pip install joserfc
cat > assertion.py <<'END'
"""Prints a client assertion: python assertion.py KID CLIENT_ID ISSUER"""
import json, pathlib, secrets, sys, time
from joserfc import jwt
from joserfc.jwk import %(key_class)s

kid, client_id, issuer = sys.argv[1:]
key = %(key_class)s.import_key(json.loads(pathlib.Path(f"{kid}.private.json").read_text()))
now = int(time.time())
claims = {"iss": client_id, "sub": client_id, "aud": issuer, "jti": secrets.token_urlsafe(16), "iat": now, "exp": now + 60}
print(jwt.encode({"alg": "%(algorithm)s"%(named)s}, claims, key%(allowed)s))
END
ASSERTION=$(python assertion.py %(kid)s %(client_id)s %(issuer)s)
%(request)s
'''

# what Authlib says by itself is valid for an hour, and an assertion may be for five minutes at most
_LIBRARY = """\
# pip install authlib requests
import json
import pathlib
import time

from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import %(key_class)s

url = %(url)s
key = %(key_class)s.import_key(json.loads(pathlib.Path(%(file)s).read_text()))
claims = {"aud": %(issuer)s, "exp": int(time.time()) + 60}
session = OAuth2Session(%(client_id)s, key, token_endpoint_auth_method="private_key_jwt")
session.register_client_auth_method(PrivateKeyJWT(url, claims, headers=%(headers)s, alg="%(algorithm)s"))
token = session.fetch_token(url, grant_type="client_credentials")
print(token["access_token"])
"""
