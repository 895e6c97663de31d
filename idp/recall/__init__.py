"""What was taken back of a realm's tokens: written with the act, told to whoever checks tokens by their signature."""

from idp.recall.acts import withdraw
from idp.recall.documents import Edition, document, edition
from idp.recall.known import KnownCauses, is_withdrawn, known_causes
from idp.recall.marks import Kind, mark_of
from idp.recall.models import RecallCause, RecallClock
from idp.recall.polls import await_news, waiting
from idp.recall.writing import CACHED, TakenBack, forget_old_causes, listen

__all__ = [
    "CACHED",
    "Edition",
    "Kind",
    "KnownCauses",
    "RecallCause",
    "RecallClock",
    "TakenBack",
    "await_news",
    "document",
    "edition",
    "forget_old_causes",
    "is_withdrawn",
    "known_causes",
    "listen",
    "mark_of",
    "waiting",
    "withdraw",
]
