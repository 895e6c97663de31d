"""Trying the rules of a protected API: what the gateway would answer to a call, and which rule decides."""

from dataclasses import dataclass
from typing import Any

import wtforms
from flask import request

from idp import protected_apis, rules
from idp.access import HeldRole
from idp.applications import Application
from idp.callers import DeniedError
from idp.console.browser import Visit
from idp.console.forms import choices, text
from idp.console.language import say
from idp.errors import NotFoundError
from idp.protected_apis import METHODS, Judgement, ProtectedApi, Rule


class CallForm(wtforms.Form):
    """A call to try."""

    method = wtforms.SelectField("Method", choices=choices(METHODS), validate_choice=False)
    path = text("Path", "As a client sends it, such as /api/v1/query; a query is left out.", required=True, longest=8_192)
    roles = text("Roles", "Those that the caller holds.", longest=2_000)
    project = text(
        "Project", "Where they are held; empty for the organisation.", longest=64, render_kw={"data-suggest": "project"}
    )
    application = text(
        "Application", "Instead of roles: with all that it holds now.", longest=64, render_kw={"data-suggest": "application"}
    )

    def validate_project(self, field: wtforms.Field) -> None:
        """See that a project has roles.

        :raises ValidationError: it has none.
        """
        if field.data and not self.roles.data:
            raise wtforms.ValidationError("Enter the roles that are held on this project.")

    def validate_application(self, field: wtforms.Field) -> None:
        """See that there is one caller.

        :raises ValidationError: there are two.
        """
        if field.data and self.roles.data:
            raise wtforms.ValidationError("Enter roles or an application, not both.")


@dataclass(frozen=True)
class Trial:
    """What came of trying a call."""

    method: str
    path: str
    judgement: Judgement
    rules: list[tuple[int, Rule]]
    """Those of the judgement, each with its number on the page."""
    application: Application | None
    is_for_others: bool
    """Whether the tokens of the application are made for other APIs, unless it asks for this one."""

    @property
    def passes(self) -> bool:
        """Whether the gateway lets the call through."""
        works = self.application is None or self.application.enabled
        return self.judgement.passes and (works or self.judgement.verdict is protected_apis.Verdict.OPEN)


def tester(visit: Visit, api: ProtectedApi) -> dict[str, Any]:
    """Return the form for a call to the API as it is stored, and what came of trying it if one is in the URL."""
    is_asked = "path" in request.args
    form = CallForm(request.args if is_asked else None)
    trial = _tried(visit, api, form) if is_asked and form.validate() else None
    return {"call_form": form, "trial": trial}


def _tried(visit: Visit, api: ProtectedApi, form: CallForm) -> Trial | None:
    """Return what comes of a call; None where the caller cannot be found."""
    application, held = None, _typed(form)
    if form.application.data:
        try:
            application, held = rules.protected_apis.roles_of_application(visit.authority, form.application.data)
        except NotFoundError:
            form.application.errors = [say("There is no application with this name.")]
            return None
        except DeniedError:
            form.application.errors = [say("You are not allowed to see which roles applications hold.")]
            return None
    known = protected_apis.as_known(api)
    method, path = (form.method.data or "").upper(), protected_apis.path_of(form.path.data or "")
    judgement = protected_apis.call_of(known, method, path).judge(held)
    numbered = [(number, rule) for number, rule in enumerate(known.rules, 1) if any(rule is each for each in judgement.rules)]
    is_for_others = application is not None and bool(application.audience) and api.audience not in application.audience
    return Trial(method, path, judgement, numbered, application, is_for_others)


def _typed(form: CallForm) -> list[HeldRole]:
    """Return the roles that were typed as roles that are held."""
    names = (form.roles.data or "").replace(",", " ").split()
    return [HeldRole(name, "", form.project.data or "", float("inf")) for name in names]
