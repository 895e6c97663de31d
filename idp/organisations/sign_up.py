"""Signing an organisation up: off unless the operator allows it, verified by mail, and approved unless that is waived."""

import json
from dataclasses import dataclass, fields
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import delete, select, update

from idp import access, audit, clock, crypto, keys, mail, manifest, realms, runtime, users, vault
from idp.access import HolderKind
from idp.audit import Actor, Tag
from idp.db import db, reading
from idp.errors import A_REALM, ConflictError, IdpError, Kind
from idp.organisations.models import SignUp
from idp.ratelimit import network_limits, reserve_attempt
from idp.realms import PurgedRealm, Realm, RealmSheet, check_name, check_text
from idp.users import LinkError, MailKind, User, UserKind, UserSheet, password_hashing

VERIFY_WITHIN = timedelta(days=2)

FROM_ADDRESS, FROM_EVERYWHERE = 5, 200
"""Sign-ups that may be asked for in an hour."""


class SignUpMode(StrEnum):
    """Who may make an organisation."""

    OFF = "off"
    """Operators only."""
    APPROVAL = "approval"
    """Everybody, and an operator approves it."""
    OPEN = "open"
    """Everybody who can read mail at the address they give."""


class SignUpClosedError(IdpError):
    """Nobody signs up here."""

    kind = Kind.DENIED

    def __init__(self) -> None:
        super().__init__("Sign-up is closed here: ask the operator for an organisation.")


@dataclass(frozen=True)
class SignUpWish:
    """What somebody wants."""

    name: str
    """Name of the realm."""
    email: str
    display_name: str = ""
    first_name: str = ""
    last_name: str = ""


def sign_up(wish: SignUpWish, address: str) -> SignUp:
    """Note a sign-up and mail a code to its address. Nothing is made before that is verified.

    Whoever asks may be anybody: the password is chosen by who can read the mail, with the code.

    :raises SignUpClosedError: nobody signs up here.
    :raises TooManyAttemptsError: too many from this address, to this mail address, or at all.
    :raises ConflictError: the name is taken.
    :raises InvalidValueError: the name or the address will not do.
    """
    if SignUpMode(runtime.current().settings.sign_up) is SignUpMode.OFF:
        raise SignUpClosedError
    reserve_attempt([*network_limits("sign-up from", address, FROM_ADDRESS), ("sign-up", FROM_EVERYWHERE)], 3600)
    check_name(A_REALM, wish.name)
    mail.check_address(wish.email)
    users.check_user_name(UserKind.PERSON, wish.email)
    check_text("display_name", wish.display_name, 200)
    for field, text in (("first_name", wish.first_name), ("last_name", wish.last_name)):
        check_text("A name", text, 100, field=field)
    _refuse_taken(wish.name)
    content = {
        "name": wish.name,
        "email": wish.email,
        "display_name": wish.display_name,
        "first_name": wish.first_name,
        "last_name": wish.last_name,
    }
    users.count_mail(MailKind.SIGN_UP, wish.email)
    plain = crypto.make_secret("ol")
    pepper_id, secret_hash = vault.hash_secret(plain)
    expires_at = clock.now() + VERIFY_WITHIN
    row = SignUp(
        sealed="", public_part=crypto.public_part(plain), pepper_id=pepper_id, secret_hash=secret_hash, expires_at=expires_at
    )
    db.session.add(row)
    db.session.flush()
    row.sealed = vault.seal(json.dumps(content).encode(), context=f"sign-up {row.uid}")
    values = {"organisation": wish.name, "code": plain, "expires": f"{expires_at:%Y-%m-%d %H:%M} UTC"}
    mail.enqueue("", _occasion(row), "sign-up", wish.email, useful_until=expires_at, **values)
    return row


def find_sign_up(code: str) -> SignUpWish | None:
    """Return what somebody wants whom a code was mailed for; None if the code does not work."""
    row = _find(code)
    return None if row is None else _wish(row)


def verify_sign_up(code: str, password: str, address: str) -> Realm:
    """Make the organisation whose sign-up a code belongs to, with its first administrator. Of several at once, one wins (T61).

    :param password: the administrator's.
    :returns: the realm, waiting for approval or at work, as the operator has set it.
    :raises LinkError: the code does not work.
    :raises ConflictError: somebody else was given the name in the meantime.
    :raises InvalidValueError: the password is not good enough; the code can be used again.
    :raises SignUpClosedError: nobody signs up here any more.
    """
    mode = SignUpMode(runtime.current().settings.sign_up)
    if mode is SignUpMode.OFF:
        raise SignUpClosedError
    row = _find(code)
    if row is None:
        raise LinkError
    wish = _wish(row)
    password_hash = _hash(password, wish)
    keys.prepare()
    claim = update(SignUp).where(SignUp.id == row.id, SignUp.used_at.is_(None), SignUp.expires_at > clock.now())
    if db.session.execute(claim.values(used_at=clock.now())).rowcount != 1:  # type: ignore[attr-defined]
        raise LinkError
    mail.withdraw([_occasion(row)])
    _refuse_taken(wish.name)
    with audit.acting_as(Actor(f"user:{users.canonical(wish.email)}", address)):
        realm = manifest.create_empty_realm(
            wish.name, RealmSheet.read({"display_name": wish.display_name}), pending=mode is SignUpMode.APPROVAL
        )
        sheet = UserSheet.read({"first_name": wish.first_name, "last_name": wish.last_name})
        user = users.create_user(realm, wish.email, UserKind.PERSON, sheet, password_hash=password_hash)
        access.grant_role(realm, users.holder_of(user), "administrator")
        audit.record(Tag.REALM_SIGN_UP, realm.name, f"realm:{realm.name}", uid=realm.uid, approved=mode is SignUpMode.OPEN)
    return realm


def approve(realm: Realm) -> None:
    """Let an organisation begin that was waiting for it, and tell its administrators by mail.

    :raises ConflictError: it is not pending.
    """
    realms.approve_realm(realm)
    for user in _administrators(realm):
        values = {"organisation": realm.name, "name": users.name_in_mails(user), "realm_name": realm.name}
        mail.enqueue(
            realm.name, f"approved:{realm.uid}:{user.uid}", "organisation-approved", user.email, useful_until=None, **values
        )


def forget_old_sign_ups() -> None:
    """Remove sign-ups whose time is over. Their names are free again: they were never given."""
    db.session.execute(delete(SignUp).where(SignUp.expires_at < clock.now()))


def _administrators(realm: Realm) -> list[User]:
    held = access.page_of_grants(realm, role="administrator", on_realm=True, limit=20)
    ids = [grant.holder_id for grant in held if grant.holder_kind == HolderKind.USER.value]
    query = select(User).where(User.id.in_(ids), User.realm_id == realm.id, User.email != "", User.enabled)
    return list(db.session.scalars(query.order_by(User.id)))


def _hash(password: str, wish: SignUpWish) -> str:
    users.check_password(password, wish.email, wish.name)
    db.session.rollback()  # no transaction is kept open while the password is hashed
    with password_hashing(runtime.current()).seat() as seat:
        return seat.hash(password)


def _refuse_taken(name: str) -> None:
    if realms.find_realm(name) is not None or db.session.get(PurgedRealm, name) is not None:
        raise ConflictError(f"An organisation {name!r} already exists: choose another name.")


def _find(code: str) -> SignUp | None:
    if not crypto.is_well_formed(code, "ol"):
        return None
    query = select(SignUp).where(SignUp.public_part == crypto.public_part(code), SignUp.used_at.is_(None))
    with reading() as session:
        for row in session.scalars(query):
            if vault.secret_matches(code, row.pepper_id, row.secret_hash) and row.expires_at > clock.now():
                session.expunge(row)
                return row
    return None


def _occasion(row: SignUp) -> str:
    return f"sign-up:{row.public_part}"


def _wish(row: SignUp) -> SignUpWish:
    """Return what was asked for. One of former days may hold the hash of a password, which counts no more."""
    content = json.loads(vault.unseal(row.sealed, context=f"sign-up {row.uid}"))
    return SignUpWish(**{each.name: content[each.name] for each in fields(SignUpWish)})


vault.register_sealed(SignUp.sealed, select(SignUp.id, SignUp.sealed, SignUp.uid), "sign-up {}".format)
