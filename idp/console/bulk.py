"""Doing the same to several rows of a list: confirmed once, done one by one, and told what was refused and why."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from flask import Response
from sqlalchemy.exc import DataError, IntegrityError

from idp import patience
from idp.console.browser import Visit, look_again
from idp.console.dialogs import see_other
from idp.console.forms import PageWords
from idp.console.language import count_of, say
from idp.console.lists import SIZES
from idp.console.render import render
from idp.db import commit, db
from idp.errors import IdpError, InvalidValueError
from idp.web.errors import classify
from idp.web.posted import Posted

MOST = max(SIZES)
"""Rows that can be chosen at once: those of a page."""


@dataclass(frozen=True)
class BulkAct:
    """What can be done to several rows."""

    verb: str
    done: str
    """What is said of how many it was done to, such as "disabled"."""
    act: Callable[[str], object]
    """Does it to one, which it is given by its key; refuses what the caller may not do."""
    consequences: Sequence[str] = ()
    is_danger: bool = False
    undo: str = ""
    """How it can be undone; empty if it cannot."""


def bulk(visit: Visit, what: str, back: tuple[str, str], acts: Mapping[str, BulkAct]) -> Response | str:
    """Ask, and once that is confirmed do it to each that was chosen, in a transaction of its own; then say what came of it.

    :param what: what one of the rows is called, in English; it takes an s.
    :param back: URL and name of the list.
    :raises InvalidValueError: the form names no such act, or too many rows.
    """
    posted = visit.posted
    if posted is None:
        return see_other(back[0])  # the address of a form that was sent, opened again
    chosen = acts.get(posted.get("act", ""))
    keys = picked_in(posted)
    if chosen is None:
        raise InvalidValueError("This cannot be done to several at once.")
    shown = {"what": what, "back": back, "chosen": chosen, "act": posted["act"], "keys": keys}
    if not keys or posted.get("confirmed") != "yes":
        title = say("{verb} {things}", verb=chosen.verb, things=count_of(len(keys), what))
        return render("console/bulk.html", **shown, title=title, refused=None)
    refused = [(key, problem) for key in keys if (problem := try_one(visit, chosen.act, key))]
    done = len(keys) - len(refused)
    title = say("{things} {done}", things=count_of(done, what), done=chosen.done)
    return render("console/bulk.html", **shown, title=title, refused=refused, done=done)


def picked_in(posted: Posted) -> list[str]:
    """Return the keys of the rows that were chosen, each once.

    :raises InvalidValueError: they are too many.
    """
    keys = list(dict.fromkeys(posted.getlist("picked")))
    if len(keys) > MOST:
        raise InvalidValueError(f"Choose at most {MOST} at once.")
    return keys


def try_one(visit: Visit, act: Callable[[str], object], key: str) -> str:
    """Do something to one, in a transaction of its own, and return why it was refused; empty if it was done."""
    try:
        with patience.answering():  # each has as long as it would have alone
            look_again(visit)
            act(key)
            commit()
    except (IdpError, IntegrityError, DataError) as error:
        db.session.rollback()
        return classify(error, words=PageWords())[2]
    return ""
