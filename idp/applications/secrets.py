"""Client secrets: made, shown once, retired when nobody uses them any more. `known.py` checks them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select, update

from idp import audit, clock, crypto, vault
from idp.access import Frozen
from idp.applications.credentials import name_of_secret, publish_credentials
from idp.applications.models import Application, ApplicationSecret
from idp.applications.sheet import NEW_SECRET, SecretSheet
from idp.db import db
from idp.errors import ConflictError, InvalidValueError, NotFoundError
from idp.realms import Realm, check_name, publish_application

SHORTEST_FOREIGN_SECRET = 32


@dataclass(frozen=True)
class NewSecret:
    """A secret that was just made, with the plain text that is shown only once."""

    realm: str
    application: str
    secret: ApplicationSecret
    plain_secret: str = field(repr=False)


def add_secret(
    realm: Realm,
    application: Application,
    name: str,
    sheet: SecretSheet = NEW_SECRET,
    *,
    plain_secret: str | None = None,
    frozen: Frozen | None = None,
) -> tuple[ApplicationSecret, str]:
    """Add a secret to an application.

    :param name: unique among the application's live secrets.
    :param plain_secret: an imported secret of 32 characters or more; by default the server generates one.
    :param frozen: what it carries at most; None for all that the application holds, now or later. See `access.freeze`.
    :returns: the stored secret, and the plain one, which is shown only once.
    """
    check_name("a secret", name)
    expires_at = sheet.expires_at
    if expires_at is not None and expires_at <= clock.now():
        raise InvalidValueError(
            f"The secret would expire on {expires_at:%Y-%m-%d %H:%M} UTC, which has passed.", field="expires_at"
        )
    namesake = find_secret(application, name)
    if namesake is not None and namesake.expires_at is not None and namesake.expires_at <= clock.now():
        _retire(realm, application, namesake)
        db.session.flush()
    elif namesake is not None:
        raise ConflictError(f"Application {application.name!r} has a live secret {name!r}: choose another name, or retire it.")
    plain = crypto.make_secret("cs") if plain_secret is None else _checked(plain_secret)
    pepper_id, secret_hash = vault.hash_secret(plain)
    if application.is_public:
        raise ConflictError(f"Application {application.name!r} is of the kind {application.kind}, which keeps no secret.")
    secret = ApplicationSecret(
        application_id=application.id,
        name=name,
        public_part=crypto.public_part(plain),
        pepper_id=pepper_id,
        secret_hash=secret_hash,
        expires_at=expires_at,
        single_use=sheet.single_use,
        frozen=frozen,
    )
    db.session.add(secret)
    db.session.flush()
    expires = expires_at and expires_at.isoformat(timespec="seconds")
    target = f"application:{application.name}"
    audit.record(
        audit.Tag.SECRET_CREATE, realm.name, target, secret=name, uid=secret.uid, expires_at=expires, limited=frozen is not None
    )
    publish_application(realm.name, application.name)
    return secret, plain


def retire_secret(realm: Realm, application: Application, name: str) -> ApplicationSecret:
    """Retire a secret permanently; every worker refuses it within a second, and the tokens that were fetched with it.

    :raises NotFoundError: the application has no live secret with that name.
    """
    secret = find_secret(application, name)
    if secret is None:
        raise NotFoundError(f"Application {application.name!r} has no live secret {name[:80]!r}.").leading_to(
            "list secrets", realm=realm.name, within=application.name
        )
    _retire(realm, application, secret)
    publish_credentials(realm.name, application.name, [name_of_secret(secret.uid)])
    return secret


def _retire(realm: Realm, application: Application, secret: ApplicationSecret) -> None:
    """Retire a secret, and leave the tokens that were fetched with it."""
    secret.retired_at = clock.now()
    target = f"application:{application.name}"
    audit.record(audit.Tag.SECRET_RETIRE, realm.name, target, secret=secret.name, uid=secret.uid, use_count=secret.use_count)
    publish_application(realm.name, application.name)


def list_secrets(application: Application) -> Sequence[ApplicationSecret]:
    """Return all secrets, including retired ones, oldest first."""
    query = select(ApplicationSecret).where(ApplicationSecret.application_id == application.id)
    return db.session.scalars(query.order_by(ApplicationSecret.id)).all()


def find_secret(application: Application, name: str) -> ApplicationSecret | None:
    """Return the live secret with this name, or None."""
    return db.session.scalar(
        select(ApplicationSecret).where(
            ApplicationSecret.application_id == application.id,
            ApplicationSecret.name == name,
            ApplicationSecret.retired_at.is_(None),
        )
    )


def change_expiry(realm: Realm, application: Application, secret: ApplicationSecret, expires_at: datetime | None) -> None:
    """Change when a live secret expires.

    :raises InvalidValueError: it would expire in the past; to end it, retire it.
    """
    if expires_at is not None and expires_at <= clock.now():
        raise InvalidValueError("The secret would expire in the past. Retire it instead.", field="expires_at")
    secret.expires_at = expires_at
    expires = expires_at and expires_at.isoformat(timespec="seconds")
    target = f"application:{application.name}"
    audit.record(audit.Tag.SECRET_UPDATE, realm.name, target, secret=secret.name, uid=secret.uid, expires_at=expires)
    publish_application(realm.name, application.name)


def renew_unshown_secrets(single_use_lifetime: timedelta) -> list[NewSecret]:
    """Generate again the secrets that a first start has stored but not shown, so that they can be shown now.

    :param single_use_lifetime: lifetime of single-use secrets.
    """
    rows = db.session.execute(
        select(ApplicationSecret, Application, Realm)
        .join(Application, Application.id == ApplicationSecret.application_id)
        .join(Realm, Realm.id == Application.realm_id)
        .where(ApplicationSecret.shown.is_(False), ApplicationSecret.retired_at.is_(None))
        .order_by(ApplicationSecret.id)
    ).all()
    renewed = []
    for secret, application, realm in rows:
        plain = crypto.make_secret("cs")
        secret.pepper_id, secret.secret_hash = vault.hash_secret(plain)
        secret.public_part = crypto.public_part(plain)
        if secret.single_use:
            secret.expires_at = clock.now() + single_use_lifetime
        target = f"application:{application.name}"
        audit.record(audit.Tag.SECRET_UPDATE, realm.name, target, secret=secret.name, uid=secret.uid, made_anew=True)
        publish_application(realm.name, application.name)
        renewed.append(NewSecret(realm.name, application.name, secret, plain))
    return renewed


def mark_secrets_shown(shown: Sequence[NewSecret]) -> None:
    """Record that these secrets have reached the person who started the server."""
    for new in shown:
        new.secret.shown = True


def use_up(secret_id: int) -> bool:
    """Claim a single-use secret. One statement decides: True for exactly one caller."""
    claim = (
        update(ApplicationSecret)
        .where(ApplicationSecret.id == secret_id, ApplicationSecret.retired_at.is_(None))
        .values(retired_at=clock.now())
    )
    return bool(db.session.execute(claim).rowcount == 1)  # type: ignore[attr-defined]


def _checked(plain_secret: str) -> str:
    if not SHORTEST_FOREIGN_SECRET <= len(plain_secret) <= 255 or not plain_secret.isascii() or not plain_secret.isprintable():
        raise InvalidValueError(
            f"An imported secret must have {SHORTEST_FOREIGN_SECRET} to 255 printable ASCII characters, "
            "taken from a random source. Leave it out to have one generated."
        )
    return plain_secret
