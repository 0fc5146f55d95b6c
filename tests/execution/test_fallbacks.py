"""What is not compiled runs on graphql-core, unchanged and counted."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from graphql import (
    ExperimentalIncrementalExecutionResults,
    GraphQLDeferDirective,
    GraphQLSchema,
    MiddlewareManager,
    build_schema,
    experimental_execute_incrementally,
    parse,
    specified_directives,
)

from execution import CompiledExecutor
from tests.execution.executors import run_both

SCHEMA = build_schema("type Query { a: String  row: Row! } type Row { a: String! }")


async def test_resolve_middleware() -> None:
    def shout(next_: Any, source: Any, info: Any, **arguments: Any) -> Any:
        return next_(source, info, **arguments).upper()

    data, _ = await run_both(SCHEMA, "{ a }", root={"a": "a"}, middleware=[shout], fallbacks={"resolve middleware": 1})
    assert data == {"a": "A"}


async def test_an_empty_middleware_manager_is_no_reason() -> None:
    data, _ = await run_both(SCHEMA, "{ a }", root={"a": "a"}, middleware=MiddlewareManager())
    assert data == {"a": "a"}


async def test_an_own_test_for_awaitables() -> None:
    data, _ = await run_both(
        SCHEMA, "{ a }", root={"a": "a"}, is_awaitable=lambda value: False, fallbacks={"own is_awaitable": 1}
    )
    assert data == {"a": "a"}


async def test_error_propagation_that_is_disabled() -> None:
    data, errors = await run_both(
        SCHEMA,
        "query @experimental_disableErrorPropagation { row { a } }",
        root={"row": {"a": None}},
        fallbacks={"error propagation disabled": 1},
    )
    assert data == {"row": {"a": None}}
    assert errors == ["row.a: Cannot return null for non-nullable field Row.a."]


async def test_incremental_delivery() -> None:
    schema = GraphQLSchema(SCHEMA.query_type, directives=[*specified_directives, GraphQLDeferDirective])
    before = CompiledExecutor.fallbacks["@defer or @stream"]
    result = experimental_execute_incrementally(
        schema, parse("{ a ... @defer { row { a } } }"), {"a": "a", "row": {"a": "x"}}, executor_class=CompiledExecutor
    )
    result = await result if inspect.isawaitable(result) else result
    assert isinstance(result, ExperimentalIncrementalExecutionResults)
    assert result.initial_result.data == {"a": "a"}
    assert [patch async for patch in result.subsequent_results]
    assert CompiledExecutor.fallbacks["@defer or @stream"] == before + 1


@pytest.mark.parametrize("text", ["{ a @skip(if: false) }", "fragment F on Query { a } { ...F }", "{ __typename }"])
async def test_ordinary_documents_give_no_reason(text: str) -> None:
    await run_both(SCHEMA, text, root={"a": "a"})
