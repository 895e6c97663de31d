"""Settings of a realm, and what its users copy from here: its name, its issuer, its URLs."""

import wtforms
from flask import Response

from idp import realms, rules, runtime
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

    display_name = text("Name for people", longest=200)
    signing_algorithm = wtforms.SelectField(
        "Signature of tokens", choices=choices(SIGNING_ALGORITHMS),
        description="RS256 is known to every verifier; ES256 is thirteen times cheaper to sign.",
    )  # fmt: skip
    access_token_type = wtforms.SelectField(
        "Type of access tokens", choices=choices(ACCESS_TOKEN_TYPES),
        description="at+jwt is the standard's (RFC 9068); JWT is for APIs whose library refuses it.",
    )  # fmt: skip
    key_rotation_days = whole_number("Days between signing keys", "0 leaves rotation to you.")
    audit_days = whole_number(
        "Days for which the audit trail keeps uses of tokens and keys", "0 keeps them for ever. What people do is always kept."
    )
    session_hours = whole_number("Longest session, in hours", "However often it is renewed.", least=1)
    api_key_hours = whole_number(
        "Life of API keys, in hours", "By default, and at most for what people make themselves.", least=1
    )
    personal_token_limit = whole_number("Personal tokens of one user", least=1)
    personal_token_seconds = whole_number("Life of personal tokens, in seconds", least=60)
    personal_token_choice = wtforms.BooleanField("People may choose a shorter life for a personal token")


@page
def show(visit: Visit) -> Response | str:
    """Show the settings, and change them."""
    rules.realms.check_reading(visit.authority)
    form = SettingsForm(visit.posted, {name: getattr(visit.realm, name) for name in _FIELDS})

    def act() -> None:
        rules.realms.check_changing(visit.authority)
        realms.update_realm(visit.realm, **form.data)
        commit()

    if form.do(act):
        return go(f"{base(visit.realm.name)}/settings?done=saved")
    issuer = runtime.current().settings.issuer(visit.realm.name)
    return shown("console/realm/settings.html", form, issuer=issuer, may=visit.can("realm:write"))
