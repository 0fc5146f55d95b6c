"""The floors' common edge: a bare ASGI application that verifies the token and knows three operations by name."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import asyncpg  # type: ignore[import-untyped]
import orjson

from benchmarks.peers.token import holder

Answer = Callable[[asyncpg.Pool, UUID, dict[str, Any]], Awaitable[bytes]]
START = {"type": "http.response.start", "status": 200}


async def _keep(_connection: Any) -> None:
    """By default asyncpg resets a connection that comes back, in a round trip; these reads leave nothing to reset."""


class Floor:
    """`operations` maps an operation's name to what answers it with the body."""

    def __init__(self, operations: dict[str, Answer]) -> None:
        self.operations = operations
        self.pool: asyncpg.Pool | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        authorization = next(value for name, value in scope["headers"] if name == b"authorization")
        user_id = holder(authorization.decode())
        request = orjson.loads(body)
        assert self.pool is not None
        answer = await self.operations[request["operationName"]](self.pool, user_id, request.get("variables") or {})
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({**START, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        self.pool = await asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=10, max_size=20, reset=_keep)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.pool.close()
        await send({"type": "lifespan.shutdown.complete"})
