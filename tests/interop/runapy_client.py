"""Works through a realm as scripts written for Run:ai do, with the vendor's client as it is, and prints what it saw as JSON.

    python runapy_client.py <URL of the server> <client id> <client secret> <version>

Versions before 1.0 are found on PYTHONPATH. The client library of each version is the vendor's own, unchanged.
"""

import json
import sys
from typing import Any

CLUSTER = "7d3a5b8e-3ee7-4d8f-8d41-9b7de1a0a6cf"
RESOURCES = [{"nodePool": {"id": "1", "name": "default"}, "gpu": {"deserved": 1, "limit": 2, "overQuotaWeight": 2}}]


def by_hand(url: str, client_id: str, secret: str, version: str) -> dict[str, Any]:
    """Use a client of before 1.0, whose calls were written by hand."""
    import runai

    known = {"realm": client_id.partition("/")[0]} if version == "0.5.1" else {}
    name = client_id.rpartition("/")[2] if known else client_id
    client = runai.RunaiClient(client_id=name, client_secret=secret, runai_base_url=url, cluster_id=CLUSTER, **known)
    roles = client.roles.get_roles_name_to_id_map()
    suffix = version.replace(".", "-")
    project = client.projects.create(name=f"dev-{suffix}", resources=[_full(RESOURCES[0])])
    user = client.users.create(email=f"new-{suffix}@example.test")
    rule = client.access_rules.create(user["username"], "user", roles["viewer"], project["id"], "project")
    listed = client.access_rules.all(subjectIds=[user["username"], "nobody"], sortBy="scopeName", includeDeleted=True, limit=5)
    seen = {
        "role": client.roles.get(roles["viewer"])["name"],
        "projects": [
            each["name"] for each in client.projects.all(filterBy=f"name=={project['name']}", sortBy="name")["projects"]
        ],
        "no projects": client.projects.all(filterBy="name==none", limit=1)["projects"],
        "rules": [each["id"] == rule["id"] for each in listed["accessRules"]],
        "no rules": client.access_rules.all(subjectType="group", scopeId=project["id"])["totalRecords"],
        "updated": client.projects.update(project["id"], resources=[_full(RESOURCES[0])])["name"],
        "read": client.projects.get(project["id"])["name"],
    }
    bare = client.projects.create(name=f"gone-{suffix}", resources=[_full(RESOURCES[0])])
    client.projects.delete(bare["id"])
    return seen | {"deleted": client.projects.all(filterBy=f"name==gone-{suffix}")["projects"]}


def _full(resource: dict[str, Any]) -> dict[str, Any]:
    amount = {"deserved": 1, "limit": 2, "overQuotaWeight": 2}
    return resource | {"cpu": amount, "memory": amount | {"units": "Mib"}}


def generated(url: str, client_id: str, secret: str) -> dict[str, Any]:
    """Use the client of today, which is generated from the vendor's description, and hold what comes against its models."""
    from runai import models
    from runai.api_client import ApiClient
    from runai.configuration import Configuration
    from runai.runai_client import RunaiClient

    configuration = Configuration(client_id=client_id, client_secret=secret, runai_base_url=url, retry_enabled=False)
    with RunaiClient(ApiClient(configuration)) as client:
        iam = client.authentication_and_authorization
        roles = {role.name: role.id for role in map(models.RoleV1.from_dict, iam.roles.get_roles_v1().data)}
        wanted = models.ServiceAccountCreationRequest(name="runapy-made")
        app = models.ServiceAccountPostResponse.from_dict(iam.service_accounts.create_service_account(wanted).data)
        person = models.UserCreationRequest1(email="runapy@example.test")
        user = models.UserPostResponse.from_dict(iam.users.create_user(person).data)
        project = client.organizations.projects.create_project(
            models.ProjectCreationRequest(
                name="runapy", clusterId=CLUSTER, resources=[models.ResourcesNullable.from_dict(RESOURCES[0])]
            )
        ).data
        payload = models.AccessRulesBatchCreateFields.from_dict(
            {
                "payload": {
                    "roleId": roles["viewer"],
                    "subjects": [
                        {"subjectId": app.client_id, "subjectType": "service-account"},
                        {"subjectId": user.username, "subjectType": "user"},
                    ],
                    "scopes": [{"scopeId": project["id"], "scopeType": "project"}],
                }
            }
        )
        made = models.AccessRulesBatchCreateResponse.from_dict(iam.access_rules.access_rules_batch_create(payload).data)
        found = models.GetAccessRules200Response.from_dict(
            iam.access_rules.get_access_rules(
                subject_ids=[user.username, "nobody"],
                filter_by=["roleName==viewer", "createdAt>=2023-01-01T00:00:00Z"],
                include_deleted=False,
                sort_by="subjectId",
                sort_order="desc",
                limit=10,
            ).data
        )
        counted = iam.access_rules.count_access_rules(filter_by=[f"scopeId=={project['id']}"], search="RUNAPY").data
        ids = [str(rule.id) for rule in made.succeeded]
        taken = models.AccessRuleDeletionBatchResponse.from_dict(
            iam.access_rules.access_rules_batch(models.AccessRulesBatchFields(ids=ids, action="delete")).data
        )
        accounts = [models.ServiceAccount.from_dict(each) for each in iam.service_accounts.get_service_accounts().data]
        people = [models.User2.from_dict(each) for each in iam.users.get_users(search="runapy", limit=5).data]
        iam.service_accounts.update_service_account_by_id(app.id, models.ServiceAccountPatchRequest(enabled=False))
        disabled = models.ServiceAccount.from_dict(iam.service_accounts.get_service_account_by_id(app.id).data)
        changed = client.organizations.projects.update_project(
            project["id"], models.ProjectUpdateRequest(description="Ours.", resources=[])
        ).data
        listed = client.organizations.projects.get_projects(filter_by=["name==runapy"], sort_by="createdAt").data
        deleted = [
            iam.service_accounts.delete_service_account_by_id(app.id).status_code,
            iam.users.delete_user_by_id(user.id).status_code,
            client.organizations.projects.delete_project(project["id"]).status_code,
        ]
        return {
            "made": [rule.subject_id for rule in made.succeeded],
            "failed": made.failed,
            "found": [(rule.subject_id, rule.scope_name) for rule in found.access_rules],
            "counted": counted,
            "taken": [len(taken.succeeded), taken.failed],
            "makers": sorted({account.created_by for account in accounts if account.name == "runapy-made"}),
            "people": [person.username for person in people],
            "disabled": disabled.enabled,
            "changed": changed["description"],
            "listed": [each["name"] for each in listed["projects"]],
            "deleted": deleted,
        }


if __name__ == "__main__":
    *known, version = sys.argv[1:]
    seen = generated(*known) if version.startswith("1.") else by_hand(*known, version)
    print(json.dumps(seen))
