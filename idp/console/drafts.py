"""What was typed into a form whose session was over when it was sent: put back once its user has signed in again.

The server keeps nothing of it: the browser carries it, sealed, in a cookie that lives for minutes. A page says, sealed too, which
fields of its form may be kept, and for whom: none that hold a secret. So nobody can have something put back into a form that its
user has not typed into just that form.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import wtforms

from idp import clock, vault
from idp.crypto import DamagedError, MasterKeyError
from idp.settings import SESSION_TOKEN_LIFETIME

COOKIE = "realmgate-draft"

FIELD = "kept"
"""Hidden field of a form: which of its fields may be kept, and for whom."""

LIFETIME = SESSION_TOKEN_LIFETIME
"""Seconds for which a draft can be put back."""

LONGEST = 3_800
"""Characters of a draft: browsers take a cookie of 4,096."""

_PAGE_LIFETIME = 7 * 86_400
"""Seconds for which a page may have been open."""

_PROMISE, _DRAFT = "fields of a form that may be kept", "draft of a form"
_UNSEALED = (DamagedError, MasterKeyError)

Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Draft:
    """What somebody has typed."""

    user: str
    """Uid of who has; empty for somebody who has not signed in."""
    url: str
    """Path and query of the page with the form."""
    pairs: Pairs = field(repr=False)


class SecretField:
    """Marks a field of a form whose value is kept nowhere."""


def promise(form: wtforms.Form, user: str, further: Iterable[str]) -> str:
    """Return the hidden value that says what of a form may be kept.

    :param user: uid of the user whom the page is shown to; empty for somebody who has not signed in.
    :param further: names of hidden fields that belong to it.
    """
    content = {"user": user, "names": [*_names(form), *further], "exp": clock.timestamp() + _PAGE_LIFETIME}
    return vault.seal(json.dumps(content).encode(), context=_PROMISE)


def make_draft(pairs: Iterable[tuple[str, str]], promised: str, url: str, user: str | None) -> str:
    """Return what the browser is to keep of a form; empty if there is nothing that it may, or too much.

    :param promised: what the form's hidden field says.
    :param user: uid of who sends it, empty for somebody who has not signed in; None if nobody knows.
    """
    content = _open(promised, _PROMISE)
    if content is None or (user is not None and content["user"] != user):
        return ""
    kept = [[name, value] for name, value in pairs if name in content["names"]]
    if not any(value for _, value in kept):
        return ""
    draft = {"user": content["user"], "url": url, "pairs": kept, "exp": clock.timestamp() + LIFETIME}
    sealed = vault.seal(json.dumps(draft, ensure_ascii=False).encode(), context=_DRAFT)
    return sealed if len(sealed) <= LONGEST else ""


def open_draft(cookie: str) -> Draft | None:
    """Return what a browser has kept; None if that is over, or was not made here."""
    content = _open(cookie, _DRAFT) if 0 < len(cookie) <= LONGEST else None
    if content is None:
        return None
    return Draft(content["user"], content["url"], [(name, value) for name, value in content["pairs"]])


def _open(sealed: str, context: str) -> Any:
    """Return what was sealed; None if it was not sealed here for this, or its time is over."""
    try:
        content = json.loads(vault.unseal(sealed, context=context))
    except _UNSEALED:
        return None
    return content if content["exp"] > clock.timestamp() else None


def _names(fields: Iterable[wtforms.Field]) -> Iterator[str]:
    """Go through the names of fields whose values may be kept, those of forms within a form too."""
    for each in fields:
        if isinstance(each, wtforms.FieldList | wtforms.FormField):
            yield from _names(each)
        elif not isinstance(each, wtforms.PasswordField | SecretField):
            yield each.name
