"""Lists of Run:ai's contract: what is asked for comes, and nothing else."""

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from idp import access, applications, clock, users
from idp.access import Grant, Holder, HolderKind
from idp.realms import Realm
from tests.factories import Factory, session_of

API = "/api/v1"
RULES = f"{API}/authorization/access-rules"

ASKED: dict[str, set[str]] = {
    # what is asked, and which of the rules of `rules` come
    "subjectIds=ann@example.test": {"ann"},
    "subjectIds=ANN@example.test": {"ann"},
    "subjectIds=ann@example.test,bot": {"ann", "bot", "bot-on-vision"},
    "subjectIds=bot&subjectIds=crew": {"bot", "bot-on-vision", "crew"},
    "subjectIds=nobody": set(),
    "subjectIds=": set(),
    "subjectIdFilter=@example": {"ann"},
    "subjectType=app": {"bot", "bot-on-vision"},
    "subjectType=service-account": {"bot", "bot-on-vision"},
    "subjectType=group": {"crew"},
    "subjectType=robot": set(),
    "subjectType=user&search=viewer": {"ann"},
    "scopeType=project": {"bot-on-vision"},
    "scopeType=cluster": set(),
    "scopeType=system": set(),
    "scopeId={vision}": {"bot-on-vision"},
    "scopeId=": set(),
    "scopeId={tenant}&subjectIds=bot": {"bot"},
    "roleId={viewer}": {"ann", "crew"},
    "clusterId={vision}": set(),
    "search=VISION": {"bot-on-vision"},
    "search=crew": {"crew"},
    "search=%25": set(),
    "search=ann": {"ann"},
    "lastUpdated=2999-01-01T00:00:00Z": set(),
    "lastUpdated=2021-12-14T16:04:15.099Z&subjectIds=crew": {"crew"},
    "includeDeleted=true&subjectIds=crew": {"crew"},
    "filterBy=subjectId==ann@example.test": {"ann"},
    "filterBy=subjectId=={ann}": {"ann"},
    "filterBy=subjectId!={ann},roleName==viewer": {"crew"},
    "filterBy=subjectId=^bo": {"bot", "bot-on-vision"},
    "filterBy=subjectType==app,scopeType==tenant": {"bot"},
    "filterBy=subjectType==app&filterBy=scopeType==tenant": {"bot"},
    "filterBy=scopeName==vision": {"bot-on-vision"},
    "filterBy=roleId=={viewer}": {"ann", "crew"},
    "filterBy=phase==NotReady": {"crew"},
    "filterBy=phase==Ready,roleName==viewer": {"ann"},
    "filterBy=deletedAt>=2000-01-01T00:00:00Z": set(),
    "filterBy=createdBy==root@example.test": {"bot"},
    "filterBy=createdBy=@example,subjectType==app": {"bot"},
    "filterBy=createdAt<=2000-01-01T00:00:00Z": set(),
}

REFUSED = (
    "subject=ann",
    "subjectids=ann",
    "roleId=x",
    "includeDeleted=perhaps",
    "filterBy=name==x",
    "filterBy=subjectType=@us",
    "filterBy=roleId=@1",
    "filterBy=createdAt==yesterday",
    "filterBy=createdAt=@2026",
    "sortBy=name",
    "sortOrder=up",
    "lastUpdated=x",
    "filterBy=createdAt<=9999-12-31T23:59:59Z",
    "filterBy=createdAt<=0001-01-01T00:00:00%2B01:00",
    f"subjectIds={'a,' * 201}",
    "limit=-1",
    "offset=x",
    "scopeType=project&scopeType=tenant",
    "search=a&search=b",
    "filterBy=subjectId",
)


@pytest.fixture
def admin(client: FlaskClient, make: Factory) -> dict[str, str]:
    make.user("admin@example.test", roles=("administrator",))
    return session_of(client, "admin@example.test")


@pytest.fixture
def rules(make: Factory) -> dict[str, str]:
    return arrange_rules(make)


def arrange_rules(make: Factory) -> dict[str, str]:
    """Make rules of which something can be asked, and return the ids of what they are about."""
    make.user("ann@example.test", roles=("viewer",))
    make.application("bot", roles=("auditor",), projects=("vision",))

    def arrange(realm: Realm) -> dict[str, str]:
        group = users.create_group(realm, "crew")
        grant = access.grant_role(realm, users.group_holder(group), "viewer", until=clock.now() + timedelta(hours=1))
        grant.until = clock.now() - timedelta(hours=1)
        bot = applications.holder_of(applications.get_application(realm, "bot"))
        access.list_grants(realm, holder=bot)[0].granted_by = "user:root@example.test"
        return {
            "ann": users.get_user(realm, "ann@example.test").uid,
            "vision": access.get_project(realm, "vision").uid,
            "tenant": realm.uid,
            "viewer": str(access.get_role(realm, "viewer").id),
        }

    return dict(make.do(arrange))


def _names(answer: dict[str, Any]) -> set[str]:
    short = {"ann@example.test": "ann", "crew": "crew", "bot": "bot"}
    shown = ((short.get(rule["subjectId"]), rule["scopeName"]) for rule in answer["accessRules"])
    return {f"{name}-on-vision" if scope == "vision" else name for name, scope in shown if name is not None}


def test_access_rules_are_those_that_were_asked_for(client: FlaskClient, admin: dict[str, str], rules: dict[str, str]) -> None:
    check_all_that_is_asked(client, admin, rules)


def check_all_that_is_asked(client: FlaskClient, admin: dict[str, str], rules: dict[str, str]) -> None:
    """Ask for rules in every way, and fail where others come than those that were asked for."""
    for asked, wanted in ASKED.items():
        answer = client.get(f"{RULES}?{asked.format(**rules)}", headers=admin)
        assert answer.status_code == 200, (asked, answer.text)
        assert _names(answer.json) == wanted, asked
        assert answer.json["totalRecords"] == answer.json["displayRecords"] == len(answer.json["accessRules"])
        names = {part.partition("=")[0] for part in asked.split("&")}
        if names <= {"filterBy", "search", "includeDeleted"}:
            counted = client.get(f"{RULES}/count?{asked.format(**rules)}", headers=admin).json
            assert counted == {"count": answer.json["totalRecords"]}, asked


def test_what_is_asked_otherwise_is_refused(client: FlaskClient, admin: dict[str, str]) -> None:
    for asked in REFUSED:
        answer = client.get(f"{RULES}?{asked}", headers=admin)
        assert (answer.status_code, answer.json["code"]) == (400, 400), asked


def test_every_order_of_access_rules(client: FlaskClient, admin: dict[str, str], rules: dict[str, str]) -> None:
    for name in ("subjectId", "subjectType", "roleId", "scopeId", "scopeType", "roleName", "scopeName", "createdAt", "createdBy"):
        for order in ("asc", "desc"):
            listed = client.get(f"{RULES}?sortBy={name}&sortOrder={order}", headers=admin).json["accessRules"]
            # user is `user`, application is `app`: in the order of the words that are kept
            values = [
                {"app": "application"}.get(rule[name], rule[name]) if name == "subjectType" else rule[name] for rule in listed
            ]
            if name == "scopeType":
                values = [{"tenant": "realm"}.get(value, value) for value in values]
            assert values == sorted(values, reverse=order == "desc"), name
            assert len(set(values)) > 1 or name == "createdAt", f"{name} tells nothing apart"


def test_time_that_is_shown_finds_what_it_is_shown_of(client: FlaskClient, admin: dict[str, str], rules: dict[str, str]) -> None:
    """Times are kept to the microsecond and shown to the second."""
    for path, name in (
        ("authorization/access-rules", "createdAt"),
        ("users", "creationTime"),
        ("org-unit/projects", "createdAt"),
        ("apps", "updatedAt"),
    ):
        listed = client.get(f"{API}/{path}", headers=admin).json
        rows = listed if isinstance(listed, list) else listed.get("accessRules", listed.get("projects"))
        shown = rows[-1]["createdAt" if name == "creationTime" else name]
        for operator, contains in (("==", True), ("<=", True), (">=", True), ("!=", False)):
            asked = {"filterBy": f"{name}{operator}{shown}", "limit": 500}
            found = client.get(f"{API}/{path}", query_string=asked, headers=admin).json
            found = found if isinstance(found, list) else found.get("accessRules", found.get("projects"))
            assert (rows[-1]["id"] in {row["id"] for row in found}) is contains, (path, operator)


def test_holders_of_one_number_are_not_taken_for_each_other(client: FlaskClient, make: Factory, admin: dict[str, str]) -> None:
    """A user and an application can have the same row number."""
    ann = make.user("ann@example.test", roles=("viewer",))
    make.application("bot", roles=("viewer",))

    def align(realm: Realm) -> None:
        user = users.get_user(realm, ann)
        bot = applications.holder_of(applications.get_application(realm, "bot"))
        twin = Holder(HolderKind.APPLICATION, user.id, "twin", "twin")
        grant: Grant = access.list_grants(realm, holder=bot)[0]
        grant.holder_id, grant.holder_name = twin.id, twin.name

    make.do(align)
    for asked in ("subjectIds=ann@example.test", f"subjectIds={ann}", f"filterBy=subjectId=={ann}"):
        listed = client.get(f"{RULES}?{asked}", headers=admin).json["accessRules"]
        assert [rule["subjectType"] for rule in listed] == ["user"], asked


def test_own_rules_come_in_pages_and_by_search(client: FlaskClient, make: Factory) -> None:
    make.user("ann@example.test", roles=("viewer", "auditor"), projects=(("vision", "researcher"),))
    make.user("bob@example.test", roles=("viewer",))
    ann = session_of(client)
    for asked, wanted in (
        ("", ["viewer", "auditor", "researcher"]),
        ("limit=1", ["viewer"]),
        ("limit=2&offset=1", ["auditor", "researcher"]),
        ("search=vision", ["researcher"]),
        ("search=AUDIT", ["auditor"]),
        ("search=bob", []),
    ):
        answer = client.get(f"{API}/authorization/me/access-rules?{asked}", headers=ann).json["accessRules"]
        assert [rule["roleName"] for rule in answer["accessRules"]] == wanted, asked
        assert answer["displayRecords"] == len(wanted)
        if "limit" not in asked:
            counted = client.get(f"{API}/authorization/me/access-rules/count?{asked}", headers=ann).json
            assert counted == {"count": len(wanted)} == {"count": answer["totalRecords"]}


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("search=ANN", {"ann"}),
        ("filterBy=username=@bob", {"bob"}),
        ("filter=username==bob@example.test", {"bob"}),
        ("filterBy=isLocal==false", set()),
        ("filterBy=isLocal==true,username=^ann", {"ann"}),
        ("filterBy=lastLogin>=2000-01-01", {"ann"}),
        ("filterBy=createdBy==admin@example.test", {"made"}),
        ("filterBy=lastUpdated<=2000-01-01", set()),
        ("search=nobody", set()),
        ("filterBy=type==local", set()),
    ],
)
def test_users(client: FlaskClient, make: Factory, admin: dict[str, str], asked: str, names: set[str]) -> None:
    make.user("ann@example.test")
    make.user("bob@example.test")
    session_of(client, "ann@example.test")
    made = client.post(f"{API}/users", json={"email": "made@example.test"}, headers=admin)
    assert (made.json["createdBy"], made.json["tempPassword"]) == ("admin@example.test", "")
    listed = client.get(f"{API}/users?{asked}", headers=admin).json
    # the administrator has signed in too
    found = {user["username"].partition("@")[0] for user in listed} - {"admin"}
    assert found == names
    if not asked.startswith("filter="):
        assert client.get(f"{API}/users/count?{asked}", headers=admin).json == {"count": len(listed)}


def test_projects(client: FlaskClient, admin: dict[str, str]) -> None:
    made = client.post(f"{API}/org-unit/projects", json={"name": "dev", "description": "Of the Crew."}, headers=admin).json
    assert made["createdBy"] == "admin@example.test"
    every = client.get(f"{API}/org-unit/projects/count", headers=admin).json["count"]
    for asked, count in (
        ("filterBy=name==dev", 1),
        ("search=crew", 1),
        ("search=nothing", 0),
        (f"filterBy=clusterId=={made['clusterId']}", every),
        ("filterBy=clusterId==7d3a5b8e-3ee7-4d8f-8d41-9b7de1a0a6cf", 0),
        ("filterBy=phase==Ready", every),
        ("filterBy=phase!=Ready", 0),
        ("filterBy=gpuAllocated>=0", 0),
        ("filterBy=parentId==1", 0),
        ("filterBy=createdBy==admin@example.test", 1),
    ):
        assert client.get(f"{API}/org-unit/projects/count?{asked}", headers=admin).json == {"count": count}, asked
        assert len(client.get(f"{API}/org-unit/projects?{asked}", headers=admin).json["projects"]) == count, asked


def test_access_keys_by_who_made_them(client: FlaskClient, make: Factory, admin: dict[str, str]) -> None:
    make.user("ann@example.test")
    ann = session_of(client, "ann@example.test")
    by_ann = client.post(f"{API}/access-keys", json={"name": "laptop"}, headers=ann).json["id"]
    by_admin = client.post(f"{API}/access-keys", json={"name": "laptop"}, headers=admin).json["id"]
    for path, member in (("administration/access-keys", "accessKeys"), ("administration/user-applications", "")):
        for asked, wanted in (
            ("createdBy=ann@example.test", {by_ann}),
            ("createdBy=admin@example.test", {by_admin}),
            ("createdBy=nobody", set()),
            ("createdBy=", set()),
            (f"clientId={by_ann}", {by_ann}),
            (f"clientId={by_ann}&createdBy=admin@example.test", set()),
        ):
            answer = client.get(f"{API}/{path}?{asked}", headers=admin).json
            assert {key["id"] for key in (answer[member] if member else answer)} == wanted, asked
    assert client.get(f"{API}/access-keys?createdBy=ann@example.test", headers=ann).status_code == 400
