"""The life cycle of realms."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from idp import audit, clock, feed
from idp.algorithms import SIGNING_ALGORITHMS
from idp.db import db, is_meant, reading, resembles_uid
from idp.errors import ConflictError, InvalidValueError, NotFoundError
from idp.realms.models import PurgedRealm, Realm, RealmState
from idp.runtime import Runtime
from idp.written import is_written

MASTER = "master"
"""The operators' realm."""

ACCESS_TOKEN_TYPES = ("at+jwt", "JWT")
"""Headers `typ` that access tokens may have: that of RFC 9068 §2.1, and the one that libraries of before it look for."""

LEAST_AUDIT_DAYS = 30
"""Days for which every realm keeps events of tokens: whoever comes to rule one cannot have its traces removed at once."""

FIRST_CONTRACT_NUMBER = 10_000_000
"""Contract numbers count from here, in eight digits as their clients show them."""

NAME_PATTERN = re.compile(r"[a-z](?:[-_a-z0-9]{0,62}[a-z0-9])?")
"""What realms, roles, projects and applications may be called. No character of it needs escaping anywhere."""


def check_name(kind: str, name: str) -> str:
    """Return the name if it can be one.

    :raises InvalidValueError: it cannot.
    """
    if not NAME_PATTERN.fullmatch(name):
        raise InvalidValueError(
            f"{name[:80]!r} cannot be the name of {kind}: use 1 to 64 lower-case letters, digits, - and _, "
            "starting with a letter and not ending with - or _."
        )
    if resembles_uid(name):
        raise InvalidValueError(f"{name!r} cannot be the name of {kind}: it has the form of a uid.")
    return name


def check_text(what: str, text: str, longest: int) -> str:
    """Return a text for people if it is one line of printable characters.

    :raises InvalidValueError: it is too long, or holds control characters, which could steer a terminal or forge a line.
    """
    if len(text) > longest or not is_written(text):
        raise InvalidValueError(f"{what} must be one line of at most {longest} printable characters.")
    return text


def check_algorithm(value: str) -> str:
    """Return the signing algorithm if it is one that realms have keys for.

    :raises InvalidValueError: it is not.
    """
    if value not in SIGNING_ALGORITHMS:
        raise InvalidValueError(f"{value[:80]!r} is not a supported signing algorithm: use {' or '.join(SIGNING_ALGORITHMS)}.")
    return value


def check_access_token_type(value: str) -> str:
    """Return the type of access tokens if it is one.

    :raises InvalidValueError: it is not.
    """
    if value not in ACCESS_TOKEN_TYPES:
        raise InvalidValueError(f"{value[:80]!r} is not an access token type: use {' or '.join(ACCESS_TOKEN_TYPES)}.")
    return value


def create_realm(name: str, *, pending: bool = False, **fields: Any) -> Realm:
    """Create a realm. The caller has to create its keys and built-in roles.

    :param pending: whether it requires an operator's approval, until which nothing in it works.
    :param fields: `display_name`, `enabled`, `signing_algorithm`, `access_token_type`, `key_rotation_days`, `audit_days`,
        `session_hours`, `api_key_hours`, `personal_token_limit`, `personal_token_seconds`, `personal_token_choice`.
    :raises ConflictError: the name is taken.
    :raises InvalidValueError: the name or a field has no usable value.
    """
    check_name("a realm", name)
    if find_realm(name) is not None:
        raise ConflictError(f"Realm {name!r} already exists.")
    if db.session.get(PurgedRealm, name) is not None:
        # its issuer and its audit trail were another's (R64, T73)
        raise ConflictError(f"Realm {name!r} existed before, and its name cannot be reused. Choose another.")
    if pending:
        fields["enabled"] = False
    realm = Realm(name=name, pending=pending, **_checked(fields))
    db.session.add(realm)
    db.session.flush()
    if realm.contract_number is None:
        realm.contract_number = FIRST_CONTRACT_NUMBER + realm.id
    audit.record(audit.Tag.REALM_CREATE, name, f"realm:{name}", uid=realm.uid)
    feed.publish("realm", name)
    return realm


def update_realm(realm: Realm, **fields: Any) -> None:
    """Update settings of a realm; see `create_realm` for the fields."""
    fields = _checked(fields)
    if realm.name == MASTER and fields.get("enabled") is False:
        raise ConflictError("Realm 'master' belongs to the operators and cannot be disabled.")
    if realm.state in {RealmState.PENDING, RealmState.DELETED} and fields.get("enabled"):
        raise ConflictError(f"Realm {realm.name!r} is {realm.state.value}: an operator has to approve or restore it first.")
    changed = {key: value for key, value in fields.items() if getattr(realm, key) != value}
    if not changed:
        return
    for key, value in changed.items():
        setattr(realm, key, value)
    realm.updated_at = clock.now()
    audit.record(audit.Tag.REALM_UPDATE, realm.name, f"realm:{realm.name}", **changed)
    announce_realm(realm)


def announce_realm(realm: Realm) -> None:
    """Tell every worker that what it knows of a realm, and of who is in it, is out of date."""
    feed.publish("realm", realm.name)
    publish_application(realm.name, "*")
    publish_user(realm.name, "*")


def publish_application(realm: str, client_id: str) -> None:
    """Tell every worker that what it knows of an application is out of date; `*` means all of the realm's."""
    feed.publish("application", f"{realm}/{client_id}")


def publish_user(realm: str, uid: str) -> None:
    """Tell every worker that what it knows of a user is out of date; `*` means all of the realm's."""
    feed.publish("user", f"{realm}/{uid}")


def find_realm(name: str) -> Realm | None:
    """Return a realm by name, or None."""
    return db.session.scalar(select(Realm).where(Realm.name == name))


def find_realm_by_uid_or_name(named: str) -> Realm | None:
    """Return a realm by uid or name, or None."""
    return db.session.scalar(select(Realm).where(is_meant(Realm, named)))


def find_realm_by_number(number: int) -> Realm | None:
    """Return a realm by its row number, for contracts with numeric ids; None if there is none."""
    return db.session.get(Realm, number) if 0 < number < 2**31 else None


def lock_realm(name: str) -> Realm | None:
    """Return a realm as it is now; until the commit, no other act that locks it takes place. SQLite locks all of them."""
    return db.session.scalar(
        select(Realm).where(Realm.name == name).with_for_update(key_share=True).execution_options(populate_existing=True)
    )


def find_name_by_contract(number: int) -> str | None:
    """Return the name of the realm with this contract number, or None."""
    with reading() as session:
        return session.scalar(select(Realm.name).where(Realm.contract_number == number))


def get_realm(name: str) -> Realm:
    """Return a realm by name.

    :raises NotFoundError: there is none.
    """
    realm = find_realm(name)
    if realm is None:
        raise NotFoundError(f"There is no realm {name[:80]!r}.").leading_to("list realms")
    return realm


def list_realms() -> Sequence[Realm]:
    """Return all realms by name."""
    return db.session.scalars(select(Realm).order_by(Realm.name)).all()


def existing_names() -> set[str]:
    """Return the names of all realms, without a transaction of the unit of work."""
    with reading() as session:
        return set(session.scalars(select(Realm.name)))


def names_besides_master(limit: int) -> Sequence[str]:
    """Return the names of the first enabled realms that are not the operators' own."""
    query = select(Realm.name).where(Realm.name != MASTER, Realm.enabled).order_by(Realm.name).limit(limit)
    with reading() as session:
        return session.scalars(query).all()


@dataclass(frozen=True, slots=True)
class KnownRealm:
    """What a worker keeps of a realm in memory."""

    id: int
    uid: str
    name: str
    display_name: str
    enabled: bool
    signing_algorithm: str
    access_token_type: str
    issuer: str
    contract_number: int
    session_seconds: int
    tokens_from: float
    """Tokens issued before this are invalid (seconds since 1970)."""
    personal_token_limit: int
    personal_token_seconds: int
    personal_token_choice: bool

    @property
    def general_audience(self) -> str:
        """What tokens are made for that are made for no API in particular. This server's own APIs do not take them."""
        return f"{self.issuer}/apis"

    runtime: Runtime = field(repr=False, compare=False)
    """The process that this is the memory of; domains find their own caches through it."""


def known_realm(process: Runtime, name: str) -> KnownRealm | None:
    """Return a realm from memory, read from the database at its first use; None when there is none."""
    cache = process.feed.cache("realm")
    found: KnownRealm | None = cache.get(name)
    if found is None and NAME_PATTERN.fullmatch(name):
        found = cache.load(name, _reader(process, name))
    return found


def _reader(process: Runtime, name: str) -> Callable[[], KnownRealm | None]:
    def read() -> KnownRealm | None:
        with reading() as session:
            realm = session.scalar(select(Realm).where(Realm.name == name))
            if realm is None:
                return None
            return KnownRealm(
                id=realm.id,
                uid=realm.uid,
                name=realm.name,
                display_name=realm.display_name,
                enabled=realm.enabled,
                signing_algorithm=realm.signing_algorithm,
                access_token_type=realm.access_token_type,
                issuer=process.settings.issuer(realm.name),
                contract_number=realm.contract_number or 0,
                session_seconds=realm.session_hours * 3600,
                tokens_from=realm.tokens_from.timestamp() if realm.tokens_from else 0.0,
                personal_token_limit=realm.personal_token_limit,
                personal_token_seconds=realm.personal_token_seconds,
                personal_token_choice=realm.personal_token_choice,
                runtime=process,
            )

    return read


_RANGES = {
    "session_hours": (1, 8760, "hours"),
    "api_key_hours": (1, 87_600, "hours"),
    "personal_token_limit": (1, 10_000, "tokens for each identity"),
    "personal_token_seconds": (60, 315_360_000, "seconds"),
}


def _checked(fields: dict[str, Any]) -> dict[str, Any]:
    if "signing_algorithm" in fields:
        check_algorithm(fields["signing_algorithm"])
    if "access_token_type" in fields:
        check_access_token_type(fields["access_token_type"])
    days = fields.get("key_rotation_days", 0)
    if not 0 <= days <= 3650:
        raise InvalidValueError(f"key_rotation_days is {days}: use 1 to 3650 days, or 0 for no automatic rotation.")
    days = fields.get("audit_days", 0)
    if days and not LEAST_AUDIT_DAYS <= days <= 36_500:
        raise InvalidValueError(f"audit_days is {days}: use {LEAST_AUDIT_DAYS} to 36500 days, or 0 to keep everything forever.")
    for name, (least, most, unit) in _RANGES.items():
        if name in fields and not least <= fields[name] <= most:
            raise InvalidValueError(f"{name} is {fields[name]}: use {least} to {most} {unit}.")
    check_text("display_name", fields.get("display_name", ""), 200)
    return fields
