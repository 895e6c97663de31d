"""What somebody chooses of the console for themselves."""

from flask import Response

from idp.console.browser import Visit, page
from idp.console.dialogs import see_other
from idp.console.render import render
from idp.console.theme import OWN_PAGE, keep_theme
from idp.console.urls import page_url


@page
def choose_theme(visit: Visit) -> Response:
    """Keep a theme, and go back to the page where it was chosen."""
    posted = visit.posted
    theme, back = (posted.get("theme", ""), posted.get("next", "")) if posted is not None else ("", "")
    return keep_theme(see_other(page_url(back if OWN_PAGE.fullmatch(back) else "/console/")), theme)


@page
def stay(visit: Visit) -> str:
    """Say that somebody is still there, for a page that warns before their session ends."""
    return render("console/stayed.html", is_home=visit.is_home)
