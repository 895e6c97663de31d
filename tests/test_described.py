"""What fields are for is read from below them, when somebody asks."""

import sys
from typing import Annotated

import pytest
from pydantic import BaseModel, Field

from idp import described
from idp.api import ROUTES
from idp.api.operations import shape_of
from idp.described import Described


class Base(Described):
    of_base: int = 0
    """Of the base.

    In two paragraphs.
    """
    silent: int = 0


class Derived(Base):
    own: Annotated[int, Field(alias="itsOwn")] = 0
    """Its own."""
    stated: int = Field(default=0, description="Stated.")
    """Not this."""

    class Inner(Described):
        own: str = ""
        """Another."""


def test_a_field_is_described_by_what_stands_below_it_or_below_that_of_a_base() -> None:
    assert [Derived.description_of(name) for name in Derived.model_fields] == [
        "Of the base.\n\nIn two paragraphs.",
        "",
        "Its own.",
        "Stated.",
    ]
    assert Derived.Inner.description_of("own") == "Another."


def test_classes_of_functions_and_those_made_from_others_are_described() -> None:
    class Local(Described):
        here: int = 0
        """In a function."""

    class Made(Described):
        own: int = 0

    Made.described_by = Derived
    assert (Local.description_of("here"), Made.description_of("own")) == ("In a function.", "Its own.")


def test_schemas_have_the_descriptions() -> None:
    properties = Derived.model_json_schema()["properties"]
    assert {name: each.get("description") for name, each in properties.items()} == {
        "of_base": "Of the base.\n\nIn two paragraphs.",
        "silent": None,
        "itsOwn": "Its own.",
        "stated": "Stated.",
    }


def test_without_the_source_nothing_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    described._said_in.cache_clear()
    monkeypatch.setattr(sys.modules[__name__], "__file__", None)
    try:
        assert Derived.description_of("own") == ""
    finally:
        described._said_in.cache_clear()


def test_models_of_the_api_that_are_made_when_they_are_first_used_can_be_made() -> None:
    models = {each for _, _, view in ROUTES for each in (shape_of(view).body, shape_of(view).query) if each is not None}
    assert len(models) > 50
    for model in models:
        assert issubclass(model, BaseModel)
        model.model_rebuild()
        assert model.__pydantic_complete__, model
