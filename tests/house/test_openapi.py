"""That the description of the API says of each call what its function takes."""

from idp.api import ROUTES
from idp.api.openapi import describe
from idp.api.operations import shape_of


def test_calls_about_an_organisation_take_the_header_that_names_one() -> None:
    paths = describe(ROUTES, "https://idp.example")["paths"]
    described = {operation["operationId"]: operation for path in paths.values() for operation in path.values()}
    seen = 0
    for _, path, view in ROUTES:
        shape = shape_of(view)
        name = shape.name.replace(".", "_") + ("_of_teams" if path.startswith("/v1/teams") else "")
        headers = {each["name"] for each in described[name]["parameters"] if each["in"] == "header"}
        assert ("X-Organization-Id" in headers) is ("authority" in shape.takes), name
        assert ("ProjectUid" in headers) is ("project" in shape.takes), name
        seen += "authority" in shape.takes
    assert seen > 50
