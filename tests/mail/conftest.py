"""A mail server, and the application that sends by it."""

import email
import email.policy
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from flask import Flask

from idp.app import close_app, create_app
from idp.settings import Settings
from tests.serving import free_port


class Mailbox:
    """A mail server on loopback that keeps what it is given, and can refuse."""

    def __init__(self, port: int = 0) -> None:
        self.mails: list[tuple[list[str], Any]] = []
        self.refusal = ""
        self.reached = threading.Event()
        self.controller = Controller(self, hostname="127.0.0.1", port=port or free_port())

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 (aiosmtpd calls it so)
        self.reached.set()
        if self.refusal:
            return self.refusal
        content = envelope.content
        assert isinstance(content, bytes)
        self.mails.append((list(envelope.rcpt_tos), email.message_from_bytes(content, policy=email.policy.default)))
        return "250 OK"


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox()
    box.controller.start()
    yield box
    box.controller.stop()


@pytest.fixture
def app(settings: Settings, mailbox: Mailbox) -> Iterator[Flask]:
    """The application with a mail server."""
    update = {"smtp_host": "127.0.0.1", "smtp_port": mailbox.controller.port, "smtp_security": "none"}
    app = create_app(settings.model_copy(update=update | {"mail_from": "Realmgate <id@acme.example>"}))
    yield app
    close_app(app)
