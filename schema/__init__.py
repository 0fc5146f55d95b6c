"""The GraphQL face: build_schema() puts the type modules together."""

from __future__ import annotations

import importlib
from typing import Any

import strawberry
from graphql import GraphQLInputObjectType, GraphQLObjectType, GraphQLSchema, Undefined
from graphql.execution import Executor
from strawberry.schema.config import StrawberryConfig
from strawberry.tools import merge_types
from strawberry.types import ExecutionContext

from execution import CompiledExecutor
from schema.errors import MaskUnexpected, masked
from schema.introspection import GuardIntrospection
from schema.limits.documents import Documents
from schema.limits.extension import Limits
from schema.metrics import OperationMetrics
from schema.operations import OneOperation
from schema.scalars import SCALARS

MODULES = (
    "schema.users",
    "schema.business_units",
    "schema.roles",
    "schema.access",
    "schema.projects",
    "schema.planning.grid",
    "schema.planning.reports",
    "schema.planning.cells",
    "schema.planning.assignments",
    "schema.planning.capacities",
    "schema.planning.contracts",
    "schema.planning.absences",
    "schema.planning.months",
    "schema.planning.settings",
    "schema.planning.changes",
    "schema.sync.runs",
    "schema.sync.mappings",
    "schema.sync.conflicts",
    "schema.audit",
)


ROOTS = {
    "Query": "Everything that can be read. Each field says in `@requires` which permission it needs.",
    "Mutation": "Everything that can be changed. Each field takes one `input` and answers what became of it: what the "
    "caller can correct stands in `problems`, and then nothing was changed.",
    "Subscription": "What can be watched, over WebSocket (graphql-transport-ws), server-sent events or multipart.",
}


class Schema(strawberry.Schema):
    def process_errors(self, errors: list[Any], execution_context: ExecutionContext | None = None) -> None:
        """Masks what the parser raises, which is outside MaskUnexpected's hooks; what is expected is not logged."""
        if execution_context is not None and execution_context.graphql_document is None:
            request_id = getattr(execution_context.context, "request_id", None)
            errors[:] = [masked(error, request_id) for error in errors]


def build_schema(executor: type[Executor[Any]] | None = CompiledExecutor) -> Schema:
    """Each module offers some of the classes Queries, Mutations and Subscriptions. `executor` None: graphql-core's."""
    modules = [importlib.import_module(name) for name in MODULES]

    def root(name: str, part: str) -> Any:
        parts = tuple(getattr(module, part) for module in modules if hasattr(module, part))
        merged: Any = merge_types(name, parts)
        merged.__strawberry_definition__.description = ROOTS[name]
        return merged

    documents = Documents()
    schema = Schema(
        query=root("Query", "Queries"),
        mutation=root("Mutation", "Mutations"),
        subscription=root("Subscription", "Subscriptions"),
        config=StrawberryConfig(scalar_map=SCALARS),
        execution_context_class=executor,
        extensions=[OperationMetrics, MaskUnexpected, lambda: Limits(documents), OneOperation, GuardIntrospection],
    )
    _drop_null_defaults(schema._schema)
    return schema


def _drop_null_defaults(schema: GraphQLSchema) -> None:
    """Strawberry prints a Python default of None as `= null`, which reads as if leaving out and null were the same.

    Without it an argument that is left out does not reach the resolver, and Python's default stands in as before.
    """
    for named in schema.type_map.values():
        if isinstance(named, GraphQLInputObjectType):
            inputs: list[Any] = [*named.fields.values()]
        elif isinstance(named, GraphQLObjectType):
            inputs = [argument for field in named.fields.values() for argument in field.args.values()]
        else:
            continue
        for each in inputs:
            if each.default_value is None:
                each.default_value = Undefined
