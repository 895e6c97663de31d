"""What was taken back of a realm's tokens: written with the act, told to whoever checks tokens by their signature."""

from idp.recall.acts import withdraw
from idp.recall.documents import Edition, document, edition
from idp.recall.known import KnownCauses, is_withdrawn, known_causes
from idp.recall.marks import Kind, mark_of
from idp.recall.models import RecallCause, RecallClock
from idp.recall.polls import LONGEST_WAIT, waiting
from idp.recall.writing import forget_old_causes

__all__ = [
    "LONGEST_WAIT",
    "Edition",
    "Kind",
    "KnownCauses",
    "RecallCause",
    "RecallClock",
    "document",
    "edition",
    "forget_old_causes",
    "is_withdrawn",
    "known_causes",
    "mark_of",
    "waiting",
    "withdraw",
]
