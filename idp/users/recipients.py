"""How many mails go to one address that somebody else causes, and what they say of who causes them.

A mail address is written down by whoever likes, for whomever. So it is the address that is counted, whoever names it, in
whichever realm and way: as a new user or as another's mail address, again after the user was deleted, as a sign-up.
"""

import contextlib
import logging
from enum import StrEnum

from idp.db import db
from idp.ratelimit import TooManyAttemptsError, take_places
from idp.users.models import User, UserKind
from idp.users.names import canonical

WINDOW = 3600
"""Seconds in which so many mails go to an address:"""

MOST_OF_A_KIND = 5
"""Invitations, and sign-ups, from everywhere; of any other kind, those that one realm causes."""

MOST = 20
"""All of them together, and resets by themselves: whoever sends invitations must not keep a reset from anybody."""

_log = logging.getLogger(__name__)


class MailKind(StrEnum):
    """What a mail is about that somebody else than its recipient can cause."""

    INVITATION = "invitation"
    SIGN_UP = "sign-up"
    RESET = "reset"
    PASSWORD_CHANGED = "password-changed"  # noqa: S105 (a kind of mail)
    ADDRESS = "address"
    ADDRESS_CHANGED = "address-changed"
    KEY_EXPIRY = "api-key-expiry"
    KEY_LEAKED = "api-key-leaked"


def count_mail(kind: MailKind, address: str, about: User | None = None) -> None:
    """Count a mail to an address, in the current transaction.

    :param about: the user that the mail is about.
    :raises TooManyAttemptsError: as many have gone there in an hour as may; the mail must not be written.
    """
    mailbox = _mailbox(address)
    if kind is MailKind.ADDRESS:
        # an account of its own: nobody keeps an invitation from a stranger by giving their address
        _take([(f"mail {kind} to {mailbox}", MOST_OF_A_KIND)])
        return
    if kind in {MailKind.INVITATION, MailKind.SIGN_UP} or about is None:
        limits = [(f"mail {kind} to {mailbox}", MOST_OF_A_KIND), (f"mail to {mailbox}", MOST)]
    else:
        limits = [(f"mail {kind} of realm {about.realm_id} to {mailbox}", MOST_OF_A_KIND)]
        if not owns_address(about):
            limits.append((f"mail reset to {mailbox}" if kind is MailKind.RESET else f"mail to {mailbox}", MOST))
    _take(limits)


def _take(limits: list[tuple[str, int]]) -> None:
    try:
        take_places(limits, WINDOW)
    except TooManyAttemptsError as error:
        raise TooManyAttemptsError(error.retry_after, "emails to this address") from None


def may_mail(kind: MailKind, user: User, address: str = "") -> bool:
    """Count a mail that what it tells of does not wait for, and tell whether it may be written. One that may not is logged.

    :param address: where it goes; empty for the user's mail address.
    """
    try:
        with db.session.begin_nested():
            count_mail(kind, address or user.email, user)
    except TooManyAttemptsError as error:
        _log.warning("an email (%s) about user %s was not sent: %s", kind, user.uid, error)
        return False
    return True


def owns_address(user: User) -> bool:
    """Tell whether a user can read what goes to their mail address: they have chosen a password, and sign in by it.

    Any other address may be that of somebody who knows nothing of the account.
    """
    return bool(user.password_hash) and canonical(user.email) == user.name


def name_in_mails(user: User) -> str:
    """Return what mails call a user: nothing that somebody could have written for a stranger to read.

    That is the address that the mail goes to, or a machine user's name, which has a strict alphabet; any other has its uid.
    """
    is_plain = user.kind == UserKind.MACHINE.value or canonical(user.email) == user.name
    return user.name if is_plain else user.uid


def _mailbox(address: str) -> str:
    """Return the one form of all addresses that lead to one mailbox, whatever their case, detail (RFC 5233 §1) and alphabet."""
    local, _, domain = canonical(address).rpartition("@")
    with contextlib.suppress(UnicodeError):  # a name that DNS cannot have: nothing arrives there
        domain = domain.encode("idna").decode()
    return f"{local.partition('+')[0] or local}@{domain}"
