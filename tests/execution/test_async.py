"""Asynchronous work: concurrency, batches, iterables, cancellation, abort signals and hooks."""

from __future__ import annotations

import asyncio
import gc
import inspect
import weakref
from collections.abc import AsyncIterator, Awaitable
from typing import Any, cast

import pytest
from graphql import (
    ExecutionResult,
    GraphQLField,
    GraphQLInt,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLString,
    build_schema,
    execute,
    execute_sync,
    graphql_sync,
    parse,
    subscribe,
)
from graphql.execution import AbortedGraphQLExecutionError, ExecutionHooks
from graphql.pyutils import AbortController
from strawberry.dataloader import DataLoader

from execution import CompiledExecutor, loader_field
from tests.execution.executors import answer, run_both

SCHEMA = build_schema("""
    type Query { a: String  b: String  row: Row  rows: [Row]  must: Row!  numbers: [Int]  strict: [Int!] }
    type Row { a: String  b: String!  rows: [Row] }
    type Mutation { first: String  second: String }
    type Subscription { event: Row }
""")


def later(value: Any, turns: int = 1) -> Any:
    async def resolve(_info: Any) -> Any:
        for _ in range(turns):
            await asyncio.sleep(0)
        if isinstance(value, Exception):
            raise value
        return value

    return resolve


async def test_siblings_are_awaited_at_the_same_time() -> None:
    barrier = asyncio.Barrier(4)

    async def meet(_info: Any) -> str:
        async with asyncio.timeout(2):
            await barrier.wait()
        return "met"

    rows = [{"a": meet}, {"a": meet}]
    result = await answer(SCHEMA, "{ a b rows { a } }", root_value={"a": meet, "b": meet, "rows": rows})
    assert result == ({"a": "met", "b": "met", "rows": [{"a": "met"}, {"a": "met"}]}, None)


async def test_a_slow_row_does_not_hold_up_what_others_lead_to() -> None:
    reached = asyncio.Event()

    async def slow(_info: Any) -> list[Any]:
        async with asyncio.timeout(2):
            await reached.wait()
        return []

    async def quick(_info: Any) -> list[Any]:
        return [{"a": lambda _info: reached.set() or "deep"}]

    result = await answer(SCHEMA, "{ rows { rows { a } } }", root_value={"rows": [{"rows": slow}, {"rows": quick}]})
    assert result.data == {"rows": [{"rows": []}, {"rows": [{"a": "deep"}]}]}


async def test_values_that_arrive_together_are_completed_together() -> None:
    calls: list[int] = []

    def resolve_type(value: Any, _info: Any) -> bool:
        calls.append(value)
        return True

    row = GraphQLObjectType("Row", {"id": GraphQLField(GraphQLInt, resolve=lambda value, _info: value)})
    row.is_type_of = resolve_type
    schema = GraphQLSchema(
        GraphQLObjectType("Query", {f"f{n}": GraphQLField(row, resolve=later_field(n)) for n in range(3)})
    )
    result = await answer(schema, "{ f0 { id } f2 { id } f1 { id } }")
    assert result.data == {"f0": {"id": 0}, "f2": {"id": 2}, "f1": {"id": 1}}
    assert calls == [0, 2, 1]


def later_field(value: Any) -> Any:
    async def resolve(_source: Any, _info: Any) -> Any:
        await asyncio.sleep(0)
        return value

    return resolve


async def test_errors_come_in_the_order_in_which_they_arrive() -> None:
    root = {"a": later(ValueError("slow"), 8), "row": later({"a": later(ValueError("quick"))}), "b": later("b")}
    data, errors = await run_both(SCHEMA, "{ a row { a } b }", root=root)
    assert data == {"a": None, "row": {"a": None}, "b": "b"}
    assert errors == ["row.a: quick", "a: slow"]


async def test_coroutines_that_fail_at_once_are_reported_row_by_row() -> None:
    rows = [{"a": later(ValueError(f"a{row}"), 0), "c": later(ValueError(f"c{row}"), 0)} for row in range(3)]
    schema = build_schema("type Query { rows: [Row] } type Row { a: String  c: String }")
    _, errors = await run_both(schema, "{ rows { a c } }", root={"rows": rows})
    assert [error.split(": ")[1] for error in errors] == ["a0", "c0", "a1", "c1", "a2", "c2"]


async def test_an_error_that_nulls_more_than_its_field_comes_behind_its_contemporaries() -> None:
    root = {"must": later(ValueError("must"), 0), "a": later(ValueError("a"), 0), "b": later("b", 0)}
    data, errors = await run_both(SCHEMA, "{ must { a } a b }", root=root)
    assert data is None
    assert errors == ["a: a", "must: must"]


async def test_an_error_that_nulls_more_than_its_field_ends_the_value_it_is_in() -> None:
    def fail(_info: Any) -> Any:
        raise ValueError("below")

    root = {"must": later({"b": None, "rows": [{"a": fail}]}), "a": "a"}
    data, errors = await run_both(SCHEMA, "{ a must { b rows { a } } }", root=root)
    assert data is None
    assert errors == ["must.b: Cannot return null for non-nullable field Row.b."]


async def test_an_awaited_value_that_is_awaitable_itself_is_not_awaited() -> None:
    data, errors = await run_both(SCHEMA, "{ a }", root={"a": later(asyncio.Future())})
    assert (data, errors) == ({"a": "<Future pending>"}, [])


async def test_awaitable_items_are_awaited_in_place() -> None:
    def items() -> dict[str, Any]:
        return {"numbers": [later(1)(None), 2, later(ValueError("no"))(None), later(None)(None)]}

    data, errors = await run_both(SCHEMA, "{ numbers }", root=items)
    assert data == {"numbers": [1, 2, None, None]}
    assert errors == ["numbers.2: no"]


async def test_an_async_iterable_is_a_list_and_counted_as_run_on_graphql_core() -> None:
    async def rows() -> AsyncIterator[Any]:
        yield {"a": "x"}
        yield {"a": later("y")}

    data, errors = await run_both(
        SCHEMA,
        "{ rows { a } numbers }",
        root=lambda: {"rows": rows(), "numbers": [1]},
        fallbacks={"list from an async iterable": 1},
    )
    assert (data, errors) == ({"rows": [{"a": "x"}, {"a": "y"}], "numbers": [1]}, [])


async def test_an_async_iterable_is_closed_when_an_item_nulls_the_list() -> None:
    closed: list[bool] = []

    async def numbers() -> AsyncIterator[Any]:
        try:
            yield 1
            yield None
            yield 3  # pragma: no cover
        finally:
            closed.append(True)

    data, errors = await run_both(
        SCHEMA, "{ strict }", root=lambda: {"strict": numbers()}, fallbacks={"list from an async iterable": 1}
    )
    assert data == {"strict": None}
    assert errors == ["strict.1: Cannot return null for non-nullable field Query.strict."]
    assert closed == [True, True]


async def test_work_below_a_nulled_object_is_cancelled() -> None:
    cancelled: list[bool] = []

    async def endless(_info: Any) -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise
        return ""

    root = {"row": {"a": endless, "b": later(ValueError("b fails"), 3)}, "a": later("a", 6)}
    async with asyncio.timeout(2):
        data, errors = await run_both(SCHEMA, "{ row { a b } a }", root=root)
    assert data == {"row": None, "a": "a"}
    assert errors == ["row.b: b fails"]
    assert cancelled == [True, True]


async def test_thousands_of_rows_that_fail_one_by_one_take_linear_time() -> None:
    async def fail(source: Any, _info: Any) -> str:
        for _ in range(source % 50):
            await asyncio.sleep(0)
        raise ValueError("no")

    row = GraphQLObjectType("Row", {"a": GraphQLField(GraphQLString, resolve=fail)})
    schema = build_schema("type Row { a: String! } type Query { rows: [Row] }")
    schema.type_map["Row"].fields["a"].resolve = fail  # type: ignore[attr-defined]
    assert row
    async with asyncio.timeout(20):
        result = await answer(schema, "{ rows { a } }", root_value={"rows": range(3000)})
    assert result.data == {"rows": [None] * 3000}
    assert result.errors
    assert len(result.errors) == 3000


async def test_a_cancelled_request_cancels_its_work_and_waits_for_the_cleanup() -> None:
    events: list[str] = []

    async def hang(_info: Any) -> str:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            events.append("cleaned up")
        return ""

    task = asyncio.ensure_future(answer(SCHEMA, "{ a rows { a } }", root_value={"a": hang, "rows": [{"a": hang}]}))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert events == ["cleaned up"] * 2


async def test_an_abort_rejects_the_operation_and_offers_what_was_there() -> None:
    controller = AbortController()
    started = asyncio.Event()

    async def hang(_info: Any) -> str:
        started.set()
        await asyncio.Event().wait()
        return ""

    result = execute(
        SCHEMA,
        parse("{ a b }"),
        {"a": hang, "b": "b"},
        abort_signal=controller.signal,
        executor_class=CompiledExecutor,
    )
    task = asyncio.ensure_future(cast("Awaitable[ExecutionResult]", result))
    await started.wait()
    controller.abort(RuntimeError("client left"))
    with pytest.raises(AbortedGraphQLExecutionError, match="client left") as caught:
        await task
    partial = await caught.value.aborted_result
    assert partial.data == {"a": None, "b": "b"}
    assert [error.message for error in partial.errors] == ["client left"]


async def test_an_abort_between_two_mutations_stops_before_the_second() -> None:
    controller = AbortController()
    ran: list[str] = []

    async def first(_info: Any) -> str:
        ran.append("first")
        return "first"

    def second(_info: Any) -> str:  # pragma: no cover
        ran.append("second")
        return "second"

    def stop_after_first(_info: Any) -> Any:
        controller.abort(RuntimeError("stop"))
        return first(_info)

    result = execute(
        SCHEMA,
        parse("mutation { first second }"),
        {"first": stop_after_first, "second": second},
        abort_signal=controller.signal,
        executor_class=CompiledExecutor,
    )
    with pytest.raises(AbortedGraphQLExecutionError, match="stop") as caught:
        await cast("Awaitable[ExecutionResult]", result)
    with pytest.raises(RuntimeError, match="stop"):  # the partial result ends the same way
        await caught.value.aborted_result
    assert "second" not in ran


async def test_an_abort_while_keys_are_loaded_ends_the_wait() -> None:
    controller = AbortController()
    started = asyncio.Event()

    async def load(keys: list[str]) -> list[str]:
        started.set()
        await asyncio.Event().wait()
        return keys

    loaded = loader_field(lambda info: info.context, key="key")
    schema = GraphQLSchema(GraphQLObjectType("Query", {"a": GraphQLField(GraphQLString, resolve=loaded)}))
    result = execute(
        schema,
        parse("{ a }"),
        {"key": "k"},
        DataLoader(load_fn=load),
        abort_signal=controller.signal,
        executor_class=CompiledExecutor,
    )
    task = asyncio.ensure_future(cast("Awaitable[ExecutionResult]", result))
    await started.wait()
    controller.abort(RuntimeError("client left"))
    with pytest.raises(AbortedGraphQLExecutionError, match="client left") as caught:
        await task
    partial = await caught.value.aborted_result
    assert partial.data == {"a": None}
    assert [error.message for error in partial.errors] == ["client left"]


async def test_the_hook_runs_once_all_work_is_settled() -> None:
    finished: list[Any] = []
    hooks = ExecutionHooks(async_work_finished=finished.append)
    result = await answer(SCHEMA, "{ a b }", root_value={"a": later("a"), "b": "b"}, hooks=hooks)
    assert result.data == {"a": "a", "b": "b"}
    assert [info.executor.__class__ for info in finished] == [CompiledExecutor]


def test_synchronous_operations_need_no_event_loop() -> None:
    result = execute(
        SCHEMA, parse("{ a rows { b } }"), {"a": "a", "rows": [{"b": "b"}]}, executor_class=CompiledExecutor
    )
    assert result == ({"a": "a", "rows": [{"b": "b"}]}, None)
    assert not inspect.isawaitable(result)


def test_execute_sync_runs_compiled() -> None:
    compiled = CompiledExecutor.compiled
    assert execute_sync(SCHEMA, parse("{ a }"), {"a": "a"}, executor_class=CompiledExecutor) == ({"a": "a"}, None)
    assert graphql_sync(SCHEMA, "{ a }", {"a": "a"}, executor_class=CompiledExecutor) == ({"a": "a"}, None)
    assert CompiledExecutor.compiled == compiled + 2


async def test_subscription_events_run_compiled() -> None:
    async def events(_info: Any) -> AsyncIterator[Any]:
        yield {"event": {"a": "one", "b": "x"}}
        yield {"event": {"a": later("two"), "b": None}}

    compiled = CompiledExecutor.compiled
    stream = subscribe(
        SCHEMA,
        parse("subscription { event { a b } }"),
        {"event": events},
        subscribe_field_resolver=lambda source, info: source[info.field_name](info),
        executor_class=CompiledExecutor,
    )
    results = [result async for result in cast("AsyncIterator[ExecutionResult]", stream)]
    assert results[0] == ({"event": {"a": "one", "b": "x"}}, None)
    assert results[1].data == {"event": None}
    assert CompiledExecutor.compiled == compiled + 2


async def test_rows_are_freed_without_the_garbage_collector() -> None:
    class Row:
        def __init__(self) -> None:
            self.a = "a"
            self.b = later("b")

    watched: list[weakref.ref[Row]] = []

    def read_rows(_info: Any) -> list[Row]:  # not the root value, which graphql-core's executor keeps in a cycle
        rows = [Row() for _ in range(3)]
        watched.extend(map(weakref.ref, rows))
        return rows

    gc.disable()
    try:
        result = await answer(SCHEMA, "{ rows { a b } a }", root_value={"rows": read_rows, "a": later("a", 3)})
        assert result.errors is None
        del result
        await asyncio.sleep(0)
        assert [ref() for ref in watched] == [None] * 3
    finally:
        gc.enable()
