"""Checkpoints of the audit trail: signed with a key of the realm, pushed, verified, exported; and what is cut of it."""

from idp.checkpoints.export import Part, export_part, export_trail, read_export
from idp.checkpoints.marks import begin_marks, begin_trail, public_keys
from idp.checkpoints.push import forget_clear_destinations, push_checkpoints
from idp.checkpoints.retention import cut_old_events
from idp.checkpoints.seal import newest_checkpoint, seal_trail
from idp.checkpoints.verify import look_at_end, trail_names, verify_trail
from idp.checkpoints.witness import forget as forget_what_was_seen
from idp.checkpoints.witness import memory_file

__all__ = [
    "Part",
    "begin_marks",
    "begin_trail",
    "cut_old_events",
    "export_part",
    "export_trail",
    "forget_clear_destinations",
    "forget_what_was_seen",
    "look_at_end",
    "memory_file",
    "newest_checkpoint",
    "public_keys",
    "push_checkpoints",
    "read_export",
    "seal_trail",
    "trail_names",
    "verify_trail",
]
