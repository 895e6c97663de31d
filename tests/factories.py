"""Making what tests need, and asking the endpoints as applications do."""

import base64
import json
import os
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import quote_plus

from flask import Flask
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from werkzeug.test import TestResponse

from idp import access, apikeys, applications, clock, protected_apis, realms, runtime, users
from idp.db import commit, db
from idp.jose import read_unverified
from idp.users import passwords

BASE = "/auth/realms/{realm}/protocol/openid-connect/"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Made:
    """An application and its plain secret."""

    client_id: str
    secret: str
    uid: str

    @property
    def form(self) -> dict[str, str]:
        """Return its credentials as form parameters."""
        return {"client_id": self.client_id, "client_secret": self.secret}


@dataclass(frozen=True)
class MadeKey:
    """An API key and its plain text."""

    uid: str
    plain: str
    public_part: str

    @property
    def header(self) -> dict[str, str]:
        """Return the header that shows it."""
        return {"apiKey": self.plain}


PASSWORD = "correct horse battery staple"


def password_hash() -> str:
    """Return the hash of PASSWORD, made once by each hasher: a test may put one of its own in the place of the real one."""
    return _hash_by(passwords.HASHER)


@cache
def _hash_by(hasher: Any) -> str:
    hashed: str = hasher.hash(PASSWORD)
    return hashed


def sign_in(client: FlaskClient, name: str = "ann@example.test", password: str = PASSWORD, **body: Any) -> TestResponse:
    """Sign a person in, without keeping the cookie."""
    return client.post(
        "/v1/auth/authenticate?setCookie=false", json={"emailId": name, "password": password, "org": "acme"} | body
    )


def session_of(client: FlaskClient, name: str = "ann@example.test", **body: Any) -> dict[str, str]:
    """Sign a person in, and return the header that shows the session token."""
    answer = sign_in(client, name, **body)
    assert answer.status_code == 200, answer.text
    return {"Authorization": answer.json["Authorization"]}


def set_realm(realm: realms.Realm, **fields: Any) -> None:
    """Change fields of a realm."""
    realms.update_realm(realm, realms.RealmSheet.of(realm).changed(fields))


def set_application(realm: realms.Realm, application: applications.Application, **fields: Any) -> None:
    """Change fields of an application."""
    applications.update_application(realm, application, applications.ApplicationSheet.of(application).changed(fields))


def set_user(realm: realms.Realm, user: users.User, **fields: Any) -> None:
    """Change fields of a user."""
    users.update_user(realm, user, users.UserSheet.of(user).changed(fields))


def set_key(realm: realms.Realm, key: apikeys.ApiKey, **fields: Any) -> None:
    """Change fields of an API key."""
    apikeys.update_key(realm, key, apikeys.ApiKeySheet.of(key).changed(fields))


def set_api(realm: realms.Realm, name: str, **fields: Any) -> None:
    """Make a protected API, or change it."""
    protected_apis.put_api(realm, name, protected_apis.ProtectedApiSheet.read(fields))


class Factory:
    """Makes applications, users and keys in a test's database."""

    def __init__(self, app: Flask) -> None:
        self.app = app

    def application(
        self,
        name: str = "ci-bot",
        *,
        realm: str = "acme",
        roles: tuple[str, ...] = ("researcher",),
        projects: tuple[str, ...] = (),
        until: datetime | None = None,
        secret: bool = True,
        **fields: Any,
    ) -> Made:
        """Make an application with roles on the realm, `researcher` on projects, and one secret."""
        with self.app.app_context():
            owner = realms.get_realm(realm)
            application = applications.create_application(owner, name, applications.ApplicationSheet.read(fields))
            holder = applications.holder_of(application)
            for role in roles:
                access.grant_role(owner, holder, role)
            for project in projects:
                access.grant_role(owner, holder, "researcher", project=project, until=until)
            db.session.flush()
            applications.settle_audience(owner, application, runtime.current().settings.issuer(realm))
            plain = applications.add_secret(owner, application, "main")[1] if secret else ""
            commit()
            self.forget()
            return Made(name, plain, application.uid)

    def user(
        self,
        name: str = "ann@example.test",
        *,
        realm: str = "acme",
        roles: tuple[str, ...] = (),
        projects: tuple[tuple[str, str], ...] = (),
        password: bool = True,
        **fields: Any,
    ) -> str:
        """Make a person whose password is PASSWORD, or a machine user, with roles; return the uid."""
        kind = users.UserKind.PERSON if "@" in name else users.UserKind.MACHINE
        hashed = password_hash() if password and kind is users.UserKind.PERSON else ""
        with self.app.app_context():
            owner = realms.get_realm(realm)
            user = users.create_user(owner, name, kind, users.UserSheet.read(fields), password_hash=hashed)
            for role in roles:
                access.grant_role(owner, users.holder_of(user), role)
            for project, role in projects:
                access.grant_role(owner, users.holder_of(user), role, project=project)
            uid = user.uid
            commit()
            self.forget()
            return uid

    def key(self, owner: str = "ann@example.test", *, realm: str = "acme", name: str = "ci", **terms: Any) -> MadeKey:
        """Make an API key for a user, or for an application by its name."""
        with self.app.app_context():
            where = realms.get_realm(realm)
            user = users.find_user(where, owner)
            holder = users.holder_of(user) if user else applications.holder_of(applications.get_application(where, owner))
            said = {each: terms.pop(each) for each in apikeys.ApiKeySheet.fields() if each in terms}
            sheet = apikeys.ApiKeySheet.read(said | {"name": name})
            new = apikeys.create_key(where, holder, sheet, may_exceed=True, **terms)
            made = MadeKey(new.key.uid, new.plain_key, new.key.public_part)
            commit()
            self.forget()
            return made

    def do(self, action: Callable[[realms.Realm], Any], realm: str = "acme") -> Any:
        """Do something in a realm, by `action(realm)`, and commit it."""
        with self.app.app_context():
            result = action(realms.get_realm(realm))
            commit()
            self.forget()
            return result

    def change(self, action: Any, name: str = "ci-bot", realm: str = "acme") -> Any:
        """Do something to an application, by `action(realm, application)`, and commit it."""
        with self.app.app_context():
            owner = realms.get_realm(realm)
            result = action(owner, applications.get_application(owner, name))
            commit()
            self.forget()
            return result

    def realm(self, name: str = "other") -> None:
        """Make a second realm."""
        from idp import manifest

        with self.app.app_context():
            manifest.create_empty_realm(name)
            commit()

    def forget(self) -> None:
        """Have the next request look for changes, as one more than 200 ms later would."""
        with self.app.app_context():
            runtime.current().feed.expire()


def ask(client: FlaskClient, endpoint: str, form: Any = None, *, realm: str = "acme", **options: Any) -> TestResponse:
    """POST a form to an endpoint."""
    options.setdefault("content_type", FORM)
    return client.post(BASE.format(realm=realm) + endpoint, data=form, **options)


def ask_token(client: FlaskClient, made: Made, *, realm: str = "acme", **parameters: str) -> TestResponse:
    """Ask for a token with the secret in the body."""
    return ask(client, "token", {"grant_type": "client_credentials", **made.form, **parameters}, realm=realm)


def claims_of(token: str) -> dict[str, Any]:
    """Return what a token says, unverified."""
    return read_unverified(token).claims


def basic(client_id: str, secret: str) -> str:
    """Return a Basic header, form-encoded as RFC 6749 §2.3.1 has it."""
    return "Basic " + base64.b64encode(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()).decode()


def key_pair(kind: str = "ES256") -> tuple[Key, dict[str, Any]]:
    """Return a private key and the JWK set with its public half."""
    curves = {"ES384": "P-384", "ES512": "P-521"}
    key: Any = RSAKey.generate_key(2048) if kind[:2] in {"RS", "PS"} else ECKey.generate_key(curves.get(kind, "P-256"))
    if kind in {"EdDSA", "Ed25519"}:
        key = OKPKey.generate_key("Ed25519")
    public = key.as_dict(private=False) | {"kid": "client-key", "alg": kind, "use": "sig"}
    return key, {"keys": [public]}


def assertion(
    key: Key, client_id: str, audience: Any, *, alg: str = "ES256", header: dict[str, Any] | None = None, **claims: Any
) -> str:
    """Sign a client assertion; a claim given as None is left out."""
    now = clock.timestamp()
    body = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "iat": now,
        "exp": now + 120,
        "jti": secrets.token_hex(16),
    } | claims
    body = {name: value for name, value in body.items() if value is not None}
    return jwt.encode({"alg": alg, "kid": "client-key", **(header or {})}, body, key, algorithms=[alg])


def assertion_form(token: str, **parameters: str) -> dict[str, str]:
    """Return the form that authenticates with an assertion."""
    return {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": token,
        **parameters,
    }


def compact(header: Any, claims: Any, signature: bytes = b"x" * 64) -> str:
    """Put a JWS together by hand, however wrong it is."""

    def segment(value: Any) -> str:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    return ".".join((segment(header), segment(claims), segment(signature)))


RACE_ROUNDS = int(os.environ.get("RACE_ROUNDS", "10"))
"""How often a race is run. `RACE_ROUNDS=200 make test` takes longer, and finds rarer slips."""


def at_once(count: int, act: Callable[[], Any]) -> list[Any]:
    """Do the same from several threads at the same moment, and return what each returned."""
    barrier = threading.Barrier(count)
    results: list[Any] = []

    def run() -> None:
        barrier.wait()
        results.append(act())

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == count, "a thread failed"
    return results
