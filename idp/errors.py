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


class Words:
    """What an edge calls what domains speak of. These are the words of the domains themselves, and of programs and operators."""

    realm = "realm"
    a_realm = "a realm"

    def named_realm(self, name: str) -> str:
        """Return what stands for one of them."""
        return f"{self.realm} {name!r}"

    def field(self, name: str) -> str:
        """Return what somebody gives a field of a domain by."""
        return name

    def translated(self, english: str) -> str:
        """Return a sentence, or a template of one, in the language that an edge speaks; values may be in it already."""
        return english

    def leading_on(self, remedy: Remedy) -> str:  # noqa: ARG002 (the domains themselves know no way)
        """Return the sentence that says how to do what leads on; empty if there is nothing to say."""
        return ""


class Sentence:
    """A sentence, or a part of one, with gaps that each edge fills with words of its own.

    `{realm}` and `{a_realm}` are a realm, `{realm}` with its name if that is among the values; `{Realm}` begins a sentence.
    `{field}` is the field that the error is about. All other gaps are values, which may be parts of a sentence themselves.
    """

    def __init__(self, template: str, /, **values: object) -> None:
        """Take a constant; what comes from outside is among the values, and never part of the template."""
        self._template, self._values = template, values

    def said(self, words: Words, field: str = "") -> str:
        """Return it in the words of an edge."""
        values = {name: each.said(words, field) if isinstance(each, Sentence) else each for name, each in self._values.items()}
        realm = words.named_realm(str(values["realm"])) if "realm" in values else words.realm
        gaps = {"realm": realm, "Realm": realm[0].upper() + realm[1:], "a_realm": words.a_realm, "field": words.field(field)}
        return words.translated(self._template).format_map(values | gaps)


def told(text: str | Sentence, words: Words) -> str:
    """Return a sentence in the words of an edge, whether it has gaps or was written whole."""
    return text.said(words) if isinstance(text, Sentence) else words.translated(text)


class Term(Sentence):
    """A word or two of the code's own within a sentence, such as the state of something. Nothing in it is a gap."""

    def __init__(self, english: str) -> None:
        super().__init__("")
        self._english = english

    def said(self, words: Words, field: str = "") -> str:  # noqa: ARG002 (no gap is for the field)
        """Return it in the words of an edge."""
        return words.translated(self._english)


A_REALM = Sentence("{a_realm}")
"""For sentences that say of what kind a thing is."""


class IdpError(Exception):
    """Something that was asked for cannot be done. The text is one sentence for the caller and holds no secret.

    It speaks no edge's language: no commands, no members of a body, no buttons.
    """

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = ""
    """What programs know it by, where that is finer than its kind, such as `ApiKeyExpired`."""
    retry_after: int = 0
    """In how many seconds it may be tried again; 0 where nobody knows."""
    field: str = ""
    """The field of a domain that it is about; empty for none, or for several."""
    remedy: Remedy | None = None
    _sentence: Sentence | None = None

    def __init__(self, sentence: str | Sentence = "", *, field: str = "") -> None:
        """Take what the caller is told, and the field that it is about."""
        if isinstance(sentence, Sentence):
            self._sentence, sentence = sentence, sentence.said(Words(), field)
        self.field = field
        super().__init__(sentence)

    def said(self, words: Words) -> str:
        """Return the sentence in the words of an edge, and what leads on from it there."""
        sentence = words.translated(str(self)) if self._sentence is None else self._sentence.said(words, self.field)
        way = words.leading_on(self.remedy) if self.remedy is not None else ""
        return f"{sentence} {way}" if way else sentence

    def named(self, words: Words) -> list[tuple[str, str]]:
        """Return the fields that it is about, as an edge calls them, each with what is wrong."""
        return [(words.field(self.field), self.said(words))] if self.field else []

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
    """Fields do not have the values that they should have: `InvalidValueError` for several."""

    def __init__(self, members: list[tuple[str, str]], *, as_sent: bool = False) -> None:
        """Name them: where each is, and what is wrong with it.

        :param as_sent: they are members and parameters as an edge has read them, and called what its clients call them.
        """
        self.members, self._as_sent = members, as_sent
        super().__init__(self.said(Words()))

    def named(self, words: Words) -> list[tuple[str, str]]:
        """Return them as an edge calls them, each with what is wrong."""
        return self.members if self._as_sent else [(words.field(where), problem) for where, problem in self.members]

    def said(self, words: Words) -> str:
        """Return the first three, in the words of an edge."""
        told = [f"{where}: {words.translated(problem).removesuffix('.')}" for where, problem in self.named(words)[:3]]
        return f"{'; '.join(told)}."


class StorageUnavailableError(IdpError):
    """The database does not answer; nothing was changed, and the same call may succeed later."""

    kind, retry_after = Kind.UNAVAILABLE, 5

    def __init__(self, message: str = "The database does not answer. Try again in a few seconds.", *, cause: str = "") -> None:
        """Take what the caller is told.

        :param cause: what is the matter, in half a sentence for the operator and the log.
        """
        super().__init__(message)
        self.cause = cause


class StorageFullError(StorageUnavailableError):
    """The disk of the database is full; nothing was changed. What only reads goes on, and the rest does once there is space."""

    def __init__(self, *, cause: str = "its disk is full") -> None:
        """Take what is the matter, for the operator and the log."""
        super().__init__(
            "The server cannot write: the disk of its database is full. Nothing was changed. Try again later.", cause=cause
        )


class OverloadedError(IdpError):
    """All that serves requests is at work; nothing was done, and the same call may succeed later."""

    kind, retry_after = Kind.UNAVAILABLE, 5

    def __init__(self) -> None:
        super().__init__("The server has too much to do. Try again in a few seconds.")
