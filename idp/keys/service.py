"""The life cycle of signing keys: created, announced, rotated, revoked, destroyed (OpenID Connect Core §10.1.1).

Whoever makes, rotates or revokes keys calls `prepare` first, before the transaction begins.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select, update

from idp import audit, clock, feed, runtime, vault
from idp.algorithms import SIGNING_ALGORITHMS
from idp.db import commit, db, reading
from idp.errors import ConflictError, NotFoundError, Sentence
from idp.keys.models import KeyState, SigningKey
from idp.keys.pairs import prepare, take
from idp.realms import Realm, check_text
from idp.settings import CLOCK_LEEWAY, TOKEN_LIFETIME

DESTROY_AFTER = timedelta(hours=1)
"""How long after its retirement a private key is kept: longer than the clocks of two nodes can differ."""


def announcement() -> timedelta:
    """How long a new key is in the key set before it signs: twice as long as verifiers may cache the set."""
    return timedelta(seconds=2 * runtime.current().settings.key_set_max_age)


def create_keys(realm: Realm) -> None:
    """Create one key for each algorithm in a new realm, in use from now on."""
    for algorithm in SIGNING_ALGORITHMS:
        _create_key(realm, algorithm, active_from=clock.this_second(), tag=audit.Tag.KEY_CREATE)


def list_keys(realm: Realm) -> Sequence[SigningKey]:
    """Return all keys of a realm, by algorithm and age."""
    query = select(SigningKey).where(SigningKey.realm_id == realm.id).order_by(SigningKey.algorithm, SigningKey.id)
    return db.session.scalars(query).all()


def rotate_key(realm: Realm, algorithm: str) -> SigningKey:
    """Announce a successor to the key that signs with `algorithm`.

    It signs once every cached key set is sure to contain it; the old key stays in the set until its last token has expired.

    :raises ConflictError: a successor has already been announced.
    """
    current = db.session.scalar(
        select(SigningKey).where(
            SigningKey.realm_id == realm.id,
            SigningKey.algorithm == algorithm,
            SigningKey.retires_at.is_(None),
            SigningKey.revoked_at.is_(None),
        )
    )
    if current is None:
        return _create_key(realm, algorithm, active_from=clock.this_second(), tag=audit.Tag.KEY_CREATE)
    if current.active_from > clock.now():
        raise ConflictError(
            f"Key {current.uid} has already been announced and signs from {current.active_from:%Y-%m-%d %H:%M:%S} UTC on. "
            "Rotate again after that."
        )
    takes_over = clock.this_second() + announcement()
    dates = {"retires_at": takes_over, "removed_at": takes_over + timedelta(seconds=TOKEN_LIFETIME + 2 * CLOCK_LEEWAY)}
    # One statement decides which of two rotations at once it is.
    claim = update(SigningKey).where(SigningKey.id == current.id, SigningKey.retires_at.is_(None)).values(**dates)
    if db.session.execute(claim).rowcount != 1:  # type: ignore[attr-defined]
        raise ConflictError("Someone else is rotating the key at this moment.")
    return _create_key(realm, algorithm, active_from=takes_over, tag=audit.Tag.KEY_ROTATE, replaces=current.uid)


def revoke_key(realm: Realm, kid: str, reason: str) -> SigningKey | None:
    """Remove a key that may have leaked from the key set immediately. Its tokens fail as the verifiers' caches expire.

    :returns: the key that signs in its place, when it was signing.
    :raises NotFoundError: the realm has no such key.
    :raises ConflictError: it has already been revoked.
    """
    check_text("The reason", reason, 500, field="reason")
    key = db.session.scalar(select(SigningKey).where(SigningKey.realm_id == realm.id, SigningKey.uid == kid))
    if key is None:
        sentence = Sentence("{Realm} has no key {kid!r}.", realm=realm.name, kid=kid[:80])
        raise NotFoundError(sentence).leading_to("list signing keys", realm=realm.name)
    if key.revoked_at is not None:
        raise ConflictError(f"Key {kid} was revoked at {key.revoked_at:%Y-%m-%d %H:%M:%S} UTC already.")
    now = clock.now()
    state = key.state(now)
    key.revoked_at, key.revoke_reason, key.sealed_private_key = now, reason, ""
    audit.record(audit.Tag.KEY_REVOKE, realm.name, f"key:{kid}", reason=reason, algorithm=key.algorithm)
    feed.publish("keys", realm.name)
    if state in {KeyState.RETIRED, KeyState.REMOVED}:
        return None
    db.session.flush()
    return _replace_revoked(realm, key, state)


def _replace_revoked(realm: Realm, revoked: SigningKey, state: KeyState) -> SigningKey | None:
    """Make another key of the same algorithm sign from now on."""
    now = clock.this_second()
    others = [
        key
        for key in list_keys(realm)
        if key.algorithm == revoked.algorithm and key.state(now) in {KeyState.ANNOUNCED, KeyState.ACTIVE}
    ]
    if not others:
        return _create_key(realm, revoked.algorithm, active_from=now, tag=audit.Tag.KEY_CREATE, replaces=revoked.uid)
    heir = others[-1]
    if state is KeyState.ACTIVE:
        heir.active_from = now
        return heir
    heir.retires_at = heir.removed_at = None  # its announced successor is the one that was revoked
    return None


def rotate_due_keys() -> None:
    """Announce successors to all keys whose realm's rotation period has ended, and destroy keys that signed their last token.

    Each rotation is committed by itself. Safe to call from every worker at once.
    """
    for realm_id, algorithm in _due_keys():
        prepare()
        realm = db.session.get(Realm, realm_id)
        try:
            if realm is not None:
                rotate_key(realm, algorithm)
        except ConflictError:
            db.session.rollback()  # another worker was faster
        else:
            commit()
    old = (SigningKey.retires_at < clock.now() - DESTROY_AFTER) & (SigningKey.sealed_private_key != "")
    db.session.execute(update(SigningKey).where(old).values(sealed_private_key=""))


def count_overdue() -> int:
    """Return how many keys should have a successor, and have none that was announced."""
    return len(_due_keys())


def oldest_signing() -> float:
    """Return for how many seconds the key has been signing that has done so for longest, of all realms."""
    now = clock.now()
    signing = (SigningKey.active_from <= now) & SigningKey.revoked_at.is_(None)
    query = select(func.min(SigningKey.active_from)).where(
        signing, SigningKey.retires_at.is_(None) | (SigningKey.retires_at > now)
    )
    with reading() as session:
        since = session.scalar(query)
    return (now - since).total_seconds() if since is not None else 0.0


def _due_keys() -> list[tuple[int, str]]:
    """Return realm and algorithm of each key whose successor is to be announced."""
    now = clock.now()
    query = (
        select(Realm.id, SigningKey.algorithm, SigningKey.active_from, Realm.key_rotation_days)
        .join(Realm, Realm.id == SigningKey.realm_id)
        .where(
            Realm.key_rotation_days > 0,
            SigningKey.retires_at.is_(None),
            SigningKey.revoked_at.is_(None),
            SigningKey.active_from <= now,
        )
        .order_by(SigningKey.id)
    )
    with reading() as session:
        rows = session.execute(query).all()
    return [
        (realm_id, algorithm)
        for realm_id, algorithm, active_from, days in rows
        if active_from + timedelta(days=days) - announcement() <= now
    ]


def _create_key(
    realm: Realm, algorithm: str, *, active_from: datetime, tag: audit.Tag, replaces: str | None = None
) -> SigningKey:
    pair = take(algorithm)
    key = SigningKey(
        realm_id=realm.id,
        algorithm=algorithm,
        sealed_private_key="",
        public_jwk={},
        active_from=active_from,
    )
    db.session.add(key)
    db.session.flush()
    key.public_jwk = {**pair.public_jwk, "kid": key.uid, "use": "sig", "alg": algorithm}
    key.sealed_private_key = vault.seal(pair.private_der, context=f"signing key {key.uid} of realm {realm.uid}")
    audit.record(
        tag,
        realm.name,
        f"key:{key.uid}",
        algorithm=algorithm,
        active_from=active_from.isoformat(timespec="seconds"),
        **({"replaces": replaces} if replaces else {}),
    )
    feed.publish("keys", realm.name)
    return key


vault.register_sealed(
    SigningKey.sealed_private_key,
    select(SigningKey.id, SigningKey.sealed_private_key, SigningKey.uid, Realm.uid).join(Realm, Realm.id == SigningKey.realm_id),
    "signing key {} of realm {}".format,
)
