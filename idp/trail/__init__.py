"""The evidence that the audit trail is whole: hash chain, seals, marks, checkpoints, retention, verification, export.

`audit` writes events and knows nothing of it.
"""

from idp.trail.export import Part, export_part, export_trail, read_export
from idp.trail.guard import is_guarded
from idp.trail.marks import begin_marks, begin_trail, public_keys
from idp.trail.models import AuditBatch, AuditCut, AuditDelivery, AuditMark, AuditSealing
from idp.trail.push import forget_clear_destinations, push_checkpoints
from idp.trail.retention import cut_old_events
from idp.trail.sealing import BATCH, count_unsealed, gaps_elsewhere
from idp.trail.signing import newest_checkpoint, seal_trail
from idp.trail.stored import look_at_end, trail_names, verify_trail
from idp.trail.verify import Checkpoint, Keys, Kind, Problem, Report, read_checkpoint, read_keys, unpack, unpack_cut
from idp.trail.witness import forget as forget_what_was_seen
from idp.trail.witness import memory_file

__all__ = [
    "BATCH",
    "AuditBatch",
    "AuditCut",
    "AuditDelivery",
    "AuditMark",
    "AuditSealing",
    "Checkpoint",
    "Keys",
    "Kind",
    "Part",
    "Problem",
    "Report",
    "begin_marks",
    "begin_trail",
    "count_unsealed",
    "cut_old_events",
    "export_part",
    "export_trail",
    "forget_clear_destinations",
    "forget_what_was_seen",
    "gaps_elsewhere",
    "is_guarded",
    "look_at_end",
    "memory_file",
    "newest_checkpoint",
    "public_keys",
    "push_checkpoints",
    "read_checkpoint",
    "read_export",
    "read_keys",
    "seal_trail",
    "trail_names",
    "unpack",
    "unpack_cut",
    "verify_trail",
]
