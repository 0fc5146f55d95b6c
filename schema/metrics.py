"""Counts and times operations by name, kind and outcome."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

from prometheus_client import Counter as Metric
from strawberry.extensions import SchemaExtension

from execution import CompiledExecutor
from server.observability import EXECUTIONS, OPERATION_NAMES, OPERATION_SECONDS, OPERATIONS, PLANS


class OperationMetrics(SchemaExtension):
    """A subscription is counted when it ends; its life is not a latency."""

    def on_operation(self) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self._record(time.perf_counter() - started)

    def _record(self, seconds: float) -> None:
        execution = self.execution_context
        result = execution.result
        try:
            kind = execution.operation_type.value.lower()
            name = execution.operation_name
        except Exception:  # a document that does not parse has neither
            kind, name = "invalid", None
        _record_executor()
        failed = bool(getattr(result, "errors", None))
        signed_in = getattr(execution.context, "caller", None) is not None
        label = OPERATION_NAMES.label(name, trusted=signed_in and result is not None and not failed)
        OPERATIONS.labels(label, kind, "error" if failed else "ok").inc()
        if kind in ("query", "mutation"):
            OPERATION_SECONDS.labels(label).observe(seconds)


_COMPILED = EXECUTIONS.labels("compiled", "")
_recorded: Counter[str] = Counter()


def _record_executor() -> None:
    """What the executor counted since the last operation: how many it compiled and why it left some to graphql-core."""
    _add("compiled", CompiledExecutor.compiled, _COMPILED)
    _add("plans", CompiledExecutor.plans, PLANS)
    for reason, count in CompiledExecutor.fallbacks.items():
        _add(f"fallback:{reason}", count, EXECUTIONS.labels("graphql-core", reason))


def _add(what: str, count: int, metric: Metric) -> None:
    if count > _recorded[what]:
        metric.inc(count - _recorded[what])
        _recorded[what] = count
