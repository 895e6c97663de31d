"""What stands between a request that was checked and its code: a page, or nothing (OpenID Connect Core §3.1.2.3 and §3.1.2.4)."""

from enum import Enum

from idp import authorizations, clock
from idp.oauth.authorize.request import AuthorizationRequest
from idp.oauth.errors import ConsentRequiredError, LoginRequiredError
from idp.sessions import BrowserSession


class Step(Enum):
    """What comes next."""

    SIGN_IN = "sign in"
    CHOOSE = "choose an account"
    AGREE = "agree"
    CODE = "code"


def next_step(request: AuthorizationRequest, session: BrowserSession | None) -> Step:
    """Return what comes next.

    :param session: the browser's in the realm; None if nobody has signed in.
    :raises LoginRequiredError: somebody has to sign in, and no page may be shown; or has, and is not who is meant (R75).
    :raises ConsentRequiredError: they have to agree, and no page may be shown.
    """
    silent = "none" in request.prompts
    if session is None or _is_too_old(request, session):
        if silent:
            raise LoginRequiredError("Nobody has signed in here, or too long ago, and prompt is none.")
        return Step.SIGN_IN
    if request.hinted_subject not in {"", session.user.uid}:
        if silent or _is_fresh(request, session):
            raise LoginRequiredError("Somebody else has signed in than the one that is meant.")
        return Step.SIGN_IN
    if "select_account" in request.prompts and not request.chosen and not _is_fresh(request, session):
        return Step.CHOOSE
    if not request.agreed and _must_agree(request, session):
        if silent:
            raise ConsentRequiredError("The person has not agreed to this yet, and prompt is none.")
        return Step.AGREE
    return Step.CODE


def _is_fresh(request: AuthorizationRequest, session: BrowserSession) -> bool:
    """Tell whether the person has signed in since the request came. No two clocks are compared for that."""
    return session.sid != request.former_sid


def _is_too_old(request: AuthorizationRequest, session: BrowserSession) -> bool:
    """Tell whether the person has to sign in anew, though they have signed in before (R72)."""
    if _is_fresh(request, session):
        return False
    if "login" in request.prompts or request.max_age == 0:
        return True
    return request.max_age is not None and clock.timestamp() - session.known.started_at > request.max_age


def _must_agree(request: AuthorizationRequest, session: BrowserSession) -> bool:
    if "consent" in request.prompts:
        return True
    application = request.application
    scopes = {*request.scopes, *(f"claim:{name}" for name in request.named_in_id_token | request.named_in_userinfo)}
    return application.asks_consent and not authorizations.has_agreed(session.user.id, application.id, scopes)
