"""docs/specifications.md is what the marks say, and every rule it calls done has a proof."""

from tests.serving import PROJECT
from tests.specifications import RULES, page, proofs


def test_page_is_current() -> None:
    assert (PROJECT / "docs" / "specifications.md").read_text() == page(), "run `make docs`"


def test_every_rule_called_done_is_proved_and_every_mark_is_explained() -> None:
    found = proofs()
    assert [rule for rule in RULES if not found.get(rule)] == []
    assert [rule for rule in found if rule.startswith("R") and rule not in RULES] == []
