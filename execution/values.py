"""Lists, objects and abstract types: the values of a column are taken apart, run as one level and put together."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any

from graphql import (
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLIsTypeOfFn,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLUnionType,
)
from graphql.execution.executor import collect_iterator_awaitables, invalid_return_type_error
from graphql.pyutils import is_iterable

from .column import collect
from .completion import Value
from .kinds import AWAITABLE, FAILED, NULL, kinds_of, types_of
from .leaves import Leaf
from .positions import ChosenPositions, ItemPositions, Positions
from .strawberry_types import ignores_info

if TYPE_CHECKING:
    from .plan import Field
    from .run import Run

__all__ = ["value_of"]


class ListOf(Value):
    """A list; the items of all the lists of a column are completed together."""

    __slots__ = ("item", "type")

    def __init__(self, field: Field, nullable: bool, type_: GraphQLList[Any]) -> None:
        super().__init__(field, nullable)
        self.type = type_
        self.item = value_of(type_.of_type, field)

    def fill(self, run: Run, at: Positions, values: list[Any], types: set[type]) -> list[Any]:
        if types <= {list, tuple}:
            return self._items(run, at, values)
        completed: list[Any] = [None] * len(values)
        listed: list[int] = []
        lists: list[Any] = []
        broken: list[tuple[int, Exception]] = []
        for number, value in enumerate(values):
            if run.executor.is_async_iterable(value):
                on_graphql_core = run.on_graphql_core(self.type, at, number, value)
                run.wait(at, number, on_graphql_core, _as_it_is, abortable=False)
            elif is_iterable(value):
                items, failure = self._drained(run, value)
                listed.append(number)
                lists.append(items)
                if failure is not None:
                    broken.append((number, failure))
            else:
                run.fail(at, number, self._not_iterable())
        if listed:
            for number, done in zip(listed, self._items(run, ChosenPositions(at, listed), lists), strict=True):
                completed[number] = done
        for number, failure in broken:
            # The items that came before the iterator failed were completed for their errors, which come first.
            run.fail(at, number, failure, last=True)
            completed[number] = None
        return completed

    @staticmethod
    def _drained(run: Run, value: Any) -> tuple[list[Any], Exception | None]:
        """Return the items of an iterable and what broke it off, if anything did."""
        items: list[Any] = []
        try:
            iterator = iter(value)
        except Exception as error:
            return items, error
        try:
            items.extend(iterator)
        except Exception as error:
            # What it still holds is awaited by nobody, so it is settled in the background, as in graphql-core.
            run.settle(collect_iterator_awaitables(iterator, run.executor.is_awaitable))
            return items, error
        return items, None

    def _items(self, run: Run, at: Positions, lists: list[Any]) -> list[Any]:
        ends = list(accumulate(map(len, lists)))
        starts = [0, *ends[:-1]]
        items = ItemPositions(at, starts, self.item.nullable)
        flat = self.item.complete(run, items, list(chain.from_iterable(lists)))
        items.lists = [flat[start:end] for start, end in zip(starts, ends, strict=True)]
        return items.lists

    def _not_iterable(self) -> GraphQLError:
        field = self.field
        return GraphQLError(
            f"Expected Iterable, but did not find one for field '{field.parent_type.name}.{field.name}'."
        )


def _as_it_is(run: Run, at: Positions, values: list[Any]) -> list[Any]:
    for number, value in enumerate(values):
        if isinstance(value, Exception):
            run.fail(at, number, value)
    return [None if isinstance(value, Exception) else value for value in values]


def _answers(is_type_of: GraphQLIsTypeOfFn, at: Positions, values: list[Any]) -> list[Any]:
    """Ask whether the values are of a type; an exception stands in the place of its answer."""
    if ignores_info(is_type_of):
        return collect(partial(_without_info, is_type_of), values)
    answers: list[Any] = []
    for number, value in enumerate(values):
        try:
            answers.append(is_type_of(value, at.info(number)))
        except Exception as error:
            answers.append(error)
    return answers


def _without_info(is_type_of: Callable[..., Any], value: Any) -> Any:
    return is_type_of(value, None)


class Object(Value):
    """An object type; its selection set runs once for the whole column."""

    __slots__ = ("type",)

    def __init__(self, field: Field, nullable: bool, type_: GraphQLObjectType) -> None:
        super().__init__(field, nullable)
        self.type = type_

    def once(self, run: Run, at: Positions, values: list[Any]) -> list[Any] | None:
        if self.type.is_type_of is not None or kinds_of(types_of(values)) & (NULL | FAILED | AWAITABLE):
            return None
        try:
            selection = run.plan.selection(run.executor, self.type, self.field.details)
        except (GraphQLError, RecursionError):
            return None
        return selection.plain_rows(run, at, values)

    def fill(self, run: Run, at: Positions, values: list[Any], types: set[type]) -> list[Any]:
        is_type_of = self.type.is_type_of
        if is_type_of is None:
            return self.rows(run, at, values, types)
        answers = _answers(is_type_of, at, values)
        if answers.count(True) == len(values):
            return self.rows(run, at, values, types)
        completed: list[Any] = [None] * len(values)
        ours: list[int] = []
        for number, (value, answer) in enumerate(zip(values, answers, strict=True)):
            if isinstance(answer, Exception):
                run.fail(at, number, answer)
            elif run.executor.is_awaitable(answer):
                run.wait(at, number, answer, partial(self._when_known, value))
            elif answer:
                ours.append(number)
            else:
                run.fail(at, number, invalid_return_type_error(self.type, value, self.field.details))
        rows = self.rows(run, ChosenPositions(at, ours), [values[number] for number in ours])
        for number, row in zip(ours, rows, strict=True):
            completed[number] = row
        return completed

    def _when_known(self, value: Any, run: Run, at: Positions, answers: list[Any]) -> list[Any]:
        if isinstance(answers[0], Exception):
            run.fail(at, 0, answers[0])
        elif not answers[0]:
            run.fail(at, 0, invalid_return_type_error(self.type, value, self.field.details))
        else:
            return self.rows(run, at, [value])
        return [None]

    def rows(self, run: Run, at: Positions, values: list[Any], types: set[type] | None = None) -> list[Any]:
        """Run the selection set on values known to be of this type."""
        if not values:
            return []
        mark = run.mark()
        try:
            return run.plan.selection(run.executor, self.type, self.field.details).rows(run, at, values, types)
        except (GraphQLError, RecursionError) as error:
            # Fields could not be collected (a condition without a value) or the selections are nested too deeply.
            run.forget_since(mark)
            for number in range(len(values)):
                run.fail(at, number, error)
            return [None] * len(values)


class Abstract(Value):
    """An interface or a union; values are grouped by the type that they turn out to be."""

    __slots__ = ("objects", "type")

    def __init__(self, field: Field, nullable: bool, type_: GraphQLInterfaceType | GraphQLUnionType) -> None:
        super().__init__(field, nullable)
        self.type = type_
        self.objects: dict[GraphQLObjectType, Object] = {}

    def fill(self, run: Run, at: Positions, values: list[Any], types: set[type]) -> list[Any]:  # noqa: ARG002
        resolve_type = self.type.resolve_type or run.executor.type_resolver
        completed: list[Any] = [None] * len(values)
        groups: dict[GraphQLObjectType, list[int]] = {}
        for number, value in enumerate(values):
            try:
                name: Any = resolve_type(value, at.info(number), self.type)
                if run.executor.is_awaitable(name):
                    run.wait(at, number, name, partial(self._when_named, value))
                else:
                    groups.setdefault(self._object_type(run, at, number, name, value), []).append(number)
            except Exception as error:
                run.fail(at, number, error)
        for type_, numbers in groups.items():
            chosen = [values[number] for number in numbers]
            rows = self._object(type_).fill(run, ChosenPositions(at, numbers), chosen, types_of(chosen))
            for number, row in zip(numbers, rows, strict=True):
                completed[number] = row
        return completed

    def _object_type(self, run: Run, at: Positions, number: int, name: Any, value: Any) -> GraphQLObjectType:
        return run.executor.ensure_valid_runtime_type(name, self.type, self.field.details, at.info(number), value)

    def _object(self, type_: GraphQLObjectType) -> Object:
        known = self.objects.get(type_)
        if known is None:
            known = self.objects[type_] = Object(self.field, self.nullable, type_)
        return known

    def _when_named(self, value: Any, run: Run, at: Positions, names: list[Any]) -> list[Any]:
        try:
            if isinstance(names[0], Exception):
                raise names[0]
            type_ = self._object_type(run, at, 0, names[0], value)
        except Exception as error:
            run.fail(at, 0, error)
            return [None]
        return self._object(type_).fill(run, at, [value], {type(value)})


def value_of(type_: GraphQLOutputType, field: Field) -> Value:
    """Compile an output type."""
    nullable = not isinstance(type_, GraphQLNonNull)
    inner = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
    if isinstance(inner, GraphQLList):
        return ListOf(field, nullable, inner)
    if isinstance(inner, GraphQLObjectType):
        return Object(field, nullable, inner)
    if isinstance(inner, (GraphQLInterfaceType, GraphQLUnionType)):
        return Abstract(field, nullable, inner)
    return Leaf(field, nullable, inner)
