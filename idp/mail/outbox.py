"""Writing emails to the outbox."""

import json
import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import func, select, update

from idp import clock, vault
from idp.db import db, insert_if_new
from idp.errors import InvalidValueError
from idp.mail.models import MailMessage

_LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
_ADDRESS = re.compile(rf"[^\s@<>()\[\],;:\\\"]{{1,64}}@(?:{_LABEL}\.)*{_LABEL}")
LONGEST_ADDRESS = 254
_TEMPLATE = re.compile(r"[a-z-]{1,40}")


def check_address(address: str) -> str:
    """Return an email address if it is valid.

    :raises InvalidValueError: it cannot, or holds what could add a header or a recipient (T105).
    """
    # `=?` begins an encoded word (RFC 2047 §2), which may hold a whole list of addresses
    sound = address.isprintable() and len(address) <= LONGEST_ADDRESS and "=?" not in address and ".." not in address
    if not sound or not _ADDRESS.fullmatch(address):
        raise InvalidValueError(f"{address[:80]!r} is not an email address: use one such as ann@example.com.", field="email")
    return address


def enqueue(realm: str, occasion: str, template: str, to: str, *, useful_until: datetime | None, **values: str) -> bool:
    """Write an email to the outbox, in the current transaction.

    :param occasion: what it is sent for; of several emails for one occasion, one is written.
    :param template: name of the template: `<template>.txt` and `<template>.html`.
    :param useful_until: when what it carries is over, so that it must not be sent any more; None if that never comes.
    :param values: what the template is filled with. They are stored encrypted until the email is sent, and then deleted.
    :returns: whether it was written.
    """
    if not _TEMPLATE.fullmatch(template):
        raise ValueError(f"{template!r} is not a template")
    content = json.dumps({"to": check_address(to), "values": values}).encode()
    sealed = vault.seal(content, context=f"mail {occasion}")
    now = clock.now()
    return insert_if_new(
        MailMessage,
        occasion=occasion,
        realm=realm,
        template=template,
        sealed=sealed,
        created_at=now,
        due_at=now,
        tries=0,
        last_error="",
        useful_until=useful_until,
        sent=False,
    )


def withdraw(occasions: Iterable[str]) -> None:
    """Give up the emails for some occasions that are still to be sent: what they carry was used, or replaced.

    One that is on its way at this moment goes out.
    """
    waiting = update(MailMessage).where(MailMessage.occasion.in_(list(occasions)), MailMessage.done_at.is_(None))
    db.session.execute(waiting.values(done_at=clock.now(), sealed="", last_error="what it carries was used or replaced"))


def list_waiting(limit: int = 50) -> Sequence[MailMessage]:
    """Return emails that have not been sent, oldest first."""
    return db.session.scalars(
        select(MailMessage).where(MailMessage.done_at.is_(None)).order_by(MailMessage.id).limit(limit)
    ).all()


def drop_waiting() -> int:
    """Discard all emails that have not been sent, and return how many; a restored backup would send them once more."""
    dropped = (
        update(MailMessage).where(MailMessage.done_at.is_(None)).values(done_at=clock.now(), sealed="", last_error="dropped")
    )
    return int(db.session.execute(dropped.execution_options(synchronize_session=False)).rowcount)  # type: ignore[attr-defined]


def count_waiting() -> int:
    """Return how many emails have not been sent."""
    return db.session.scalar(select(func.count()).select_from(MailMessage).where(MailMessage.done_at.is_(None))) or 0


def oldest_waiting() -> float:
    """Return for how many seconds the oldest email has been waiting; 0 where none is."""
    since = db.session.scalar(select(func.min(MailMessage.created_at)).where(MailMessage.done_at.is_(None)))
    return max(0.0, (clock.now() - since).total_seconds()) if since is not None else 0.0


vault.register_sealed(MailMessage.sealed, select(MailMessage.id, MailMessage.sealed, MailMessage.occasion), "mail {}".format)
