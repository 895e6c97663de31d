"""The audit trail: an append-only record of every act, in the transaction of the act itself."""

from idp.audit.activity import (
    Activity,
    activity_totals,
    count_events,
    count_one,
    forget_old_activity,
    list_activity,
)
from idp.audit.chain import Entry
from idp.audit.models import AuditBatch, AuditDelivery, AuditEvent, AuditSealing
from idp.audit.sealing import Seal, count_unsealed, seal_events
from idp.audit.service import SYSTEM, Actor, acting_as, current_actor, event_values, is_guarded, list_events, operator, record
from idp.audit.tags import Tag
from idp.audit.verify import (
    CHECKPOINT_TYPE,
    Batch,
    Checkpoint,
    ExportReader,
    Keys,
    Kind,
    Line,
    Problem,
    Report,
    read_checkpoint,
    read_keys,
    unpack,
    verify_chain,
)

__all__ = [
    "CHECKPOINT_TYPE",
    "SYSTEM",
    "Activity",
    "Actor",
    "AuditBatch",
    "AuditDelivery",
    "AuditEvent",
    "AuditSealing",
    "Batch",
    "Checkpoint",
    "Entry",
    "ExportReader",
    "Keys",
    "Kind",
    "Line",
    "Problem",
    "Report",
    "Seal",
    "Tag",
    "acting_as",
    "activity_totals",
    "count_events",
    "count_one",
    "count_unsealed",
    "current_actor",
    "event_values",
    "forget_old_activity",
    "is_guarded",
    "list_activity",
    "list_events",
    "operator",
    "read_checkpoint",
    "read_keys",
    "record",
    "seal_events",
    "unpack",
    "verify_chain",
]
