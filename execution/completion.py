"""Completion of a column of resolved values, as graphql-core's complete_value does it one by one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from graphql.pyutils import Undefined

from .kinds import AWAITABLE, FAILED, NULL, kinds_of, types_of
from .positions import ChosenPositions, Positions

if TYPE_CHECKING:
    from .plan import Field
    from .run import Run

__all__ = ["Value"]


class Value(ABC):
    """The type of a field or of a list's items, compiled."""

    __slots__ = ("field", "nullable")

    def __init__(self, field: Field, nullable: bool) -> None:
        self.field = field
        self.nullable = nullable

    def complete(self, run: Run, at: Positions, values: list[Any], types: set[type] | None = None) -> list[Any]:
        """Complete what resolvers returned: nulls, exceptions and awaitables are set apart first."""
        if not values:
            return []
        types = types_of(values) if types is None else types
        kinds = kinds_of(types)
        if kinds & (NULL | FAILED | AWAITABLE):
            return self._set_apart(run, at, values, run.executor.is_awaitable if kinds & AWAITABLE else None)
        return self.fill(run, at, values, types)

    def settle(self, run: Run, at: Positions, values: list[Any]) -> list[Any]:
        """Complete what was awaited: as in graphql-core, an awaitable that yields an awaitable is not awaited again."""
        types = types_of(values)
        if kinds_of(types) & (NULL | FAILED):
            return self._set_apart(run, at, values, None)
        return self.fill(run, at, values, types)

    def once(self, run: Run, at: Positions, values: list[Any]) -> list[Any] | None:  # noqa: ARG002
        """Complete values that stand in many places of the answer, or return None if their places make a difference."""
        return None

    def _set_apart(
        self, run: Run, at: Positions, values: list[Any], is_awaitable: Callable[[Any], bool] | None
    ) -> list[Any]:
        completed: list[Any] = [None] * len(values)
        present: list[int] = []
        for number, value in enumerate(values):
            if value is None or value is Undefined:
                if not self.nullable:
                    run.fail(at, number, self._null_error())
            elif is_awaitable is not None and is_awaitable(value):
                run.wait(at, number, value, self.settle)
            elif isinstance(value, Exception):
                run.fail(at, number, value)
            else:
                present.append(number)
        if present:
            chosen = [values[number] for number in present]
            filled = self.fill(run, ChosenPositions(at, present), chosen, types_of(chosen))
            for number, value in zip(present, filled, strict=True):
                completed[number] = value
        return completed

    def _null_error(self) -> TypeError:
        field = self.field
        return TypeError(f"Cannot return null for non-nullable field {field.parent_type.name}.{field.name}.")

    @abstractmethod
    def fill(self, run: Run, at: Positions, values: list[Any], types: set[type]) -> list[Any]:
        """Complete values that are neither null nor failed nor to be awaited."""
