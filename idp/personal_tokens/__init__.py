"""Personal tokens: signed tokens that people make for scripts, listed and deletable."""

from idp.personal_tokens.known import CheckedPersonalToken, check_personal_token, is_personal_token
from idp.personal_tokens.models import PersonalToken
from idp.personal_tokens.service import (
    Criteria,
    TokenLimitError,
    create_personal_token,
    delete_personal_tokens,
    find_with_owner,
    get_personal_token,
    list_personal_tokens,
    page_of_tokens,
    token_listing,
)

__all__ = [
    "CheckedPersonalToken",
    "Criteria",
    "PersonalToken",
    "TokenLimitError",
    "check_personal_token",
    "create_personal_token",
    "delete_personal_tokens",
    "find_with_owner",
    "get_personal_token",
    "is_personal_token",
    "list_personal_tokens",
    "page_of_tokens",
    "token_listing",
]
