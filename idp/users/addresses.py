"""Email addresses that people give and verify themselves: by a link that goes to the address, and word to the one of before."""

from datetime import timedelta

from sqlalchemy import and_, func, or_, select

from idp import audit, clock, crypto, mail, vault
from idp.db import db
from idp.errors import ConflictError, InvalidValueError
from idp.mail import check_address
from idp.ratelimit import take_places
from idp.realms import Realm, publish_user
from idp.users.links import LinkError, find_link, use_link
from idp.users.models import LinkPurpose, OneTimeLink, User, UserKind
from idp.users.names import canonical
from idp.users.recipients import WINDOW, MailKind, count_mail
from idp.users.service import find_user_by_uid, lock_user, tell_former_address, void_links

LIFETIME = timedelta(days=1)

MOST_REQUESTS = 5
"""Links that one person asks for in an hour."""


def request_address(realm: Realm, uid: str, password_hash: str, address: str) -> None:
    """Send a link to an address; who follows it makes it the verified address of a user, also if it is theirs already.

    The caller has seen the password that belongs to the hash: if that has changed since, nothing is sent.

    :raises InvalidValueError: that is no address.
    :raises ConflictError: it is verified already, or is of a user who gets no emails.
    :raises TooManyAttemptsError: as many emails have gone there as may.
    """
    found = find_user_by_uid(realm, uid)
    user = lock_user(found.id) if found is not None else None
    if user is None or user.password_hash != password_hash:
        raise ConflictError("The account has changed meanwhile. Try again.")
    if user.kind != UserKind.PERSON.value or not user.enabled:
        raise ConflictError(f"{user.name!r} is no person who can sign in.")
    if not address:
        raise InvalidValueError("Give an email address.", field="email")
    checked = check_address(address)
    if checked == user.email and user.email_verified:
        raise ConflictError("This email address is verified already.")
    take_places([(f"address of {user.uid}", MOST_REQUESTS)], WINDOW)
    count_mail(MailKind.ADDRESS, checked, user)
    void_links(user, LinkPurpose.ADDRESS)
    plain = crypto.make_secret("ol")
    pepper_id, secret_hash = vault.hash_secret(plain)
    expires_at = clock.now() + LIFETIME
    public_part = crypto.public_part(plain)
    db.session.add(
        OneTimeLink(
            user_id=user.id,
            purpose=LinkPurpose.ADDRESS.value,
            email=checked,
            public_part=public_part,
            pepper_id=pepper_id,
            secret_hash=secret_hash,
            expires_at=expires_at,
        )
    )
    values = {"organisation": realm.name, "code": plain, "expires": f"{expires_at:%Y-%m-%d %H:%M} UTC"}
    purpose = LinkPurpose.ADDRESS
    mail.enqueue(realm.name, purpose.occasion(public_part), purpose.template, checked, useful_until=expires_at, **values)
    audit.record(audit.Tag.ADDRESS_CHANGE_START, realm.name, f"user:{user.name}", uid=user.uid, email=checked)


def confirm_address(user_id: int, code: str) -> User:
    """Make the address that a one-time code was sent to that of its user. Of several at once, one does (T61).

    :param user_id: who is signed in: a link that somebody else has asked for does nothing, whoever follows it.
    :raises LinkError: the code does not work, or is another's.
    :raises ConflictError: another account has this address, by name or verified.
    """
    link = find_link(code, LinkPurpose.ADDRESS)
    if link is None or link.user_id != user_id:
        raise LinkError
    address = link.email
    user, realm = use_link(link)
    if _is_taken(realm, user, address):
        raise ConflictError("Another account has this email address.")
    with audit.acting_as(audit.Actor(f"user:{user.name}", audit.current_actor().address)):
        if address != user.email:
            tell_former_address(realm, user, address)
            void_links(user)  # an open one went to the old address
        user.email, user.email_verified, user.email_limited = address, True, False
        user.updated_at = clock.now()
        audit.record(audit.Tag.ADDRESS_VERIFY, realm.name, f"user:{user.name}", uid=user.uid, email=address)
    publish_user(realm.name, user.uid)
    return user


def _is_taken(realm: Realm, user: User, address: str) -> bool:
    same = or_(User.name == canonical(address), and_(func.lower(User.email) == address.lower(), User.email_verified))
    return db.session.scalar(select(User.id).where(User.realm_id == realm.id, User.id != user.id, same).limit(1)) is not None


def asked_address(user_id: int, code: str) -> str:
    """Return the address that a one-time code of a user verifies; empty if it cannot be used any more, or is another's."""
    link = find_link(code, LinkPurpose.ADDRESS)
    return link.email if link is not None and link.user_id == user_id else ""
