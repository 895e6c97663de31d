"""Doing the same to several rows of a list: confirmed once, done one by one, and told what was refused and why."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from flask import Response
from sqlalchemy.exc import DataError, IntegrityError

from idp.console.browser import Visit, look_again
from idp.console.dialogs import see_other
from idp.console.forms import PageWords
from idp.console.language import count_of, say
from idp.console.lists import SIZES
from idp.console.render import render
from idp.db import commit, db
from idp.errors import IdpError, InvalidValueError
from idp.web.errors import classify

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
    keys = list(dict.fromkeys(posted.getlist("picked")))
    if chosen is None:
        raise InvalidValueError("This cannot be done to several at once.")
    if len(keys) > MOST:
        raise InvalidValueError(f"Choose at most {MOST} at once.")
    shown = {"what": what, "back": back, "chosen": chosen, "act": posted["act"], "keys": keys}
    if not keys or posted.get("confirmed") != "yes":
        title = say("{verb} {things}", verb=chosen.verb, things=count_of(len(keys), what))
        return render("console/bulk.html", **shown, title=title, refused=None)
    refused = [(key, problem) for key in keys if (problem := _try(visit, chosen, key))]
    done = len(keys) - len(refused)
    title = say("{things} {done}", things=count_of(done, what), done=chosen.done)
    return render("console/bulk.html", **shown, title=title, refused=refused, done=done)


def _try(visit: Visit, chosen: BulkAct, key: str) -> str:
    """Do it to one, and return why it was refused; empty if it was done."""
    try:
        look_again(visit)
        chosen.act(key)
        commit()
    except (IdpError, IntegrityError, DataError) as error:
        db.session.rollback()
        return classify(error, words=PageWords())[2]
    return ""
