"""Lines of rules: what holds, and what somebody who may choose a part of a claim cannot have hold."""

from typing import Any

import pytest

from idp.federation.conditions import Line, check_lines, matches, values_at


@pytest.mark.parametrize(
    ("wanted", "found", "holds"),
    [
        ("main", "main", True),
        ("main", "Main", False),
        ("main", "main ", False),
        ("refs/heads/*", "refs/heads/main", True),
        ("refs/heads/*", "refs/heads/", False),
        ("refs/heads/*", "refs/heads/a/b", False),
        ("refs/heads/*/*", "refs/heads/a/b", True),
        ("refs/heads/release-*", "refs/heads/release-1.2", True),
        ("refs/heads/release-*", "refs/heads/release-1/2", False),
        ("repo:acme/*:ref:refs/heads/main", "repo:acme/app:ref:refs/heads/main", True),
        ("repo:acme/*:ref:refs/heads/main", "repo:acme/app:pull_request:ref:refs/heads/main", False),
        ("repo:acme/*:ref:refs/heads/main", "repo:acme/a/b:ref:refs/heads/main", False),
        ("repo:acme/*:ref:refs/heads/main", "repo:acme:app:ref:refs/heads/main", False),
        ("repo:acme/*:ref:refs/heads/main", "repo:acme-evil/app:ref:refs/heads/main", False),
        ("repo:acme*/app", "repo:acme-evil/app", True),  # what was asked for
        ("a*b*c", "aXbYc", True),
        ("a*b*c", "abc", True),
        ("a*b*c", "acb", False),
        ("ab*ba", "aba", False),
        ("*a*", "bab", True),
        ("a.c", "abc", False),
        ("a[bc]", "ab", False),
        ("spiffe://acme.example/ci/*", "spiffe://acme.example/ci/builder", True),
        ("spiffe://acme.example/ci/*", "spiffe://acme.example.evil/ci/builder", False),
    ],
)
def test_a_star_stands_for_what_is_within_one_component(wanted: str, found: str, holds: bool) -> None:
    assert matches(wanted, found) is holds


def test_a_long_text_and_many_stars_take_no_time() -> None:
    assert not matches("*a" * 200 + "b", "a" * 499)
    assert not matches("*", "a" * 501)


CLAIMS: dict[str, Any] = {
    "sub": "s",
    "kubernetes.io": {"namespace": "ci", "serviceaccount": {"uid": "u-1"}},
    "kubernetes": {"io": {"namespace": "not this one"}},
    "https://sts.amazonaws.com/": {"aws_account": "1234"},
    "google": {"compute_engine": {"project_number": 42}},
    "groups": ["a", "b", {"c": "d"}],
    "protected": True,
    "ratio": 1.5,
    "nothing": None,
    "a.b": "whole",
    "a": {"b": "nested"},
}


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("sub", ["s"]),
        ("kubernetes.io.namespace", ["ci"]),
        ("kubernetes.io.serviceaccount.uid", ["u-1"]),
        ("https://sts.amazonaws.com/.aws_account", ["1234"]),
        ("google.compute_engine.project_number", ["42"]),
        ("groups", ["a", "b"]),
        ("protected", ["true"]),
        ("ratio", []),
        ("nothing", []),
        ("google", []),
        ("a.b", ["whole"]),
        ("sub.x", []),
        (".sub", []),
        ("missing", []),
    ],
)
def test_a_claim_is_found_by_its_path(path: str, values: list[str]) -> None:
    assert values_at(CLAIMS, path) == values


def test_of_a_list_one_member_is_enough_and_only_the_first_ones_are_looked_at() -> None:
    assert Line("groups", "b").holds({"groups": ["a", "b"]})
    assert not Line("groups", "b").holds({"groups": ["x"] * 50 + ["b"]})
    assert not Line("groups", "a,b").holds({"groups": ["a", "b"]})


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [{"claim": "", "value": "x"}],
        [{"claim": "x", "value": ""}],
        [{"claim": "x", "value": "*"}],
        [{"claim": "x", "value": "*/*:*"}],
        [{"claim": "x", "value": "a\nb"}],
        [{"claim": "x" * 201, "value": "a"}],
        [{"claim": "x", "value": "a" * 501}],
        [{"claim": "x", "value": "a"}] * 2,
        [{"claim": f"c{number}", "value": "a"} for number in range(21)],
    ],
)
def test_lines_that_could_not_be_compared_or_would_hold_for_anything_are_refused(lines: list[dict[str, str]]) -> None:
    with pytest.raises(ValueError, match=r"[Ll]ine"):
        check_lines(lines)
