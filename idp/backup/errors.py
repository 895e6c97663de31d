"""Why nothing is backed up, or restored."""

from idp.errors import IdpError


class BackupError(IdpError):
    """It cannot be backed up; the sentence says what to do."""


class RestoreError(IdpError):
    """It cannot be restored; the sentence says what to do."""


class ToolError(BackupError):
    """A program of PostgreSQL is missing, or has failed."""
