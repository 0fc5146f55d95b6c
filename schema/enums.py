"""Shows the server's enums in the schema, with a description for each value."""

from __future__ import annotations

from enum import Enum
from typing import Any, TypeVar

import strawberry

E = TypeVar("E", bound=type[Enum])


def described(kind: E, description: str, values: dict[str, str], name: str | None = None) -> E:
    """`kind` as a GraphQL enum. Raises ValueError when a value has no description, or a description no value."""
    if values.keys() != kind.__members__.keys():
        raise ValueError(f"{kind.__name__}: describe exactly {sorted(kind.__members__)}")
    strawberry.enum(kind, name=name, description=description)
    definition: Any = kind.__strawberry_definition__  # type: ignore[attr-defined]
    for value in definition.values:
        value.description = values[value.name]
    return kind
