"""Sixty calls at once on a pool of two connections: some wait and are served, the rest is refused, nothing locks up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import asyncpg  # type: ignore[import-untyped]
import httpx

from faults.ground import Ground, finished, sign_in, unexpected
from faults.load import READ, RENAME, outcome_of
from faults.shown import Shown
from server.settings import DEMO_PASSWORD

CALLS = 60
POOL = {"DATABASE_POOL_SIZE": "2", "DATABASE_POOL_OVERFLOW": "0"}
POOL_SECONDS = 5
"""after which a call that waits for a connection is refused"""
LONGEST = 15.0
Headers = dict[str, str]


def show(ground: Ground, shown: Shown) -> None:
    (project,) = ground.ask("SELECT id::text FROM projects ORDER BY id LIMIT 1")[0]
    with ground.server(**POOL) as server:
        admin, reader = sign_in(server), sign_in(server, "analyst")
        waiting, slowest = finished(_while_locked(ground.address, server.url, admin, project))
        shown.promise(set(waiting) == {"ok", "away"}, f"{CALLS} calls on 2 connections behind a lock: {waiting}")
        shown.promise(slowest < LONGEST, f"the slowest of them took {slowest:.1f} s")
        refused, slowest = finished(_together(server.url, reader, project, ["keyed"] * CALLS))
        expected = {"200 FORBIDDEN": CALLS}
        shown.promise(
            refused == expected, f"{CALLS} refusals, each with a key and an entry in the audit log: {refused}"
        )
        shown.promise(slowest < POOL_SECONDS, f"the slowest of them took {slowest:.1f} s")
        after, _ = finished(_together(server.url, admin, project, ["read"] * 20))
        shown.promise(after == {"ok": 20}, f"afterwards: {after}")
        errors = unexpected(server)
        shown.promise(not errors, f"{len(errors)} unexpected errors in the server's log {sorted(set(errors))}")


async def _while_locked(address: str, url: str, headers: Headers, project: str) -> tuple[dict[str, int], float]:
    """Half of the calls wait longer than the pool lets them, and half come late enough to see the lock go."""
    kinds = ("read", "write", "keyed", "sign-in") * (CALLS // 8 + 1)
    connection = await asyncpg.connect(address)
    try:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("LOCK TABLE projects IN ACCESS EXCLUSIVE MODE")
        early = asyncio.create_task(_together(url, headers, project, kinds[: CALLS // 2]))
        await asyncio.sleep(POOL_SECONDS - 1)
        late = asyncio.create_task(_together(url, headers, project, kinds[: CALLS // 2]))
        await asyncio.sleep(POOL_SECONDS - 2)
        await transaction.rollback()
        (first, slowest), (second, other) = await asyncio.gather(early, late)
    finally:
        await connection.close()
    return {name: first.get(name, 0) + second.get(name, 0) for name in first | second}, max(slowest, other)


async def _together(url: str, headers: Headers, project: str, kinds: Sequence[str]) -> tuple[dict[str, int], float]:
    """How many answers there were of each kind, and the seconds until the last."""
    since = time.monotonic()
    counted: dict[str, int] = {}
    limits = httpx.Limits(max_connections=CALLS)
    async with httpx.AsyncClient(base_url=url, timeout=LONGEST + 10, limits=limits) as client:
        calls = [_call(client, kind, headers, project) for kind in kinds]
        for outcome in await asyncio.gather(*calls):
            counted[outcome] = counted.get(outcome, 0) + 1
    return counted, time.monotonic() - since


async def _call(client: httpx.AsyncClient, kind: str, headers: Headers, project: str) -> str:
    body: dict[str, Any] = {"query": READ}
    if kind in ("write", "keyed"):
        body = {"query": RENAME, "variables": {"input": {"id": project, "name": f"Pool {uuid4()}"}}}
    if kind == "keyed":
        headers = {**headers, "idempotency-key": str(uuid4())}
    try:
        if kind == "sign-in":
            form = {"username": "analyst@demo.test", "password": DEMO_PASSWORD}
            answer = await client.post("/api/v1/auth/login", data=form)
            return "ok" if answer.status_code == 200 else outcome_of(answer)
        return outcome_of(await client.post("/graphql", json=body, headers=headers))
    except httpx.HTTPError as error:
        return f"no answer: {type(error).__name__}"
