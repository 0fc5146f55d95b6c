"""The GraphQL face: build_schema() puts the type modules together."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import strawberry
from graphql.execution import Executor
from strawberry.schema.config import StrawberryConfig
from strawberry.tools import merge_types
from strawberry.types import ExecutionContext

from execution import CompiledExecutor
from schema.errors import MaskUnexpected, masked
from schema.limits.documents import Documents
from schema.limits.extension import Limits
from schema.metrics import OperationMetrics
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
    "schema.audit",
)


class Schema(strawberry.Schema):
    def process_errors(self, errors: list[Any], execution_context: ExecutionContext | None = None) -> None:
        """Masks what the parser raises, which is outside MaskUnexpected's hooks; what is expected is not logged."""
        if execution_context is not None and execution_context.graphql_document is None:
            request_id = getattr(execution_context.context, "request_id", None)
            errors[:] = [masked(error, request_id) for error in errors]


def build_schema(executor: type[Executor[Any]] | None = CompiledExecutor) -> Schema:
    """Each module offers some of the classes Queries, Mutations and Subscriptions. `executor` None: graphql-core's."""
    modules = [importlib.import_module(name) for name in MODULES if importlib.util.find_spec(name)]  # LEAD: temporary

    def root(name: str, part: str) -> Any:
        parts = tuple(getattr(module, part) for module in modules if hasattr(module, part))
        return merge_types(name, parts) if parts else None

    documents = Documents()
    return Schema(
        query=root("Query", "Queries"),
        mutation=root("Mutation", "Mutations"),
        subscription=root("Subscription", "Subscriptions"),
        config=StrawberryConfig(scalar_map=SCALARS),
        execution_context_class=executor,
        extensions=[OperationMetrics, MaskUnexpected, lambda: Limits(documents)],
    )
