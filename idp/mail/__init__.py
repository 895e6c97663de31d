"""Email: written to an outbox in the transaction that causes it, sent by a background chore, never delaying a request."""

from idp.mail.models import MailMessage
from idp.mail.outbox import check_address, count_waiting, drop_waiting, enqueue, list_waiting, oldest_waiting, withdraw
from idp.mail.postman import deliver_mail, forget_old_mail, give_up_outdated

__all__ = [
    "MailMessage",
    "check_address",
    "count_waiting",
    "deliver_mail",
    "drop_waiting",
    "enqueue",
    "forget_old_mail",
    "give_up_outdated",
    "list_waiting",
    "oldest_waiting",
    "withdraw",
]
