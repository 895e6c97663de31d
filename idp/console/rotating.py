"""Replacing the secrets of several at once: new ones are shown once, and the old ones work until a while is over."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import wtforms
from flask import Response
from wtforms import validators

from idp.console.browser import Visit
from idp.console.bulk import picked_in, try_one
from idp.console.dialogs import form_page, see_other
from idp.console.forms import DurationField, Form
from idp.console.language import count_of, say
from idp.console.render import render
from idp.web.table import csv_line

_AnyForm = TypeVar("_AnyForm", bound=Form)

LONGEST_OVERLAP = timedelta(days=365)


@dataclass(frozen=True)
class Rotated:
    """A secret in the place of another."""

    of: str
    """What has it, by name."""
    identifier: str
    """What stands beside the secret in a file, such as the client_id."""
    secret: str = field(repr=False)


def rotate_several(
    visit: Visit,
    what: str,
    back: tuple[str, str],
    kind: type[_AnyForm],
    act: Callable[[_AnyForm, str], Rotated],
    *,
    consequences: Sequence[str],
) -> Response | str:
    """Ask for how long the old ones go on, then make the new ones, each in a transaction of its own, and show them.

    :param what: what one of them is called.
    :param back: URL and name of the list.
    :param kind: the form that asks for what has to be known; see `overlap_field`.
    :param act: makes the new secret of one, given what was asked for and its key; refuses what the caller may not do.
    """
    posted = visit.posted
    if posted is None:
        return see_other(back[0])  # the address of a form that was sent, opened again
    keys = picked_in(posted)
    form = kind(posted if posted.get("confirmed") == "yes" else None)
    shown = {"what": what, "back": back, "keys": keys}
    title = say("Rotate secrets: {things}", things=count_of(len(keys), what))
    if form.is_sent and not form.validate():
        form.refuse(say("Some fields are not valid."), 400)
    if not keys or not form.is_sent or form.problem:
        return form_page("console/rotate.html", form, **shown, title=title, consequences=consequences)
    made: list[Rotated] = []
    refused = [(key, problem) for key in keys if (problem := try_one(visit, lambda each: made.append(act(form, each)), key))]
    # one whose commit was refused has no new secret
    lost = {key for key, _ in refused}
    made = [each for each in made if each.of not in lost]
    files = {"env": _env(made), "csv": _csv(made)}
    return render("console/rotated.html", **shown, made=made, refused=refused, files=files, title=say("Copy the new secrets now"))


def overlap_field() -> wtforms.Field:
    """Return the field for how long the old secrets work beside the new ones."""
    longest = int(LONGEST_OVERLAP.total_seconds() // 3600)
    rules = [validators.InputRequired(), validators.NumberRange(min=0, max=longest, message="At most a year.")]
    return DurationField("How long the old ones keep working", rules, unit="hour", default=24)


def _env(made: Sequence[Rotated]) -> str:
    """Return a file with a variable for each secret."""
    return "".join(f"{_variable(each.identifier)}={each.secret}\n" for each in made)


def _variable(name: str) -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name).upper() + "_SECRET"


def _csv(made: Sequence[Rotated]) -> str:
    return csv_line(["name", "secret"]) + "".join(csv_line([each.of, each.secret]) for each in made)
