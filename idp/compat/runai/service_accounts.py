"""Applications: `apps` of before, `service-accounts` of today, which differ in the name of the secret alone."""

from flask import Response

from idp import applications, callers, runtime
from idp.api.answers import answer, done, time, time_or_none
from idp.api.requests import realm_of
from idp.applications import Application
from idp.callers import ApplicationWish, Caller
from idp.compat.calls import flag_of, json_body, text_of
from idp.compat.filters import Term
from idp.compat.parameters import takes
from idp.compat.runai.answers import CONDITIONS, LISTED, Shape, maker, page
from idp.db import db
from idp.errors import InvalidValueError, NotFoundError

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
def list_apps(caller: Caller) -> Response:
    """List applications."""
    realm = realm_of(caller)
    caller.require("applications:read", realm=realm.name)
    rows, *_ = page(applications.application_listing(realm), _TERMS, default=500)
    return answer([_shown(row) for row in rows])


def create_app(caller: Caller, member: str) -> Response:
    """Make an application; its secret is in this answer and nowhere else."""
    realm = realm_of(caller)
    name = text_of(json_body(), "name", longest=64)
    application, secret = callers.make_application(
        caller, realm, ApplicationWish(name, fields={"audience": [runtime.current().settings.issuer(realm.name)]})
    )
    return answer(_shown(application) | {member: secret}, 201)


def get_app(caller: Caller, uid: str) -> Response:
    """Show an application."""
    return answer(_shown(_find(caller, uid)))


def change_app(caller: Caller, uid: str) -> Response:
    """Enable or disable an application."""
    realm = realm_of(caller)
    enabled = flag_of(json_body(), "enabled")
    if enabled is None:
        raise InvalidValueError("enabled is missing.")
    return answer(_shown(callers.change_application(caller, realm, _find(caller, uid).name, enabled=enabled)))


def delete_app(caller: Caller, uid: str) -> Response:
    """Delete an application."""
    realm = realm_of(caller)
    name = _find(caller, uid).name
    applications.delete_application(realm, callers.manageable_application(caller, realm, name))
    return done()


def renew_secret(caller: Caller, uid: str, member: str) -> Response:
    """Give an application a new secret in place of those it has, which stop working at once."""
    realm = realm_of(caller)
    application = callers.manageable_application(caller, realm, _find(caller, uid).name)
    for secret in applications.list_secrets(application):
        if secret.retired_at is None:
            applications.retire_secret(realm, application, secret.name)
    db.session.flush()
    return answer({member: callers.make_secret(caller, realm, application, "main")[1]})


def _find(caller: Caller, uid: str) -> Application:
    realm = realm_of(caller)
    found = applications.find_application_by_uid(realm, uid)
    if found is None or not caller.may("applications:read", realm=realm.name):
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
