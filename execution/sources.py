"""Where the values of a field come from: attributes and resolvers; each read for a whole list of parents."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from graphql import default_field_resolver

from .column import collect
from .kinds import AWAITABLE, CALLABLE, MAPPING, PLAIN, kinds_of, types_of
from .positions import FieldPositions

if TYPE_CHECKING:
    from .run import Run

__all__ = ["Attribute", "Call", "Mapped", "Source", "TypeName", "settle_unused"]


class Source(ABC):
    """How a field's values are obtained."""

    __slots__ = ()

    attribute: str | None = None
    """Name of the attribute of the parent whose value, if it is a text or a bool or null, is the field's."""

    def column(self, run: Run, at: FieldPositions) -> list[Any]:
        """Return the completed values of the field for all rows."""
        try:
            arguments = at.field.arguments(run)
        except Exception as error:
            return at.field.value.complete(run, at, [error] * len(at.frame.sources))
        values, types = self.values(run, at, arguments)
        return at.field.value.complete(run, at, values, types)

    @abstractmethod
    def values(self, run: Run, at: FieldPositions, arguments: dict[str, Any]) -> tuple[list[Any], set[type] | None]:
        """Return the resolved values, exceptions in the place of failures, and their types if they are known."""

    def plain_values(self, run: Run, at: FieldPositions) -> tuple[list[Any], set[type]] | None:  # noqa: ARG002
        """Return values that depend on the sources alone and are of plain types, or None if they may not be such."""
        return None


def settle_unused(run: Run, values: list[Any], types: set[type]) -> None:
    """Let awaitables run to their end that were read in vain and will be read again."""
    if kinds_of(types) & AWAITABLE:
        run.settle([value for value in values if run.executor.is_awaitable(value)])


class TypeName(Source):
    """The meta field __typename."""

    __slots__ = ()

    def values(self, run: Run, at: FieldPositions, arguments: dict[str, Any]) -> tuple[list[Any], set[type] | None]:  # noqa: ARG002
        return [at.field.parent_type.name] * len(at.frame.sources), {str}

    def plain_values(self, run: Run, at: FieldPositions) -> tuple[list[Any], set[type]]:  # noqa: ARG002
        return [at.field.parent_type.name] * len(at.frame.sources), {str}


class Attribute(Source):
    """What graphql-core's default resolver does: a key of a mapping or an attribute, called if it can be called."""

    __slots__ = ("attribute", "getter")

    def __init__(self, name: str) -> None:
        self.attribute: str = name
        self.getter = attrgetter(name)

    def values(self, run: Run, at: FieldPositions, arguments: dict[str, Any]) -> tuple[list[Any], set[type] | None]:
        if run.executor.field_resolver is not default_field_resolver:
            return Call(run.executor.field_resolver).values(run, at, arguments)
        values = self._column(at)
        types = types_of(values)
        if types <= PLAIN:
            return values, types
        if kinds_of(types) & CALLABLE:
            for number, value in enumerate(values):
                if callable(value):
                    try:
                        values[number] = value(at.info(number), **arguments)
                    except Exception as error:
                        values[number] = error
        return values, None

    def plain_values(self, run: Run, at: FieldPositions) -> tuple[list[Any], set[type]] | None:
        if run.executor.field_resolver is not default_field_resolver:
            return None
        values = self._column(at)
        types = types_of(values)
        if types <= PLAIN:
            return values, types
        settle_unused(run, values, types)
        return None

    def _column(self, at: FieldPositions) -> list[Any]:
        frame = at.frame
        name = self.attribute
        if frame.source_types == {dict}:
            return [source.get(name) for source in frame.sources]
        if kinds_of(frame.source_types) & MAPPING:
            return collect(self._read, frame.sources)
        return collect(self.getter, frame.sources, missing_is_null=True)

    def _read(self, source: Any) -> Any:
        if isinstance(source, Mapping):
            return source.get(self.attribute)
        return getattr(source, self.attribute, None)


class Call(Source):
    """An ordinary resolver, called with (source, info, **arguments) for each row."""

    __slots__ = ("resolve",)

    def __init__(self, resolve: Callable[..., Any]) -> None:
        self.resolve = resolve

    def values(self, run: Run, at: FieldPositions, arguments: dict[str, Any]) -> tuple[list[Any], set[type] | None]:  # noqa: ARG002
        values: list[Any] = []
        for number, source in enumerate(at.frame.sources):
            try:
                values.append(self.resolve(source, at.info(number), **arguments))
            except Exception as error:
                values.append(error)
        return values, None


class Mapped(Source):
    """A resolver that needs nothing but the source: no resolve info is built."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def values(self, run: Run, at: FieldPositions, arguments: dict[str, Any]) -> tuple[list[Any], set[type] | None]:  # noqa: ARG002
        return collect(self.function, at.frame.sources), None
