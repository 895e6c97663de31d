"""Sending what is in the outbox, by SMTP (RFC 5321)."""

import hashlib
import json
import logging
import smtplib
import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from functools import cache
from typing import Any

import jinja2
from sqlalchemy import case, delete, func, literal, or_, select, update

from idp import clock, runtime, vault
from idp.db import SharedNow, commit, db, reading
from idp.mail.models import MailMessage
from idp.settings import Settings
from idp.text_files import TextFileError, read_text

TIMEOUT = 20
"""Seconds that the mail server may take for each step."""

LEASE = timedelta(minutes=5)
"""How long a mail belongs to the worker that tries to send it. A worker that dies leaves it to the next after that."""

WAITS = (60, 300, 900, 3600, 6 * 3600, 12 * 3600, 24 * 3600)
"""Seconds between one try and the next; after the last, the mail is given up. One with an end of its own is tried until that."""

KEEP = timedelta(days=100)
"""How long it is remembered what was sent: longer than any occasion can come again."""

OUTDATED = "what it carries has expired"
"""Why a mail was given up that could not be sent in time."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Claim:
    id: int
    occasion: str
    template: str
    sealed: str
    tries: int
    created_at: datetime
    useful_until: datetime | None


def deliver_mail(limit: int = 20) -> int:
    """Send emails that are due and still of use, and return how many were sent. Without a mail server, nothing is tried.

    Each is claimed in one statement, so that of several workers one sends it. If a worker is killed between the mail
    server's answer and recording it, the email is sent again: the same `Message-ID` lets the recipient's side recognise that.
    """
    settings = runtime.current().settings
    if not settings.smtp_host:
        return 0
    sent = 0
    while sent < limit and (claim := _claim()) is not None:
        try:
            to, message = _written(settings, claim)
        except Exception as error:  # noqa: BLE001 (a mail that cannot be made stands in the way of no other)
            _failed(claim, error)
            continue
        try:
            _send(settings, to, message)
        except (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused) as error:
            _failed(claim, error)
            continue
        except (OSError, smtplib.SMTPException, TextFileError) as error:
            _failed(claim, error)
            return sent  # the mail server is away, or its password not there; it is asked again when the next mail is due
        db.session.execute(
            update(MailMessage).where(MailMessage.id == claim.id).values(done_at=clock.now(), sent=True, sealed="", last_error="")
        )
        commit()
        sent += 1
    return sent


def _claim() -> _Claim | None:
    now = clock.now()
    waits = MailMessage.done_at.is_(None) & (MailMessage.due_at <= now)
    # by the clock that all nodes share: one of them whose own is wrong neither sends what is over nor holds back what is not
    is_of_use = or_(MailMessage.useful_until.is_(None), MailMessage.useful_until > SharedNow())
    due = select(MailMessage.id).where(waits, is_of_use).order_by(MailMessage.id).limit(1)
    with reading() as session:
        if session.scalar(due) is None:
            return None  # the usual case, found out without keeping a writer waiting
    claimed = db.session.execute(
        update(MailMessage)
        .where(MailMessage.id == due.scalar_subquery(), waits)
        .values(due_at=now + LEASE, tries=MailMessage.tries + 1)
        .returning(
            MailMessage.id,
            MailMessage.occasion,
            MailMessage.template,
            MailMessage.sealed,
            MailMessage.tries,
            MailMessage.created_at,
            MailMessage.useful_until,
        )
    ).first()
    commit()
    return None if claimed is None else _Claim(*claimed)


def _failed(claim: _Claim, error: Exception) -> None:
    """Put a mail off, or give it up. The mail server's answer is kept, what was to be sent is not."""
    reason = f"{type(error).__name__}: {error}" if not isinstance(error, smtplib.SMTPRecipientsRefused) else "recipient refused"
    values: dict[str, Any] = {"last_error": reason[:300]}
    if claim.useful_until is None and claim.tries > len(WAITS):
        values |= {"done_at": clock.now(), "sealed": ""}
    else:
        values["due_at"] = clock.now() + _wait(claim)
    waiting = update(MailMessage).where(MailMessage.id == claim.id, MailMessage.done_at.is_(None))
    db.session.execute(waiting.values(values))
    commit()
    _log.warning("mail %s was not sent (try %d): %s", claim.id, claim.tries, reason[:300])


def _wait(claim: _Claim) -> timedelta:
    """Return for how long a mail is put off: never beyond half of the time for which it is of use, or it might miss the rest."""
    usual = WAITS[min(claim.tries, len(WAITS)) - 1]
    wait, shortest = timedelta(seconds=usual), timedelta(seconds=WAITS[0])
    return wait if claim.useful_until is None else min(wait, max((claim.useful_until - clock.now()) / 2, shortest))


def _written(settings: Settings, claim: _Claim) -> tuple[str, EmailMessage]:
    content = json.loads(vault.unseal(claim.sealed, context=f"mail {claim.occasion}"))
    message = compose(settings, claim.template, content["to"], content["values"])
    message["Date"] = format_datetime(claim.created_at)
    host = parseaddr(settings.mail_from)[1].partition("@")[2]
    message["Message-ID"] = f"<{hashlib.sha256(claim.occasion.encode()).hexdigest()[:40]}@{host}>"
    return content["to"], message


def _send(settings: Settings, to: str, message: EmailMessage) -> None:
    file = settings.smtp_password_file
    password = read_text(file).strip() if settings.smtp_user and file else ""
    with _connect(settings) as connection:
        if settings.smtp_user:
            connection.login(settings.smtp_user, password)
        connection.send_message(message, to_addrs=[to])


def _connect(settings: Settings) -> smtplib.SMTP:
    where = (settings.smtp_host, settings.smtp_port)
    if settings.smtp_security == "tls":
        return smtplib.SMTP_SSL(*where, timeout=TIMEOUT, context=ssl.create_default_context())
    connection = smtplib.SMTP(*where, timeout=TIMEOUT)
    if settings.smtp_security == "starttls":
        connection.starttls(context=ssl.create_default_context())
    return connection


def compose(settings: Settings, template: str, to: str, values: dict[str, str]) -> EmailMessage:
    """Build an email in plain text and HTML from its template, whose first line is the subject."""
    values = values | {"public_url": settings.public_url}
    subject, _, text = _templates().get_template(f"{template}.txt").render(values).partition("\n")
    message = EmailMessage()
    message["From"] = settings.mail_from
    message["To"] = to
    message["Subject"] = " ".join(subject.split())
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 §5: no out-of-office answers, please
    message.set_content(text.strip() + "\n")
    message.add_alternative(_templates().get_template(f"{template}.html").render(values), subtype="html")
    return message


@cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("idp.mail"),
        autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def give_up_outdated() -> None:
    """Give up the emails that were not sent while they were of use, and keep with each what the mail server said."""
    before = case((MailMessage.last_error == "", ""), else_=literal("; before that: ") + MailMessage.last_error)
    given_up = db.session.execute(
        update(MailMessage)
        .where(MailMessage.done_at.is_(None), MailMessage.useful_until <= SharedNow())
        .values(done_at=clock.now(), sealed="", last_error=func.substr(literal(OUTDATED) + before, 1, 300))
        .returning(MailMessage.id, MailMessage.tries, MailMessage.last_error)
        .execution_options(synchronize_session=False)
    ).all()
    for number, tries, reason in given_up:
        _log.warning("mail %s was given up (try %d): %s", number, tries, reason)


def forget_old_mail() -> None:
    """Remove emails that were sent or given up long ago."""
    db.session.execute(delete(MailMessage).where(MailMessage.done_at < clock.now() - KEEP))
