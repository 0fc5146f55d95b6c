"""create_app(settings): routes, middleware and lifespan of the web server; no other server module imports schema."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hmac
import ipaddress
from collections.abc import AsyncIterator, Awaitable

import structlog
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Lifespan, Receive, Scope, Send

from schema import build_schema
from schema.http import GraphQLView
from schema.kept_responses import KeptResponses
from schema.persisted import PersistedDocuments
from server import graphiql, rest
from server.authentication import Authenticator
from server.connections import connected
from server.database import Database
from server.errors import Problem
from server.middleware import Edge
from server.observability import configure_logging, mark_dead, scrape
from server.problems import problem_response
from server.rate_limit import RateLimit
from server.settings import Settings, read_settings

log = structlog.get_logger(__name__)

POSTGRES_SECONDS = 2.0
REDIS_SECONDS = 0.5
"""less, so that a server which can do without Redis answers within the second that a supervisor usually waits"""
TITLES = {404: "There is nothing at this address; the API is at /graphql.", 405: "This address takes other methods."}


def create_app(settings: Settings) -> Edge:
    """The web server. Starlette's `app.state` has what the routes use: settings, database, bus, authenticator ..."""
    view = GraphQLView(build_schema(settings.graphql_executor), settings)
    routes = [
        Route("/", _to_graphiql),
        Route("/health", health),
        Route("/readiness", readiness),
        Route("/metrics", metrics),
        Route("/graphql", view),
        *rest.routes(),
    ]
    starlette = Starlette(
        routes=[*routes, WebSocketRoute("/graphql", view), *graphiql.static_routes()], lifespan=_lifespan(settings)
    )
    # Without Starlette's outermost layer, which would answer a crash before Edge can; `/graphql` without routing, too.
    routed = ExceptionMiddleware(starlette.router, handlers={HTTPException: _http_error})

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = starlette
        is_operation = scope["type"] == "http" and scope["path"] == "/graphql"
        await (view if is_operation else routed)(scope, receive, send)

    return Edge(inner, settings, [route.path for route in routes])


def app() -> Edge:
    """What uvicorn calls in each worker."""
    settings = read_settings()
    configure_logging(settings)
    return create_app(settings)


def _lifespan(settings: Settings) -> Lifespan[Starlette]:
    @contextlib.asynccontextmanager
    async def run(app: Starlette) -> AsyncIterator[None]:
        async with connected(settings) as connections:
            authenticator = Authenticator(connections.database, settings)
            await connections.bus.start()
            forgetting = asyncio.create_task(authenticator.forget_on(connections.bus), name="forget-changed-access")
            app.state.settings, app.state.authenticator = settings, authenticator
            app.state.database, app.state.redis, app.state.bus = (
                connections.database,
                connections.redis,
                connections.bus,
            )
            app.state.rate_limit = RateLimit(connections.redis, settings.cost_per_minute)
            app.state.documents = PersistedDocuments(connections.redis, settings)
            limit = settings.response_cache_bytes
            app.state.kept_responses = KeptResponses(limit) if limit else None
            _collect_seldom()
            log.info("started")
            try:
                yield
            finally:
                forgetting.cancel()
                await connections.bus.stop()
        mark_dead()
        log.info("stopped")

    return run


def _collect_seldom() -> None:
    """An answer of tens of thousands of objects, hardly one of them in a cycle, would be searched for garbage dozens of
    times while it is put together; and what was made by importing never becomes garbage. Parsed documents do, and are
    cycles: with more generations to wait for, those that were forgotten would fill the memory."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 3, 3)


def _to_graphiql(_request: Request) -> Response:
    return RedirectResponse("/graphql")


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = TITLES.get(error.status_code, error.detail)
    code = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}.get(error.status_code, "BAD_REQUEST")
    response = problem_response(Problem(code, error.detail, error.status_code, detail, instance=request.url.path))
    response.headers.update(error.headers or {})
    return response


async def health(_request: Request) -> Response:
    """The process answers; nothing else is asked."""
    return JSONResponse({"status": "ok"})


async def readiness(request: Request) -> Response:
    """Each dependency's state. Without PostgreSQL we cannot serve (503); without Redis we can, less well."""
    state = request.app.state
    database, redis = await asyncio.gather(
        _probe(_ask_postgres(state.database), POSTGRES_SECONDS), _probe(state.redis.ping(), REDIS_SECONDS)
    )
    status = {"database": database, "redis": redis}
    summary = "unavailable" if database != "ok" else "ok" if redis == "ok" else "degraded"
    return JSONResponse({"status": summary, "dependencies": status}, 503 if database != "ok" else 200)


async def _ask_postgres(database: Database) -> None:
    async with database.reads.session() as session:
        await session.execute(text("SELECT 1"))


async def _probe(answer: Awaitable[object], seconds: float) -> str:
    """Not `wait_for`, which waits until what it has cancelled is done: closing a connection that hangs takes longer."""
    asked = asyncio.ensure_future(answer)
    await asyncio.wait({asked}, timeout=seconds)
    if not asked.done():
        asked.cancel()
        asked.add_done_callback(lambda left: left.cancelled() or left.exception())  # nobody asks any more
        log.warning("dependency_unavailable", error="TimeoutError")
        return "unavailable"
    try:
        asked.result()
    except (OSError, RedisError, SQLAlchemyError) as error:
        log.warning("dependency_unavailable", error=type(error).__name__)
        return "unavailable"
    return "ok"


async def metrics(request: Request) -> Response:
    """For loopback callers and holders of METRICS_TOKEN; to others there is nothing here."""
    if not _may_scrape(request):
        raise HTTPException(404)
    body, media_type = await asyncio.to_thread(scrape)
    return Response(body, headers={"content-type": media_type})


def _may_scrape(request: Request) -> bool:
    token = request.app.state.settings.metrics_token
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if token is not None and hmac.compare_digest(given.encode(), token.get_secret_value().encode()):
        return True
    # A reverse proxy on this machine calls from loopback for callers from anywhere.
    if request.client is None or "x-forwarded-for" in request.headers or "forwarded" in request.headers:
        return False
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(request.client.host).is_loopback
    return False
