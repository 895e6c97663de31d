"""The audit trail: an append-only record of every act, in the transaction of the act itself."""

from idp.audit.models import AuditEvent
from idp.audit.service import SYSTEM, Actor, acting_as, current_actor, event_values, list_events, operator, record
from idp.audit.tags import Tag

__all__ = [
    "SYSTEM",
    "Actor",
    "AuditEvent",
    "Tag",
    "acting_as",
    "current_actor",
    "event_values",
    "list_events",
    "operator",
    "record",
]
