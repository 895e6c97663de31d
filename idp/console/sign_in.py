"""Coming in and leaving: by password, by the one-time secret of the first start, by an invitation or a reset link."""

import json

import wtforms
from flask import Response, g, request

from idp import callers, clock, organisations, runtime, sessions, users, vault
from idp.console.browser import (
    Visit,
    address,
    open_page,
    page,
    sign_browser_in,
    sign_browser_out,
)
from idp.console.dialogs import form_page, see_other
from idp.console.drafts import SecretField
from idp.console.forms import Form, name_field, password, text
from idp.console.language import say
from idp.console.navigation import home
from idp.console.render import render
from idp.console.theme import OWN_PAGE
from idp.console.urls import page_url
from idp.crypto import DamagedError, MasterKeyError
from idp.db import commit
from idp.errors import ConflictError, InvalidValueError
from idp.organisations import SignUpWish
from idp.realms import Realm, get_realm
from idp.users import LinkPurpose, User
from idp.web import cookies
from idp.web.posted import Posted


class SignInForm(Form):
    """Signing in by password. A second factor would be the next page, before a session begins."""

    organisation = text("Organisation", "Its name, such as acme. Leave empty if you belong to only one.", longest=64)
    name = text(
        "Email address",
        required=True,
        longest=300,
        render_kw={"autocomplete": "username", "inputmode": "email", "autofocus": True},
    )
    password = password("Password")


class HeldField(SecretField, wtforms.HiddenField):
    """A secret that was right, sealed for this browser, so that it need not be pasted again because of something else."""

    def hold(self, secret: str) -> None:
        """Keep a secret for as long as a form can be filled in."""
        content = {"secret": secret, "exp": clock.timestamp() + cookies.VISITOR_LIFETIME}
        self.data, self.raw_data = vault.seal(json.dumps(content).encode(), context=_held_for()), None

    @property
    def secret(self) -> str:
        """What was kept; empty for nothing, or what is kept no longer, or was for another browser."""
        try:
            content = json.loads(vault.unseal(self.data or "", context=_held_for()))
        except (DamagedError, MasterKeyError):
            return ""
        return str(content["secret"]) if content["exp"] > clock.timestamp() else ""


def _held_for() -> str:
    return f"secret that {g.form_context} holds"


class FirstStartForm(Form):
    """The first administrator."""

    pasted = HeldField()
    secret = password("One-time secret", "Printed when the server first started; it begins with idp_cs_.", autocomplete="off")
    name = text(
        "Your email address", "You will sign in with it.", required=True, longest=300, render_kw={"autocomplete": "username"}
    )
    password = password("Your password", "8 characters or more, of any kind.", autocomplete="new-password")


class NewPasswordForm(Form):
    """Choosing a password with a one-time link."""

    password = password("New password", "8 characters or more, of any kind.", autocomplete="new-password")


class SignUpForm(Form):
    """A new organisation."""

    name = name_field("Appears in its URLs.")
    display_name = text("Display name", longest=200)
    email = text(
        "Your email address",
        "Its first administrator will sign in with it.",
        required=True,
        longest=254,
        render_kw={"autocomplete": "email", "inputmode": "email"},
    )


class ForgottenForm(Form):
    """Asking for a reset link."""

    organisation = text("Organisation", "Leave empty to get a link for each organisation that you belong to.", longest=64)
    name = text("Email address", required=True, longest=300, render_kw={"autocomplete": "username", "inputmode": "email"})


@open_page
def sign_in(posted: Posted | None) -> Response | str:
    """Sign in, and go on to where one wanted to be."""
    form = SignInForm(posted, {"organisation": request.args.get("organisation", "")} if posted is None else None)
    signed: list[tuple[str, str]] = []

    def act() -> None:
        done = users.check_sign_in(
            form.name.data or "", form.password.data or "", realm=form.organisation.data or None, address=address()
        )
        signed.append(_begin(done.realm, done.user))

    if form.do(act):
        return sign_browser_in(see_other(_onward()), *signed[0])
    return form_page(
        "console/sign_in/sign_in.html",
        form,
        may_sign_up=runtime.current().settings.sign_up != "off",
        is_first_start=callers.awaits_administrator(),
    )


def _onward() -> str:
    """Return where one wanted to be before one had to sign in."""
    wanted = request.args.get("next", "")
    return page_url(wanted if OWN_PAGE.fullmatch(wanted) else "/console/")


@open_page
def choose(posted: Posted | None) -> Response | str:
    """Choose the organisation to go on in, of those that the browser is signed in to."""
    live = cookies.live_sessions()
    for session in live:
        if posted is not None and posted.get("organisation") == session.realm.name:
            return sign_browser_in(see_other(_onward()), session.realm.name, session.sid)
    if not live:
        return see_other(page_url("/console/sign-in"))
    return render("console/sign_in/organisation.html", live=live, wanted=request.args.get("next", ""))


@open_page
def first_start(posted: Posted | None) -> Response | str:
    """Make the first administrator with the one-time secret, and sign them in."""
    form = FirstStartForm(posted)
    signed: list[tuple[str, str]] = []
    secret = (form.secret.data or "").strip() or form.pasted.secret
    if secret and not form.secret.data:
        form.secret.validators = []
    refused: list[Exception] = []

    def act() -> None:
        try:
            made = callers.redeem_first_secret(secret, form.name.data or "", form.password.data or "", address())
        except Exception as error:
            refused.append(error)
            raise
        signed.append(_begin(*made))

    if form.do(act):
        name, sid = signed[0]
        return sign_browser_in(see_other(page_url("/console/")), name, sid)
    if refused and isinstance(refused[0], InvalidValueError | ConflictError):  # something else than the secret
        form.pasted.hold(secret)
        form.secret.description = "It was right, and is kept: leave this empty."
        form.secret.flags.required = False
    return form_page("console/sign_in/first_start.html", form)


@open_page
def invitation(posted: Posted | None, code: str) -> Response | str:
    """Choose a first password."""
    return _choose(posted, code, LinkPurpose.INVITATION, say("Welcome"), say("Choose the password that you will sign in with."))


@open_page
def reset(posted: Posted | None, code: str) -> Response | str:
    """Choose another password."""
    return _choose(posted, code, LinkPurpose.RESET, say("Choose a new password"), say("This ends every session of your account."))


@open_page
def forgotten(posted: Posted | None) -> Response | str:
    """Ask for a link to choose a new password. The answer does not tell whether there is such an account (T85)."""
    form = ForgottenForm(posted)

    def act() -> None:
        users.request_reset(form.name.data or "", form.organisation.data or None, address())
        commit()

    sent = form.do(act)
    return form_page("console/sign_in/forgotten.html", form, sent=sent, mail_is_sent=bool(runtime.current().settings.smtp_host))


@page
def sign_out(visit: Visit) -> Response:
    """End this session."""
    realm = get_realm(visit.caller.realm.name)
    name = realm.name
    for sid in {visit.caller.credential_id, *cookies.sids_in(name)}:
        sessions.end_session(realm, sessions.get_session(realm, sid))
    commit()
    return sign_browser_out(see_other(page_url("/console/sign-in?done=signed-out")), name)


def to_front() -> Response:
    """Add the slash that the address of the console ends with."""
    return see_other(page_url("/console/"))


@page
def front(visit: Visit) -> Response:
    """Go to where one begins."""
    return see_other(home(visit))


@open_page
def sign_up(posted: Posted | None) -> Response | str:
    """Ask for an organisation, where the operator allows it."""
    _check_open()
    form = SignUpForm(posted)

    def act() -> None:
        wish = SignUpWish(form.name.data or "", form.email.data or "", form.display_name.data or "")
        organisations.sign_up(wish, address())
        commit()

    sent = form.do(act)
    return form_page("console/sign_in/sign_up.html", form, sent=sent, mail_is_sent=bool(runtime.current().settings.smtp_host))


@open_page
def verify_sign_up(posted: Posted | None, code: str) -> Response | str:
    """Make the organisation whose mail address is verified by this link."""
    _check_open()
    found = organisations.find_sign_up(code)
    if posted is None and found is None:
        raise users.LinkError
    form = NewPasswordForm(posted)
    made: list[str] = []

    def act() -> None:
        made.append(organisations.verify_sign_up(code, form.password.data or "", address()).state.value)
        commit()

    if form.do(act):
        return see_other(page_url(f"/console/sign-in?done={'signed-up' if made[0] == 'active' else 'awaits-approval'}"))
    return form_page("console/sign_in/verify.html", form, wish=found)


def _check_open() -> None:
    if runtime.current().settings.sign_up == "off":
        raise organisations.SignUpClosedError


def _choose(posted: Posted | None, code: str, purpose: LinkPurpose, title: str, intro: str) -> Response | str:
    form = NewPasswordForm(posted)
    account = users.account_of_link(code, purpose)
    if posted is None and account is None:
        raise users.LinkError

    def act() -> None:
        users.redeem_link(code, purpose, form.password.data or "")
        commit()

    if form.do(act):
        return see_other(page_url("/console/sign-in?done=chosen"))
    return form_page("console/sign_in/choose.html", form, title=title, intro=intro, account=account)


def _begin(realm: Realm, user: User) -> tuple[str, str]:
    name = realm.name
    agent, former = request.headers.get("User-Agent", ""), cookies.sids_in(name)
    return name, sessions.begin_session(realm, user, agent=agent, former=former)
