"""Many applications and many realms, put into a database at once: what would take hours through the front door."""

import uuid
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import insert

from idp import applications, clock, federation, realms, vault
from idp.access import Role
from idp.apikeys import ApiKey
from idp.app import close_app, create_app
from idp.applications import Application, ApplicationSecret
from idp.db import commit, db
from idp.federation import FederationRule
from idp.federation.known import pin_of
from idp.keys import SigningKey
from idp.realms import Realm
from idp.settings import Settings

SECRET = "bench-secret-0123456789-0123456789"


def add_applications(settings: Settings, realm: str, count: int) -> None:
    """Add applications `seed-0`, `seed-1`, … that all have the same secret, and a few roles, to a realm."""
    app = create_app(settings)
    with app.app_context():
        owner = realms.get_realm(realm)
        pepper_id, secret_hash = vault.hash_secret(SECRET)
        now = clock.now()
        rows: list[dict[str, Any]] = [
            {
                "realm_id": owner.id,
                "name": f"seed-{number}",
                "uid": str(uuid.uuid4()),
                "created_at": now,
                "updated_at": now,
                "description": "",
                "enabled": True,
                "audience": [],
                "resources": [],
                "token_count": 0,
            }
            for number in range(count)
        ]
        for start in range(0, count, 10_000):
            db.session.execute(insert(Application), rows[start : start + 10_000])
        commit()
        ids = [row.id for row in db.session.query(Application.id).filter_by(realm_id=owner.id)]
        secrets = [
            {
                "application_id": each,
                "name": "main",
                "uid": str(uuid.uuid4()),
                "created_at": now,
                "public_part": "",
                "pepper_id": pepper_id,
                "secret_hash": secret_hash,
                "single_use": False,
                "shown": True,
                "last_used_address": "",
                "use_count": 0,
            }
            for each in ids
        ]
        for start in range(0, len(secrets), 10_000):
            db.session.execute(insert(ApplicationSecret).prefix_with("OR IGNORE"), secrets[start : start + 10_000])
        commit()
    close_app(app)


def add_realms(settings: Settings, count: int) -> None:
    """Add realms `realm-0`, `realm-1`, … with one application each. Their keys are alike, since making keys takes long."""
    app = create_app(settings)
    pairs = {"RS256": rsa.generate_private_key(65537, 2048), "ES256": ec.generate_private_key(ec.SECP256R1())}
    ders = {name: key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()) for name, key in pairs.items()}
    with app.app_context():
        template = {key.algorithm: key.public_jwk for key in db.session.query(SigningKey)}
        for number in range(count):
            realm = Realm(name=f"realm-{number}", uid=str(uuid.uuid4()))
            db.session.add(realm)
            db.session.flush()
            db.session.add(Role(realm_id=realm.id, name="viewer", built_in=True))
            for algorithm, der in ders.items():
                uid = str(uuid.uuid4())
                sealed = vault.seal(der, context=f"signing key {uid} of realm {realm.uid}")
                key = SigningKey(realm_id=realm.id, algorithm=algorithm, uid=uid, sealed_private_key=sealed)
                key.public_jwk, key.active_from = {**template[algorithm], "kid": uid}, clock.this_second()
                db.session.add(key)
        commit()
        pepper_id, secret_hash = vault.hash_secret(SECRET)
        for realm in realms.list_realms():
            if realm.name.startswith("realm-"):
                application = Application(realm_id=realm.id, name="seed-0")
                db.session.add(application)
                db.session.flush()
                secret = ApplicationSecret(application_id=application.id, name="main", public_part="", pepper_id=pepper_id)
                secret.secret_hash = secret_hash
                db.session.add(secret)
        commit()
    close_app(app)


def add_keys(settings: Settings, realm: str, application: str, count: int) -> None:
    """Add API keys that nobody knows to an application."""
    app = create_app(settings)
    with app.app_context():
        owner = realms.get_realm(realm)
        holder = applications.get_application(owner, application)
        pepper_id, secret_hash = vault.hash_secret(SECRET)
        now = clock.now()
        rows: list[dict[str, Any]] = [
            {
                "realm_id": owner.id,
                "application_id": holder.id,
                "name": "seed",
                "description": "",
                "uid": str(uuid.uuid4()),
                "public_part": f"idp_ak_{number:08d}",
                "pepper_id": pepper_id,
                "secret_hash": secret_hash,
                "active": True,
                "revoke_reason": "",
                "roles": [],
                "projects": [],
                "addresses": [],
                "created_by": "seed",
                "created_at": now,
                "updated_at": now,
                "last_used_address": "",
                "use_count": 0,
            }
            for number in range(count)
        ]
        for start in range(0, count, 10_000):
            db.session.execute(insert(ApiKey), rows[start : start + 10_000])
        commit()
    close_app(app)


def add_rules(settings: Settings, realm: str, issuer: str, count: int) -> None:
    """Add rules that admit the same application to an issuer: half of them each pin a repository of GitHub, half an owner."""
    app = create_app(settings)
    with app.app_context():
        owner = realms.get_realm(realm)
        trusted = federation.get_issuer(owner, issuer)
        holder = federation.list_rules(owner)[0].application
        now = clock.now()
        rows: list[dict[str, Any]] = []
        for number in range(count):
            claim, value = ("repository_owner_id", "repository_id")[number % 2], str(900_000 + number)
            rows.append(
                {
                    "realm_id": owner.id,
                    "issuer_id": trusted.id,
                    "application_id": holder.id,
                    "name": f"seed-{number}",
                    "uid": str(uuid.uuid4()),
                    "lines": [{"claim": claim, "value": value}],
                    "pin_claim": claim,
                    "pin": pin_of(claim, value),
                    "created_at": now,
                    "updated_at": now,
                    "description": "",
                    "enabled": True,
                    "mode": "enforce",
                    "roles": [],
                    "projects": [],
                    "created_by": "seed",
                }
            )
        db.session.execute(insert(FederationRule), rows)
        commit()
    close_app(app)
