"""Applications: `apps` of before, `service-accounts` of today, which differ in the name of the secret alone."""

from flask import Response

from idp import applications, rules, runtime
from idp.applications import Application, ApplicationSheet
from idp.compat.calls import flag_of, json_body, text_of
from idp.compat.filters import Term
from idp.compat.parameters import takes
from idp.compat.runai.answers import CONDITIONS, LISTED, Shape, maker, page
from idp.db import db
from idp.errors import InvalidValueError, NotFoundError
from idp.rules import Authority
from idp.web.answers import answer, done, time, time_or_none

_TERMS: dict[str, Term] = {
    "name": "name",
    "clientId": "name",
    "enabled": "enabled",
    "id": "uid",
    "createdBy": "maker",
    "createdAt": "created",
    "updatedAt": "updated",
    "lastLogin": "used",
}


@takes(*LISTED, many=CONDITIONS)
def list_apps(authority: Authority) -> Response:
    """List applications."""
    projects = rules.applications.listed(authority)
    rows, *_ = page(applications.application_listing(authority.realm, projects=projects), _TERMS, default=500)
    return answer([_shown(row) for row in rows])


def create_app(authority: Authority, member: str) -> Response:
    """Make an application; its secret is in this answer and nowhere else."""
    name = text_of(json_body(), "name", longest=64)
    sheet = ApplicationSheet.read({"audience": [runtime.current().settings.issuer(authority.realm.name)]})
    application, secret = rules.applications.create(authority, rules.applications.NewApplication(name, sheet))
    return answer(_shown(application) | {member: secret}, 201)


def get_app(authority: Authority, uid: str) -> Response:
    """Show an application."""
    return answer(_shown(_find(authority, uid)))


def change_app(authority: Authority, uid: str) -> Response:
    """Enable or disable an application."""
    enabled = flag_of(json_body(), "enabled")
    if enabled is None:
        raise InvalidValueError("enabled is missing.")
    application = _find(authority, uid)
    sheet = ApplicationSheet.of(application).changed({"enabled": enabled})
    return answer(_shown(rules.applications.update(authority, application.name, sheet)))


def delete_app(authority: Authority, uid: str) -> Response:
    """Delete an application."""
    name = _find(authority, uid).name
    applications.delete_application(authority.realm, rules.applications.manageable(authority, name))
    return done()


def renew_secret(authority: Authority, uid: str, member: str) -> Response:
    """Give an application a new secret in place of those it has, which stop working at once."""
    application = rules.applications.manageable(authority, _find(authority, uid).name)
    for secret in applications.list_secrets(application):
        if secret.retired_at is None:
            applications.retire_secret(authority.realm, application, secret.name)
    db.session.flush()
    return answer({member: rules.applications.add_secret(authority, application, "main")[1]})


def _find(authority: Authority, uid: str) -> Application:
    found = applications.find_application_by_uid(authority.realm, uid)
    if found is None or not rules.applications.sees(authority, found):
        raise NotFoundError("There is no application with this id (not found).")
    return found


def _shown(application: Application) -> Shape:
    return {
        "id": application.uid,
        "clientId": application.name,
        "name": application.name,
        "enabled": application.enabled,
        "tenantId": str(application.realm_id),
        "createdBy": maker(application.created_by),
        "createdAt": time(application.created_at),
        "updatedAt": time(application.updated_at),
        "lastLogin": time_or_none(application.last_used_at),
    }
