"""CompiledExecutor: graphql-core's executor with compiled queries, mutations and subscription events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable
from typing import Any, ClassVar

from graphql import (
    ExecutionResult,
    ExperimentalIncrementalExecutionResults,
    FieldNode,
    GraphQLError,
    GraphQLField,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLResolveInfoHelpers,
    OperationType,
)
from graphql.execution.execute import assume_not_awaitable
from graphql.execution.incremental import IncrementalExecutor
from graphql.pyutils import AwaitableOrValue, Path
from graphql.pyutils.is_awaitable import is_awaitable as graphql_is_awaitable

from .documents import Document, DocumentCache
from .run import Run
from .strawberry import known_predicates, resolve_info_builder

__all__ = ["CompiledExecutor"]

Result = ExecutionResult | ExperimentalIncrementalExecutionResults

_PREDICATES = (graphql_is_awaitable, assume_not_awaitable, *known_predicates)


class CompiledExecutor(IncrementalExecutor):
    """Runs an operation level by level, each field once for all the objects of a level.

    Pass it to graphql-core as `executor_class` or to `strawberry.Schema` as `execution_context_class`. An operation
    that it does not compile runs on graphql-core as if this class were not there, and is counted in `fallbacks`.
    """

    compiled: ClassVar[int] = 0
    """Number of operations and subscription events that ran compiled, in this process."""

    fallbacks: ClassVar[Counter[str]] = Counter()
    """Reason → number of operations, or of single lists, that ran on graphql-core instead."""

    plans: ClassVar[int] = 0
    """Number of plans compiled; one that grows with every request tells that no parse cache keeps the documents."""

    documents: ClassVar[DocumentCache] = DocumentCache(128)
    """The plans of the documents last used. Assign another size to `documents.size`."""

    def __init__(self, *args: Any, operation_extensions: dict[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.operation_extensions = operation_extensions
        """Strawberry's `Info.input_extensions`."""
        self._build_info = resolve_info_builder(self.schema)

    @property
    def async_helpers(self) -> GraphQLResolveInfoHelpers:
        """Made when it is asked for: an executor that kept it would be a cycle, and the whole answer with it garbage
        that only the collector finds."""
        return GraphQLResolveInfoHelpers(gather=self.gather_async_work, track=self.track_async_work)

    @async_helpers.setter
    def async_helpers(self, _: GraphQLResolveInfoHelpers) -> None:
        pass

    @classmethod
    def count_fallback(cls, reason: str) -> None:
        """Count something that runs on graphql-core."""
        CompiledExecutor.fallbacks[reason] += 1

    def build_resolve_info(
        self, field_def: GraphQLField, field_nodes: list[FieldNode], parent_type: GraphQLObjectType, path: Path
    ) -> GraphQLResolveInfo[Any]:
        """Build the info of graphql-core, or Strawberry's for a schema of Strawberry's."""
        if self._build_info is None:
            return super().build_resolve_info(field_def, field_nodes, parent_type, path)
        return self._build_info(self, field_def, field_nodes, parent_type, path)

    def execute_operation(self, serially: bool | None = None) -> AwaitableOrValue[Result]:
        """Execute the operation compiled, or on graphql-core where that is not possible."""
        document = self.documents.document(self)
        reason = self._reason_against(document)
        if reason is not None:
            self.count_fallback(reason)
            return super().execute_operation(serially)
        abort_signal = self.abort_signal
        if abort_signal is not None and abort_signal.aborted:
            self.run_async_work_finished_hook()
            raise self.abort_error()
        CompiledExecutor.compiled += 1
        try:
            run, work = self._run(document, serially)
        except GraphQLError as error:
            self.collected_errors.add(error, None)
            return self.finish(self.build_response(None))
        if work is None:
            return self.finish(self.build_response(run.failures.answer(run.data)))
        result = self._await_result(run, work)
        return result if abort_signal is None else self.with_aborted_execution_error(result)

    def _run(self, document: Document, serially: bool | None) -> tuple[Run, Awaitable[None] | None]:
        operation_type = self.operation.operation
        root_type = self.schema.get_root_type(operation_type)
        if root_type is None:
            message = f"Schema is not configured to execute {operation_type.value} operation."
            raise GraphQLError(message, self.operation)
        plan, is_new = document.plan(self, root_type)
        CompiledExecutor.plans += is_new
        run = Run(self, plan)
        return run, run.execute(operation_type == OperationType.MUTATION if serially is None else serially)

    async def _await_result(self, run: Run, work: Awaitable[None]) -> Result:
        try:
            await work
        except Exception:  # an abort between two mutations
            await self.cancel_incremental_work()
            self.run_async_work_finished_hook()
            raise
        return self.build_response(run.failures.answer(run.data))

    def _reason_against(self, document: Document) -> str | None:
        """Say why the operation is not compiled, or None if it is."""
        if self.middleware_manager is not None and self.middleware_manager.middlewares:
            return "resolve middleware"  # Strawberry always passes a manager, mostly an empty one
        if document.incremental:
            return "@defer or @stream"
        if not self.error_propagation:
            return "error propagation disabled"
        if self.is_awaitable not in _PREDICATES:
            return "own is_awaitable"
        return None
