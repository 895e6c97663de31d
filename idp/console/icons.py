"""Icons: single drawings out of Bootstrap Icons, as its package has them, put into the page where they stand."""

import re
from functools import cache
from importlib.resources import files

from markupsafe import Markup

_SPRITE = files("flask_bootstrap") / "static" / "bootstrap5" / "icons" / "bootstrap-icons.svg"
_SYMBOL = r'<symbol [^>]*viewBox="([\d ]+)" id="{name}">(.*?)</symbol>'


@cache
def icon(name: str) -> Markup:
    """Return an icon. It says nothing to those who hear the page: a text stands beside it, or its button has a label.

    :raises KeyError: there is none of that name.
    """
    found = re.search(_SYMBOL.format(name=re.escape(name)), _SPRITE.read_text(encoding="utf-8"), re.DOTALL)
    if found is None:
        raise KeyError(name)
    # nobody's text is in it: the drawing is the package's, its name a template's
    return Markup(  # noqa: S704 (see above)
        f'<svg class="icon" viewBox="{found[1]}" fill="currentColor" aria-hidden="true" focusable="false">{found[2]}</svg>'
    )
