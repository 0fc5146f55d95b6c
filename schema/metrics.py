"""Counts and times operations by name, kind and outcome."""

from __future__ import annotations

import time
from collections.abc import Iterator

from strawberry.extensions import SchemaExtension

from server.observability import OPERATION_NAMES, OPERATION_SECONDS, OPERATIONS


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
        failed = bool(getattr(result, "errors", None))
        signed_in = getattr(execution.context, "caller", None) is not None
        label = OPERATION_NAMES.label(name, trusted=signed_in and result is not None and not failed)
        OPERATIONS.labels(label, kind, "error" if failed else "ok").inc()
        if kind in ("query", "mutation"):
            OPERATION_SECONDS.labels(label).observe(seconds)
