"""Who may receive security events."""

from idp import access, signals
from idp.applications import KnownApplication
from idp.callers import Caller, DeniedError
from idp.errors import Sentence
from idp.realms import KnownRealm
from idp.tokens import SIGNAL_SCOPES

READ, MANAGE = SIGNAL_SCOPES
"""One that has neither is for both."""


class ScopeMissingError(DeniedError):
    """The token is narrowed to something else."""

    def __init__(self, scope: str) -> None:
        super().__init__(Sentence("The token was issued for less than the scope {scope}. Request one with it.", scope=scope))
        self.scope = scope


def receiver(realm: KnownRealm, caller: Caller, *, manages: bool) -> KnownApplication:
    """Return the application that calls, if it may receive the events of a realm.

    :param manages: whether it changes something, and does not only look and take.
    :raises DeniedError: it is none of this realm, or may not.
    :raises ScopeMissingError: its token is for less.
    """
    application = caller.subject
    if not isinstance(application, KnownApplication) or caller.is_delegated or caller.realm.name != realm.name:
        raise DeniedError(Sentence("Security events are for applications of this {realm}, by tokens of their own."))
    # by what the token carries, which may be less than the application holds
    if not application.enabled or not access.may(caller.held_roles, signals.RECEIVE):
        sentence = "Receiving security events requires a role with the permission {permission}, on the {realm}."
        raise DeniedError(Sentence(sentence, permission=signals.RECEIVE))
    scopes = {READ, MANAGE} & set(caller.claims.get("scope", "").split())
    if scopes and manages and MANAGE not in scopes:
        raise ScopeMissingError(MANAGE)
    return application
