"""Applications that describe themselves at a URL, which is their client_id: kept, brought up to date, forgotten."""

from idp.client_documents.models import ClientDocument
from idp.client_documents.service import (
    MOST_KEPT,
    Kept,
    TooManyDocumentsError,
    find_kept,
    keep,
    remove_unused,
)
from idp.client_documents.wanted import Wanted, claim, list_wanted, want

__all__ = [
    "MOST_KEPT",
    "ClientDocument",
    "Kept",
    "TooManyDocumentsError",
    "Wanted",
    "claim",
    "find_kept",
    "keep",
    "list_wanted",
    "remove_unused",
    "want",
]
