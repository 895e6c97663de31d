"""Run:ai's contract by machine: every identity operation of the vendor's published description."""

import pytest
from flask.testing import FlaskClient

from tests.compat.walk import Contract, Walk
from tests.factories import PASSWORD, Factory, session_of
from tests.serving import PROJECT

CONTRACT = Contract.load("runai")

NOT_SERVED = {
    "app_token": "/v1/k8s",
    "create_project_0": "/v1/k8s",
    "delete_project_0": "/v1/k8s",
    "get_project_0": "/v1/k8s",
    "get_projects_0": "/v1/k8s",
    "update_project_0": "/v1/k8s",
    "get_project_metrics_0": "/v1/k8s",
    "get_projects_metrics": "/v1/k8s",
    "get_tenant_settings": "/v1/k8s",
    "get_tenant_settings_by_key": "/v1/k8s",
    "update_tenant_setting": "/v1/k8s",
    "get_project_metrics": "org-unit/projects/{projectId}/metrics",
    "get_projects_telemetry": "org-unit/projects/telemetry",
    "patch_project_resources": "org-unit/projects/{projectId}/resources",
    "update_project_resources": "org-unit/projects/{projectId}/resources",
    "get_priorities": "org-unit/priorities",
    "create_idp": "idps",
    "update_idp": "idps",
    "delete_idp": "idps",
    "get_idp": "idps",
    "get_idp_mappers": "idps",
    "update_idp_mappers": "idps",
    "update_security_setting_by_key": "security/settings",
}
"""Operations that are not served, and how docs/compatible-apis.md names them."""


@pytest.fixture
def walk(client: FlaskClient, make: Factory) -> Walk:
    return begin_walk(client, make)


def begin_walk(client: FlaskClient, make: Factory) -> Walk:
    """Return a walk of an administrator, who has taken no step yet."""
    make.user("admin@example.test", roles=("administrator",))
    token = session_of(client, "admin@example.test")["Authorization"]
    return Walk(client, CONTRACT, {"Authorization": f"Bearer {token}"})


def _walk_applications(walk: Walk) -> None:
    for create, read, listing, change, renew, delete, part in (
        (
            "create_application",
            "get_application_by_id",
            "get_applications",
            "update_application_by_id",
            "regenerate_application_secret",
            "delete_application_by_id",
            "appId",
        ),
        (
            "create_service_account",
            "get_service_account_by_id",
            "get_service_accounts",
            "update_service_account_by_id",
            "regenerate_service_account_secret",
            "delete_service_account_by_id",
            "serviceAccountId",
        ),
    ):
        walk.take(create, body={"name": "walked-{n}"}, keep={"app": "id", "client": "clientId"})
        path = {part: "$app"}
        walk.take(read, path=path)
        walk.take(listing)
        walk.take(renew, path=path, keep={"app-secret": "secret" if part == "appId" else "clientSecret"})
        walk.take(change, path=path, body={"enabled": True})
        for form in (False, True):
            _walk_tokens(walk, form=form)
        walk.take(delete, path=path)


def _walk_tokens(walk: Walk, *, form: bool) -> None:
    if form:
        credentials = {"client_id": "$client", "client_secret": "$app-secret"}
        walk.take("grant_token_v2", body={"grant_type": "client_credentials"} | credentials, signed_in=False)
    else:
        walk.take(
            "grant_token",
            body={"grantType": "client_credentials", "clientID": "$client", "clientSecret": "$app-secret"},
            signed_in=False,
        )
        walk.take("grant_token", body={"grantType": "app_token", "appID": "$client", "appSecret": "$app-secret"}, signed_in=False)


def _walk_keys(walk: Walk) -> None:
    for create, read, listing, renew, everybodys, delete, delete_anybodys, part, at in (
        (
            "create_access_key1",
            "get_access_key_by_id1",
            "get_access_keys",
            "regenerate_access_key_secret",
            "get_access_keys_administration",
            "delete_access_key_by_id",
            "delete_access_key_by_id_administration",
            "accessKeyId",
            "accessKeys.0.id",
        ),
        (
            "create_user_application",
            "get_user_application_by_id",
            "get_user_applications",
            "regenerate_user_application_secret",
            "get_user_applications_administration",
            "delete_user_application_by_id",
            "delete_user_application_by_id_administration",
            "appId",
            "0.id",
        ),
    ):
        for delete_it in (delete, delete_anybodys):
            walk.take(create, body={"name": "walked-{n}"}, keep={"key": "id"})
            walk.take(read, path={part: "$key"})
            walk.take(renew, path={part: "$key"})
            walk.take(listing, keep={"listed": at})
            walk.take(everybodys, query={"clientId": "$key", "createdBy": "admin@example.test"})
            walk.take(delete_it, path={part: "$key"})


def _walk_users(walk: Walk) -> None:
    query = {
        "filter": "username==new@example.test",
        "filterBy": [
            "username=@new",
            "createdBy==x",
            "lastLogin>=2023-01-01T00:00:00Z",
            "creationTime<=2023-01-01T00:00:00Z",
            "lastUpdated>=2023-01-01T00:00:00Z",
            "isLocal==true",
            "username=@new,isLocal==true",
        ],
    }
    walk.take("create_user", body={"email": "new-{n}@example.test"}, keep={"user": "id"})
    walk.take("get_user_by_id", path={"userId": "$user"})
    walk.take("get_users", query=query)
    walk.take("count_users", query=query)
    walk.take("reset_user_password", path={"userId": "$user"})
    walk.take("logout_user", path={"userId": "$user"})
    walk.take("delete_user_by_id", path={"userId": "$user"})


def _walk_rules(walk: Walk) -> None:
    walk.take("get_roles_v1", keep={"role": "0.id"})
    walk.take("get_role_v1", path={"roleIdPath": "$role"})
    walk.take("get_permissions")
    for action in ("create", "read", "update", "delete"):
        walk.take("get_permitted_scopes", body={"resourceType": "project", "action": action})
    walk.take("create_service_account", body={"name": "holder-{n}"}, keep={"holder": "clientId"})
    filters = [f"{name}==x" for name in ("subjectId", "scopeId", "roleName", "scopeName", "createdBy")]
    filters += [
        "subjectType==app",
        "roleId==1",
        "scopeType==project",
        "phase==Ready",
        "createdAt>=2023-01-01T00:00:00Z",
        "deletedAt>=2023-01-01T00:00:00Z",
        "subjectId=@x,roleName=^y",
    ]
    query = {
        "subjectType": ["user", "app", "service-account", "group"],
        "subjectIds": ["$holder", "a,b"],
        "lastUpdated": "2021-12-14T16:04:15.099Z",
        "scopeType": ["system", "tenant", "cluster", "department", "project"],
        "roleId": "$role",
        "filterBy": filters,
    }
    for project in ("$project", "$other"):
        walk.take("create_project", body={"name": "walked-{n}"}, keep={"project" if project == "$project" else "other": "id"})
        scope = {"scopeId": project, "scopeType": "project"}
        rule = scope | {"subjectId": "$holder", "subjectType": "service-account", "roleId": "$role"}
        walk.take("create_access_rule", body=rule, keep={"rule": "id"}, once=True)
        walk.take("get_access_rule", path={"accessRuleId": "$rule"})
        walk.take("get_access_rules", query=query)
        walk.take("count_access_rules", query=query)
        if project == "$project":
            walk.take("delete_access_rule", path={"accessRuleId": "$rule"})
            walk.take("delete_project", path={"projectId": "$project"})
    walk.known["text-of-rule"] = str(walk.known["rule"])
    for action in ("validate_delete", "delete"):
        answered = walk.take("access_rules_batch", body={"ids": ["$text-of-rule", "0"], "action": action})
        assert (answered["succeeded"], [each["id"] for each in answered["failed"]]) == ([walk.known["text-of-rule"]], ["0"])
    subjects = [{"subjectId": "$holder", "subjectType": "service-account"}, {"subjectId": "nobody", "subjectType": "user"}]
    payload = {"roleId": "$role", "subjects": subjects, "scopes": [{"scopeId": "$other", "scopeType": "project"}]}
    answered = walk.take("access_rules_batch_create", body={"payload": payload}, once=True)
    assert [each["subjectId"] for each in answered["succeeded"]] == [walk.known["holder"]]
    assert [(each["payload"]["subjectId"], each["code"]) for each in answered["failed"]] == [("nobody", 404)]
    walk.take("get_me_access_rules")
    walk.take("count_me_access_rules")


def _walk_projects(walk: Walk) -> None:
    numbers = [f"{name}>=1" for name in ("totalGpuQuota", "gpuAllocated", "avgGpuAllocation24h")]
    texts = [f"{name}==x" for name in ("name", "clusterId", "departmentId", "parentId", "parentName", "phase")]
    query = {"filterBy": [*texts, *numbers, "createdAt>=2023-01-01T00:00:00Z"]}
    walk.take("create_project", body={"name": "walked-{n}"}, keep={"project": "id"})
    walk.take("get_project", path={"projectId": "$project"})
    walk.take("get_projects", query=query)
    walk.take("count_projects", query=query)
    walk.take("update_project", path={"projectId": "$project"}, body={"description": "Changed."})
    walk.take("delete_project", path={"projectId": "$project"})


def _walk_settings(walk: Walk) -> None:
    walk.take("get_idps")
    walk.take("get_security_settings")
    for key in ("autoRedirectSSO", "browserSessionTimeout", "logoutRedirectUri"):
        walk.take("get_security_setting_by_key", path={"key": key})


def walk_all(walk: Walk) -> None:
    """Call every operation that is served."""
    _walk_applications(walk)
    _walk_keys(walk)
    _walk_users(walk)
    _walk_rules(walk)
    _walk_projects(walk)
    _walk_settings(walk)
    # at the end: it ends the session
    walk.take("change_user_password", body={"currentPassword": PASSWORD, "newPassword": "an even better horse battery"})


def test_every_published_operation_is_served_as_described_or_refused_in_words(walk: Walk) -> None:
    walk_all(walk)
    assert {name: each for name, each in walk.findings.items() if each} == {}
    assert walk.findings.keys() | NOT_SERVED.keys() == CONTRACT.operations.keys()
    assert not walk.findings.keys() & NOT_SERVED.keys()


@pytest.mark.parametrize("name", NOT_SERVED)
def test_what_is_not_served_says_so(walk: Walk, name: str) -> None:
    refused = walk.refused(name)
    assert refused.status_code == 501, refused.text
    assert refused.json["code"] == 501
    assert "not served" in refused.json["message"]
    assert NOT_SERVED[name] in (PROJECT / "docs" / "compatible-apis.md").read_text()
