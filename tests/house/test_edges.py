"""That the check of the edges finds what it is for."""

import pytest

from tests.house.edges import ROOT, find_all, find_decisions, find_in_template


def test_no_edge_decides_who_may_do_what() -> None:
    assert find_all() == []


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('authority.require("users:write")', "require"),
        ('authority.can("users:write")', "can"),
        ('caller.may("users:write")', "may"),
        ("access.covers(a, b)", "covers"),
        ("caller.held_roles", "held_roles"),
        ('check(authority, "users:write")', "users:write"),
        ('x = "users:write" in role.permissions', "users:write"),
    ],
)
def test_a_decision_in_an_edge_is_found(line: str, what: str) -> None:
    found = list(find_decisions(ROOT / "idp/api/planted.py", f"def view(authority, caller):\n    {line}\n"))
    assert all(each.startswith("idp/api/planted.py:2: ") for each in found)
    assert any(what in each for each in found)


def test_what_a_page_offers_is_no_decision() -> None:
    assert list(find_decisions(ROOT / "idp/console/planted.py", 'new = visit.can("users:write")\n')) == []
    assert list(find_in_template(ROOT / "idp/console/templates/planted.html", '{% if visit.can("users:write") %}')) == []


def test_a_permission_in_a_template_is_found_where_it_decides() -> None:
    planted = ROOT / "idp/console/templates/planted.html"
    assert len(list(find_in_template(planted, '{% if "users:write" in permissions %}'))) == 1
