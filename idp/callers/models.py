"""Who calls: one shape for a session, an access token, a personal token, an API key or a password."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from idp import audit
from idp.access import HeldRole
from idp.applications import KnownApplication
from idp.errors import IdpError, Kind
from idp.realms import MASTER, KnownRealm
from idp.tokens import Subject
from idp.users import KnownUser


class CredentialKind(StrEnum):
    """What a caller has shown."""

    PASSWORD = "password"  # noqa: S105 (a name, no password)
    SESSION = "session"
    """A session token of somebody who signed in."""
    EXCHANGED = "exchanged"
    """A session token that an API key was exchanged for."""
    ACCESS_TOKEN = "access_token"  # noqa: S105 (a name, and no secret)
    PERSONAL_TOKEN = "personal_token"  # noqa: S105 (a name, and no secret)
    API_KEY = "api_key"


class DeniedError(IdpError):
    """The caller is known, and may not do this."""

    kind = Kind.DENIED


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who has proved who they are, with what their credential lets them do."""

    realm: KnownRealm
    subject: Subject
    held_roles: tuple[HeldRole, ...]
    """What the subject holds now and the credential carries."""
    kind: CredentialKind
    credential_id: str
    """Id of the session, token or key."""
    expires_at: float
    """When the credential ends (seconds since 1970)."""
    address: str
    key: str = ""
    """Public part of the API key that it all began with; empty if it did not begin with one."""
    narrowed: bool = False
    """Whether the credential carries less than its subject holds."""
    claims: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """Those of the token, if it is one."""

    @property
    def is_delegated(self) -> bool:
        """Whether an application calls for a person who has signed in to it."""
        return "grant_id" in self.claims

    @property
    def user(self) -> KnownUser:
        """The user who calls.

        :raises DeniedError: it is an application.
        """
        if not isinstance(self.subject, KnownUser):
            raise DeniedError("This call is for users; an application has none of its own.")
        return self.subject

    @property
    def name(self) -> str:
        """What the audit trail calls the caller."""
        if isinstance(self.subject, KnownApplication):
            return f"application:{self.subject.name}"
        return f"user:{self.subject.name}"

    @property
    def actor(self) -> audit.Actor:
        """The caller as the actor of what is recorded."""
        home = "" if self.realm.name != MASTER else f"{MASTER}/"
        return audit.Actor(home + self.name, self.address)

    def held_in(self, realm: str) -> tuple[HeldRole, ...]:
        """Return the roles that count in a realm: in one's own all, and an operator's on realm `master` in every realm.

        What an operator holds is no role of that realm, even if that has one of the same name: it is told apart here.
        """
        if realm == self.realm.name:
            return self.held_roles
        if self.realm.name == MASTER:
            return tuple(replace(each, role=f"{MASTER}/{each.role}") for each in self.held_roles if not each.project)
        return ()
