"""Email addresses that people give and verify themselves: by a link that goes to the address, and word to the one of before."""

from datetime import timedelta

from sqlalchemy import update

from idp import audit, clock, crypto, mail, vault
from idp.db import db
from idp.errors import ConflictError, InvalidValueError
from idp.mail import check_address
from idp.realms import Realm, publish_user
from idp.users.links import LinkError, find_link
from idp.users.models import LinkPurpose, OneTimeLink, User, UserKind
from idp.users.recipients import MailKind, count_mail
from idp.users.service import lock_user, tell_former_address, void_links

LIFETIME = timedelta(days=1)


def request_address(realm: Realm, user: User, address: str) -> None:
    """Send a link to an address; who follows it makes it the verified address of a user, also if it is theirs already.

    The caller has seen a proof that it is the user who asks, such as their password.

    :raises InvalidValueError: that is no address.
    :raises ConflictError: it is verified already, or is of a user who gets no emails.
    :raises TooManyAttemptsError: as many emails have gone there as may.
    """
    if user.kind != UserKind.PERSON.value or not user.enabled:
        raise ConflictError(f"{user.name!r} is no person who can sign in.")
    if not address:
        raise InvalidValueError("Give an email address.", field="email")
    checked = check_address(address)
    if checked == user.email and user.email_verified:
        raise ConflictError("This email address is verified already.")
    count_mail(MailKind.INVITATION, checked)  # a stranger's, for all that is known
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
    mail.enqueue(realm.name, f"address:{public_part}", "address", checked, **values)
    audit.record(audit.Tag.ADDRESS_CHANGE_START, realm.name, f"user:{user.name}", uid=user.uid, email=checked)


def confirm_address(code: str) -> User:
    """Make the address that a one-time code was sent to that of its user. Of several at once, one does (T61).

    :raises LinkError: the code does not work.
    """
    link = find_link(code, LinkPurpose.ADDRESS)
    if link is None:
        raise LinkError
    user_id, address = link.user_id, link.email
    lock_user(user_id)  # first the user, then the link, as every other act on both
    claim = update(OneTimeLink).where(
        OneTimeLink.id == link.id, OneTimeLink.used_at.is_(None), OneTimeLink.expires_at > clock.now()
    )
    if db.session.execute(claim.values(used_at=clock.now())).rowcount != 1:  # type: ignore[attr-defined]
        raise LinkError
    user = db.session.get_one(User, user_id)
    realm = db.session.get_one(Realm, user.realm_id)
    if not user.enabled or not realm.enabled:
        raise LinkError
    with audit.acting_as(audit.Actor(f"user:{user.name}", audit.current_actor().address)):
        if address != user.email:
            tell_former_address(realm, user, address)
            void_links(user)  # an open one went to the old address
        user.email, user.email_verified, user.email_limited = address, True, False
        user.updated_at = clock.now()
        audit.record(audit.Tag.ADDRESS_VERIFY, realm.name, f"user:{user.name}", uid=user.uid, email=address)
    publish_user(realm.name, user.uid)
    return user


def asked_address(code: str) -> str:
    """Return the address that a one-time code verifies; empty if it cannot be used any more."""
    link = find_link(code, LinkPurpose.ADDRESS)
    return link.email if link is not None else ""
