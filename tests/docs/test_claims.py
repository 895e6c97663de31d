"""The list of claims: documented as it is, and complete."""

from idp.tokens import ADVERTISED_CLAIMS, INTROSPECTED_CLAIMS, USERINFO_CLAIMS, meaning_of
from idp.tokens.claim_list import BY_NAME, CLAIMS, FORMS
from tests import claim_table


def test_page_holds_the_table_that_the_list_makes() -> None:
    assert claim_table.PAGE.read_text() == claim_table.page(), "run make docs"


def test_every_claim_is_said_by_a_token_and_explained() -> None:
    said = {name for form in FORMS for name in form.names}
    assert said == BY_NAME.keys()
    assert {*INTROSPECTED_CLAIMS, *USERINFO_CLAIMS, *ADVERTISED_CLAIMS} <= said
    assert len(BY_NAME) == len(CLAIMS), "a claim is there twice"
    assert all(meaning_of(name) for name in said)
    assert meaning_of("no such claim") == ""
