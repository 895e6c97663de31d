"""One-time links: invitations and password resets. What is shown once is hashed, and is claimed in one statement."""

import json
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import DBAPIError

from idp import audit, clock, crypto, mail, runtime, vault
from idp.db import commit, db, reading
from idp.errors import ConflictError, IdpError, InvalidValueError, Kind, StorageUnavailableError
from idp.networks import network_of
from idp.outages import is_unavailable
from idp.ratelimit import Limit, network_limits, reserve_attempt
from idp.realms import NAME_PATTERN, Realm
from idp.users.models import LinkPurpose, OneTimeLink, ResetRequest, User, UserKind
from idp.users.names import LONGEST_NAME, canonical
from idp.users.passwords import check_password, password_hashing
from idp.users.recipients import MailKind, count_mail, may_mail, name_in_mails, owns_address
from idp.users.service import lock_user, set_password, void_links

LIFETIMES = {
    LinkPurpose.INVITATION: timedelta(days=7),
    LinkPurpose.HANDED: timedelta(days=7),
    LinkPurpose.RESET: timedelta(hours=1),
}

RESETS_OF_ACCOUNT_FROM_ADDRESS, RESETS_OF_ACCOUNT, RESETS_FROM_ADDRESS = 5, 20, 20
"""Password resets that may be asked for in an hour. Who asks for somebody else's soon stands in nobody's way."""

MOST_ORGANISATIONS = 20
"""Organisations that one request sends a link for."""

MOST_REQUESTS = 10_000
"""Requests for a reset that may wait; further ones are dropped. A chore answers them every second."""

_log = logging.getLogger(__name__)

_SERVES = {
    LinkPurpose.INVITATION: {LinkPurpose.INVITATION.value, LinkPurpose.HANDED.value},
    LinkPurpose.HANDED: {LinkPurpose.HANDED.value},
    LinkPurpose.RESET: {LinkPurpose.RESET.value},
    LinkPurpose.ADDRESS: {LinkPurpose.ADDRESS.value},
}
"""Which links do for what: a handed invitation is one, too."""

_TAGS = {LinkPurpose.INVITATION: audit.Tag.USER_ACTIVATE, LinkPurpose.RESET: audit.Tag.PASSWORD_RESET}


class LinkError(IdpError):
    """The one-time code is unknown, used, void or expired, or for something else. One text for every cause."""

    kind = Kind.UNAUTHENTICATED

    def __init__(self) -> None:
        super().__init__("This one-time code is not valid: it has been used, has expired or was replaced. Request a new one.")


def send_link(realm: Realm, user: User, purpose: LinkPurpose) -> str:
    """Make a one-time link, put it into the outbox, and make earlier ones for the purpose void.

    While there is no password, it goes to the address that the account is named by, whatever address stands in the account:
    who gives an account somebody else's name does not get to choose its password, and with it who is meant by that name where
    no organisation is named. So it does when somebody chose that other address who could not give its owner everything: a
    password that they choose with such a code would grow with what the account is given later.

    :returns: the one-time code, for a caller that may see it; most must not (R107).
    :raises ConflictError: a machine user has no password; a disabled one gets none.
    :raises TooManyAttemptsError: as many such mails have gone to the address as may.
    """
    if user.kind != UserKind.PERSON.value:
        raise ConflictError(f"{user.name!r} is a machine user and has no password: give it an API key.")
    if not user.enabled:
        raise ConflictError(f"User {user.name!r} is disabled. Enable it first.")
    count_mail(MailKind(purpose.value), _address_of(user), user)
    return _write_link(realm, user, purpose)


def hand_over_invitation(realm: Realm, user: User) -> str:
    """Make an invitation that whoever invites passes on themselves, and make earlier ones void.

    It is for servers that send no mail. A code that somebody else has seen does not prove that its user can read mail at the
    address that the account is named by: it stays unverified. `rules.users` says who may have one.

    :returns: the one-time code.
    :raises ConflictError: the user has a password, or can have none.
    """
    if user.kind != UserKind.PERSON.value or user.password_hash:
        raise ConflictError(f"{user.name!r} needs no invitation.")
    if not user.enabled:
        raise ConflictError(f"User {user.name!r} is disabled. Enable it first.")
    void_links(user, LinkPurpose.INVITATION)
    void_links(user, LinkPurpose.HANDED)
    plain, expires_at = _make_link(user, LinkPurpose.HANDED)
    expiry = expires_at.isoformat(timespec="seconds")
    audit.record(audit.Tag.USER_INVITE, realm.name, f"user:{user.name}", uid=user.uid, expires_at=expiry, handed_over=True)
    return plain


def _address_of(user: User) -> str:
    """Return where the codes of a user go: see `send_link`."""
    if canonical(user.email) == user.name:
        return user.email
    return user.email if user.password_hash and not user.email_limited else user.name


def _write_link(realm: Realm, user: User, purpose: LinkPurpose) -> str:
    void_links(user, purpose)
    if purpose is LinkPurpose.INVITATION:
        void_links(user, LinkPurpose.HANDED)
    plain, expires_at = _make_link(user, purpose)
    public_part = crypto.public_part(plain)
    values = {"organisation": realm.name, "name": name_in_mails(user), "code": plain}
    values["expires"] = f"{expires_at:%Y-%m-%d %H:%M} UTC"
    occasion, to = purpose.occasion(public_part), _address_of(user)
    mail.enqueue(realm.name, occasion, purpose.template, to, useful_until=expires_at, **values)
    tag = audit.Tag.USER_INVITE if purpose is LinkPurpose.INVITATION else audit.Tag.PASSWORD_RESET_START
    audit.record(tag, realm.name, f"user:{user.name}", uid=user.uid, expires_at=expires_at.isoformat(timespec="seconds"))
    return plain


def _make_link(user: User, purpose: LinkPurpose) -> tuple[str, datetime]:
    """Make a one-time code, and return it with its end."""
    plain = crypto.make_secret("ol")
    pepper_id, secret_hash = vault.hash_secret(plain)
    expires_at = clock.now() + LIFETIMES[purpose]
    db.session.add(
        OneTimeLink(
            user_id=user.id,
            purpose=purpose.value,
            public_part=crypto.public_part(plain),
            pepper_id=pepper_id,
            secret_hash=secret_hash,
            expires_at=expires_at,
        )
    )
    return plain, expires_at


def redeem_link(code: str, purpose: LinkPurpose, password: str) -> User:
    """Choose a password with a one-time code. Of several at once, one wins (T61).

    :raises LinkError: the code does not work.
    :raises InvalidValueError: the password is not good enough; the code can be used again.
    :raises BusyError: too many others are choosing or checking one.
    """
    link = find_link(code, purpose)
    if link is None:
        raise LinkError
    user = db.session.get_one(User, link.user_id)
    realm = db.session.get_one(Realm, user.realm_id)
    check_password(password, user.name, realm.name)
    db.session.rollback()  # no transaction is kept open while the password is hashed
    with password_hashing(runtime.current()).seat() as seat:
        password_hash = seat.hash(password)
    user, realm = use_link(link)
    was_mailed = link.purpose != LinkPurpose.HANDED.value
    user.email_verified = was_mailed and user.email != "" and _address_of(user) == user.email  # to another address: void
    with audit.acting_as(audit.Actor(f"user:{user.name}", audit.current_actor().address)):
        set_password(realm, user, password_hash, _TAGS[purpose])
    return user


@dataclass(frozen=True)
class LinkedAccount:
    """Whose password a one-time code chooses."""

    name: str
    realm: str


def account_of_link(code: str, purpose: LinkPurpose) -> LinkedAccount | None:
    """Return whose password a one-time code chooses; None if it cannot be used any more."""
    link = find_link(code, purpose)
    if link is None:
        return None
    query = select(User.name, Realm.name).join(Realm, Realm.id == User.realm_id).where(User.id == link.user_id)
    with reading() as session:
        row = session.execute(query).first()
    return LinkedAccount(*row) if row is not None else None


def find_link(code: str, purpose: LinkPurpose) -> OneTimeLink | None:
    """Return the open link of a one-time code, or None."""
    if not crypto.is_well_formed(code, "ol"):
        return None
    query = select(OneTimeLink).where(OneTimeLink.public_part == crypto.public_part(code), OneTimeLink.used_at.is_(None))
    with reading() as session:
        for link in session.scalars(query):
            right = vault.secret_matches(code, link.pepper_id, link.secret_hash)
            if right and link.purpose in _SERVES[purpose] and link.expires_at > clock.now():
                session.expunge(link)
                return link
    return None


def use_link(link: OneTimeLink) -> tuple[User, Realm]:
    """Use an open link up, and return whose it is, locked until the commit. Of several at once, one does (T61).

    :raises LinkError: it was used or has expired meanwhile, or the user or the realm is disabled.
    """
    user_id = link.user_id
    lock_user(user_id)  # first the user, then the link, as every other act on both
    claim = update(OneTimeLink).where(
        OneTimeLink.id == link.id, OneTimeLink.used_at.is_(None), OneTimeLink.expires_at > clock.now()
    )
    if db.session.execute(claim.values(used_at=clock.now())).rowcount != 1:  # type: ignore[attr-defined]
        raise LinkError
    mail.withdraw([LinkPurpose(link.purpose).occasion(link.public_part)])
    user = db.session.get_one(User, user_id)
    realm = db.session.get_one(Realm, user.realm_id)
    if not user.enabled or not realm.enabled:
        raise LinkError
    return user, realm


def request_reset(name: str, realm: str | None, address: str) -> None:
    """Note that somebody wants a new password. It does the same whether there is such an account or not (T85).

    :param address: the client's.
    :raises InvalidValueError: that cannot be a name.
    :raises TooManyAttemptsError: it was asked for too often in an hour.
    """
    account, network = canonical(name[:300]), network_of(address)
    limits = (
        Limit(f"reset:{account} from {network}", RESETS_OF_ACCOUNT_FROM_ADDRESS),
        Limit(f"reset:{account}", RESETS_OF_ACCOUNT),
        *network_limits("reset from", address, RESETS_FROM_ADDRESS),
    )
    reserve_attempt(limits, 3600)
    if not name or len(name) > LONGEST_NAME or not name.isprintable() or not NAME_PATTERN.fullmatch(realm or "x"):
        raise InvalidValueError("Name the account by its email address, and the organisation by its name or not at all.")
    waiting = db.session.scalar(select(func.count()).select_from(ResetRequest)) or 0
    if waiting < MOST_REQUESTS:
        content = json.dumps({"name": canonical(name), "realm": realm}).encode()
        db.session.add(ResetRequest(sealed=vault.seal(content, context="reset request")))


def answer_reset_requests(limit: int = 20) -> int:
    """Send links to those who asked for one and have an account; return how many requests were looked at.

    Claiming a request, the link and the mail are one transaction. A request that cannot be answered is dropped, and stands
    in the way of no other.
    """
    for number in range(limit):
        oldest = select(ResetRequest.id).order_by(ResetRequest.id).limit(1)
        claimed = db.session.execute(
            delete(ResetRequest)
            .where(ResetRequest.id == oldest.scalar_subquery())
            .returning(ResetRequest.id, ResetRequest.sealed)
        ).first()
        if claimed is None:
            db.session.rollback()
            return number
        try:
            _answer_reset_request(claimed.sealed)
            commit()
        except (IdpError, DBAPIError) as error:
            db.session.rollback()
            if isinstance(error, StorageUnavailableError) or is_unavailable(error):
                raise
            _log.warning("a request for a password reset was dropped: %s", type(error).__name__)
            db.session.execute(delete(ResetRequest).where(ResetRequest.id == claimed.id))
            commit()
    return limit


def _answer_reset_request(sealed: str) -> None:
    content = json.loads(vault.unseal(sealed, context="reset request"))
    query = (
        select(User, Realm)
        .join(Realm, Realm.id == User.realm_id)
        .where(User.name == content["name"], User.kind == UserKind.PERSON.value, User.email != "", User.enabled, Realm.enabled)
        .order_by(User.password_hash == "", User.id)
        .limit(MOST_ORGANISATIONS)
    )
    if content["realm"] is not None:
        query = query.where(Realm.name == content["realm"])
    found = db.session.execute(query).all()
    # a person whom several organisations know gets a mail from each in which they have a password; who has none at all, from
    # those that have invited them
    own = [(user, realm) for user, realm in found if user.password_hash]
    for user, realm in own or found:
        # what a person asks for themselves, the request has counted: nobody else's doing keeps them from it
        if owns_address(user) or may_mail(MailKind.RESET, user, _address_of(user)):
            _write_link(realm, user, LinkPurpose.RESET)


vault.register_sealed(ResetRequest.sealed, select(ResetRequest.id, ResetRequest.sealed), lambda: "reset request")
