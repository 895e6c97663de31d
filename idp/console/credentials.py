"""Personal tokens, sessions and the password: one's own, and those of others for who may."""

from dataclasses import replace

from flask import Response, request
from wtforms import validators

from idp import clock, personal_tokens, rules, sessions, users
from idp.console.browser import Visit, address, page, page_with_secret, sign_browser_in, sign_browser_out
from idp.console.dialogs import Confirmation, confirmed, form_page, see_other
from idp.console.exports import list_page
from idp.console.forms import DurationField, Form, length_of_time, password, text
from idp.console.language import say
from idp.console.lists import Column, Filter, ListView
from idp.console.navigation import base
from idp.console.render import duration, render
from idp.console.urls import page_url
from idp.console.zones import shown_time
from idp.db import db
from idp.errors import IdpError
from idp.personal_tokens import Criteria
from idp.realms import get_realm, known_realm
from idp.users import KnownUser, User


class PasswordForm(Form):
    """Changing one's password."""

    current = password("Current password")
    new = password("New password", "8 characters or more, of any kind.", autocomplete="new-password")


class WrongPasswordError(users.SignInError):
    """The current password is wrong; who it is of is known here."""

    def __init__(self) -> None:
        IdpError.__init__(self, "The current password is wrong.")


class AddressForm(Form):
    """One's own email address."""

    email = text(
        "Email address",
        "A link goes there. Until you follow it, nothing changes.",
        required=True,
        longest=254,
        render_kw={"autocomplete": "email", "inputmode": "email"},
    )
    current = password("Password")


class TokenForm(Form):
    """A new personal token."""

    seconds = DurationField("Lifetime", [validators.Optional()], unit="second")


_TOKENS = ListView(
    "Personal tokens",
    (
        Column("id", "ID", plain=lambda row: row[0].uid),
        Column("owner", "Owner", plain=lambda row: row[1].name),
        Column("state", "State", plain=lambda row: "expired" if row[0].expires_at <= clock.now() else "live"),
        Column("expires", "Expires", "expires", newest_first=True, plain=lambda row: row[0].expires_at),
        Column("created", "Created", "created", newest_first=True, plain=lambda row: row[0].created_at),
        Column("from", "Created from", plain=lambda row: row[0].created_from),
    ),
    search="Owner",
    filters=(
        Filter(
            "state",
            "State",
            {"": "Any state", "live": "Live", "ending": "Expiring within 30 days", "expired": "Expired"},
        ),
    ),
    order="created",
    newest_first=True,
)
_OWN_TOKENS = replace(_TOKENS, search="", columns=[column for column in _TOKENS.columns if column.name != "owner"])


@page
def my_tokens(visit: Visit) -> Response | str:
    """List one's own personal tokens."""
    return _tokens(visit, _OWN_TOKENS, visit.caller.user.id)


@page
def list_tokens(visit: Visit) -> Response | str:
    """List the personal tokens of everybody, or of one user."""
    rules.personal_tokens.check_listing(visit.authority)
    user = _user_asked_for(visit)
    return _tokens(visit, _TOKENS, user.id if user else None, of=user.name if user else "")


def _tokens(visit: Visit, view: ListView, user_id: int | None, *, of: str = "") -> Response | str:
    own, asked = view is _OWN_TOKENS, view.asked()
    listing = personal_tokens.token_listing(visit.realm.id, user_id=user_id, owned_by=asked.search, state=asked["state"])
    return list_page(
        visit,
        "console/keys/tokens.html",
        view,
        listing,
        asked,
        own=own,
        of=of,
        may=own or visit.can("personal-tokens:write"),
    )


@page_with_secret
def new_token(visit: Visit) -> Response | str:
    """Make a personal token, and show it."""
    form, realm = TokenForm(visit.posted), visit.caller.realm
    if realm.personal_token_choice:
        form.seconds.description = say(
            "Leave empty for {duration}, which is also the most.", duration=length_of_time(realm.personal_token_seconds)
        )
    else:
        del form.seconds
    made: list[str] = []

    def act() -> None:
        seconds = form.seconds.data if "seconds" in form else None
        made.append(personal_tokens.create_personal_token(realm, visit.caller.user, seconds=seconds))

    if form.do(act):
        return render("console/keys/token.html", token=made[0])
    return form_page(
        "console/form.html",
        form,
        title=say("New personal token"),
        submit=say("Create"),
        back=(page_url("/console/my/personal-tokens"), say("My personal tokens")),
        intro=say(
            "For scripts. It acts as you, and is valid for at most {duration}. "
            "You can have {number} of them, expired ones included.",
            duration=duration(realm.personal_token_seconds),
            number=realm.personal_token_limit,
        ),
    )


@page
def delete_token(visit: Visit, uid: str) -> Response | str:
    """Delete a personal token, once that is confirmed."""
    row, user = rules.personal_tokens.deletable(visit.authority, uid)
    own = visit.authority.is_self(user.uid)
    back = page_url("/console/my/personal-tokens") if own else f"{base(visit.realm.name)}/personal-tokens"
    known = known_realm(visit.caller.realm.runtime, visit.realm.name)

    def act() -> None:
        if known is not None:
            personal_tokens.delete_personal_tokens(known, user.id, Criteria.CURRENT, current=row.uid)

    question = Confirmation(
        say("Delete a personal token"),
        say("Delete the token of {name} created on {time}?", name=user.name, time=shown_time(row.created_at)),
        say("Delete"),
        (back, say("My personal tokens" if own else "Personal tokens")),
        [say("Scripts that use it are refused within a second.")],
    )
    return confirmed(visit, question, act, f"{back}?done=deleted")


_SESSIONS = ListView(
    "Live sessions",
    (
        Column("who", "Who", plain=lambda row: row[1].name),
        Column("started", "Started", "created", newest_first=True, plain=lambda row: row[0].created_at),
        Column("used", "Last used", "used", newest_first=True, plain=lambda row: row[0].refreshed_at),
        Column("until", "Ends by", is_time=True, plain=lambda row: row[0].expires_at),
        Column("address", "Address", plain=lambda row: row[0].address),
        Column("browser", "Browser", plain=lambda row: row[0].agent),
    ),
    search="Who",
    order="used",
    newest_first=True,
)
_OWN_SESSIONS = replace(
    _SESSIONS,
    search="",
    # one's own are told apart by where one sits, so that comes first
    columns=[_SESSIONS.columns[-1], *(column for column in _SESSIONS.columns[:-1] if column.name != "who")],
)


@page
def my_sessions(visit: Visit) -> Response | str:
    """List one's own live sessions."""
    return _sessions(visit, _OWN_SESSIONS, users.find_user_by_uid(visit.realm, visit.caller.subject.uid))


@page
def list_sessions(visit: Visit) -> Response | str:
    """List the live sessions of everybody, or of one user."""
    rules.sessions.check_listing(visit.authority, "")
    return _sessions(visit, _SESSIONS, _user_asked_for(visit))


def _sessions(visit: Visit, view: ListView, user: User | None) -> Response | str:
    own, asked = view is _OWN_SESSIONS, view.asked()
    listing = sessions.session_listing(visit.realm, user=user, of=asked.search)
    return list_page(
        visit,
        "console/keys/sessions.html",
        view,
        listing,
        asked,
        own=own,
        of="" if own or user is None else user.name,
        may=own or visit.can("sessions:write"),
        current=visit.caller.credential_id,
    )


@page
def end_session(visit: Visit, uid: str) -> Response:
    """End a session: one's own, or somebody else's for who may."""
    row = rules.sessions.endable(visit.authority, uid)
    own = rules.sessions.is_own(visit.authority, row)
    sessions.end_session(visit.realm, row)
    return see_other(f"{page_url('/console/my/sessions') if own else base(visit.realm.name) + '/sessions'}?done=ended")


@page
def sign_out_everywhere(visit: Visit) -> Response:
    """End every session of one's own, this one too."""
    user = users.find_user_by_uid(visit.realm, visit.caller.subject.uid)
    if user is not None:
        users.sign_out_everywhere(visit.realm, user)
    return sign_browser_out(see_other(page_url("/console/sign-in?done=signed-out")), visit.caller.realm.name)


@page
def change_password(visit: Visit) -> Response | str:
    """Change one's password; every other session ends, and this one is begun anew (R107, T89)."""
    form = PasswordForm(visit.posted)
    subject = visit.caller.subject
    name, home = (subject.name if isinstance(subject, KnownUser) else ""), visit.caller.realm.name

    def act() -> None:
        db.session.rollback()  # nobody waits while a password is hashed
        try:
            users.replace_password(name, form.current.data or "", form.new.data or "", realm=home, address=address())
        except users.SignInError:
            raise WrongPasswordError from None

    if form.do(act):
        realm = get_realm(home)
        sid = sessions.begin_session(realm, users.get_user(realm, name), agent=request.headers.get("User-Agent", ""))
        return sign_browser_in(see_other(page_url("/console/my/password?done=password")), home, sid)
    return form_page(
        "console/form.html",
        form,
        title=say("Password"),
        submit=say("Change my password"),
        back=None,
        intro=say("This ends every other session of your account and keeps this one."),
    )


@page
def change_address(visit: Visit) -> Response | str:
    """Verify one's email address, or change it: with one's password, and by a link that goes to the address."""
    subject, home = visit.caller.subject, visit.caller.realm.name
    name = subject.name if isinstance(subject, KnownUser) else ""
    user = users.get_user(get_realm(home), name)
    form = AddressForm(visit.posted, {"email": user.email})
    known = say("{address}, verified" if user.email_verified else "{address}, not verified", address=user.email)

    def act() -> None:
        db.session.rollback()  # nobody waits while a password is compared
        purpose = users.PasswordPurpose.ADDRESS
        try:
            used = users.use_password(name, form.current.data or "", realm=home, address=address(), purpose=purpose)
        except users.SignInError:
            raise WrongPasswordError from None
        realm = get_realm(home)
        users.request_address(realm, used.uid, used.password_hash, (form.email.data or "").strip())

    if form.do(act):
        return see_other(page_url("/console/my/email?done=address"))
    return form_page(
        "console/form.html",
        form,
        title=say("Email address"),
        submit=say("Send the link"),
        back=None,
        intro=say(
            "Your email address: {address}. Emails about your account go there. The name that you sign in with stays {name}.",
            address=known if user.email else say("none"),
            name=name,
        ),
    )


@page
def confirm_address(visit: Visit, code: str) -> Response | str:
    """Verify the address that this link went to, as who has asked for it: anybody else who follows it changes nothing."""
    user_id = visit.caller.user.id
    form, asked = Form(visit.posted), users.asked_address(user_id, code)
    if visit.posted is None and not asked:
        raise users.LinkError

    def act() -> None:
        users.confirm_address(user_id, code)

    if form.do(act):
        return see_other(page_url("/console/my/email?done=address-verified"))
    return form_page(
        "console/form.html",
        form,
        title=say("Verify your email address"),
        submit=say("Verify"),
        back=None,
        intro=say("Use {address} for your account {name}.", address=asked, name=visit.caller.user.name) if asked else "",
    )


def _user_asked_for(visit: Visit) -> User | None:
    uid = request.args.get("user", "")
    return rules.users.visible(visit.authority, uid) if uid else None
