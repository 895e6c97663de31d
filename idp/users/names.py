"""What users can be called."""

import unicodedata

from idp import mail
from idp.errors import InvalidValueError
from idp.realms import check_name
from idp.users.models import UserKind

LONGEST_NAME = 180
"""Characters, so that a name fits wherever it is written down with what it is the name of."""


def canonical(name: str) -> str:
    """Return the one form of a name that people write in different ways (NFKC, case, spaces around it; T83)."""
    return unicodedata.normalize("NFKC", name).casefold().strip()


def check_user_name(kind: UserKind, name: str) -> str:
    """Return a user's name in canonical form: a mail address for a person, a plain name for a machine user.

    :raises InvalidValueError: it cannot be one.
    """
    if canonical(name).startswith("service-account-"):
        raise InvalidValueError("The name of a user cannot begin with service-account-, which tokens use.")
    if kind is UserKind.MACHINE:
        return check_name("a machine user", name)
    canonical_name = canonical(mail.check_address(name.strip()))
    if len(canonical_name) > LONGEST_NAME:
        raise InvalidValueError(f"The email address that a person signs in with can have at most {LONGEST_NAME} characters.")
    return canonical_name
