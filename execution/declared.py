"""Sources that a resolver declares: values loaded by key, and guards that are asked once for all rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from graphql import default_field_resolver
from graphql.pyutils import is_awaitable

from .column import collect
from .declare import Loader, LoaderDeclaration, OnceGuard, Read, read_from
from .kinds import FAILED, MAPPING, NULL, kinds_of, types_of
from .positions import ChosenPositions, FieldPositions
from .sources import Call, Source

if TYPE_CHECKING:
    from asyncio import Future

    from .run import Run

__all__ = ["Guarded", "Loaded", "declared_source"]


Prepare = Callable[[FieldPositions, dict[str, Any]], tuple[Any, dict[str, Any]]]
"""Returns the info and the arguments for a call that serves all rows."""


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
        if values.count(_LATER) == len(values):
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
        rows: Sequence[int] = range(len(sources))
        if self.declaration.given is not None:
            values = self._read(at, sources, self.declaration.given)
            if values.count(None) != len(values):
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
        rows: Sequence[int],
    ) -> None:
        try:
            info, arguments = self.prepare(at, arguments)
            loader: Loader = self.declaration.loader(info, **arguments)
            distinct: dict[Any, Any] = {}
            keys = list(map(distinct.setdefault, keys, keys))  # equal keys become one object, found later at a glance
            load_all = getattr(loader, "load_all", None)  # of LoadsAll; to ask a protocol takes ten microseconds
            if load_all is not None:
                run.wait_for_batch(at, rows, keys, list(distinct), load_all(list(distinct)))
                _mark_later(values, rows)
                return
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
        _mark_later(values, rows)
        if rows:
            run.wait_for_keys(at, rows, keys, futures, at.field.value.settle)

    @staticmethod
    def _without(
        loader: Loader, other: dict[Any, Any], values: list[Any], keys: list[Any], rows: Sequence[int]
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


def _mark_later(values: list[Any], rows: Sequence[int]) -> None:
    if len(rows) == len(values):
        values[:] = [_LATER] * len(values)
        return
    for number in rows:
        values[number] = _LATER


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
