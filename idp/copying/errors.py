"""Why a database is not copied."""

from idp.errors import IdpError


class CopyError(IdpError):
    """The database cannot be copied, or compared; the sentence says what to do."""


class UnfitError(CopyError):
    """A row of the source cannot be stored in the target."""


class InUseError(CopyError):
    """Somebody is at work in one of the two databases."""


class OtherContentError(CopyError):
    """The target holds something already that is no unfinished copy of the source."""
