"""What can be handed on: nobody gets, by whatever way around, what they could not give themselves."""

import math

from idp import access, clock, users
from idp.access import Frozen, HeldRole, Holder, HolderKind
from idp.callers import DeniedError
from idp.db import db
from idp.rules.authority import Authority
from idp.users import User


def held_by(holder: Holder) -> list[HeldRole]:
    """Return what somebody holds, as the database has it now."""
    groups: list[int] = []
    if holder.kind is HolderKind.USER:
        groups = [group.id for group in users.groups_of(db.session.get_one(User, holder.id))]
    return access.read_held_roles(db.session(), holder.kind, holder.id, groups)


def covers(authority: Authority, holder: Holder) -> bool:
    """Tell whether the caller has, or could give to themselves, all that somebody holds."""
    return access.covers(authority.held, held_by(holder))


def owns_realm(authority: Authority) -> bool:
    """Tell whether the caller could give every permission on the realm, without an end."""
    return math.isinf(access.granting_until(authority.held, access.PERMISSIONS))


def is_admitted(authority: Authority) -> bool:
    """Tell whether the caller has shown nothing but the word of a trusted issuer."""
    return "federation" in authority.caller.claims


def refuse_admitted(authority: Authority) -> None:
    """See that a caller who was admitted by the word of a trusted issuer makes no credential, and nobody who would have one.

    It would outlive that word; and with it they could decide whose word counts, which is for those who have one of their own.

    :raises DeniedError: one calls.
    """
    if is_admitted(authority):
        raise DeniedError("Whoever was admitted by a trusted issuer can neither make credentials nor manage users.")


def frozen_for(authority: Authority, owner: Holder, before: Frozen | None = None) -> Frozen | None:
    """Return what a credential carries at the most which the caller makes for somebody else.

    It carries what its owner holds now, and no longer than now: should they be given more later, or their roles permit more,
    whoever has made the credential has not. Who could give everything, for good, has no need of it to grow by, and makes
    credentials without such a limit.

    :param before: what limits it already; None for nothing.
    """
    if owns_realm(authority):
        return before
    return access.freeze(access.limited_to(before, held_by(owner)), clock.timestamp())
