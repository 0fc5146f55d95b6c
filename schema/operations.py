"""An operation from its text to its answer: the stages that every transport sends it through, on one page.

Strawberry would ask each of seven extensions at each stage whether it has something to do, which takes longer than all
else about a small operation. Here each stage is called by its name, once.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, TypeVar

from graphql import ExecutionResult as Executed
from graphql import GraphQLError, OperationDefinitionNode, subscribe
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.execution import ExecutionResult, PreExecutionError
from strawberry.types.graphql import OperationType

from schema import introspection, metrics, response_cache
from schema.context import Context
from schema.deadline import Deadline
from schema.errors import all_masked
from schema.limits.admission import Admission
from schema.limits.documents import Prepared
from server.errors import BadRequest

if TYPE_CHECKING:
    from schema import Schema

T = TypeVar("T")

TYPES = {each.value: each for each in OperationType}


class Operation:
    """One run of an operation for one caller: `result` of a query or a mutation, `results` of what may be either of
    these or a subscription."""

    def __init__(
        self,
        schema: Schema,
        context: Context,
        text: str,
        variables: dict[str, Any] | None,
        name: str | None,
        extensions: dict[str, Any] | None,
    ) -> None:
        self.schema, self.context = schema, context
        self.text, self.variables, self.name = text, variables or {}, name
        self._extensions = extensions
        self._admission = Admission(schema._schema, schema.documents, context)
        self._definition: OperationDefinitionNode | None = None
        self.prepared: Prepared

    async def result(self, allowed: Collection[OperationType]) -> ExecutionResult:
        """Raises CannotGetOperationTypeError and InvalidOperationTypeError: the request as a whole is wrong then."""
        started, failed = time.perf_counter(), True
        try:
            answer = await self._refused(allowed) or await self._executed()
            failed = bool(answer.errors)
            return answer
        finally:
            self._record(started, failed)

    async def results(self, allowed: Collection[OperationType]) -> AsyncGenerator[ExecutionResult, None]:
        """What a stream is sent; every refusal comes as its first and only result."""
        started, failed = time.perf_counter(), True
        try:
            try:
                refused = await self._refused(allowed)
            except (CannotGetOperationTypeError, InvalidOperationTypeError) as error:
                refused = self._refusal([GraphQLError(str(error), original_error=error)])
            if refused is not None:
                yield refused
            elif self._type is not OperationType.SUBSCRIPTION:
                answer = await self._executed()
                failed = bool(answer.errors)
                yield answer
            else:
                failed = False
                async with aclosing(self._events()) as events:
                    async for event in events:
                        failed = bool(event.errors)
                        yield event
        finally:
            self._record(started, failed)

    # The stages

    async def _refused(self, allowed: Collection[OperationType]) -> PreExecutionError | None:
        """Parses, looks which operation it is, and asks everyone who may have something against it."""
        try:
            self.prepared = self._admission.parsed(self.text)
        except GraphQLError as error:
            return self._refusal([error])
        self._definition = self.prepared.operation(self.name)
        if self._type not in allowed:
            raise InvalidOperationTypeError(self._type)
        errors = await self._admission.refusals(self.prepared, self._definition, self.variables)
        return self._refusal(errors or self._other_refusals())

    def _other_refusals(self) -> list[GraphQLError]:
        if self.name is None and self.prepared.is_ambiguous:
            asked = BadRequest("The document has several operations: name the one to run by `operationName`.")
            return [GraphQLError(str(asked), original_error=asked)]
        document = self.prepared.document
        guarded = introspection.refusal(self.schema._schema, document, self.text, self.variables, self.context)
        return [] if guarded is None else [guarded]

    async def _executed(self) -> ExecutionResult:
        try:
            with Deadline(self.context.settings.request_seconds):
                return self._shown(await response_cache.kept_or(self, self._execute))
        except Exception as error:
            return self._shown(Executed(None, [_located(error)]))

    async def _execute(self) -> Executed:
        executor: Any = self.schema.execution_context_class.build(
            self.schema._schema,
            self.prepared.document,
            None,
            self.context,
            self.variables,
            self.name,
            is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type]  # Strawberry's own, not declared as a guard
            operation_extensions=self._extensions,
        )
        if isinstance(executor, list):
            return Executed(None, executor)
        result = executor.execute_operation()
        return await result if isawaitable(result) else result  # type: ignore[no-any-return]

    async def _events(self) -> AsyncGenerator[ExecutionResult, None]:
        try:
            with Deadline(self.context.settings.request_seconds):  # of the start
                source: Any = subscribe(
                    self.schema._schema,
                    self.prepared.document,
                    context_value=self.context,
                    variable_values=self.variables,
                    operation_name=self.name,
                    executor_class=self.schema.execution_context_class,
                    operation_extensions=self._extensions,
                )
                source = await source if isawaitable(source) else source
            if isinstance(source, Executed):
                yield self._refusal(source.errors or [])  # type: ignore[misc]  # there is one, or it would be a source
                return
            async with aclosing(source):
                async for event in source:
                    yield self._shown(event)
        except Exception as error:
            yield self._shown(Executed(None, [_located(error)]))

    # What leaves

    def _refusal(self, errors: list[GraphQLError]) -> PreExecutionError | None:
        return PreExecutionError(None, all_masked(errors, self.context), self._told()) if errors else None

    def _shown(self, result: Executed) -> ExecutionResult:
        errors = all_masked(result.errors, self.context) if result.errors else None
        return ExecutionResult(result.data, errors, self._told())

    def _told(self) -> dict[str, Any]:
        """Not with the events of a subscription: they would all repeat what its start has cost."""
        cost = self._admission.cost
        return {} if cost is None or self._type is OperationType.SUBSCRIPTION else {"cost": cost}

    @property
    def _type(self) -> OperationType:
        assert self._definition is not None
        return TYPES[self._definition.operation.value]

    def _record(self, started: float, failed: bool) -> None:
        signed_in = self.context.caller is not None
        metrics.record(self._definition, time.perf_counter() - started, failed=failed, signed_in=signed_in)


def _located(error: Exception) -> GraphQLError:
    return error if isinstance(error, GraphQLError) else GraphQLError(str(error), original_error=error)
