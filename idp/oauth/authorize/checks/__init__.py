"""What an authorization request must be: one rule a file, in the order in which they are applied.

Until `redirect_uri` has passed, nobody is redirected: the person is told. After it, the client is.
"""

from collections.abc import Callable

from idp.oauth.authorize.checks.claims import claims
from idp.oauth.authorize.checks.client import client
from idp.oauth.authorize.checks.code_challenge import code_challenge
from idp.oauth.authorize.checks.dpop_jkt import dpop_jkt
from idp.oauth.authorize.checks.each_once import each_once
from idp.oauth.authorize.checks.id_token_hint import id_token_hint
from idp.oauth.authorize.checks.lengths import lengths
from idp.oauth.authorize.checks.max_age import max_age
from idp.oauth.authorize.checks.profile import profile
from idp.oauth.authorize.checks.prompt import prompt
from idp.oauth.authorize.checks.pushed import pushed
from idp.oauth.authorize.checks.redirect_uri import redirect_uri
from idp.oauth.authorize.checks.request_object import request_object
from idp.oauth.authorize.checks.resource import resource
from idp.oauth.authorize.checks.response_mode import response_mode
from idp.oauth.authorize.checks.response_type import response_type
from idp.oauth.authorize.checks.scope import scope
from idp.oauth.authorize.request import AuthorizationRequest

Check = Callable[[AuthorizationRequest], None]

CHECKS: tuple[Check, ...] = (
    client,
    redirect_uri,
    # from here on the client is told
    response_mode,
    each_once,
    request_object,
    lengths,
    pushed,
    profile,
    response_type,
    code_challenge,
    dpop_jkt,
    scope,
    resource,
    prompt,
    max_age,
    id_token_hint,
    claims,
)
"""Each raises what is wrong, or fills in what it has found right."""


def check_request(request: AuthorizationRequest) -> None:
    """Check a request.

    :raises UnsafeRequestError: nobody may be redirected.
    :raises ProtocolError: the client is to be told, unless `redirect_uri` is empty.
    """
    for check in CHECKS:
        check(request)
