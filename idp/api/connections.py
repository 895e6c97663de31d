"""`/v1/users/{uid}/connectedApplications`: which applications somebody has signed in to, and the way to take that back."""

from typing_extensions import TypedDict

from idp import applications, authorizations, rules
from idp.api.requests import signed_in
from idp.api.schemas import Timestamp
from idp.authorizations import Connection, End
from idp.errors import NotFoundError
from idp.rules import Authority
from idp.web.answers import time_or_none


class ConnectionMetadata(TypedDict):
    """Which application it is."""

    uid: str
    name: str


class ConnectionSpec(TypedDict):
    """What the person lets it know and do."""

    displayName: str
    scopes: list[str]


class ConnectionStatus(TypedDict):
    """Since when. Without `signedInSince` there is only an agreement; without `agreedAt` the person was not asked."""

    signedInSince: Timestamp | None
    lastUsedAt: Timestamp | None
    agreedAt: Timestamp | None


class ConnectionResource(TypedDict):
    """An application that somebody has signed in to."""

    metadata: ConnectionMetadata
    spec: ConnectionSpec
    status: ConnectionStatus


class Connections(TypedDict):
    """The applications that somebody has signed in to, by name."""

    items: list[ConnectionResource]


@signed_in
def list_connections(authority: Authority, uid: str) -> Connections:
    """List the applications that a user has signed in to, and not out of, or has agreed to: one's own, or somebody else's."""
    user = rules.connections.owner(authority, uid)
    return {"items": [_shown(each) for each in authorizations.list_connections(user.id)]}


@signed_in
def disconnect(authority: Authority, uid: str, application: str) -> None:
    """End what an application does for a user, and take back what they have agreed to; its tokens end within a second.

    The application is named by its uid or name.
    """
    user = rules.connections.disconnectable(authority, uid)
    found = next((each for each in authorizations.list_connections(user.id) if application in {each.uid, each.client_id}), None)
    if found is None:
        raise NotFoundError("This user is not signed in to such an application (not found).")
    row = applications.get_application(authority.realm, found.client_id)
    by = End.PERSON if authority.is_self(user.uid) else End.ADMINISTRATOR
    authorizations.take_back(authority.realm.name, user.id, row.id, row.name, by)


def _shown(row: Connection) -> ConnectionResource:
    return {
        "metadata": {"uid": row.uid, "name": row.client_id},
        "spec": {"displayName": row.title, "scopes": list(row.scopes)},
        "status": {
            "signedInSince": time_or_none(row.since),
            "lastUsedAt": time_or_none(row.used_at),
            "agreedAt": time_or_none(row.agreed_at),
        },
    }
