"""Parameters of URLs in the foreign contracts: a call names those it takes, and any other is refused.

A filter that is passed over would make an answer wider than the question.
"""

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, Response, request

from idp.errors import InvalidValueError
from idp.written import one_line

View = Callable[..., Response]


def takes(*names: str, many: Iterable[str] = ()) -> Callable[[View], View]:
    """Say which parameters a call takes; without this it takes none.

    :param names: parameters that may be sent once.
    :param many: parameters that may be sent several times.
    """

    def decorate(view: View) -> View:
        view.parameters = dict.fromkeys(names, False) | dict.fromkeys(many, True)  # type: ignore[attr-defined]
        return view

    return decorate


def add_calls(
    app: Flask, contract: str, calls: Iterable[tuple[str, str, View]], *, harmless: Iterable[str] = (), slash: bool = True
) -> None:
    """Add the calls of a contract to the application.

    :param calls: method, path and function of each.
    :param harmless: parameters that every call of the contract takes, since they cannot change which items come.
    :param slash: whether a slash at the end of the path makes no difference.
    """
    everywhere = dict.fromkeys(harmless, False)
    strict = False if slash else None
    for method, path, view in calls:
        checked = _checked(view, everywhere)
        app.add_url_rule(path, f"{contract} {method} {path}", checked, methods=[method], strict_slashes=strict)


def argument(name: str, default: str = "") -> str:
    """Return a parameter of the URL, or the default when it is left out."""
    return request.args.get(name, default)


def arguments(name: str) -> list[str]:
    """Return the values of a parameter that may be sent several times, or once with commas between them."""
    return [part for value in request.args.getlist(name) for part in value.split(",") if part]


def _checked(view: View, everywhere: dict[str, bool]) -> View:
    taken = everywhere | _taken(view)

    def called(**parts: Any) -> Response:
        for name, values in request.args.lists():
            if name not in taken:
                known = f"It takes {', '.join(sorted(taken))}." if taken else "It takes none."
                raise InvalidValueError(f"This call takes no parameter {one_line(name)[:80]}. {known}")
            if len(values) > 1 and not taken[name]:
                raise InvalidValueError(f"{name} is named twice.")
        return view(**parts)

    return called


def _taken(view: Any) -> dict[str, bool]:
    """Return the parameters of a call, which decorators and `functools.partial` may have wrapped."""
    while view is not None:
        if hasattr(view, "parameters"):
            return dict(view.parameters)
        view = getattr(view, "__wrapped__", None) or getattr(view, "func", None)
    return {}
