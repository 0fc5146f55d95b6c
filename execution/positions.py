"""Where values sit in the answer: paths, order and nullability are worked out only when an error or a resolver asks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from graphql import GraphQLResolveInfo
from graphql.pyutils import Path

from .kinds import Promises, promises_of, types_of

if TYPE_CHECKING:
    from .plan import Field, Selection
    from .run import Run

__all__ = ["ChosenPositions", "FieldPositions", "Frame", "ItemPositions", "Order", "Positions"]

Order = tuple[float, ...]


class Frame:
    """A list of sibling objects of one type whose selection set runs together, and the rows that it builds."""

    __slots__ = ("_orders", "_paths", "positions", "promises", "rows", "run", "selection", "source_types", "sources")

    def __init__(
        self,
        run: Run,
        selection: Selection,
        positions: Positions | None,
        sources: list[Any],
        types: set[type] | None = None,
    ) -> None:
        self.run = run
        self.selection = selection
        self.positions = positions
        self.sources = sources
        self.source_types: set[type] = types_of(sources) if types is None else types
        self.promises: Promises | None = promises_of(self.source_types)
        self.rows: list[dict[str, Any]] = []
        self._paths: dict[int, Path] = {}
        self._orders: dict[int, Order] = {}

    def path(self, row: int) -> Path | None:
        if self.positions is None:
            return None
        path = self._paths.get(row)
        if path is None:
            path = self._paths[row] = self.positions.path(row)
        return path

    def order(self, row: int) -> Order:
        if self.positions is None:
            return ()
        order = self._orders.get(row)
        if order is None:
            order = self._orders[row] = self.positions.order(row)
        return order


class Positions(ABC):
    """An ordered list of places in the answer, addressed by number."""

    __slots__ = ()

    field: Field
    nullable: bool

    @abstractmethod
    def path(self, number: int) -> Path:
        """Return the response path of the position."""

    @abstractmethod
    def order(self, number: int) -> Order:
        """Return a key that sorts positions as a depth-first walk of the answer meets them."""

    @abstractmethod
    def enclosing(self, number: int) -> tuple[Positions, int] | None:
        """Return the position that this one lies in, or None below the root."""

    @abstractmethod
    def store(self, numbers: Sequence[int], values: list[Any]) -> None:
        """Put values that came late into the answer."""

    @abstractmethod
    def info(self, number: int) -> GraphQLResolveInfo[Any]:
        """Return the resolve info of the field that the position belongs to."""

    def null_path(self, number: int) -> Path | None:
        """Return the path that becomes null when this position fails; None is the whole answer."""
        place: tuple[Positions, int] | None = (self, number)
        while place is not None:
            at, number = place
            if at.nullable:
                return at.path(number)
            place = at.enclosing(number)
        return None


class FieldPositions(Positions):
    """One field of all the rows of a frame."""

    __slots__ = ("_infos", "field", "frame", "nullable")

    def __init__(self, frame: Frame, field: Field) -> None:
        self.frame = frame
        self.field = field
        self.nullable = field.value.nullable
        self._infos: dict[int, GraphQLResolveInfo[Any]] = {}

    def path(self, number: int) -> Path:
        return Path(self.frame.path(number), self.field.key, self.field.parent_type.name)

    def order(self, number: int) -> Order:
        return (*self.frame.order(number), self.field.index)

    def enclosing(self, number: int) -> tuple[Positions, int] | None:
        above = self.frame.positions
        return None if above is None else (above, number)

    def store(self, numbers: Sequence[int], values: list[Any]) -> None:
        key, rows = self.field.key, self.frame.rows
        chosen = rows if numbers == range(len(rows)) else map(rows.__getitem__, numbers)
        for row, value in zip(chosen, values, strict=True):
            row[key] = value

    def info(self, number: int) -> GraphQLResolveInfo[Any]:
        field = self.field
        if field.shares_info:
            number = 0
        info = self._infos.get(number)
        if info is None:
            info = self._infos[number] = self.frame.run.executor.build_resolve_info(
                field.definition, field.nodes, field.parent_type, self.path(number)
            )
        return info


class ItemPositions(Positions):
    """The items of many lists, laid end to end."""

    __slots__ = ("base", "field", "lists", "nullable", "starts")

    def __init__(self, base: Positions, starts: list[int], nullable: bool) -> None:
        self.base = base
        self.field = base.field
        self.starts = starts
        self.nullable = nullable
        self.lists: list[list[Any]] = []

    def _locate(self, number: int) -> tuple[int, int]:
        outer = bisect_right(self.starts, number) - 1
        return outer, number - self.starts[outer]

    def path(self, number: int) -> Path:
        outer, inner = self._locate(number)
        return Path(self.base.path(outer), inner, None)

    def order(self, number: int) -> Order:
        outer, inner = self._locate(number)
        return (*self.base.order(outer), inner)

    def enclosing(self, number: int) -> tuple[Positions, int] | None:
        return self.base, self._locate(number)[0]

    def store(self, numbers: Sequence[int], values: list[Any]) -> None:
        for number, value in zip(numbers, values, strict=True):
            outer, inner = self._locate(number)
            self.lists[outer][inner] = value

    def info(self, number: int) -> GraphQLResolveInfo[Any]:
        return self.base.info(self._locate(number)[0])


class ChosenPositions(Positions):
    """Some positions of a longer list: those of one runtime type, or those whose values arrived together."""

    __slots__ = ("base", "field", "nullable", "numbers")

    def __init__(self, base: Positions, numbers: list[int]) -> None:
        self.base = base
        self.field = base.field
        self.numbers = numbers
        self.nullable = False  # a walk for the position to null passes through to the base, which knows

    def path(self, number: int) -> Path:
        return self.base.path(self.numbers[number])

    def order(self, number: int) -> Order:
        return self.base.order(self.numbers[number])

    def enclosing(self, number: int) -> tuple[Positions, int] | None:
        return self.base, self.numbers[number]

    def store(self, numbers: Sequence[int], values: list[Any]) -> None:
        self.base.store([self.numbers[number] for number in numbers], values)

    def info(self, number: int) -> GraphQLResolveInfo[Any]:
        return self.base.info(self.numbers[number])
