"""Forms that give roles: what a role permits is told as it is chosen, and a strong one is asked about before it is given."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import wtforms

from idp import access, rules
from idp.access import PERMISSIONS, Role
from idp.console.browser import Visit
from idp.console.forms import Form

SURE = "sure"
"""Field of a form that gives roles: the answer, which is worth something for the roles that were asked about alone."""

_YES = "Yes, assign this role"
_YES_TO_ALL = "Yes, assign these roles"


@dataclass(frozen=True)
class Weighed:
    """What the page of a form tells of the roles that it gives."""

    offered: Sequence[Role]
    """Those that may be chosen, each with what it permits."""
    asked_about: Sequence[Role]
    """The strong ones that were chosen, and wait for an answer."""
    meanings: Mapping[str, str]
    """What each permission allows."""


def sure_field() -> wtforms.BooleanField:
    """Return the field for the answer, which a form shows once there is a question."""
    return wtforms.BooleanField(_YES)


def roles_to_give(visit: Visit, project: str = "") -> list[Role]:
    """Return the roles that the caller could give: on the project that is named, or anywhere."""
    return [role for role in access.list_roles(visit.realm) if rules.grants.can_give(visit.authority, role, project)]


def weigh(form: Form, offered: Sequence[Role], wished: Iterable[tuple[str, str]]) -> Weighed:
    """Have a form wait for an answer if it gives strong roles, before it does anything.

    What the caller could not give is not asked about, because it is refused.

    :param form: has a field `sure`, which goes if there is nothing to ask.
    :param offered: the roles that the caller could give.
    :param wished: names of roles, each with the project that it is to be given on, or nothing for the whole organisation.
    """
    chosen = set(wished)
    strong = [
        role for role in offered if any(name == role.name and access.is_strong(role.permissions, on) for name, on in chosen)
    ]
    return ask_about(form, strong, offered)


def ask_about(form: Form, strong: Sequence[Role], offered: Sequence[Role] = ()) -> Weighed:
    """Have a form wait for an answer about the strong roles that it gives; see `weigh`."""
    told = Weighed(offered, (), PERMISSIONS)
    if not form.is_sent or form.problem or not strong:
        del form[SURE]
        return told
    sure = form[SURE]
    about = " ".join(sorted({role.name for role in strong}))
    sure.render_kw = {"value": about}
    if len(strong) > 1:
        sure.label.text = _YES_TO_ALL
    if sure.raw_data == [about]:
        return told
    sure.data = form.is_sent = False
    return replace(told, asked_about=strong)
