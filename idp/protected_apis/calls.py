"""May a call pass? What the rules of a protected API say, and why: for the gateway, and for whoever tries the rules."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from idp import clock
from idp.access import HeldRole
from idp.protected_apis.known import KnownApi, Rule
from idp.protected_apis.paths import is_below, is_plain


class Verdict(StrEnum):
    """Whether a call passes, and what that follows from."""

    OPEN = "open"
    """A rule lets everybody through, without asking who it is."""
    ALLOWED = "allowed"
    """A rule lets the caller through."""
    NO_ROLE = "no role"
    """There are rules for the call, and the caller holds none of the roles that they ask for."""
    OTHER_METHOD = "other method"
    """There are rules for the path, but for other methods."""
    OTHER_PATH = "other path"
    """There is no rule for the path."""
    UNCLEAR_PATH = "unclear path"
    """The path may mean different things to different servers, so no rule allows it."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The answer to a call."""

    verdict: Verdict
    rules: tuple[Rule, ...]
    """The one that lets the call through, or those that would with another role or method."""

    @property
    def passes(self) -> bool:
        """Whether the call may be made."""
        return self.verdict in {Verdict.OPEN, Verdict.ALLOWED}


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a protected API, before it is known who makes it."""

    api: KnownApi
    method: str
    """In capital letters."""
    path: str
    """As it was sent, without the query."""
    rules: tuple[Rule, ...]
    """The rules that it falls under; none means that nobody may make it."""

    @property
    def is_open(self) -> bool:
        """Whether it passes without asking who makes it."""
        return any(rule.open for rule in self.rules)

    def judge(self, held_roles: Iterable[HeldRole]) -> Judgement:
        """Decide whether it passes, made by somebody with these roles."""
        now = clock.timestamp()
        held = {(each.project, each.role) for each in held_roles if now < each.until}
        for rule in self.rules:
            if rule.open:
                return Judgement(Verdict.OPEN, (rule,))
        for rule in self.rules:
            if not rule.roles or any((rule.project, role) in held or ("", role) in held for role in rule.roles):
                return Judgement(Verdict.ALLOWED, (rule,))
        return self._refusal()

    def _refusal(self) -> Judgement:
        """Say why nobody, or nobody without another role, may make it."""
        if not is_plain(self.path):
            return Judgement(Verdict.UNCLEAR_PATH, ())
        if self.rules:
            return Judgement(Verdict.NO_ROLE, self.rules)
        others = tuple(rule for rule in self.api.rules if is_below(self.path, rule.path))
        return Judgement(Verdict.OTHER_METHOD if others else Verdict.OTHER_PATH, others)


def call_of(api: KnownApi, method: str, path: str) -> Call:
    """Return a call of a protected API with the rules that it falls under.

    :param method: in capital letters.
    :param path: as it was sent, without the query.
    """
    if not is_plain(path):
        return Call(api, method, path, ())
    return Call(api, method, path, tuple(rule for rule in api.rules if method in rule.methods and is_below(path, rule.path)))
