"""Client secrets: a second one beside the first, and the first retired once nobody uses it."""

from flask import Response

from idp import applications, rules
from idp.applications import SecretSheet
from idp.console.applications import application_url, show_secret
from idp.console.browser import Visit, page
from idp.console.dialogs import Confirmation, confirmed, form_page
from idp.console.forms import name_field
from idp.console.language import say
from idp.console.sheet_forms import sheet_form, values_in
from idp.console.usage import use_of_secret
from idp.errors import NotFoundError

SecretForm = sheet_form(SecretSheet, without={"single_use"}, name=name_field("Tells it apart from the others, such as next."))


@page
def new_secret(visit: Visit, name: str) -> Response | str:
    """Give an application one more secret, and show it."""
    application = rules.applications.manageable(visit.authority, name)
    form = SecretForm(visit.posted)
    made: list[str] = []

    def act() -> None:
        sheet = SecretSheet.read(values_in(SecretSheet, form))
        _, plain = rules.applications.add_secret(visit.authority, application, form.name.data or "", sheet)
        made.append(plain)

    if form.do(act):
        return show_secret(visit, name, made[0], say("Created another secret."))
    return form_page(
        "console/form.html",
        form,
        title=say("New secret for {name}", name=name),
        submit=say("Create"),
        back=(application_url(visit, name), name),
        intro=say("The others keep working until you retire them."),
    )


@page
def retire_secret(visit: Visit, name: str, secret: str) -> Response | str:
    """End a secret for good, once that is confirmed."""
    application = rules.applications.manageable(visit.authority, name)
    found = applications.find_secret(application, secret)
    if found is None:
        raise NotFoundError(f"Application {name!r} has no live secret {secret[:80]!r}.")
    others = applications.list_secrets(application)
    consequences = [use_of_secret(found)]
    if found.last_used_at is not None:
        if applications.safe_to_retire(found, others):
            consequences.append(say("Another secret has been in use since then: it is safe to retire this one."))
        else:
            consequences.append(say("Anything that still uses it is refused within a second."))
            consequences.append(say("The tokens that were fetched with it end at once."))
    if not rules.applications.can_authenticate(application, without=found):
        consequences.append(say("It is the last one: without it, the application cannot fetch tokens."))
    question = Confirmation(
        title=say("Retire secret {secret} of {name}", secret=secret, name=name),
        question=say("Retire secret {secret} permanently?", secret=secret),
        submit=say("Retire"),
        consequences=consequences,
        back=(application_url(visit, name), name),
    )

    def act() -> None:
        applications.retire_secret(visit.realm, application, secret)

    return confirmed(visit, question, act, f"{application_url(visit, name)}?tab=credentials&done=retired")
