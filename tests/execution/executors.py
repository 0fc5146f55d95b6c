"""Runs one operation on graphql-core and compiled, and holds the two answers against each other."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any

import strawberry
from graphql import ExecutionResult, GraphQLSchema, execute, parse
from graphql.execution.incremental import IncrementalExecutor
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from execution import CompiledExecutor

Fallbacks = dict[str, int]


async def answer(
    schema: GraphQLSchema, text: str, *, executor: Any = CompiledExecutor, **arguments: Any
) -> ExecutionResult:
    """Execute on one executor."""
    result = execute(schema, parse(text), executor_class=executor, **arguments)
    return await result if inspect.isawaitable(result) else result


async def run_both(
    schema: GraphQLSchema | Callable[[], GraphQLSchema],
    text: str,
    *,
    root: Any = None,
    fallbacks: Fallbacks | None = None,
    make_context: Callable[[], Any] | None = None,
    **arguments: Any,
) -> tuple[Any, list[str]]:
    """Return the data and the errors as "path: message", equal on both executors.

    A callable root or schema is called for each executor, for data that can be used once only. That the operation did
    run compiled, or fell back for the given reasons, is asserted as well.
    """
    outcomes = []
    for executor in (IncrementalExecutor, CompiledExecutor):
        compiled, before = CompiledExecutor.compiled, dict(CompiledExecutor.fallbacks)
        own_schema = schema if isinstance(schema, GraphQLSchema) else schema()
        own_root = root() if callable(root) else root
        if make_context is not None:
            arguments["context_value"] = make_context()
        result = await answer(own_schema, text, executor=executor, root_value=own_root, **arguments)
        outcomes.append(comparable(result))
        if executor is CompiledExecutor:
            fell = {name: count - before.get(name, 0) for name, count in CompiledExecutor.fallbacks.items()}
            assert {name: count for name, count in fell.items() if count} == (fallbacks or {})
            assert CompiledExecutor.compiled == compiled + 1 or fallbacks
    assert outcomes[0] == outcomes[1]
    data, errors = outcomes[0]
    return json.loads(data), [f"{'.'.join(map(str, path or []))}: {message}" for message, path, _ in errors]


def comparable(result: Any) -> tuple[str, list[Any]]:
    """Return data as text, which tells the order of keys, and the errors with their places."""
    errors = [(error.message, error.path, error.locations) for error in result.errors or ()]
    return json.dumps(result.data), errors


async def run_strawberry(
    schema: strawberry.Schema, text: str, *, sync: bool = False, context: Any = None, **arguments: Any
) -> tuple[Any, list[str]]:
    """Like `run_both`, through Strawberry's own execute."""
    outcomes = []
    for executor in (StrawberryGraphQLCoreExecutionContext, CompiledExecutor):
        compiled, before = CompiledExecutor.compiled, CompiledExecutor.fallbacks.total()
        schema.execution_context_class = executor
        value = context() if callable(context) else context
        if sync:
            result: Any = schema.execute_sync(text, context_value=value, **arguments)
        else:
            result = await schema.execute(text, context_value=value, **arguments)
        outcomes.append(comparable(result))
        if executor is CompiledExecutor:
            assert CompiledExecutor.compiled == compiled + 1
            assert CompiledExecutor.fallbacks.total() == before
    assert outcomes[0] == outcomes[1]
    data, errors = outcomes[0]
    return json.loads(data), [f"{'.'.join(map(str, path or []))}: {message}" for message, path, _ in errors]
