"""Dialogs: a form shown, refused and shown again, an act confirmed and done, and the way on to the next page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response, request
from wtforms import validators

from idp.console.browser import Visit
from idp.console.forms import Form, text
from idp.console.language import say
from idp.console.render import render


@dataclass(frozen=True)
class Confirmation:
    """A question before something is done that others will feel."""

    title: str
    question: str
    submit: str
    back: tuple[str, str]
    """URL and name of the page to return to."""
    consequences: Sequence[str] = ()
    """What will break, from the counters of use."""
    undo: str = ""
    """How it can be undone; empty if it cannot."""
    typed: str = ""
    """What must be typed to go on; empty for nothing."""
    asks_reason: bool = False
    blocked: str = ""
    """Why it cannot be done now; empty if it can."""


class _ConfirmForm(Form):
    """What is asked along with the question."""

    reason = text("Reason", "Recorded in the audit trail.", longest=500)
    typed = text("Name", longest=254, render_kw={"autocomplete": "off"})


def confirmed(visit: Visit, question: Confirmation, act: Callable[..., None], onward: str) -> Response | str:
    """Ask, and once the answer has been sent, do it and go on.

    :param act: takes the reason, if one is asked for.
    :param onward: URL of the page that follows.
    """
    form = _ConfirmForm(visit.posted)
    if question.asks_reason:
        form.reason.validators = [validators.InputRequired(), validators.Length(max=500)]
        form.reason.flags.required = True
    else:
        del form.reason
    if question.typed:
        form.typed.label.text = say("Type {name} to continue", name=question.typed)
        form.typed.validators = [
            validators.InputRequired(),
            validators.AnyOf([question.typed], say("Type {name}.", name=question.typed)),
        ]
        form.typed.flags.required = True
    else:
        del form.typed
    arguments = [form.reason.data] if question.asks_reason else []
    if form.do(lambda: act(*arguments)):
        return see_other(onward)
    return form_page("console/confirm.html", form, **vars(question))


def tab_asked(tabs: Sequence[tuple[str, str]]) -> str:
    """Return which part of a page is asked for, of those that there are; the first one if it is none of them."""
    asked = request.args.get("tab", "")
    return asked if asked in {name for name, _ in tabs} else tabs[0][0]


def form_page(template: str, form: Form, **values: Any) -> Response:
    """Answer with the page of a form, with what was typed if it was refused."""
    return Response(render(template, form=form, **values), form.status, form.headers, mimetype="text/html")


def see_other(url: str) -> Response:
    """Lead on to another page, by GET (RFC 9110 §15.4.4)."""
    return Response(status=303, headers={"Location": url})
