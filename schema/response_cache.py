"""Answers of `planning` and `utilisation` from memory while nothing that they are read from has changed; and 304s."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import orjson
from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    get_named_type,
    get_operation_ast,
)
from starlette.requests import Request
from starlette.responses import Response

from schema.kept_responses import kept
from server.actor import Actor
from server.observability import RESPONSES
from server.planning.repository import marks

if TYPE_CHECKING:
    from schema.operations import Operation

ROOTS = frozenset({"planning", "utilisation"})
# What these answers are made of, and what of it is not kept: a field that reads a table without the trigger
# `mark_plan`, or whose reading is audited, must stand here. A test walks these types and fails where one does not.
KEPT_TYPES: Mapping[str, frozenset[str]] = {
    "PlanningPage": frozenset(),
    "PlanningRow": frozenset(),
    "PlanningMonth": frozenset(),
    "CapacityLine": frozenset(),
    "Cell": frozenset(),
    "UtilisationPage": frozenset(),
    "UtilisationGroup": frozenset(),
    "UtilisationMonth": frozenset(),
    "User": frozenset({"roles", "lastLoginAt"}),
    "BusinessUnit": frozenset(),
    "Project": frozenset(),
    "ProjectMonth": frozenset(),
    "Assignment": frozenset(),
}
DIRECTIVES = frozenset({"skip", "include"})
NOT_OF_THE_CALLER = frozenset({"session_id", "expires_at", "origin"})
"""what of an Actor no answer depends on; every other field, and any that is added, keeps answers apart"""
_ETAG = re.compile(r'(?:W/)?("[^"]*")')


async def kept_or(operation: Operation, execute: Callable[[], Awaitable[ExecutionResult]]) -> ExecutionResult:
    """Stands in for the execution alone: sign-in, limits, budget, metrics and log are those of any operation.

    The state is read before the data: a write that is committed in between makes the answer newer than its state,
    which no later request then finds.
    """
    context, kept_responses = operation.context, operation.context.kept_responses
    key = None if kept_responses is None else _key(operation)
    if key is None or kept_responses is None:
        return await execute()
    async with context.reads.light() as connection:
        state = await marks.state(connection)
    found = kept_responses.find(key, state)
    RESPONSES.labels("miss" if found is None else "hit").inc()
    if found is None:
        result = await execute()
        if result.errors or result.data is None:
            return result
        found = kept(state, orjson.dumps(result.data))
        kept_responses.keep(key, found)
    context.headers["etag"] = found.etag
    answer: Any = orjson.Fragment(found.data)  # it is not written out twice
    return ExecutionResult(answer, None)


def _key(operation: Operation) -> bytes | None:
    """Of the question and the whole caller: nobody is answered with what was worked out for somebody else."""
    caller = operation.context.caller
    if caller is None or not may_be_kept(operation.schema._schema, operation.prepared.document, operation.name):
        return None
    asked = [operation.text, operation.name, operation.variables, identity(caller)]
    # `str` is for ids: the driver's are a class of its own.
    written = orjson.dumps(asked, default=str, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    return hashlib.blake2b(written, digest_size=32).digest()


def identity(caller: Actor) -> dict[str, Any]:
    """Who somebody is to a guard or a resolver. Sessions of one person are one; a token is not its service user."""
    values = {each.name: getattr(caller, each.name) for each in fields(caller) if each.name not in NOT_OF_THE_CALLER}
    return {**values, "grants": dict(caller.grants)}


def may_be_kept(schema: GraphQLSchema, document: DocumentNode, operation_name: str | None) -> bool:
    """Whether a valid document's operation asks for the plan alone. Linear in its size: each fragment is seen once."""
    operation = get_operation_ast(document, operation_name)
    if operation is None or operation.operation is not OperationType.QUERY or operation.directives:
        return False
    return all(_is_kept(schema, on, node) for on, node in _selected(schema, document, operation))


def _selected(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode
) -> Iterator[tuple[Any, SelectionNode]]:
    """(type, selection) of all that is selected. Without recursion: hundreds of fragments may form one chain."""
    fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
    pending: list[tuple[SelectionSetNode, Any]] = [(operation.selection_set, schema.query_type)]
    while pending:
        selections, on = pending.pop()
        for each in selections.selections:
            yield on, each  # before its type is looked up: what is not kept ends the walk here
            if isinstance(each, FieldNode) and each.selection_set is not None:
                field = schema.get_field(on, each.name.value)
                pending.append((each.selection_set, field and get_named_type(field.type)))
            elif isinstance(each, InlineFragmentNode):
                inner = schema.type_map[each.type_condition.name.value] if each.type_condition else on
                pending.append((each.selection_set, inner))
            elif isinstance(each, FragmentSpreadNode) and each.name.value in fragments:
                fragment = fragments.pop(each.name.value)
                pending.append((fragment.selection_set, schema.type_map[fragment.type_condition.name.value]))


def _is_kept(schema: GraphQLSchema, on: Any, node: SelectionNode) -> bool:
    if any(directive.name.value not in DIRECTIVES for directive in node.directives or ()):
        return False
    if not isinstance(node, FieldNode) or node.name.value == "__typename":
        return True
    if on is schema.query_type:
        return node.name.value in ROOTS
    return on.name in KEPT_TYPES and node.name.value not in KEPT_TYPES[on.name]


def revalidated(request: Request, response: Response) -> Response:
    """304 by GET for an answer that the client says it holds. It was worked out for this caller, or found, just now:
    whoever may not see it has been refused before."""
    etag = response.headers.get("etag")
    if etag is None or request.method != "GET":
        return response
    response.headers.update({"cache-control": "private, no-cache", "vary": "Authorization, Accept"})
    held = request.headers.get("if-none-match", "")
    if held.strip() != "*" and etag.removeprefix("W/") not in _ETAG.findall(held):
        return response
    headers = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
    return Response(status_code=304, headers=headers)
