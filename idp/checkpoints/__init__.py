"""Checkpoints of the audit trail: signed with a key of the realm, pushed off the box, verified, exported."""

from idp.checkpoints.export import Part, export_part, export_trail, read_export
from idp.checkpoints.push import push_checkpoints
from idp.checkpoints.seal import newest_checkpoint, seal_trail
from idp.checkpoints.verify import public_keys, trail_names, verify_trail

__all__ = [
    "Part",
    "export_part",
    "export_trail",
    "newest_checkpoint",
    "public_keys",
    "push_checkpoints",
    "read_export",
    "seal_trail",
    "trail_names",
    "verify_trail",
]
