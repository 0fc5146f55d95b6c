"""Counts and times operations by name, kind and outcome."""

from __future__ import annotations

from collections import Counter

from graphql import OperationDefinitionNode
from prometheus_client import Counter as Metric

from execution import CompiledExecutor
from server.observability import EXECUTIONS, OPERATION_NAMES, OPERATION_SECONDS, OPERATIONS, PLANS


def record(operation: OperationDefinitionNode | None, seconds: float, *, failed: bool, signed_in: bool) -> None:
    """`operation` None: of a document that could not be parsed. A subscription is counted when it ends; its life is
    not a latency."""
    kind = "invalid" if operation is None else operation.operation.value
    name = operation.name.value if operation is not None and operation.name is not None else None
    _record_executor()
    label = OPERATION_NAMES.label(name, trusted=signed_in and not failed)
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
