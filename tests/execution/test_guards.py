"""Guards that depend on the caller alone are asked once per field and operation, all others for every row."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import strawberry
from graphql import GraphQLField, GraphQLList, GraphQLObjectType, GraphQLSchema, GraphQLString, execute, parse
from graphql.execution.incremental import IncrementalExecutor
from strawberry.extensions import FieldExtension
from strawberry.permission import BasePermission

from execution import CompiledExecutor, caller_only
from tests.execution.executors import answer, run_both, run_strawberry


def plain(guard: Any) -> GraphQLSchema:
    row = GraphQLObjectType("Row", {"salary": GraphQLField(GraphQLString, resolve=caller_only(guard))})
    rows = GraphQLField(GraphQLList(row), resolve=lambda *_: [{"salary": number} for number in range(3)])
    return GraphQLSchema(
        GraphQLObjectType("Query", {"rows": rows}),
        GraphQLObjectType(
            "Mutation", {"pay": GraphQLField(GraphQLString, resolve=caller_only(guard, lambda *_: "paid"))}
        ),
    )


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_guard_is_asked_once_for_all_rows_and_aliases(is_async: bool) -> None:
    asked: list[str] = []

    def guard(info: Any) -> None:
        asked.append(info.context.caller)

    async def guard_later(info: Any) -> None:
        asked.append(info.context.caller)

    schema = plain(guard_later if is_async else guard)
    text = "{ rows { salary other: salary } again: rows { salary } }"
    for executor, times in ((CompiledExecutor, 1), (IncrementalExecutor, 9)):
        asked.clear()
        result = await answer(schema, text, executor=executor, context_value=SimpleNamespace(caller="ada"))
        assert result.data
        assert result.data["again"] == [{"salary": "0"}, {"salary": "1"}, {"salary": "2"}]
        assert asked == ["ada"] * times


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_denied_field_is_an_error_of_every_row(is_async: bool) -> None:
    def guard(_info: Any) -> None:
        raise PermissionError("not for you")

    async def guard_later(_info: Any) -> None:
        raise PermissionError("not for you")

    data, errors = await run_both(plain(guard_later if is_async else guard), "{ rows { salary } }")
    assert data == {"rows": [{"salary": None}] * 3}
    assert errors == [f"rows.{row}.salary: not for you" for row in range(3)]


@pytest.mark.parametrize(("inner", "outer"), [(True, False), (False, True), (False, False), (True, True)])
async def test_each_of_two_guards_decides(inner: bool, outer: bool) -> None:
    def guard_of(name: str, allows: bool) -> Any:
        def guard(_info: Any) -> None:
            if not allows:
                raise PermissionError(f"{name} denies")

        return guard

    resolve = caller_only(guard_of("outer", outer), caller_only(guard_of("inner", inner), lambda *_: "secret"))
    schema = GraphQLSchema(GraphQLObjectType("Query", {"secret": GraphQLField(GraphQLString, resolve=resolve)}))
    data, errors = await run_both(schema, "{ secret other: secret }")
    denied = None if inner and outer else ("inner" if outer else "outer")
    assert data == ({"secret": "secret", "other": "secret"} if denied is None else {"secret": None, "other": None})
    assert errors == ([] if denied is None else [f"secret: {denied} denies", f"other: {denied} denies"])


async def test_the_decision_is_taken_anew_for_each_operation_and_caller() -> None:
    def guard(info: Any) -> None:
        if info.context.caller != "ada":
            raise PermissionError("not for you")

    schema, document = plain(guard), parse("{ rows { salary } }")
    for caller, errors in (("ada", None), ("eve", 3), ("ada", None)):
        result: Any = execute(
            schema, document, context_value=SimpleNamespace(caller=caller), executor_class=CompiledExecutor
        )
        assert (result.errors and len(result.errors)) == errors


async def test_the_decision_is_taken_anew_for_each_mutation() -> None:
    """The first may have changed what the caller is allowed to do."""
    left = [1]

    def guard(_info: Any) -> None:
        left.pop()

    result = await answer(plain(guard), "mutation { first: pay second: pay }")
    assert result.data == {"first": "paid", "second": None}


@pytest.mark.parametrize("answered", [False, True, "no"])
async def test_a_guard_that_answers_instead_of_raising_lets_nobody_in(answered: Any) -> None:
    data, errors = await run_both(plain(lambda _info: answered), "{ rows { salary } }")
    assert data == {"rows": [{"salary": None}] * 3}
    assert errors[0] == f"rows.0.salary: A guard raises to deny and returns nothing, but it returned {answered!r}."


ASKED: list[Any] = []


class Requires(FieldExtension):
    """A directive-like guard: the caller alone decides."""

    __execution_once__ = True

    def __init__(self, permission: str, *, or_null: bool = False) -> None:
        self.permission = permission
        self.or_null = or_null

    def _is_denied(self, info: strawberry.Info) -> bool:
        ASKED.append(self.permission)
        return self.permission not in info.context

    def resolve(self, next_: Any, source: Any, info: strawberry.Info, **kwargs: Any) -> Any:
        if not self._is_denied(info):
            return next_(source, info, **kwargs)
        if self.or_null:
            return None
        raise PermissionError(f"needs {self.permission}")

    async def resolve_async(self, next_: Any, source: Any, info: strawberry.Info, **kwargs: Any) -> Any:
        if not self._is_denied(info):
            return await next_(source, info, **kwargs)
        if self.or_null:
            return None
        raise PermissionError(f"needs {self.permission}")


class LooksAtTheSource(FieldExtension):
    __execution_once__ = True

    def resolve(self, next_: Any, source: Any, info: strawberry.Info, **kwargs: Any) -> Any:
        return next_(source, info, **kwargs) if source.name == "row 0" else None


class PerRow(FieldExtension):
    def resolve(self, next_: Any, source: Any, info: strawberry.Info, **kwargs: Any) -> Any:
        ASKED.append(source.name)
        return next_(source, info, **kwargs) if source.name != "row 1" else None


class OrSelf(FieldExtension):
    """Whoever has the permission sees all rows; others are asked for row by row."""

    def __execution_once__(self, info: strawberry.Info) -> bool:
        return "personal" in info.context

    def resolve(self, next_: Any, source: Any, info: strawberry.Info, **kwargs: Any) -> Any:
        ASKED.append("self")
        allowed = "personal" in info.context or source.name == "row 1"
        return next_(source, info, **kwargs) if allowed else None


class Foreseen(Requires):
    """Says beforehand whom it lets through; `vague` gets an answer that is no promise, `broken` none."""

    def __passes__(self, info: strawberry.Info) -> Any:
        if "broken" in info.context:
            raise LookupError("broken")
        return "vague" if "vague" in info.context else self.permission in info.context


class MayPay(BasePermission):
    message = "may not pay"
    __execution_once__ = True

    def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        ASKED.append("pay")
        return "pay" in info.context


class OwnRow(BasePermission):
    message = "not your row"

    async def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        return bool(source.name == "row 2")


@strawberry.type
class Row:
    name: str
    guarded: str | None = strawberry.field(default="secret", extensions=[Requires("read")])
    silent: str | None = strawberry.field(default="secret", extensions=[Requires("read", or_null=True)])
    row_wise: str | None = strawberry.field(default="secret", extensions=[PerRow()])
    both: str | None = strawberry.field(default="secret", extensions=[PerRow(), Requires("read")])
    twice: str | None = strawberry.field(default="secret", extensions=[Requires("inner"), Requires("outer")])
    misused: str | None = strawberry.field(default="secret", extensions=[LooksAtTheSource()])
    or_self: str | None = strawberry.field(default="secret", extensions=[OrSelf()])
    permitted: str | None = strawberry.field(default="secret", permission_classes=[MayPay])
    own: str | None = strawberry.field(default="secret", permission_classes=[OwnRow])
    foreseen: str | None = strawberry.field(default="secret", extensions=[Foreseen("read")])

    @strawberry.field(extensions=[Requires("read")])
    async def later(self, info: strawberry.Info, times: int = 1) -> str:
        return self.name * times

    @strawberry.field(extensions=[Foreseen("read")])
    async def foreseen_later(self) -> str | None:
        return "secret"


@strawberry.type
class Query:
    @strawberry.field(extensions=[Requires("enter")])
    def rows(self) -> list[Row]:
        return [Row(name=f"row {number}") for number in range(3)]  # type: ignore[call-arg]


SCHEMA = strawberry.Schema(Query, execution_context_class=CompiledExecutor)


@pytest.mark.parametrize(
    "context", [set(), {"enter"}, {"enter", "read"}, {"enter", "read", "inner", "pay"}, {"enter", "outer"}]
)
@pytest.mark.parametrize(
    "selection",
    [
        "foreseen",
        "foreseenLater",
        "guarded",
        "silent",
        "rowWise",
        "both",
        "twice",
        "permitted",
        "own",
        "orSelf",
        "later",
        "later(times: 2)",
    ],
)
async def test_strawberry_guards_decide_as_without_the_compiled_executor(context: set[str], selection: str) -> None:
    await run_strawberry(SCHEMA, f"{{ rows {{ name {selection} }} }}", context=context)


async def test_a_marked_extension_is_asked_once_and_others_per_row() -> None:
    ASKED.clear()
    result = await SCHEMA.execute(
        "{ rows { guarded later rowWise permitted } }", context_value={"enter", "read", "pay"}
    )
    assert result.errors is None
    assert result.data
    assert [row["rowWise"] for row in result.data["rows"]] == ["secret", None, "secret"]
    assert sorted(ASKED) == sorted(["enter", "read", "read", "pay", "row 0", "row 1", "row 2"])


async def test_a_guard_may_say_for_each_caller_whether_it_decides_once() -> None:
    for context, allowed, times in (({"enter", "personal"}, [0, 1, 2], 1), ({"enter"}, [1], 3)):
        ASKED.clear()
        result = await SCHEMA.execute("{ rows { orSelf } }", context_value=context)
        assert result.data
        assert [row["orSelf"] for row in result.data["rows"]] == [
            "secret" if row in allowed else None for row in range(3)
        ]
        assert ["enter", *["self"] * times] == ASKED


@pytest.mark.parametrize("field", ["foreseen", "foreseenLater"])
@pytest.mark.parametrize(
    ("context", "asked", "seen"),
    [
        ({"read"}, [], "secret"),
        (set(), ["read"], None),
        ({"vague"}, ["read"], None),
        ({"vague", "read"}, ["read"], "secret"),
        ({"broken", "read"}, [], None),
    ],
)
async def test_a_guard_that_lets_a_caller_through_beforehand_is_not_asked(
    field: str, context: set[str], asked: list[str], seen: str | None
) -> None:
    ASKED.clear()
    result = await SCHEMA.execute(f"{{ rows {{ {field} }} }}", context_value={"enter", *context})
    assert result.data == {"rows": [{field: seen}] * 3}
    assert ["enter", *asked] == ASKED
    assert bool(result.errors) == (seen is None)


async def test_a_marked_extension_that_looks_at_the_source_denies() -> None:
    result = await SCHEMA.execute("{ rows { misused } }", context_value={"enter"})
    assert result.data == {"rows": [{"misused": None}] * 3}
    assert "must not look at the source" in str(result.errors)
