"""Connected applications: where somebody has signed in, and the way to take that back."""

from flask import Response

from idp import applications, authorizations, rules
from idp.authorizations import End
from idp.console.browser import Visit, page
from idp.console.dialogs import see_other
from idp.console.navigation import base
from idp.console.render import render
from idp.console.urls import page_url
from idp.users import User

MINE = "/console/my/applications"


@page
def my_connections(visit: Visit) -> Response | str:
    """List the applications that one has signed in to."""
    rows = authorizations.list_connections(visit.caller.user.id)
    return render("console/keys/connections.html", rows=rows, ends=page_url(MINE))


@page
def disconnect_own(visit: Visit, name: str) -> Response:
    """End what an application does for oneself, and take back what one has agreed to."""
    user = rules.connections.disconnectable(visit.authority, visit.caller.subject.uid)
    _disconnect(visit, user, name, End.PERSON)
    return see_other(f"{page_url(MINE)}?done=disconnected")


@page
def disconnect_user(visit: Visit, key: str, name: str) -> Response:
    """End what an application does for a user."""
    user = rules.connections.disconnectable(visit.authority, key)
    own = visit.authority.is_self(user.uid)
    _disconnect(visit, user, name, End.PERSON if own else End.ADMINISTRATOR)
    return see_other(f"{base(visit.realm.name)}/users/{user.uid}?done=disconnected")


def _disconnect(visit: Visit, user: User, name: str, by: End) -> None:
    application = applications.get_application(visit.realm, name)
    authorizations.take_back(visit.realm.name, user.id, application.id, application.name, by)
