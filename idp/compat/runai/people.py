"""Users, whom the contract names by mail address."""

from flask import Response

from idp import callers, users
from idp.api.answers import answer, done, time, time_or_none
from idp.api.requests import address, realm_of
from idp.callers import Caller, CredentialKind
from idp.compat.calls import flag_of, json_body, text_of
from idp.compat.filters import Same, Term, filtered
from idp.compat.parameters import argument, arguments, takes
from idp.compat.runai.answers import CONDITIONS, LISTED, Shape, maker, narrowed_by_conditions, page
from idp.paging import Listing
from idp.users import LinkPurpose, User, UserKind

_TERMS: dict[str, Term] = {
    "username": "name",
    "email": "email",
    "enabled": "enabled",
    "id": "uid",
    "createdBy": "maker",
    "creationTime": "created",
    "lastUpdated": "updated",
    "lastLogin": "used",
    # nobody is of another identity provider
    "isLocal": Same("true"),
    "type": Same(),
}

NO_PASSWORD = ""
"""`tempPassword`: nobody but the person ever knows one (R107)."""


@takes(*LISTED, "search", many=(*CONDITIONS, "filter"))
def list_users(caller: Caller) -> Response:
    """List users."""
    rows, *_ = page(_listing(caller), _TERMS, default=500)
    return answer([_shown(row) for row in rows])


@takes("search", many=CONDITIONS)
def count_users(caller: Caller) -> Response:
    """Count users."""
    return answer({"count": narrowed_by_conditions(_listing(caller), _TERMS).count()})


def _listing(caller: Caller) -> Listing:
    """Return the users that `search` and `filter` ask for; the latter is what `filterBy` was called before."""
    realm = realm_of(caller)
    caller.require("users:read", realm=realm.name)
    return filtered(users.user_listing(realm, containing=argument("search")), arguments("filter"), _TERMS)


def create_user(caller: Caller) -> Response:
    """Add a person, who is mailed an invitation to choose a password, whatever `resetPassword` and `notify` say."""
    realm, body = realm_of(caller), json_body()
    caller.require("users:write", realm=realm.name)
    for name in ("resetPassword", "notify"):
        flag_of(body, name)
    user = users.create_user(realm, text_of(body, "email", longest=254), UserKind.PERSON)
    users.send_link(realm, user, LinkPurpose.INVITATION)
    return answer(_shown(user) | {"tempPassword": NO_PASSWORD}, 201)


def get_user(caller: Caller, uid: str) -> Response:
    """Show a user."""
    return answer(_shown(callers.visible_user(caller, realm_of(caller), uid)))


def delete_user(caller: Caller, uid: str) -> Response:
    """Delete a user with all that is theirs."""
    realm = realm_of(caller)
    users.delete_user(realm, callers.manageable_user(caller, realm, uid))
    return done()


def sign_out_user(caller: Caller, uid: str) -> Response:
    """End every session of a user."""
    realm = realm_of(caller)
    if uid != caller.subject.uid or caller.kind is not CredentialKind.SESSION:
        caller.require("sessions:write", realm=realm.name)
    users.sign_out_everywhere(realm, callers.visible_user(caller, realm, uid))
    return answer({})


def reset_password(caller: Caller, uid: str) -> Response:
    """Mail a user a link to choose a password; see `create_user`."""
    realm = realm_of(caller)
    user = callers.manageable_user(caller, realm, uid)
    users.send_link(realm, user, LinkPurpose.RESET if user.password_hash else LinkPurpose.INVITATION)
    return answer({"tempPassword": NO_PASSWORD})


def change_password(caller: Caller) -> Response:
    """Change the caller's own password by showing the old one."""
    body = json_body()
    old, new = text_of(body, "currentPassword", longest=100_000), text_of(body, "newPassword", longest=100_000)
    users.replace_password(caller.user.name, old, new, realm=caller.realm.name, address=address())
    return answer({})


def _shown(user: User) -> Shape:
    return {
        "id": user.uid,
        "username": user.name,
        "email": user.email,
        "enabled": user.enabled,
        "isLocal": True,
        "tenantId": str(user.realm_id),
        "createdBy": maker(user.created_by),
        "createdAt": time(user.created_at),
        "updatedAt": time(user.updated_at),
        "lastLogin": time_or_none(user.last_sign_in_at),
    }
