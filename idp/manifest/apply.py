"""Making the database what a realm file says."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from idp import access, applications, federation, keys, protected_apis, realms, trail, users
from idp.access import Holder, ProjectSheet, RoleSheet
from idp.applications import Application, ApplicationSheet, NewSecret, SecretSheet
from idp.db import db
from idp.errors import ConflictError, IdpError, InvalidValueError, StorageUnavailableError, Words
from idp.federation import FederationRuleSheet, TrustedIssuerSheet
from idp.manifest.file import RealmFile
from idp.manifest.plan import Change
from idp.realms import NEW_REALM, Realm, RealmSheet
from idp.users import GroupSheet, User, UserKind, UserSheet


def create_empty_realm(name: str, sheet: RealmSheet = NEW_REALM, *, pending: bool = False) -> Realm:
    """Add a realm with its keys and built-in roles, and nothing else in it; see `realms.create_realm`."""
    realm = realms.create_realm(name, sheet, pending=pending)
    trail.begin_trail(name)
    access.create_built_in_roles(realm)
    keys.create_keys(realm)
    db.session.flush()
    return realm


def prepare_keys(files: Sequence[RealmFile]) -> None:
    """Have the key pairs ready of the realms that are not there yet. Call it before the transaction begins."""
    there = realms.existing_names()
    keys.prepare(sum(file.realm.name not in there for file in files))


def apply_plan(file: RealmFile, plan: Sequence[Change]) -> list[NewSecret]:
    """Carry a plan out in the current transaction.

    :returns: the secrets that were made, to be shown once.
    :raises RealmFileError: something cannot be done; nothing must then be committed.
    :raises StorageUnavailableError: the database does not answer.
    """
    realm = realms.find_realm(file.realm.name)
    if realm is None:
        try:
            realm = create_empty_realm(file.realm.name, RealmSheet.of(file.realm))
        except (ConflictError, InvalidValueError) as error:
            raise file.error(["realm", *(_keys(error) or ["name"])], str(error)) from error
    applier = _Applier(file, realm)
    holders = file.holders()
    for change in plan:
        try:
            applier.apply(change)
        except StorageUnavailableError:
            raise
        except IdpError as error:
            holder = holders[change.name[0]][1] if change.name[0] in holders else ["applications", *change.name[:1]]
            where = {
                "realm": ["realm"],
                "grant": [*holder, "grants"],
                "secret": ["applications", *change.name[:1]],
                "federated_person": ["trusted_issuers", change.name[0], "people", *change.name[1:]],
            }
            place = where.get(change.kind, [f"{change.kind}s", *change.name])
            keys = [each for each in _keys(error) if each in change.fields and change.kind != "federated_person"]
            raise file.error([*place, *keys], f"{change.action} {change.kind}: {error}") from error
    db.session.flush()
    admitted = file.admitted()
    for name, part in file.applications.items():
        if part.secrets is None and not part.has_keys and name not in admitted:
            applier.ensure_secret(name)
    return applier.new_secrets


def _keys(error: IdpError) -> list[str]:
    """Return the key of a table that an error is about, the first if there are several; none if it is about none."""
    return [name.partition(".")[0] for name, _ in error.named(Words())[:1]]


class _Applier:
    """Does one change after the other by the verbs of the domains."""

    def __init__(self, file: RealmFile, realm: Realm) -> None:
        self._file, self._realm = file, realm
        self.new_secrets: list[NewSecret] = []

    def apply(self, change: Change) -> None:
        """Do one change."""
        verb: Callable[[Change], None] = getattr(self, f"_apply_{change.kind}")
        verb(change)
        db.session.flush()

    def ensure_secret(self, name: str) -> None:
        """Make a secret for an application that has never had one, since the file names none for it."""
        application = self._application(name)
        if not application.is_public and not applications.list_secrets(application):
            self._add_secret(application, "main", None)

    def _application(self, name: str) -> Application:
        return applications.get_application(self._realm, name)

    def _apply_realm(self, change: Change) -> None:
        if change.action == "update":
            realms.update_realm(self._realm, RealmSheet.of(self._realm).changed(_new(change)))

    def _apply_role(self, change: Change) -> None:
        if change.action == "create":
            access.create_role(self._realm, change.name[0], RoleSheet.read(_new(change)))
        elif change.action == "update":
            role = access.get_role(self._realm, change.name[0])
            access.update_role(self._realm, role, RoleSheet.of(role).changed(_new(change)))
        else:
            access.delete_role(self._realm, change.name[0])

    def _apply_project(self, change: Change) -> None:
        if change.action == "create":
            access.create_project(self._realm, change.name[0], ProjectSheet.read(_new(change)))
        elif change.action == "update":
            project = access.get_project(self._realm, change.name[0])
            access.update_project(self._realm, project, ProjectSheet.of(project).changed(_new(change)))
        else:
            access.delete_project(self._realm, change.name[0])

    def _apply_application(self, change: Change) -> None:
        if change.action == "create":
            applications.create_application(self._realm, change.name[0], ApplicationSheet.read(_new(change)))
        elif change.action == "update":
            application = self._application(change.name[0])
            applications.update_application(self._realm, application, ApplicationSheet.of(application).changed(_new(change)))
        else:
            applications.delete_application(self._realm, self._application(change.name[0]))

    def _apply_grant(self, change: Change) -> None:
        name, project, role = change.name
        holder = self._holder(name)
        if change.action == "delete":
            access.remove_grant(self._realm, holder, role, project=project or None)
        else:
            until: datetime | None = _new(change).get("until")
            access.grant_role(self._realm, holder, role, project=project or None, until=until, past_ok=True)

    def _holder(self, named: str) -> Holder:
        kind, colon, name = named.partition(":")
        if colon and kind == "user":
            return users.holder_of(users.get_user_by_name(self._realm, name))
        if colon:
            return users.group_holder(users.get_group(self._realm, name))
        return applications.holder_of(self._application(named))

    def _apply_group(self, change: Change) -> None:
        if change.action == "create":
            users.create_group(self._realm, change.name[0], GroupSheet.read(_new(change)))
        elif change.action == "update":
            group = users.get_group(self._realm, change.name[0])
            users.update_group(self._realm, group, GroupSheet.of(group).changed(_new(change)))
        else:
            users.delete_group(self._realm, change.name[0])

    def _apply_user(self, change: Change) -> None:
        fields = _new(change)
        groups: list[str] | None = fields.pop("groups", None)
        if change.action == "delete":
            users.delete_user(self._realm, users.get_user_by_name(self._realm, change.name[0]))
            return
        if change.action == "create":
            kind = UserKind(fields.pop("kind", "person"))
            user = users.create_user(self._realm, change.name[0], kind, UserSheet.read(fields))
        else:
            user = users.get_user_by_name(self._realm, change.name[0])
            users.update_user(self._realm, user, UserSheet.of(user).changed(fields))
        if groups is not None:
            self._set_groups(user, groups)

    def _set_groups(self, user: User, wanted: list[str]) -> None:
        for group in users.groups_of(user):
            if group.name not in wanted:
                users.remove_member(self._realm, group, user)
        for name in wanted:
            users.add_member(self._realm, users.get_group(self._realm, name), user)

    def _apply_api(self, change: Change) -> None:
        if change.action == "delete":
            protected_apis.delete_api(self._realm, change.name[0])
            return
        part = self._file.apis[change.name[0]]
        protected_apis.put_api(self._realm, change.name[0], part)

    def _apply_trusted_issuer(self, change: Change) -> None:
        name = change.name[0]
        if change.action == "delete":
            federation.delete_issuer(self._realm, federation.get_issuer(self._realm, name))
            return
        sheet = TrustedIssuerSheet.of((self._file.trusted_issuers or {})[name])
        if change.action == "create":
            federation.create_issuer(self._realm, name, sheet)
        else:
            federation.update_issuer(self._realm, federation.get_issuer(self._realm, name), sheet)

    def _apply_federation_rule(self, change: Change) -> None:
        name = change.name[0]
        if change.action != "create":
            rule = federation.get_rule(self._realm, name)
            if change.action == "update" and not change.fields.keys() & FederationRuleSheet.kept:
                sheet = FederationRuleSheet.of((self._file.federation_rules or {})[name])
                federation.update_rule(self._realm, rule, sheet, frozen=rule.frozen)
                return
            federation.delete_rule(self._realm, rule)
            db.session.flush()
        if change.action != "delete":
            sheet = FederationRuleSheet.of((self._file.federation_rules or {})[name])
            federation.create_rule(self._realm, name, sheet, frozen=None)

    def _apply_federated_person(self, change: Change) -> None:
        name, subject = change.name
        if change.action != "create":
            row = federation.find_person(federation.get_issuer(self._realm, name), subject)
            if row is not None:
                federation.unlink_person(self._realm, row.uid)
                db.session.flush()
        if change.action != "delete":
            user = users.get_user_by_name(self._realm, _new(change)["user"])
            federation.link_person(self._realm, name, subject, user.uid)

    def _apply_secret(self, change: Change) -> None:
        name, secret_name = change.name
        application = self._application(name)
        if change.action == "create":
            self._add_secret(application, secret_name, _new(change).get("expires"))
        elif change.action == "delete":
            applications.retire_secret(self._realm, application, secret_name)
        elif "value" in change.fields:
            applications.retire_secret(self._realm, application, secret_name)
            db.session.flush()
            part = (self._file.applications[name].secrets or {})[secret_name]
            self._add_secret(application, secret_name, part.expires)
        else:
            secret = applications.find_secret(application, secret_name)
            if secret is not None:
                applications.change_expiry(self._realm, application, secret, _new(change)["expires"])

    def _add_secret(self, application: Application, name: str, expires_at: datetime | None) -> None:
        brought = None
        if name in (self._file.applications[application.name].secrets or {}):
            brought = self._file.secret_value(application.name, name)
        secret, plain = applications.add_secret(
            self._realm, application, name, SecretSheet(expires_at=expires_at), plain_secret=brought
        )
        if brought is None:
            self.new_secrets.append(NewSecret(self._realm.name, application.name, secret, plain))


def _new(change: Change) -> dict[str, Any]:
    return {name: new for name, (_, new) in change.fields.items()}
