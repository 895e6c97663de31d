"""Email: written to an outbox in the transaction that causes it, sent by a background chore, never delaying a request."""

from idp.mail.models import MailMessage
from idp.mail.outbox import check_address, count_waiting, drop_waiting, enqueue, list_waiting, oldest_waiting
from idp.mail.postman import deliver_mail, forget_old_mail

__all__ = [
    "MailMessage",
    "check_address",
    "count_waiting",
    "deliver_mail",
    "drop_waiting",
    "enqueue",
    "forget_old_mail",
    "list_waiting",
    "oldest_waiting",
]
