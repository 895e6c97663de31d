"""Settings of a realm, and what its users copy from here: its name, its issuer, its URLs."""

from flask import Response

from idp import realms, rules, runtime
from idp.console.browser import Visit, page
from idp.console.dialogs import form_page, see_other
from idp.console.navigation import base
from idp.console.sheet_forms import sheet_form, stored_in, values_in
from idp.realms import RealmSettings

SettingsForm = sheet_form(RealmSettings)
"""The settings that an administrator of the realm can change."""


@page
def show(visit: Visit) -> Response | str:
    """Show the settings, and change them."""
    rules.realms.check_reading(visit.authority)
    form = SettingsForm(visit.posted, stored_in(RealmSettings, visit.realm))

    def act() -> None:
        rules.realms.check_changing(visit.authority)
        realms.update_realm(visit.realm, RealmSettings.of(visit.realm).changed(values_in(RealmSettings, form)))

    if form.do(act):
        return see_other(f"{base(visit.realm.name)}/settings?done=saved")
    issuer = runtime.current().settings.issuer(visit.realm.name)
    return form_page("console/realm/settings.html", form, issuer=issuer, may=visit.can("realm:write"))
