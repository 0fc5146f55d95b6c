"""Scalars and enums: columns of the right type pass as they are, others go through the serialiser in one map."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLLeafType,
    GraphQLString,
)
from graphql.pyutils import Undefined, inspect
from graphql.type.scalars import (
    GRAPHQL_MAX_INT,
    GRAPHQL_MIN_INT,
    serialize_boolean,
    serialize_float,
    serialize_id,
    serialize_int,
    serialize_string,
)

from .completion import Value
from .kinds import NoneType, types_of
from .positions import Positions

if TYPE_CHECKING:
    from .plan import Field
    from .run import Run

__all__ = ["Leaf"]

# What the built-in scalars return as it is. A schema may replace a scalar's function, so it is compared at run time.
_UNCHANGED: dict[GraphQLLeafType, tuple[type, Any]] = {
    GraphQLString: (str, serialize_string),
    GraphQLID: (str, serialize_id),
    GraphQLBoolean: (bool, serialize_boolean),
    GraphQLInt: (int, serialize_int),
    GraphQLFloat: (float, serialize_float),
}


class Leaf(Value):
    """A scalar or an enum."""

    __slots__ = ("serialiser", "type", "unchanged", "unchanged_types")

    def __init__(self, field: Field, nullable: bool, type_: GraphQLLeafType) -> None:
        super().__init__(field, nullable)
        self.type = type_
        known = _UNCHANGED.get(type_)
        if known is None and _passes_text(type_.coerce_output_value):
            known = (str, type_.coerce_output_value)
        self.unchanged: type | None = known and known[0]
        self.serialiser: Any = known and known[1]
        self.unchanged_types = {self.unchanged, NoneType} if nullable else {self.unchanged}

    def passes(self, types: frozenset[type]) -> bool:
        """Tell whether values of these types are the answer as they are, whatever they are."""
        return (self.unchanged is str or self.unchanged is bool) and types <= self.unchanged_types

    def complete(self, run: Run, at: Positions, values: list[Any], types: set[type] | None = None) -> list[Any]:
        types = types_of(values) if types is None else types
        if types <= self.unchanged_types and self._is_unchanged(values, types):
            return values
        return super().complete(run, at, values, types)

    def _is_unchanged(self, values: list[Any], types: set[type]) -> bool:
        if self.type.coerce_output_value is not self.serialiser:
            return False
        if self.unchanged is str or self.unchanged is bool:
            return True
        numbers = [value for value in values if value is not None] if len(types) > 1 else values
        if types == {NoneType} or not numbers:
            return True
        if self.unchanged is int:
            return bool(min(numbers) >= GRAPHQL_MIN_INT and max(numbers) <= GRAPHQL_MAX_INT)
        # A sum is finite only if all its terms are; one that overflows merely takes the longer way.
        return isfinite(sum(numbers))

    def fill(self, run: Run, at: Positions, values: list[Any], types: set[type]) -> list[Any]:
        if types == {self.unchanged} and self._is_unchanged(values, types):
            return values
        if len(types) == 1 and isinstance(self.type, GraphQLEnumType):
            known = self._enum_names(values)
            if known is not None:
                return known
        completed: list[Any] = []
        remaining = map(self.type.coerce_output_value, values)
        count = len(values)
        while len(completed) < count:
            try:
                completed.extend(remaining)
                if len(completed) < count:  # extend took a StopIteration of the serialiser for the end
                    raise StopIteration
            except Exception as error:
                run.fail(at, len(completed), error)
                completed.append(_Failed)
        if not types_of(completed).isdisjoint(_NOTHING):
            self._refuse_nothing(run, at, values, completed)
        return completed

    def _enum_names(self, values: list[Any]) -> list[Any] | None:
        """Serialise each distinct member once; None sends the column the ordinary way."""
        try:
            names = {value: self.type.coerce_output_value(value) for value in set(values)}
        except Exception:
            return None
        if None in names.values() or Undefined in names.values():
            return None
        return [names[value] for value in values]

    def _refuse_nothing(self, run: Run, at: Positions, values: list[Any], completed: list[Any]) -> None:
        for number, value in enumerate(completed):
            if value is _Failed:
                completed[number] = None
            elif value is None or value is Undefined:
                completed[number] = None
                called = f"{inspect(self.type)}.coerce_output_value({inspect(values[number])})"
                message = f"Expected `{called}` to return non-nullable value, returned: {inspect(value)}"
                run.fail(at, number, TypeError(message))


def _passes_text(serialiser: Any) -> bool:
    return serialiser is str or getattr(serialiser, "__passes_text__", False)


class _Failed:
    """Stands for a value whose error was recorded already."""


_NOTHING = {NoneType, type(Undefined), type}
