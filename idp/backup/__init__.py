"""Backups: the whole database as of one moment, with a manifest, and restoring one, in a scratch place or in earnest."""

from idp.backup.errors import BackupError, RestoreError, ToolError
from idp.backup.manifest import Manifest
from idp.backup.progress import Act, Step, Watch
from idp.backup.restore import Restored, check_backup, restore_backup
from idp.backup.take import Backup, take_backup
from idp.backup.verify import Verified

__all__ = [
    "Act",
    "Backup",
    "BackupError",
    "Manifest",
    "RestoreError",
    "Restored",
    "Step",
    "ToolError",
    "Verified",
    "Watch",
    "check_backup",
    "restore_backup",
    "take_backup",
]
