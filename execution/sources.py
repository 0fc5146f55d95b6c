"""Where the values of a field come from: attributes, resolvers, loaders; each read for a whole list of parents."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from graphql import default_field_resolver
from graphql.pyutils import is_awaitable

from .column import collect
from .declare import Loader, LoaderDeclaration, OnceGuard, Read, read_from
from .kinds import CALLABLE, FAILED, MAPPING, NULL, PLAIN, kinds_of, types_of
from .positions import ChosenPositions, FieldPositions

if TYPE_CHECKING:
    from asyncio import Future

    from .run import Run

__all__ = ["Attribute", "Call", "Guarded", "Loaded", "Mapped", "Source", "TypeName", "declared_source"]


Prepare = Callable[[FieldPositions, dict[str, Any]], tuple[Any, dict[str, Any]]]
"""Returns the info and the arguments for a call that serves all rows."""


class Source(ABC):
    """How a field's values are obtained."""

    __slots__ = ()

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


class TypeName(Source):
    """The meta field __typename."""

    __slots__ = ()

    def values(self, run: Run, at: FieldPositions, arguments: dict[str, Any]) -> tuple[list[Any], set[type] | None]:  # noqa: ARG002
        return [at.field.parent_type.name] * len(at.frame.sources), {str}


class Attribute(Source):
    """What graphql-core's default resolver does: a key of a mapping or an attribute, called if it can be called."""

    __slots__ = ("getter", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.getter = attrgetter(name)

    def values(self, run: Run, at: FieldPositions, arguments: dict[str, Any]) -> tuple[list[Any], set[type] | None]:
        if run.executor.field_resolver is not default_field_resolver:
            return Call(run.executor.field_resolver).values(run, at, arguments)
        frame = at.frame
        name = self.name
        if frame.source_types == {dict}:
            values = [source.get(name) for source in frame.sources]
        elif kinds_of(frame.source_types) & MAPPING:
            values = collect(self._read, frame.sources)
        else:
            values = collect(self.getter, frame.sources, missing_is_null=True)
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

    def _read(self, source: Any) -> Any:
        if isinstance(source, Mapping):
            return source.get(self.name)
        return getattr(source, self.name, None)


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


class Loaded(Source):
    """A declared loader field: the distinct keys of all rows are loaded together and awaited by one future."""

    __slots__ = ("declaration", "prepare")

    def __init__(self, declaration: LoaderDeclaration, prepare: Prepare) -> None:
        self.declaration = declaration
        self.prepare = prepare

    def column(self, run: Run, at: FieldPositions) -> list[Any]:
        try:
            arguments = at.field.arguments(run)
        except Exception as error:
            return at.field.value.complete(run, at, [error] * len(at.frame.sources))
        values, _ = self.values(run, at, arguments)
        completed: list[Any] = [None] * len(values)
        if all(value is _LATER for value in values):
            return completed
        ready = [number for number, value in enumerate(values) if value is not _LATER]
        done = at.field.value.complete(run, ChosenPositions(at, ready), [values[number] for number in ready])
        for number, value in zip(ready, done, strict=True):
            completed[number] = value
        return completed

    def values(self, run: Run, at: FieldPositions, arguments: dict[str, Any]) -> tuple[list[Any], set[type] | None]:
        """Return all but what is loaded; those rows are left to wait and marked by _LATER."""
        sources = at.frame.sources
        values: list[Any] = [None] * len(sources)
        rows = list(range(len(sources)))
        if self.declaration.given is not None:
            values = self._read(at, sources, self.declaration.given)
            rows = [number for number in rows if values[number] is None]
            sources = [sources[number] for number in rows]
        if rows:
            keys = self._read(at, sources, self.declaration.key)
            if kinds_of(types_of(keys)) & (NULL | FAILED):
                for number, key in zip(rows, keys, strict=True):
                    values[number] = key if isinstance(key, Exception) else None
                wanted = [place for place, key in enumerate(keys) if key is not None and not isinstance(key, Exception)]
                rows = [rows[place] for place in wanted]
                keys = [keys[place] for place in wanted]
            if rows:
                self._load(run, at, arguments, values, keys, rows)
        return values, None

    @staticmethod
    def _read(at: FieldPositions, sources: list[Any], read: Read) -> list[Any]:
        if isinstance(read, str) and not kinds_of(at.frame.source_types) & MAPPING:
            return collect(attrgetter(read), sources)
        return collect(lambda source: read_from(source, read), sources)

    def _load(
        self,
        run: Run,
        at: FieldPositions,
        arguments: dict[str, Any],
        values: list[Any],
        keys: list[Any],
        rows: list[int],
    ) -> None:
        try:
            info, arguments = self.prepare(at, arguments)
            loader: Loader = self.declaration.loader(info, **arguments)
            distinct = dict.fromkeys(keys)
        except Exception as error:
            for number in rows:
                values[number] = error
            return
        futures: dict[Any, Future[Any]] = {}
        failed: dict[Any, Any] = {}
        for key in distinct:
            try:
                loaded = loader.load(key)
            except Exception as error:
                failed[key] = error
                continue
            if run.is_future(loaded):
                futures[key] = loaded
            else:
                failed[key] = loaded  # a loader that answers at once or by a coroutine: awaited row by row
        if failed:
            rows, keys = self._without(loader, failed, values, keys, rows)
        for number in rows:
            values[number] = _LATER
        if rows:
            run.wait_for_keys(at, rows, keys, futures, at.field.value.settle)

    @staticmethod
    def _without(
        loader: Loader, other: dict[Any, Any], values: list[Any], keys: list[Any], rows: list[int]
    ) -> tuple[list[int], list[Any]]:
        used: set[Any] = set()
        for number, key in zip(rows, keys, strict=True):
            if key in other:
                value = other[key]
                if key in used and hasattr(value, "__await__"):  # a coroutine serves one row only
                    value = loader.load(key)
                used.add(key)
                values[number] = value
        kept = [(number, key) for number, key in zip(rows, keys, strict=True) if key not in other]
        return [number for number, _ in kept], [key for _, key in kept]


class _Later:
    """Marks a row whose value is being loaded."""


_LATER = _Later()


class Guarded(Source):
    """A field whose guard depends on the caller alone: it is asked once, then the rows are resolved without it."""

    __slots__ = ("applies", "guard", "info_of", "inner", "level")

    def __init__(
        self,
        guard: OnceGuard,
        inner: Source,
        info_of: Callable[[FieldPositions], Any],
        applies: Callable[[Any], bool] | None = None,
    ) -> None:
        self.guard = guard
        self.applies = applies
        self.inner = inner
        self.info_of = info_of
        self.level: int = inner.level + 1 if isinstance(inner, Guarded) else 0

    def values(self, run: Run, at: FieldPositions, arguments: dict[str, Any]) -> tuple[list[Any], set[type] | None]:
        return self.inner.values(run, at, arguments)

    def column(self, run: Run, at: FieldPositions) -> list[Any]:
        if at.field.has_arguments:
            try:  # as in graphql-core, arguments that cannot be coerced come before the guard
                at.field.arguments(run)
            except Exception as error:
                return at.field.value.complete(run, at, [error] * len(at.frame.sources))
        if self.applies is not None and not self.applies(self.info_of(at)):
            return Call(at.field.definition.resolve or default_field_resolver).column(run, at)
        # Each of a field's guards decides for itself.
        decision = run.decision((id(at.field.definition), self.level), lambda: self.guard(self.info_of(at)))
        count = len(at.frame.sources)
        if is_awaitable(decision):
            run.wait_for_column(at, decision, self._decided)
            return [None] * count
        return self._decided(run, at, decision)

    def _decided(self, run: Run, at: FieldPositions, decision: Any) -> list[Any]:
        if decision is None:
            return self.inner.column(run, at)
        value = decision if isinstance(decision, Exception) else decision.value
        return at.field.value.complete(run, at, [value] * len(at.frame.sources))


def declared_source(resolve: Callable[..., Any], prepare: Prepare) -> Source | None:
    """Return the source that a resolver made by this package stands for."""
    declaration = getattr(resolve, "__loader__", None)
    if isinstance(declaration, LoaderDeclaration):
        return Loaded(declaration, prepare)
    guard = getattr(resolve, "__execution_once__", None)
    inner = getattr(resolve, "__wrapped__", None)
    if callable(guard) and callable(inner):
        return Guarded(guard, declared_source(inner, prepare) or Call(inner), lambda at: prepare(at, {})[0])
    return None
