"""Users, as the clients of the IONOS Cloud API manage them: `/cloudapi/v6/um/users`."""

from collections.abc import Mapping
from typing import Any

from flask import Response

from idp import access, clock, rules, runtime, users
from idp.access import GrantState
from idp.compat.calls import flag_of, json_body, text_of
from idp.compat.ionos.lists import PAGED, PREFIX, collection, filter_names, flag, sent_filters, span
from idp.compat.parameters import argument, takes
from idp.errors import InvalidValueError
from idp.paging import Listing
from idp.realms import Realm
from idp.rules import Authority
from idp.users import LinkPurpose, User, UserKind, UserSheet
from idp.web.answers import answer, time, time_or_none

ADMINISTRATOR = "administrator"

_TEXTS = {"firstname": "first_name", "lastname": "last_name", "email": "email"}
_TIMES = {"createdDate": "created_at", "lastModifiedDate": "updated_at", "lastLogin": "last_sign_in_at"}
_NEVER = ("forceSecAuth", "secAuthActive")
"""There is no second factor that could be demanded here."""

_ABSENT = "s3CanonicalUserId"
"""Nobody has one: there is no object storage here."""

ORDERS = _TEXTS | _TIMES | {"active": "enabled", ADMINISTRATOR: "role"} | dict.fromkeys((*_NEVER, _ABSENT), "id")
FILTERS = filter_names(*_TEXTS, *_TIMES, *_NEVER, _ABSENT, "active", ADMINISTRATOR)


def user_listing(authority: Authority, *, kind: UserKind | None = None) -> Listing | None:
    """Return the users that the filters of a request ask for; None where they ask for what nobody here has.

    :raises DeniedError: they are told apart by what they hold, which the caller may not see.
    """
    sent, realm = sent_filters(), authority.realm
    if ADMINISTRATOR in sent or argument("orderBy") == ADMINISTRATOR:
        rules.grants.check_listing(authority, "")
    enabled = flag("active", sent["active"]) if "active" in sent else None
    listing = users.user_listing(
        realm,
        kind=kind,
        enabled=enabled,
        parts={own: sent[name] for name, own in _TEXTS.items() if name in sent},
        times={own: span(name, sent[name]) for name, own in _TIMES.items() if name in sent},
        holding={ADMINISTRATOR: flag(ADMINISTRATOR, sent[ADMINISTRATOR])} if ADMINISTRATOR in sent else {},
        by_role=ADMINISTRATOR,
    )
    asks_for_none = any(flag(name, sent[name]) for name in _NEVER if name in sent) or _ABSENT in sent
    return None if asks_for_none else listing


@takes(*PAGED, *FILTERS)
def list_users(authority: Authority) -> Response:
    """List users."""
    rules.users.check_listing(authority)
    return collection("um/users", user_listing(authority, kind=UserKind.PERSON), ORDERS, lambda row: show_user(authority, row))


def create_user(authority: Authority) -> Response:
    """Add a person, who is mailed an invitation to choose a password: one that is sent here is not used (R107)."""
    wanted = properties_of_body()
    rules.users.check_creating(authority)
    fields = {"first_name": text_of(wanted, "firstname", ""), "last_name": text_of(wanted, "lastname", "")}
    sheet = UserSheet.read(fields | {"enabled": flag_of(wanted, "active") is not False})
    user = users.create_user(authority.realm, text_of(wanted, "email", longest=254), UserKind.PERSON, sheet)
    if flag_of(wanted, "administrator"):
        rules.grants.give(authority, users.holder_of(user), ADMINISTRATOR)
    if user.enabled:
        users.send_link(authority.realm, user, LinkPurpose.INVITATION)
    return answer(show_user(authority, user), 202)


def get_user(authority: Authority, uid: str) -> Response:
    """Show a user."""
    return answer(show_user(authority, rules.users.visible(authority, uid)))


def put_user(authority: Authority, uid: str) -> Response:
    """Set what a user is."""
    wanted = properties_of_body()
    user = rules.users.manageable(authority, uid)
    fields: dict[str, Any] = {"first_name": text_of(wanted, "firstname", ""), "last_name": text_of(wanted, "lastname", "")}
    fields |= {"email": text_of(wanted, "email", user.email, longest=254)}
    active, administrator = flag_of(wanted, "active"), flag_of(wanted, "administrator")
    if active is not None:
        fields["enabled"] = active
    rules.users.update(authority, user.uid, UserSheet.of(user).changed(fields))
    if administrator is False and not _sees_role(authority, user):
        administrator = None  # it was read as false, and is sent back
    if administrator is not None and administrator != _is_administrator(authority.realm, user):
        change = rules.grants.give if administrator else rules.grants.take
        change(authority, users.holder_of(user), ADMINISTRATOR)
    return answer(show_user(authority, user), 202)


def delete_user(authority: Authority, uid: str) -> Response:
    """Delete a user with all that is theirs."""
    users.delete_user(authority.realm, rules.users.manageable(authority, uid))
    return answer({}, 202)


def properties_of_body() -> dict[str, Any]:
    """Return what a body says that something is to be.

    :raises InvalidValueError: it says nothing.
    """
    wanted = json_body().get("properties")
    if not isinstance(wanted, dict):
        raise InvalidValueError("properties is missing.")
    return wanted


def _is_administrator(realm: Realm, user: User) -> bool:
    grant = access.find_grant(realm, users.holder_of(user), ADMINISTRATOR)
    return grant is not None and grant.state(clock.now()) is GrantState.LIVE


def _sees_role(authority: Authority, user: User) -> bool:
    return authority.is_self(user.uid) or rules.grants.sees_all(authority)


def show_user(authority: Authority, user: User) -> dict[str, Any]:
    """Return a user as the contract has one. Who is an administrator, those are told who may see what everybody holds."""
    is_shown = _sees_role(authority, user)
    times: Mapping[str, str | None] = {
        "createdDate": time(user.created_at),
        "lastModifiedDate": time(user.updated_at),
        "lastLogin": time_or_none(user.last_sign_in_at),
    }
    return {
        "id": user.uid,
        "type": "user",
        "href": f"{runtime.current().settings.public_url}{PREFIX}/um/users/{user.uid}",
        "metadata": {name: value for name, value in times.items() if value is not None},
        "properties": {
            "firstname": user.first_name,
            "lastname": user.last_name,
            "email": user.email,
            "administrator": is_shown and _is_administrator(authority.realm, user),
            "active": user.enabled,
            **dict.fromkeys(_NEVER, False),
        },
    }
