"""The page of fields: as the sheets have them."""

import pytest

from idp.sheets import Sheet
from tests import field_table


def test_page_is_what_the_sheets_make() -> None:
    assert field_table.PAGE.read_text() == field_table.page(), "run make docs"


@pytest.mark.parametrize(("title", "sheet", "group"), field_table.SHEETS)
def test_every_field_has_a_label_a_wire_name_and_a_default(title: str, sheet: type[Sheet], group: str) -> None:
    for name, field in sheet.model_fields.items():
        assert field.title, f"{title}: {name} has no label"
        assert field.alias, f"{title}: {name} has no wire name"
        assert not field.is_required(), f"{title}: {name} has no default"
