"""Settings of a realm, and what its users copy from here: its name, its issuer, its URLs."""

import wtforms
from flask import Response

from idp import realms, runtime
from idp.algorithms import SIGNING_ALGORITHMS
from idp.console.browser import Visit, page
from idp.console.forms import Form, choices, text, whole_number
from idp.console.navigation import base
from idp.console.turns import go, shown
from idp.db import commit
from idp.realms import ACCESS_TOKEN_TYPES

_FIELDS = (
    "display_name", "signing_algorithm", "access_token_type", "key_rotation_days", "audit_days", "session_hours",
    "api_key_hours", "personal_token_limit", "personal_token_seconds", "personal_token_choice",
)  # fmt: skip


class SettingsForm(Form):
    """The settings that an administrator of the realm can change."""

    display_name = text("Display name", longest=200)
    signing_algorithm = wtforms.SelectField(
        "Signature algorithm", choices=choices(SIGNING_ALGORITHMS),
        description="Every verifier knows RS256; ES256 is thirteen times cheaper to sign.",
    )  # fmt: skip
    access_token_type = wtforms.SelectField(
        "Access token type", choices=choices(ACCESS_TOKEN_TYPES),
        description="at+jwt is the standard type (RFC 9068); JWT is for APIs whose library refuses it.",
    )  # fmt: skip
    key_rotation_days = whole_number("Days between rotations of signing keys", "0 turns automatic rotation off.")
    audit_days = whole_number(
        "Days to keep uses of tokens and keys in the audit trail", "0 keeps them forever. What people do is always kept."
    )
    session_hours = whole_number("Longest session, in hours", "No matter how often it is renewed.", least=1)
    api_key_hours = whole_number(
        "Lifetime of API keys, in hours", "The default, and the most for keys that people create themselves.", least=1
    )
    personal_token_limit = whole_number("Personal tokens per user", least=1)
    personal_token_seconds = whole_number("Lifetime of personal tokens, in seconds", least=60)
    personal_token_choice = wtforms.BooleanField("People may choose a shorter lifetime for a personal token")


@page
def show(visit: Visit) -> Response | str:
    """Show the settings, and change them."""
    visit.require("realm:read")
    form = SettingsForm(visit.posted, {name: getattr(visit.realm, name) for name in _FIELDS})

    def act() -> None:
        visit.require("realm:write")
        realms.update_realm(visit.realm, **form.data)
        commit()

    if form.do(act):
        return go(f"{base(visit.realm.name)}/settings?done=saved")
    issuer = runtime.current().settings.issuer(visit.realm.name)
    return shown("console/realm/settings.html", form, issuer=issuer, may=visit.may("realm:write"))
