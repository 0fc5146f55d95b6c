"""What every request passes on its way in and out: ids, headers, the size limit, one log line and the metrics.

One layer does all of it. Each as a middleware of its own would wrap what receives and what sends once more, and for a
small query a dozen of such wrappings are a third of its time.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

import structlog
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.errors import Problem
from server.observability import HTTP_REQUESTS, HTTP_SECONDS, log_under, request_id_from, trace_from
from server.problems import failure_of, problem_response
from server.settings import Settings

log = structlog.get_logger(__name__)

API_POLICY = "default-src 'none'; frame-ancestors 'none'"
TOO_LARGE = Problem("BODY_TOO_LARGE", "The request is too large", 413, "Send less in one request.")
INTERNAL = "Something went wrong on our side; quote the request id when you report it."
CLIENT_LEFT = 499  # nginx's status for it; nobody receives it
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
UNTOLD = {"/health", "/readiness", "/metrics"}
"""routes that are asked every few seconds, and are logged at debug level"""
ALLOWED_HEADERS = [
    *("Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "Traceparent", "X-Request-ID"),
    *("GraphQL-Require-Preflight", "Apollo-Require-Preflight", "X-Apollo-Operation-Name", "X-Requested-With"),
]
VARY_BY_ORIGIN = (b"vary", b"Origin")


class Edge:
    """The outermost application. `routes` are the paths that may be named in logs and metrics."""

    def __init__(self, app: ASGIApp, settings: Settings, routes: Collection[str]) -> None:
        self.app = app
        self.limit = settings.max_body_bytes
        self.routes = frozenset(routes)
        self.headers = _security_headers(settings)
        self.shared = CORSMiddleware(
            self._guarded,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=ALLOWED_HEADERS,
            expose_headers=["X-Request-ID", "Retry-After", "RateLimit", "RateLimit-Policy", "ETag"],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        request_id = request_id_from(headers.get(b"x-request-id", b"").decode("latin-1"))
        trace_id, span_id = trace_from(headers.get(b"traceparent", b"").decode("latin-1"))
        scope.setdefault("state", {})["request_id"] = request_id
        log_under(request_id=request_id, trace_id=trace_id)
        if scope["type"] == "websocket":
            await self.app(scope, receive, send)
            return
        exchange = scope["exchange"] = _Exchange(receive, send, self.limit)
        exchange.headers = [
            *self.headers,
            (b"x-request-id", request_id.encode()),
            (b"traceparent", f"00-{trace_id}-{span_id}-01".encode()),
        ]
        started = time.perf_counter()
        try:
            await self._answer(scope, exchange, headers)
        finally:
            self._record(scope, exchange.status or CLIENT_LEFT, time.perf_counter() - started)

    async def _answer(self, scope: Scope, exchange: _Exchange, headers: Mapping[bytes, bytes]) -> None:
        declared = headers.get(b"content-length", b"0")
        exchange.is_too_large = not declared.isdigit() or int(declared[:20]) > self.limit
        if b"origin" in headers or scope["method"] != "POST":
            await self.shared(scope, exchange.receive, exchange.send)
        else:  # CORSMiddleware would add this one header
            exchange.headers.append(VARY_BY_ORIGIN)
            await self._guarded(scope, exchange.receive, exchange.send)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Inside of CORSMiddleware, so that these answers get its headers, too."""
        exchange: _Exchange = scope["exchange"]
        try:
            if exchange.is_too_large:
                raise _TooLarge
            await self.app(scope, receive, send)
        except ClientDisconnect:
            return
        except _TooLarge:
            if exchange.status is None:
                await problem_response(TOO_LARGE)(scope, receive, send)
        except Exception as error:
            if exchange.status is not None:
                raise
            await _crash_response(error, scope)(scope, receive, send)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        # Labels come from short lists, since callers choose methods and paths; a query string is never written.
        method = scope["method"] if scope["method"] in METHODS else "OTHER"
        route = scope["path"] if scope["path"] in self.routes else "other"
        HTTP_REQUESTS.labels(method, route, str(status)).inc()
        HTTP_SECONDS.labels(route).observe(seconds)
        write = log.debug if route in UNTOLD else log.info
        write("request", method=method, route=route, status=status, milliseconds=round(seconds * 1000, 1))


class _TooLarge(Exception):
    pass


class _Exchange:
    """One request's way in, on which its body is measured as it arrives, and its answer's way out, on which it gets the
    headers that it lacks: a route's own (GraphiQL's policy) win."""

    __slots__ = ("_limit", "_receive", "_received", "_send", "headers", "is_too_large", "status")

    def __init__(self, receive: Receive, send: Send, limit: int) -> None:
        self._receive, self._send, self._limit = receive, send, limit
        self._received = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_too_large = False
        """by what it declares"""
        self.status: int | None = None
        """of the answer, once it has begun"""

    async def receive(self) -> Message:
        message = await self._receive()
        self._received += len(message.get("body", b""))
        if self._received > self._limit:
            raise _TooLarge
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = message["headers"]
            given = {name for name, _ in own}
            message["headers"] = [*own, *(each for each in self.headers if each[0] not in given)]
        await self._send(message)


def _crash_response(error: Exception, scope: Scope) -> Response:
    """What nobody expected is logged, and its answer says nothing but the request's id."""
    instance = f"urn:request:{scope['state']['request_id']}"
    if failure := failure_of(error):
        log.warning("database_failed", code=failure.code, error=type(error).__name__)
        return problem_response(replace(failure.problem, instance=instance), retry_after=failure.retry_after)
    log.error("unexpected_error", exc_info=error)
    return problem_response(Problem("INTERNAL", "Something went wrong on our side", 500, INTERNAL, instance=instance))


def _security_headers(settings: Settings) -> list[tuple[bytes, bytes]]:
    """Headers that tell browsers what not to do."""
    headers = {
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "content-security-policy": API_POLICY,
        "permissions-policy": "camera=(), geolocation=(), microphone=()",
    }
    if urlsplit(settings.public_url).scheme == "https":
        headers["strict-transport-security"] = "max-age=63072000; includeSubDomains"
    return [(name.encode(), value.encode()) for name, value in headers.items()]
