"""Filters and orders of the foreign contracts on PostgreSQL, whose expressions differ from SQLite's."""

from tests.compat.walk import Contract, Walk
from tests.factories import Factory, session_of


def test_every_published_filter_and_order_works(pg_make: Factory) -> None:
    pg_make.user("admin@example.test", roles=("administrator",))
    client = pg_make.app.test_client()
    walk = Walk(client, Contract.load("ionos"), session_of(client, "admin@example.test"))
    walk.take("um_groups_post", body={"properties": {"name": "Group Example {n}"}}, keep={"group": "id"})
    walk.take("um_users_post", body={"properties": {"email": "new-{n}@example.test"}}, keep={"user": "id"})
    walk.take("um_groups_users_post", path={"groupId": "$group"}, body={"id": "$user"})
    walk.take("um_users_get")
    walk.take("um_groups_get")
    walk.take("um_groups_users_get", path={"groupId": "$group"})
    walk.take("um_users_groups_get", path={"userId": "$user"})
    walk.contract = Contract.load("rafay")
    for listed in ("list_users", "list_groups", "list_projects", "list_roles", "list_audit"):
        walk.take(listed)
    assert {name: each for name, each in walk.findings.items() if each} == {}
    dated = client.get("/cloudapi/v6/um/users?filter.lastLogin=2026-03-01&orderBy=lastLogin", headers=walk.headers)
    assert (dated.status_code, dated.json["items"]) == (200, [])
