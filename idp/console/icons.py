"""Icons: single drawings out of Bootstrap Icons, as its package has them, put into the page where they stand."""

import re
from functools import cache
from importlib.resources import files

from flask import has_request_context, request
from markupsafe import Markup

_SPRITE = files("flask_bootstrap") / "static" / "bootstrap5" / "icons" / "bootstrap-icons.svg"
_SYMBOL = r'<symbol [^>]*viewBox="([\d ]+)" id="{name}">(.*?)</symbol>'


def icon(name: str) -> Markup:
    """Return an icon. It says nothing to those who hear the page: a text stands beside it, or its button has a label.

    A page has each drawing once, where it comes first, and refers to that further down: a list has the same ones in every row.

    :raises KeyError: there is none of that name.
    """
    first, further = _drawing(name)
    drawn: set[str] = request.environ.setdefault("realmgate.icons", set()) if has_request_context() else set()
    if name in drawn:
        return further
    drawn.add(name)
    return first


@cache
def _drawing(name: str) -> tuple[Markup, Markup]:
    """Return an icon as it is drawn, with a name of its own in the page, and as it refers to that."""
    found = re.search(_SYMBOL.format(name=re.escape(name)), _SPRITE.read_text(encoding="utf-8"), re.DOTALL)
    if found is None:
        raise KeyError(name)
    svg = f'<svg class="icon" viewBox="{found[1]}" fill="currentColor" aria-hidden="true" focusable="false">'
    # nobody's text is in them: the drawing is the package's, its name a template's
    first = Markup(f'{svg}<g id="icon-{name}">{found[2]}</g></svg>')  # noqa: S704 (see above)
    return first, Markup(f'{svg}<use href="#icon-{name}"/></svg>')  # noqa: S704 (see above)
