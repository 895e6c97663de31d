"""The root of Realmgate's own errors. Domains raise these; an edge decides how they look on its wire."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Self


class Kind(StrEnum):
    """What is wrong, by what whoever has asked can do about it. An edge knows these, and no classes."""

    INVALID = "invalid"
    """Something that was sent has no usable shape or value."""
    LENGTH_MISSING = "length missing"
    """It was sent without its length."""
    TOO_LARGE = "too large"
    """What was asked for does not fit what it has to go into."""
    NO_CREDENTIAL = "no credential"
    """A credential is needed, and none was shown."""
    UNREADABLE_CREDENTIAL = "unreadable credential"
    """Several credentials were shown, or one that cannot be read."""
    UNAUTHENTICATED = "unauthenticated"
    """The credential is wrong or over."""
    DENIED = "denied"
    """It is known who asks, and they may not do this."""
    NOT_FOUND = "not found"
    CONFLICT = "conflict"
    """It does not go together with what is there."""
    STALE = "stale"
    """What it is about has changed since it was looked at."""
    REUSED = "reused"
    """What may be used for one thing was used for another."""
    TOO_MANY = "too many"
    """It was done too often, or there are as many as there may be."""
    UNAVAILABLE = "unavailable"
    """Nothing was done, and the same may succeed in a while."""
    DAMAGED = "damaged"
    """What the server keeps sealed does not open, which its operator has to mend. Nobody else is told the particulars."""
    NOT_SERVED = "not served"
    """It is not what this server is for."""


@dataclass(frozen=True)
class Remedy:
    """What leads on from an error. How that is done, and whether it can be, each edge says in its own words."""

    act: str
    """Such as `list users`."""
    realm: str = ""
    within: str = ""
    """What it is done to, where it is a part of something."""


class IdpError(Exception):
    """Something that was asked for cannot be done. The text is one sentence for the caller and holds no secret.

    It speaks no edge's language: no commands, no members of a body, no buttons.
    """

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = ""
    """What programs know it by, where that is finer than its kind, such as `ApiKeyExpired`."""
    retry_after: int = 0
    """In how many seconds it may be tried again; 0 where nobody knows."""
    remedy: Remedy | None = None

    def leading_to(self, act: str, *, realm: str = "", within: str = "") -> Self:
        """Return the error with what leads on from it; see `Remedy`."""
        self.remedy = Remedy(act, realm, within)
        return self


class NotFoundError(IdpError):
    """The named thing does not exist in this realm."""

    kind = Kind.NOT_FOUND


class ConflictError(IdpError):
    """The thing exists already, or is in a state that rules the act out."""

    kind = Kind.CONFLICT


class InvalidValueError(IdpError):
    """A value does not have the shape that this field takes."""


class NotServedError(IdpError):
    """A call of another system's contract that is not for this server, since what it is about is not here."""

    kind = Kind.NOT_SERVED


class InvalidMembersError(InvalidValueError):
    """Members of a body or parameters do not have the shape that they should have.

    Domains name their own fields; what an edge reads itself, it names as its clients do.
    """

    def __init__(self, members: list[tuple[str, str]]) -> None:
        """Name them: where each is, and what is wrong with it."""
        super().__init__("; ".join(f"{where}: {problem}" for where, problem in members[:3]) + ".")
        self.members = members


class StorageUnavailableError(IdpError):
    """The database does not answer; nothing was changed, and the same call may succeed later."""

    kind, retry_after = Kind.UNAVAILABLE, 5

    def __init__(self, message: str = "The database does not answer. Try again in a few seconds.", *, cause: str = "") -> None:
        """Take what the caller is told.

        :param cause: what is the matter, in half a sentence for the operator and the log.
        """
        super().__init__(message)
        self.cause = cause


class OverloadedError(IdpError):
    """All that serves requests is at work; nothing was done, and the same call may succeed later."""

    kind, retry_after = Kind.UNAVAILABLE, 5

    def __init__(self) -> None:
        super().__init__("The server has too much to do. Try again in a few seconds.")
