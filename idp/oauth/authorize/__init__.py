"""Authorization requests: read, checked one rule after the other, and answered with a code or an error (RFC 6749 §4.1)."""

from idp.oauth.authorize.answer import Answer, code_answer, error_answer
from idp.oauth.authorize.checks import check_request
from idp.oauth.authorize.checks.code_challenge import CHALLENGE_METHODS
from idp.oauth.authorize.checks.prompt import PROMPTS
from idp.oauth.authorize.checks.response_mode import RESPONSE_MODES
from idp.oauth.authorize.checks.response_type import RESPONSE_TYPES
from idp.oauth.authorize.codes import Code, open_code
from idp.oauth.authorize.request import PARAMETERS, AuthorizationRequest, Parameters, UnsafeRequestError, read_parameters
from idp.oauth.authorize.step import Step, next_step

__all__ = [
    "CHALLENGE_METHODS",
    "PARAMETERS",
    "PROMPTS",
    "RESPONSE_MODES",
    "RESPONSE_TYPES",
    "Answer",
    "AuthorizationRequest",
    "Code",
    "Parameters",
    "Step",
    "UnsafeRequestError",
    "check_request",
    "code_answer",
    "error_answer",
    "next_step",
    "open_code",
    "read_parameters",
]
