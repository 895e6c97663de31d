"""What can be wrong with an outside key."""

from idp.crypto import MasterKeyError
from idp.errors import Kind


class OutsideKeyError(MasterKeyError):
    """An outside key cannot be used: it is not there, does not let itself be used, or is another one than is needed."""


class KeyServiceError(OutsideKeyError):
    """What holds an outside key does not answer. The same may succeed in a while."""

    kind = Kind.UNAVAILABLE
