"""The audit trail: an append-only record of every act, in the transaction of the act itself."""

from idp.audit.activity import (
    Activity,
    activity_totals,
    count_events,
    count_one,
    forget_old_activity,
    list_activity,
)
from idp.audit.gathering import UNKNOWN, Gathered, Gathering, Refusal, Refusals, Tally, lost_events, refusal_events
from idp.audit.models import AuditEvent
from idp.audit.service import (
    NEWEST,
    SYSTEM,
    Actor,
    acting_as,
    action_of,
    current_actor,
    event_listing,
    event_values,
    find_event,
    list_events,
    no_events,
    operator,
    place_of,
    record,
    record_when,
)
from idp.audit.tags import Tag

__all__ = [
    "NEWEST",
    "SYSTEM",
    "UNKNOWN",
    "Activity",
    "Actor",
    "AuditEvent",
    "Gathered",
    "Gathering",
    "Refusal",
    "Refusals",
    "Tag",
    "Tally",
    "acting_as",
    "action_of",
    "activity_totals",
    "count_events",
    "count_one",
    "current_actor",
    "event_listing",
    "event_values",
    "find_event",
    "forget_old_activity",
    "list_activity",
    "list_events",
    "lost_events",
    "no_events",
    "operator",
    "place_of",
    "record",
    "record_when",
    "refusal_events",
]
