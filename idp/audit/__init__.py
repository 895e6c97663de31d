"""The audit trail: an append-only record of every act, in the transaction of the act itself."""

from idp.audit.activity import (
    Activity,
    activity_totals,
    count_events,
    count_one,
    forget_old_activity,
    list_activity,
)
from idp.audit.models import AuditEvent
from idp.audit.service import SYSTEM, Actor, acting_as, current_actor, event_values, is_guarded, list_events, operator, record
from idp.audit.tags import Tag

__all__ = [
    "SYSTEM",
    "Activity",
    "Actor",
    "AuditEvent",
    "Tag",
    "acting_as",
    "activity_totals",
    "count_events",
    "count_one",
    "current_actor",
    "event_values",
    "forget_old_activity",
    "is_guarded",
    "list_activity",
    "list_events",
    "operator",
    "record",
]
