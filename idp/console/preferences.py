"""What somebody chooses of the console for themselves."""

from flask import Response

from idp.console.browser import Visit, page
from idp.console.dialogs import see_other
from idp.console.language import keep_language
from idp.console.render import render
from idp.console.theme import OWN_PAGE, keep_theme
from idp.console.urls import page_url
from idp.console.zones import keep_zone, zone_name, zone_named


@page
def choose_theme(visit: Visit) -> Response:
    """Keep a theme, and go back to the page where it was chosen."""
    return keep_theme(_back(visit), _chosen(visit, "theme"))


@page
def choose_language(visit: Visit) -> Response:
    """Keep a language, and go back to the page where it was chosen."""
    return keep_language(_back(visit), _chosen(visit, "language"))


@page
def choose_zone(visit: Visit) -> Response:
    """Keep the zone that times are shown in, and go back to the page where it was chosen."""
    zone = _chosen(visit, "zone")
    return keep_zone(_back(visit), zone if zone_name(zone_named(zone)) == zone else "")


def _chosen(visit: Visit, name: str) -> str:
    return visit.posted.get(name, "") if visit.posted is not None else ""


def _back(visit: Visit) -> Response:
    """Lead back to the page of the console where something was chosen."""
    back = _chosen(visit, "next")
    return see_other(page_url(back if OWN_PAGE.fullmatch(back) else "/console/"))


@page
def stay(visit: Visit) -> str:
    """Say that somebody is still there, for a page that warns before their session ends."""
    return render("console/stayed.html", is_home=visit.is_home)
