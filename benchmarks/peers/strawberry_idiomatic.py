"""The application of the Strawberry peer; STRAWBERRY_CACHES=1 adds Strawberry's parser and validation caches."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import date
from typing import Any
from uuid import UUID

import jwt
import strawberry
from redis.asyncio import Redis
from sqlalchemy import exists, func, or_, select
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.extensions import ParserCache, ValidationCache
from strawberry.schema.config import StrawberryConfig

import server.tables  # noqa: F401 — the rows refer to each other
from benchmarks.peers import strawberry_types as types
from benchmarks.peers.strawberry_loaders import Context, Info, Session, engine
from benchmarks.peers.strawberry_types import first_day
from benchmarks.peers.strawberry_write import write_cells
from benchmarks.peers.token import holder
from server.planning.domain.months import last_day, months_between
from server.planning.models import ContractRow, ForecastRow
from server.projects.models import ProjectRow
from server.users.models import UserRow, UserStatus

CHANNEL = "bench:planning"


@strawberry.type
class Query:
    @strawberry.field
    async def me(self, info: Info) -> types.User:
        async with Session() as session:
            return types.User.of(await session.get_one(UserRow, info.context.user_id))

    @strawberry.field
    async def projects(self, page: int = 1, size: int = 50) -> types.ProjectPage:
        statement = (
            select(ProjectRow)
            .where(ProjectRow.deleted_at.is_(None))
            .order_by(func.lower(ProjectRow.code), ProjectRow.id)
            .offset((page - 1) * size)
            .limit(size)
        )
        async with Session() as session:
            return types.ProjectPage(items=[types.Project.of(row) for row in await session.scalars(statement)])

    @strawberry.field
    async def planning(
        self, first: types.FromMonth, last: types.ToMonth, page: int = 1, size: int = 50
    ) -> types.PlanningPage:
        months = list(months_between(first_day(first), first_day(last)))
        left = (UserRow.status == UserStatus.LEFT) & _under_contract(months)
        shut_out = (UserRow.status == UserStatus.DEACTIVATED) & _loaded(months)
        statement = (
            select(UserRow)
            .where(UserRow.is_service.is_(False), or_(UserRow.is_active, left, shut_out))
            .order_by(func.lower(UserRow.last_name), func.lower(UserRow.first_name), UserRow.id)
            .offset((page - 1) * size)
            .limit(size)
        )
        async with Session() as session:
            rows = await session.scalars(statement)
            return types.PlanningPage(items=[types.PlanningRow(user=types.User.of(row), range=months) for row in rows])


def _under_contract(months: list[date]) -> Any:
    return exists().where(
        ContractRow.user_id == UserRow.id,
        ContractRow.start_date <= last_day(months[-1]),
        or_(ContractRow.end_date.is_(None), ContractRow.end_date >= months[0]),
    )


def _loaded(months: list[date]) -> Any:
    return exists().where(
        ForecastRow.user_id == UserRow.id,
        ForecastRow.month.between(months[0], months[-1]),
        func.coalesce(ForecastRow.stated, ForecastRow.expected) != 0,
    )


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def forecasts_write(self, info: Info, input: types.ForecastsWriteInput) -> types.ForecastsWritePayload:
        assert info.context.user_id is not None
        payload, event = await write_cells(info.context.user_id, input.cells)
        await redis.publish(CHANNEL, json.dumps(event))
        return payload


redis = Redis.from_url(os.environ["REDIS_URL"])
queues: set[asyncio.Queue[dict[str, Any]]] = set()


async def listen() -> None:
    """One connection to Redis for all sockets."""
    async with redis.pubsub(ignore_subscribe_messages=True) as pubsub:
        await pubsub.subscribe(CHANNEL)
        async for message in pubsub.listen():
            event = json.loads(message["data"])
            for queue in queues:
                queue.put_nowait(event)


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def planning_changed(
        self, first: types.FromMonth, last: types.ToMonth
    ) -> AsyncGenerator[types.PlanningChange, None]:
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        queues.add(queue)
        try:
            yield types.PlanningChange(kind="RESYNC", cell_ids=[], month_ids=[])
            while True:
                event = await queue.get()
                if event["first"] <= last and first <= event["last"]:
                    yield types.PlanningChange(
                        kind="CHANGED",
                        cell_ids=[UUID(each) for each in event["cell_ids"]],
                        month_ids=[UUID(each) for each in event["month_ids"]],
                    )
        finally:
            queues.discard(queue)


class View(GraphQL[Context, None]):
    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:  # noqa: ARG002
        if isinstance(request, WebSocket):
            return Context(None)
        return Context(holder(request.headers["authorization"]))

    async def on_ws_connect(self, context: Context) -> Any:
        try:
            context.user_id = holder((context.connection_params or {})["authorization"])
        except (jwt.InvalidTokenError, KeyError):
            raise ConnectionRejectionError from None
        return strawberry.UNSET


@contextlib.asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[None]:
    listening = asyncio.create_task(listen())
    yield
    listening.cancel()
    await redis.aclose()
    await engine.dispose()


schema = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    config=StrawberryConfig(scalar_map={types.Month: types.MONTH}),
    extensions=[ParserCache, ValidationCache] if os.environ.get("STRAWBERRY_CACHES") else [],
)
view = View(schema, graphql_ide=None)
app = Starlette(routes=[Route("/graphql", view), WebSocketRoute("/graphql", view)], lifespan=lifespan)
