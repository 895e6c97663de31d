"""What a PATCH changes. `null` means the same for every resource: it empties a member that can be empty (RFC 7396)."""

from collections.abc import Mapping
from typing import Any

from idp.api.schemas import Schema
from idp.errors import InvalidValueError


def changed_fields(spec: Schema, names: Mapping[str, str], empty: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields to change, with their values; what is left out keeps its value.

    :param names: members of the `spec` by the domain's names of them.
    :param empty: what null stands for, by the domain's names; a field that is missing has no empty.
    :raises InvalidValueError: null for what cannot be empty.
    """
    given = {field: getattr(spec, member) for field, member in names.items() if member in spec.model_fields_set}
    if never := [names[field] for field, value in given.items() if value is None and field not in empty]:
        raise InvalidValueError(f"{' and '.join(never)} cannot be null. Leave out what should not change.")
    return {field: empty[field] if value is None else value for field, value in given.items()}
