"""Users, whom the contract names by mail address."""

from flask import Response

from idp import rules, users
from idp.compat.calls import flag_of, json_body, text_of
from idp.compat.filters import Same, Term, filtered
from idp.compat.parameters import argument, arguments, takes
from idp.compat.runai.answers import CONDITIONS, LISTED, Shape, maker, narrowed_by_conditions, page
from idp.paging import Listing
from idp.rules import Authority
from idp.users import LinkPurpose, User, UserKind
from idp.web.answers import answer, done, time, time_or_none
from idp.web.calls import address

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
def list_users(authority: Authority) -> Response:
    """List users."""
    rows, *_ = page(_listing(authority), _TERMS, default=500)
    return answer([_shown(row) for row in rows])


@takes("search", many=CONDITIONS)
def count_users(authority: Authority) -> Response:
    """Count users."""
    return answer({"count": narrowed_by_conditions(_listing(authority), _TERMS).count()})


def _listing(authority: Authority) -> Listing:
    """Return the users that `search` and `filter` ask for; the latter is what `filterBy` was called before."""
    rules.users.check_listing(authority)
    return filtered(users.user_listing(authority.realm, containing=argument("search")), arguments("filter"), _TERMS)


def create_user(authority: Authority) -> Response:
    """Add a person, who is mailed an invitation to choose a password, whatever `resetPassword` and `notify` say."""
    body = json_body()
    rules.users.check_creating(authority)
    for name in ("resetPassword", "notify"):
        flag_of(body, name)
    user = users.create_user(authority.realm, text_of(body, "email", longest=254), UserKind.PERSON)
    users.send_link(authority.realm, user, LinkPurpose.INVITATION)
    return answer(_shown(user) | {"tempPassword": NO_PASSWORD}, 201)


def get_user(authority: Authority, uid: str) -> Response:
    """Show a user."""
    return answer(_shown(rules.users.visible(authority, uid)))


def delete_user(authority: Authority, uid: str) -> Response:
    """Delete a user with all that is theirs."""
    users.delete_user(authority.realm, rules.users.manageable(authority, uid))
    return done()


def sign_out_user(authority: Authority, uid: str) -> Response:
    """End every session of a user."""
    users.sign_out_everywhere(authority.realm, rules.sessions.user_to_sign_out(authority, uid))
    return answer({})


def reset_password(authority: Authority, uid: str) -> Response:
    """Mail a user a link to choose a password; see `create_user`."""
    user = rules.users.manageable(authority, uid)
    users.send_link(authority.realm, user, LinkPurpose.RESET if user.password_hash else LinkPurpose.INVITATION)
    return answer({"tempPassword": NO_PASSWORD})


def change_password(authority: Authority) -> Response:
    """Change the caller's own password by showing the old one."""
    body = json_body()
    old, new = text_of(body, "currentPassword", longest=100_000), text_of(body, "newPassword", longest=100_000)
    users.replace_password(authority.caller.user.name, old, new, realm=authority.caller.realm.name, address=address())
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
