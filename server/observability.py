"""Logs as JSON, request and trace ids, and the metrics of this process."""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson
import structlog
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from server.ids import new_id
from server.settings import Settings

MULTIPROCESS_DIR = "PROMETHEUS_MULTIPROC_DIR"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

HTTP_REQUESTS = Counter("plancharge_http_requests", "HTTP requests", ["method", "route", "status"])
HTTP_SECONDS = Histogram("plancharge_http_request_seconds", "Time to answer", ["route"], buckets=SECONDS)
OPERATIONS = Counter("plancharge_graphql_operations", "GraphQL operations", ["operation", "kind", "outcome"])
OPERATION_SECONDS = Histogram(
    "plancharge_graphql_operation_seconds", "Time to execute a query or mutation", ["operation"], buckets=SECONDS
)
EXECUTIONS = Counter("plancharge_graphql_executions", "Operations and events by executor", ["executor", "reason"])
PLANS = Counter("plancharge_graphql_plans", "Documents compiled; grows with each request if documents are parsed anew")
DOCUMENTS = Counter("plancharge_graphql_documents", "Documents by whether they were parsed before", ["outcome"])
KEPT_DOCUMENTS = Gauge(
    "plancharge_graphql_documents_kept", "Parsed documents that are kept", multiprocess_mode="livesum"
)
KEPT_TOKENS = Gauge("plancharge_graphql_tokens_kept", "Tokens of the documents kept", multiprocess_mode="livesum")
RESPONSES = Counter(
    "plancharge_response_cache", "Plans and reports asked for that may be kept, by outcome", ["outcome"]
)
KEPT_RESPONSE_BYTES = Gauge(
    "plancharge_response_cache_bytes", "Memory of the answers that are kept", multiprocess_mode="livesum"
)
LOADER_BATCHES = Counter("plancharge_dataloader_batches", "Batches that a dataloader fetched", ["loader"])
LOADER_KEYS = Counter("plancharge_dataloader_keys", "Keys that a dataloader fetched", ["loader"])
STATEMENTS = Counter("plancharge_sql_statements", "Statements sent to PostgreSQL", ["kind"])
STATEMENT_SECONDS = Histogram("plancharge_sql_statement_seconds", "Time of a statement", ["kind"], buckets=SECONDS)
CONNECTIONS = Gauge("plancharge_sql_connections", "Connections of the pools in use", multiprocess_mode="livesum")
SOCKETS = Gauge("plancharge_websockets", "Open WebSockets", multiprocess_mode="livesum")

# Looking a label's child up takes as long as counting with it, a dozen times a request; no child is ever removed.
_metric: Any
for _metric in (
    *(HTTP_REQUESTS, HTTP_SECONDS, OPERATIONS, OPERATION_SECONDS, DOCUMENTS, RESPONSES),
    *(LOADER_BATCHES, LOADER_KEYS, STATEMENTS, STATEMENT_SECONDS),
):
    _metric.labels = cache(_metric.labels)

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_OPERATION_NAME = re.compile(r"[_A-Za-z][_0-9A-Za-z]{0,63}")
_KINDS = {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "COPY", "BEGIN", "SET"}


_ids: ContextVar[Mapping[str, str]] = ContextVar("ids", default=MappingProxyType({}))


def log_under(**ids: str) -> None:
    """Have each line that this task and its children log say whose they are. One variable for all of them: structlog's
    own are looked for among all that a context holds, for each line."""
    _ids.set(ids)


def _with_ids(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {**_ids.get(), **event}


def _json(event: Any, default: Any, **_: Any) -> str:
    return orjson.dumps(event, default=default).decode()


class _Named(structlog.WriteLogger):
    """Writes to standard output at once: by way of logging's own loggers a line takes four times as long."""

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self.name = name


def configure_logging(settings: Settings) -> None:
    """One JSON object a line on standard output, for our loggers and for libraries' alike."""
    level = settings.log_level.upper()
    shared: list[Any] = [
        _with_ids,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # A plain traceback: structlog's console prints local variables by default, which may be personal data.
    last: list[Any] = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(_json)]
    if settings.log_format == "console":
        last = [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "arq", "sqlalchemy"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    # The middleware writes one better line; uvicorn puts its own together for whoever is above this logger.
    logging.getLogger("uvicorn.access").propagate = False
    for name in ("httpx", "httpcore", "strawberry.execution"):
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, *last],
        logger_factory=_Named,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        cache_logger_on_first_use=True,
    )


def request_id_from(header: str | None) -> str:
    """The caller's request id where it is a plain token of at most 64 characters, else a new one."""
    return header if header and _REQUEST_ID.fullmatch(header) else str(new_id())


def trace_from(traceparent: str | None) -> tuple[str, str]:
    """(trace id, our span id) of the W3C header, continuing the caller's trace or starting one."""
    match = _TRACEPARENT.fullmatch(traceparent or "")
    made = os.urandom(24).hex()
    return (match[1] if match else made[:32]), made[32:]


class OperationNames:
    """Operation names as metric labels: only so many, since names come from callers and each label costs memory."""

    def __init__(self, limit: int = 200) -> None:
        self._limit = limit
        self._known: set[str] = set()

    def label(self, name: str | None, *, trusted: bool) -> str:
        """`trusted`: a signed-in caller's operation that was valid. Others never add a name."""
        if not name:
            return "anonymous"
        if name in self._known:
            return name
        if trusted and len(self._known) < self._limit and _OPERATION_NAME.fullmatch(name):
            self._known.add(name)
            return name
        return "other"


OPERATION_NAMES = OperationNames()


def observe_engine(engine: AsyncEngine) -> None:
    """Counts and times every statement by kind, and the connections in use."""
    sync = engine.sync_engine

    @event.listens_for(sync, "before_cursor_execute")
    def before(connection: Any, _cursor: Any, _statement: str, _parameters: Any, _context: Any, _many: bool) -> None:
        connection.info["plancharge_started"] = time.perf_counter()

    @event.listens_for(sync, "after_cursor_execute")
    def after(connection: Any, _cursor: Any, statement: str, _parameters: Any, _context: Any, _many: bool) -> None:
        kind = statement.lstrip()[:8].split(maxsplit=1)[0].upper() if statement.strip() else "OTHER"
        kind = kind if kind in _KINDS else "OTHER"
        STATEMENTS.labels(kind).inc()
        STATEMENT_SECONDS.labels(kind).observe(time.perf_counter() - connection.info["plancharge_started"])

    @event.listens_for(sync, "checkout")
    def checkout(_connection: Any, _record: Any, _proxy: Any) -> None:
        CONNECTIONS.inc()

    @event.listens_for(sync, "checkin")
    def checkin(_connection: Any, _record: Any) -> None:
        CONNECTIONS.dec()


def scrape() -> tuple[bytes, str]:
    """What /metrics answers: this process, or all workers together when they share a folder."""
    folder = os.environ.get(MULTIPROCESS_DIR)
    if not folder:
        return generate_latest(REGISTRY), CONTENT_TYPE_LATEST
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_LATEST


def empty_multiprocess_folder(folder: Path) -> None:
    """Before the workers start: what an earlier run left would be counted again."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.db"):
        file.unlink()


def mark_dead() -> None:
    """At a worker's end: its live gauges no longer count."""
    if os.environ.get(MULTIPROCESS_DIR):
        multiprocess.mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]
