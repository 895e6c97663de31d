"""Pushing checkpoints off the box, where whoever rules the database does not rule: a file, syslog, a webhook.

What is kept elsewhere is what shows that the end of a trail was cut, or all of it written anew. Each destination gets the
newest checkpoint of each realm that has one it does not know, at least once.
"""

import hashlib
import http.client
import json
import logging
import os
import socket
import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import delete, func, select

from idp import clock, runtime
from idp.db import commit, db, insert_if_new, reading
from idp.settings import Settings
from idp.trail.models import AuditBatch, AuditDelivery

PATIENCE = 5
"""Seconds that a destination may take."""

AT_ONCE = 500
"""Checkpoints that one round pushes to one destination."""

HOOK = "webhook:sha256-"

Push = Callable[[list[str]], None]

_log = logging.getLogger(__name__)


def push_checkpoints() -> int:
    """Push what is due, to every destination that is set; return how many checkpoints were pushed.

    A destination that fails keeps no other waiting, and is tried again the next time.
    """
    settings = runtime.current().settings
    pushed = 0
    for name, push in _destinations(settings).items():
        due = _due(name, timedelta(seconds=settings.audit_push_seconds))
        if not due:
            continue
        try:
            push([_line(batch) for batch in due])
        except (OSError, http.client.HTTPException) as error:
            _log.error(
                "checkpoints of the audit trail could not be pushed to %s: %s", name.partition(":")[0], type(error).__name__
            )
            continue
        for batch in due:
            _note(name, batch)
        commit()
        pushed += len(due)
    return pushed


def _destinations(settings: Settings) -> dict[str, Push]:
    found: dict[str, Push] = {}
    if settings.audit_push_file is not None:
        path = settings.audit_push_file
        found[f"file:{path}"[:300]] = lambda lines: append(path, lines)
    if settings.audit_push_syslog:
        address = settings.audit_push_syslog
        found[f"syslog:{address}"[:300]] = lambda lines: send_syslog(address, lines)
    if settings.audit_push_webhook:
        url = settings.audit_push_webhook
        # its path may be a token: the table is to tell one place from another, and nobody where either is
        found[f"{HOOK}{hashlib.sha256(url.encode()).hexdigest()}"] = lambda lines: post(url, lines)
    return found


def _due(destination: str, every: timedelta) -> list[AuditBatch]:
    """Return the newest batch of each realm that the destination does not know, and did not get another of just now."""
    newest = select(AuditBatch.realm, func.max(AuditBatch.number).label("number")).group_by(AuditBatch.realm).subquery()
    known = (AuditDelivery.destination == destination) & (AuditDelivery.realm == AuditBatch.realm)
    query = (
        select(AuditBatch)
        .join(newest, (newest.c.realm == AuditBatch.realm) & (newest.c.number == AuditBatch.number))
        .outerjoin(AuditDelivery, known)
        .where(
            AuditDelivery.number.is_(None)
            | ((AuditDelivery.number != AuditBatch.number) & (AuditDelivery.at <= clock.now() - every))
        )
        .order_by(AuditBatch.id)
        .limit(AT_ONCE)
    )
    with reading() as session:
        found = list(session.scalars(query))
        session.expunge_all()
        return found


def _note(destination: str, batch: AuditBatch) -> None:
    now = clock.now()
    if not insert_if_new(AuditDelivery, destination=destination, realm=batch.realm, number=batch.number, at=now):
        row = db.session.get_one(AuditDelivery, (destination, batch.realm))
        row.number, row.at = batch.number, now


def forget_clear_destinations() -> None:
    """Remove what earlier versions noted of webhooks by their whole URL. Each gets the newest checkpoints once more."""
    db.session.execute(delete(AuditDelivery).where(AuditDelivery.destination.startswith("webhook:http")))


def _line(batch: AuditBatch) -> str:
    return json.dumps(
        {
            "realm": batch.realm,
            "number": batch.number,
            "total": batch.total,
            "head": batch.head,
            "checkpoint": batch.checkpoint,
        }
    )


def append(path: Path, lines: list[str]) -> None:
    """Add lines to a file, durably. Use one that the server may only append to."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        os.write(file, "".join(f"{line}\n" for line in lines).encode())
        os.fsync(file)
    finally:
        os.close(file)


def send_syslog(address: str, lines: list[str]) -> None:
    """Send each line as a message of facility log audit (13), severity notice (RFC 5424 §6, RFC 5426, RFC 6587 §3.4.1)."""
    parts = urlsplit(address)
    stamp = clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    messages = [f"<109>1 {stamp} {socket.gethostname()} realmgate {os.getpid()} checkpoint - {line}".encode() for line in lines]
    if parts.scheme == "udp":
        with socket.socket(_family(parts.hostname or ""), socket.SOCK_DGRAM) as udp:
            for message in messages:
                udp.sendto(message, (parts.hostname, parts.port or 514))
    else:
        with socket.create_connection((parts.hostname, parts.port or 601), timeout=PATIENCE) as tcp:
            tcp.sendall(b"".join(b"%d %s" % (len(message), message) for message in messages))


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def post(url: str, lines: list[str]) -> None:
    """POST lines as `application/x-ndjson`. Follows no redirect, and shows nobody what was answered (T75, T77).

    :raises OSError: the answer has another status than 2xx.
    """
    parts = urlsplit(url)
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port, timeout=PATIENCE, context=ssl.create_default_context()
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        body = "".join(f"{line}\n" for line in lines).encode()
        connection.request("POST", path, body, {"Content-Type": "application/x-ndjson", "User-Agent": "Realmgate"})
        status = connection.getresponse().status
    finally:
        connection.close()
    if not 200 <= status < 300:
        raise OSError(f"the webhook answered {status}")
