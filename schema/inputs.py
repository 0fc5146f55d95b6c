"""Reading inputs of updates: what was given, and null where nothing can be null."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import strawberry
from strawberry.utils.str_converters import to_camel_case

from server.errors import FieldError, invalid

T = TypeVar("T")


def flat(kind: type[T]) -> type[T]:
    """An input of scalars alone, of which one call may have hundreds: made of what was given, which is coerced already.

    Strawberry would work out the name and the type of each field anew for each of them.
    """
    definition: Any = vars(kind)["__strawberry_definition__"]
    names = {to_camel_case(field.python_name): field.python_name for field in definition.fields}
    definition.from_input = lambda made, value, _context: made(**{names[name]: each for name, each in value.items()})
    return kind


def given(
    input: Any, *, required: Sequence[str] = (), other: Sequence[str] = ("id", "expected_version")
) -> dict[str, Any]:
    """The fields of an update that were given, by column name, without `other`.

    Raises INVALID_INPUT for a null in one of the `required`, which can be changed but not cleared.
    """
    values = {name: value for name, value in vars(input).items() if value is not strawberry.UNSET and name not in other}
    nulls = [name for name in required if name in values and values[name] is None]
    if nulls:
        raise invalid(
            [
                FieldError((to_camel_case(name),), "NULL_NOT_ALLOWED", f"{to_camel_case(name)} cannot be cleared.")
                for name in nulls
            ]
        )
    return values
