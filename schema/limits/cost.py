"""The cost of an operation: how many objects it may answer with, multiplied by the pages that it asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any, NamedTuple

from graphql import (
    FieldNode,
    GraphQLField,
    OperationDefinitionNode,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_list_type,
    value_from_ast_untyped,
)

LIST = 10
"""items that a list without a page size is taken for: a month's cells, an explanation's lines, a person's roles"""
MONTHS = 12
"""months that a list of months is taken for where no from..to is in sight"""
WRITE = 10
"""what each thing written costs, in objects read: it is checked, audited and recomputed"""
MANY = 10**9
DAYS_OF_A_MONTH = 31
SIZES = ("size", "first", "last")
KEPT_RESULTS = 64


class Sum(NamedTuple):
    """A cost that still depends on two numbers from further up: the page size and the number of months.

    Kept as the coefficients of `fixed + size·s + months·m + both·s·m`, so that a fragment is worked out once and for
    all the places that spread it.
    """

    fixed: int = 0
    size: int = 0
    months: int = 0
    both: int = 0

    def __add__(self, other: Sum) -> Sum:  # type: ignore[override]
        return Sum(*(min(a + b, MANY) for a, b in zip(self, other, strict=True)))

    def times(self, factor: int) -> Sum:
        return Sum(*(min(a * factor, MANY) for a in self))

    def with_size(self, size: int) -> Sum:
        return Sum(self.fixed + self.size * size, 0, self.months + self.both * size, 0)

    def with_months(self, months: int) -> Sum:
        return Sum(self.fixed + self.months * months, self.size + self.both * months, 0, 0)


@dataclass(slots=True)
class Objects:
    """A selected field that answers with objects. `size` and `months` are positions of numbers, or None."""

    is_list: bool
    named_months: bool
    size: int | None
    months: int | None
    is_write: bool
    below: Selected


@dataclass(slots=True)
class Selected:
    objects: list[Objects] = field(default_factory=list)
    spreads: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Operation:
    selected: Selected
    defaults: dict[str, Any]


Read = Callable[[dict[str, Any]], int]


class Costs:
    """The costs of a document's operations; what depends on variables is worked out for their values, and kept."""

    def __init__(self) -> None:
        self.fragments: dict[str, Selected] = {}
        """each after those that it spreads"""
        self.visited = 0
        """fields with objects worked out so far: each once for each set of numbers"""
        self._operations: dict[str | None, Operation] = {}
        self._numbers: list[Read] = []
        self._results: dict[tuple[str | None, tuple[int, ...]], int] = {}

    def add(self, node: OperationDefinitionNode, selected: Selected) -> None:
        defaults = {
            each.variable.name.value: value_from_ast_untyped(each.default_value)
            for each in node.variable_definitions or ()
            if each.default_value is not None
        }
        self._operations[node.name.value if node.name else None] = Operation(selected, defaults)

    def objects(self, node: FieldNode, definition: GraphQLField, selected: Selected, *, is_write: bool) -> Selected:
        """Notes a field with a selection, and returns where to note what is selected below it."""
        arguments = {each.name.value: each.value for each in node.arguments or ()}
        objects = Objects(
            is_list=is_list_type(get_nullable_type(definition.type)),
            named_months=node.name.value == "months",
            size=self._size(arguments, definition),
            months=self._months(arguments, definition),
            is_write=is_write,
            below=Selected(),
        )
        selected.objects.append(objects)
        return objects.below

    def _size(self, arguments: dict[str, ValueNode], definition: GraphQLField) -> int | None:
        """A page size, else the number of things listed in the arguments: ids to read, cells to write."""
        for name in SIZES:
            if name in definition.args:
                return self._number(arguments.get(name), partial(_whole, definition.args[name].default_value))
        listed = [value for name, value in arguments.items() if name in ("input", "ids")]
        return self._number(listed[0], _listed) if listed else None

    def _months(self, arguments: dict[str, ValueNode], definition: GraphQLField) -> int | None:
        first, last = arguments.get("from"), arguments.get("to")
        if first is None or last is None or "from" not in definition.args:
            return None
        days = get_named_type(definition.args["from"].type).name == "Date"

        def read(variables: dict[str, Any]) -> int:
            months = _span(_value(first, variables), _value(last, variables))
            return months * DAYS_OF_A_MONTH if days else months

        self._numbers.append(read)
        return len(self._numbers) - 1

    def _number(self, node: ValueNode | None, read: Callable[[Any], int]) -> int:
        if node is None:
            constant = read(None)
            self._numbers.append(lambda _: constant)
        else:
            self._numbers.append(lambda variables: read(_value(node, variables)))
        return len(self._numbers) - 1

    def of(self, operation_name: str | None, variables: dict[str, Any] | None) -> int:
        """At least 1. An unknown operation costs what the dearest of the document does."""
        chosen = [operation_name] if operation_name in self._operations else list(self._operations)
        return max((self._of(name, variables or {}) for name in chosen), default=1)

    def _of(self, name: str | None, variables: dict[str, Any]) -> int:
        operation = self._operations[name]
        given = {**operation.defaults, **variables}
        numbers = tuple(max(1, min(read(given), MANY)) for read in self._numbers)
        result = self._results.get((name, numbers))
        if result is None:
            if len(self._results) >= KEPT_RESULTS:
                self._results.clear()
            result = self._results[name, numbers] = self._worked_out(operation, numbers)
        return result

    def _worked_out(self, operation: Operation, numbers: tuple[int, ...]) -> int:
        known: dict[str, Sum] = {}
        for name, selected in self.fragments.items():
            known[name] = self._sum(selected, numbers, known)
        total = self._sum(operation.selected, numbers, known).with_size(LIST).with_months(MONTHS)
        return max(1, min(total.fixed, MANY))

    def _sum(self, selected: Selected, numbers: tuple[int, ...], known: dict[str, Sum]) -> Sum:
        total = Sum()
        for name in selected.spreads:
            total += known.get(name, Sum())
        for each in selected.objects:
            self.visited += 1
            total += self._objects(each, numbers, known)
        return total

    def _objects(self, each: Objects, numbers: tuple[int, ...], known: dict[str, Sum]) -> Sum:
        size = None if each.size is None else numbers[each.size]
        months = None if each.months is None else numbers[each.months]
        # A page hands its size to the list right below it; a list has used it up.
        one = Sum(1) + self._sum(each.below, numbers, known).with_size(LIST if each.is_list or size is None else size)
        if months is not None:
            one = one.with_months(months)
        if each.is_write:
            return one + Sum(WRITE * (size or 1))
        if not each.is_list:
            return one
        if size is not None or months is not None:
            return one.times(size if size is not None else months or 1)
        if each.named_months:
            one = one.with_months(MONTHS)
            return Sum(0, 0, one.fixed, one.size)
        return Sum(0, one.fixed, 0, one.months)


def _value(node: ValueNode, variables: dict[str, Any]) -> Any:
    if isinstance(node, VariableNode):
        return variables.get(node.name.value)
    return value_from_ast_untyped(node, variables)


def _whole(default: Any, value: Any) -> int:
    for each in (value, default):
        if isinstance(each, int) and not isinstance(each, bool):
            return each
        if isinstance(each, float):  # JSON's 1e3 is a page size, too; NaN is a literal too long for a number
            return int(each) if abs(each) < MANY else MANY
    return LIST


def _listed(value: Any) -> int:
    """How many things an `ids` list, or the lists of an input object, hold."""
    if isinstance(value, list):
        return len(value)
    if isinstance(value, dict):
        return sum(len(each) for each in value.values() if isinstance(each, list))
    return 1


def _span(first: Any, last: Any) -> int:
    """Months from one to the other, both included; of what is no month, a year: the scalar refuses it later."""
    try:
        start, end = (date.fromisoformat(f"{str(each)[:7]}-01") for each in (first, last))
    except ValueError:
        return MONTHS
    return (end.year - start.year) * 12 + end.month - start.month + 1
