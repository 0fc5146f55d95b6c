"""What every request passes on its way in and out: ids, headers, the size limit, one log line and the metrics."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.errors import Problem
from server.observability import HTTP_REQUESTS, HTTP_SECONDS, request_id_from, trace_from
from server.problems import failure_of, problem_response
from server.settings import Settings

log = structlog.get_logger(__name__)

API_POLICY = "default-src 'none'; frame-ancestors 'none'"
TOO_LARGE = Problem("BODY_TOO_LARGE", "The request is too large", 413, "Send less in one request.")
INTERNAL = "Something went wrong on our side; quote the request id when you report it."
CLIENT_LEFT = 499  # nginx's status for it; nobody receives it
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class Observed:
    """Gives each request its ids, logs one line about it and counts it."""

    def __init__(self, app: ASGIApp, routes: Sequence[str]) -> None:
        self.app = app
        self.routes = frozenset(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = request_id_from(headers.get("x-request-id"))
        trace_id, span_id = trace_from(headers.get("traceparent"))
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id, trace_id=trace_id)
        started = time.perf_counter()
        status = CLIENT_LEFT

        async def send_with_ids(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                ids = {b"x-request-id": request_id, b"traceparent": f"00-{trace_id}-{span_id}-01"}
                others = [(name, value) for name, value in message["headers"] if name not in ids]
                message["headers"] = others + [(name, value.encode()) for name, value in ids.items()]
            await send(message)

        try:
            await self.app(scope, receive, send_with_ids)
        finally:
            if scope["type"] == "http":
                self._record(scope, status, time.perf_counter() - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        # Labels come from short lists, since callers choose methods and paths; a query string is never written.
        method = scope["method"] if scope["method"] in METHODS else "OTHER"
        route = scope["path"] if scope["path"] in self.routes else "other"
        HTTP_REQUESTS.labels(method, route, str(status)).inc()
        HTTP_SECONDS.labels(route).observe(seconds)
        write = log.debug if route in ("/health", "/readiness", "/metrics") else log.info
        write("request", method=method, route=route, status=status, milliseconds=round(seconds * 1000, 1))


class CrashAsProblem:
    """Innermost, so that the answer gets every header: what nobody expected is logged and says nothing but its id."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, noting)
        except ClientDisconnect:
            return
        except Exception as error:
            if started:
                raise
            instance = f"urn:request:{scope['state']['request_id']}"
            if failure := failure_of(error):
                log.warning("database_failed", code=failure.code, error=type(error).__name__)
                problem = replace(failure.problem, instance=instance)
                await problem_response(problem, retry_after=failure.retry_after)(scope, receive, send)
                return
            log.exception("unexpected_error")
            internal = Problem("INTERNAL", "Something went wrong on our side", 500, INTERNAL, instance=instance)
            await problem_response(internal)(scope, receive, send)


class SecurityHeaders:
    """Headers that tell browsers what not to do; a route's own (GraphiQL's policy) win."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
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
        self.encoded = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(each for each in self.encoded if each[0] not in given)]
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class _TooLarge(Exception):
    pass


class BodyLimit:
    """Refuses a body over the limit as soon as it is known to be: by its declared length, else while it arrives."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        if not declared.isdecimal() or int(declared[:20]) > self.limit:
            await problem_response(TOO_LARGE)(scope, receive, send)
            return
        received = 0
        started = False

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.limit:
                raise _TooLarge
            return message

        async def noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, limited, noting)
        except _TooLarge:
            if not started:
                await problem_response(TOO_LARGE)(scope, receive, send)
