"""Palette's contract by machine: every identity operation of the vendor's published description, as its Go SDK calls it."""

from typing import Any

import pytest
from flask import Flask

from idp import users
from idp.compat import palette
from idp.users import LinkPurpose
from tests.compat.walk import Contract, Walk
from tests.factories import PASSWORD, Factory, session_of
from tests.serving import PROJECT

CONTRACT = Contract.load("palette")

NOT_SERVED = {
    "v1AuditsUidMsgUpdate",
    "V1OidcCallback",
    "V1SamlCallback",
    "V1SamlLogout",
    "V1SsoCallback",
    "V1UsersMfaDevicesNameGet",
    "V1UsersMfaDevicesNameDelete",
    "V1UsersMfaRegisterDeviceFinish",
    "V1UsersMfaRegisterDeviceStart",
    "v1UsersStatusLoginMode",
    "V1TenantUidDomainsGet",
    "V1TenantUidDomainsUpdate",
    "v1TenantUidLoginBannerGet",
    "v1TenantUidLoginBannerUpdate",
    "V1TenantUidOidcConfigGet",
    "V1TenantUidOidcConfigUpdate",
    "V1TenantUidSamlConfigSpecGet",
    "V1TenantUidSamlConfigUpdate",
    "V1TenantUidSsoAuthProvidersGet",
    "V1TenantUidSsoAuthProvidersUpdate",
}
"""Operations that are answered 501."""

NEXT_PASSWORD = "an even better horse battery"
LISTED = {
    "filters": ["metadata.name=x", "metadata.uid=xANDmetadata.name=SANDBOX"],
    "orderBy": ["metadata.name=-1", "name"],
    "limit": [0, 50],
    "offset": 0,
    "continue": "",
    "fields": "metadata.uid,metadata.name",
}


@pytest.fixture
def walk(app: Flask, make: Factory) -> Walk:
    client = app.test_client(use_cookies=False)  # as the SDK, which keeps none
    uid = make.user("admin@example.test", roles=("administrator",))
    walk = Walk(client, CONTRACT, session_of(client, "admin@example.test"))
    walk.known |= {"admin": uid, "tenant": make.do(lambda realm: realm.uid)}
    return walk


def _walk_sessions(walk: Walk, make: Factory) -> None:
    walk.take("v1AuthOrg", query={"orgName": "acme"})
    walk.take("V1SsoIdps")
    for name in ("V1SsoLogins", "V1AuthSsoProviders", "V1AuthMfaDevicesList", "V1UsersMfaDevicesList"):
        walk.take(name)
    walk.take("V1AuthOrgs")
    walk.take("v1UsersInfoGet")
    credentials = {"emailId": "admin@example.test", "password": PASSWORD, "org": "acme"}
    walk.take("v1Authenticate", body=credentials, keep={"token": "Authorization"}, signed_in=False)
    walk.take("v1AuthRefresh", path={"token": "$token"}, signed_in=False)
    walk.take("v1UsersAuthTokensRevoke", body={"tokens": ["$token"]})
    walk.take("v1UsersAuthTokensRevoke")
    walk.take("V1AuthUserOrgForgot", query={"emailId": "nobody@example.test"}, signed_in=False)
    walk.take("v1PasswordResetRequest", body={"emailId": "nobody@example.test"}, signed_in=False)
    for name, purpose in (("v1PasswordActivate", LinkPurpose.INVITATION), ("v1PasswordReset", LinkPurpose.RESET)):
        uid = make.user(f"{purpose.value}@example.test")
        code = make.do(lambda realm, uid=uid, purpose=purpose: users.send_link(realm, users.get_user(realm, uid), purpose))
        walk.take(name, path={"passwordToken": code}, body={"password": NEXT_PASSWORD}, once=True, signed_in=False)


def _walk_keys(walk: Walk) -> None:
    for body in (
        {"metadata": {"name": "key-{n}"}, "spec": {"userUid": "$tenant"}},
        {"metadata": {"name": "key-{n}"}, "spec": {"userUid": "$admin", "expiry": "2027-01-01T00:00:00.000Z"}},
    ):
        walk.take("v1ApiKeysCreate", body=body, keep={"key": "uid"})
    walk.take("v1ApiKeysList")
    walk.take("v1ApiKeysUidGet", path={"uid": "$key"})
    walk.take("v1ApiKeysUidUpdate", path={"uid": "$key"}, body={"metadata": {"name": "key-{n}"}})
    walk.take("v1ApiKeysUidActiveState", path={"uid": "$key"}, body={"isActive": False})
    walk.take("v1ApiKeysUidState", path={"uid": "$key"}, body={"isActive": True})
    walk.take("v1ApiKeysUidDelete", path={"uid": "$key"})


def _walk_roles(walk: Walk) -> None:
    spec = {"permissions": ["users:read"], "scope": "tenant", "type": "user"}
    walk.take("v1PermissionsList")
    walk.take("v1RolesCreate", body={"metadata": {"name": "role-{n}"}, "spec": spec}, keep={"role": "uid"})
    walk.take("v1RolesList", query=LISTED)
    walk.take("v1RolesUidGet", path={"uid": "$role"}, keep={"role-name": "metadata.name"})
    walk.take("v1RolesUidUpdate", path={"uid": "$role"}, body={"metadata": {"name": "$role-name"}, "spec": spec})
    walk.take("v1RolesClone", path={"uid": "$role"}, body={"metadata": {"name": "copy-{n}"}}, keep={"copy": "uid"})
    walk.take("v1RolesUidDelete", path={"uid": "$copy"})


def _walk_users(walk: Walk) -> None:
    person = {"emailId": "new-{n}@example.test", "firstName": "New", "lastName": "Person", "roles": ["$role"], "teams": []}
    walk.take("v1UsersCreate", body={"spec": person}, keep={"user": "uid"})
    at = {"uid": "$user"}
    listed = LISTED | {"filters": ["spec.emailId=x", "metadata.name=NewORspec.emailId=y"]}
    walk.take("v1UsersList", query=listed)
    walk.take("v1UsersMetadata")
    shown = walk.take("v1UsersUidGet", path=at)
    address = shown["spec"]["emailId"]
    text = {"eq": address, "ne": "x", "contains": "n", "beginsWith": "n", "ignoreCase": True}
    walk.take("v1UsersSummaryGet", body={"filter": {"emailId": text}, "sort": None})
    found = walk.client.post("/v1/users/summary", json={"filter": {"emailId": {"eq": address}}}, headers=walk.headers).json
    assert [(each["uid"], each["metadata"]["uid"]) for each in found["items"]] == [(walk.known["user"], walk.known["user"])]
    walk.take("v1UsersUidUpdate", path=at, body={"spec": {"emailId": address, "roles": ["$role"]}})
    walk.take("v1UsersUidPatch", path=at, body=[{"op": "replace", "path": "/spec/firstName", "value": "Patched"}])
    assert walk.take("v1UsersUidGet", path=at)["spec"]["firstName"] == "Patched"
    walk.take("v1UsersUidPasswordReset", path=at)
    walk.take("v1UsersEmailPasswordReset", body={"emailId": address})
    walk.take("v1UsersUidRolesUpdate", path=at, body={"roles": ["$role"]})
    walk.take("v1UsersUidRoles", path=at)
    _walk_held(walk, "v1Users", at)
    walk.take("v1UsersUidDelete", path=at)


def _walk_held(walk: Walk, kind: str, at: dict[str, Any]) -> None:
    walk.take(
        "v1ProjectsCreate", body={"metadata": {"name": "held-{n}"}, "spec": {"users": [], "teams": []}}, keep={"project": "uid"}
    )
    wanted = {"projectUids": ["$project"], "roles": ["$role"], "filterRefs": []}
    walk.take(f"{kind}ProjectRolesPut", path=at, body={"projects": [{"projectUid": "$project", "roles": ["$role"]}]})
    walk.take(f"{kind}ProjectRoles", path=at)
    walk.take(f"{kind}UidResourceRolesCreate", path=at, body=wanted)
    place = {"grant": "resourceRoles.0.uid"}
    walk.take(f"{kind}UidResourceRoles", path=at, keep=place)
    walk.take(f"{kind}ResourceRolesUidUpdate", path=at | {"resourceRoleUid": "$grant"}, body=wanted)
    walk.take(f"{kind}UidResourceRoles", path=at, keep=place)
    walk.take(f"{kind}UidResourceRolesUidDelete", path=at | {"resourceRoleUid": "$grant"})
    assert walk.take(f"{kind}UidResourceRoles", path=at) == {"resourceRoles": []}


def _walk_teams(walk: Walk) -> None:
    spec = {"users": ["$admin"], "roles": ["$role"], "sources": []}
    walk.take("v1TeamsCreate", body={"metadata": {"name": "team-{n}"}, "spec": spec}, keep={"team": "uid"})
    at = {"uid": "$team"}
    walk.take("v1TeamsList", query=LISTED)
    shown = walk.take("v1TeamsUidGet", path=at)
    assert shown["spec"]["users"] == [walk.known["admin"]]
    walk.take("v1TeamsUidUpdate", path=at, body={"metadata": {"name": shown["metadata"]["name"]}, "spec": spec | {"users": []}})
    walk.take("v1TeamsUidPatch", path=at, body=[{"op": "add", "path": "/spec/users", "value": ["$admin"]}])
    assert walk.take("v1TeamsUidGet", path=at)["spec"]["users"] == [walk.known["admin"]]
    walk.take("v1TeamsSummaryGet", body={"filter": {"name": {"eq": shown["metadata"]["name"]}}, "sort": []})
    walk.take("V1TeamsUidTenantRolesUpdate", path=at, body={"roles": ["$role"]})
    walk.take("V1TeamsUidTenantRolesGet", path=at)
    _walk_held(walk, "v1Teams", at)
    walk.take("v1TeamsUidDelete", path=at)


def _walk_projects(walk: Walk) -> None:
    spec = {"users": [{"userId": "$admin", "roles": ["$role"]}], "teams": []}
    walk.take("v1ProjectsCreate", body={"metadata": {"name": "walked-{n}"}, "spec": spec}, keep={"project": "uid"})
    at = {"uid": "$project"}
    name = walk.take("v1ProjectsUidGet", path=at)["metadata"]["name"]
    walk.take("v1ProjectsUidUpdate", path=at, body={"metadata": {"name": name}, "spec": spec})
    walk.take("v1ProjectsUidMetaUpdate", path=at, body={"name": name})
    walk.take("v1ProjectsUidTeamsUpdate", path=at, body={"teams": []})
    walk.take("v1ProjectsUidUsersUpdate", path=at, body={"users": []})
    walk.take("v1ProjectsMetadata", query={"name": name})
    walk.take("v1ProjectsFilterSummary", body={"filter": {"name": {"contains": "walked"}}, "sort": []}, query=LISTED)
    walk.take("v1ProjectsUidValidate", path=at)
    walk.take("v1ProjectsUidDelete", path=at, query={"cleanupProjectResources": []}, once=True)
    walk.take("v1ProjectsCreate", body={"metadata": {"name": "left-{n}"}, "spec": spec}, keep={"project": "uid"})
    held = f"/v1/projects/{walk.known['project']}"
    assert walk.client.delete(held, headers=walk.headers).status_code == 409
    assert walk.client.delete(f"{held}?cleanupProjectResources=true", headers=walk.headers).status_code == 204


def _walk_trail(walk: Walk) -> None:
    query = {
        "startTime": "2024-01-01T00:00:00Z",
        "endTime": "2100-01-01T00:00:00Z",
        "userUid": "$admin",
        "tenantUid": "$tenant",
        "projectUid": "$project",
        "resourceKind": "user",
        "resourceUid": "$admin",
        "continue": "",
        "actionType": ["create", "update", "delete", "publish", "deploy", "activity", "action"],
    }
    walk.take("v1AuditsList", query=query)
    events = walk.client.get("/v1/audits?actionType=create&limit=10", headers=walk.headers).json["items"]
    assert {each["spec"]["actionType"] for each in events} == {"create"}
    walk.known["event"] = events[0]["metadata"]["uid"]
    walk.take("v1AuditsUidGet", path={"uid": "$event"})
    walk.take("v1AuditsUidGetSysMsg", path={"uid": "$event"})


def _walk_tenant(walk: Walk) -> None:
    at = {"tenantUid": "$tenant"}
    walk.take("v1TenantUidAuthTokenSettingsGet", path=at)
    walk.take("v1TenantUidAuthTokenSettingsUpdate", path=at, body={"expiryTimeMinutes": 15})
    policy = walk.take("V1TenantUidPasswordPolicyGet", path=at)
    walk.take("V1TenantUidPasswordPolicyUpdate", path=at, body=policy)


def walk_all(walk: Walk, make: Factory) -> None:
    """Call every operation that is served."""
    _walk_sessions(walk, make)
    _walk_keys(walk)
    _walk_roles(walk)
    _walk_users(walk)
    _walk_teams(walk)
    _walk_projects(walk)
    _walk_trail(walk)
    _walk_tenant(walk)
    # at the end: they end sessions
    change = {"currentPassword": PASSWORD, "newPassword": NEXT_PASSWORD}
    walk.take("V1UsersPasswordChange", body=change | {"emailId": "admin@example.test"}, once=True)
    walk.headers = session_of(walk.client, "admin@example.test", password=NEXT_PASSWORD)
    change = {"currentPassword": NEXT_PASSWORD, "newPassword": PASSWORD}
    walk.take("v1UsersUidPasswordChange", path={"uid": "$admin"}, body=change, once=True)
    walk.headers = session_of(walk.client, "admin@example.test")
    assert walk.client.get("/v1/auth/org/acme/oidc/logout", headers=walk.headers).status_code == 204
    walk.findings["V1OidcLogout"] = []


def test_every_published_operation_is_served_as_described_or_refused_in_words(walk: Walk, make: Factory) -> None:
    walk_all(walk, make)
    assert {name: each for name, each in walk.findings.items() if each} == {}
    assert walk.findings.keys() | NOT_SERVED == CONTRACT.operations.keys()
    assert not walk.findings.keys() & NOT_SERVED


def test_what_is_not_served_says_so_and_is_listed(walk: Walk) -> None:
    page = (PROJECT / "docs" / "compatible-apis.md").read_text()
    for name in sorted(NOT_SERVED):
        answer = walk.refused(name)
        assert (answer.status_code, answer.json["code"]) == (501, "NotServed"), name
        assert "not served here" in answer.json["message"]
    for _, path in palette.NOT_SERVED:
        assert path.replace("<", "{").replace(">", "}") in page, path
