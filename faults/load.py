"""Readers, writers and subscribers in a thread of their own, so that a scenario can block; every answer is kept."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Self
from uuid import uuid4

import httpx
import orjson
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from faults.ground import MONTH, Ground
from tests.running import Running

MOST_REQUESTS = 20_000
MOST_SECONDS = 120.0
HANGS = 25.0
"""seconds after which the client gives up, which no server may let happen"""
PAUSE = 0.02
PASSING = {"UNAVAILABLE", "OUTCOME_UNKNOWN", "TRY_AGAIN"}

READ = "{ projects(size: 20) { items { id code name version } } me { id email } }"
RENAME = """mutation ($input: ProjectUpdateInput!) {
  projectUpdate(input: $input) { project { id name } problems { code detail } } }"""
STATE = """mutation ($input: ForecastsWriteInput!) {
  forecastsWrite(input: $input) { results { outcome } problems { code detail } } }"""
WATCH = f'subscription {{ planningChanged(from: "{MONTH}", to: "{MONTH}") {{ kind }} }}'


@dataclass(frozen=True, slots=True)
class Answer:
    kind: str
    at: float
    seconds: float
    outcome: str
    """ok, away (a 503 as it was promised), late (a 504 at the deadline), refused (no connection) or what is wrong"""


@dataclass(slots=True)
class Writer:
    """Writes 1, 2, 3 ... to its own project's name and to a cell of its own, one call after the other."""

    project: str
    user: str
    run: str
    """part of every name, so that what an earlier scenario wrote is not taken for this one's"""
    names: list[tuple[int, bool]] = field(default_factory=list)
    days: list[tuple[int, bool]] = field(default_factory=list)
    """(what was written, whether it was acknowledged), in the order of the calls"""

    def name(self, number: int) -> str:
        return f"Fault {self.run} {number}"


@dataclass(slots=True)
class Subscriber:
    received: list[tuple[float, str]] = field(default_factory=list)
    close_codes: list[int | None] = field(default_factory=list)
    opened: int = 0

    def count(self, kind: str, since: float) -> int:
        return sum(at >= since and each == kind for at, each in self.received)


def days_of(number: int) -> str:
    return str(Decimal(number % 3000 + 1) / 100)


class Load:
    """`with Load(ground, server, headers) as load:` runs until the block ends, or for MOST_SECONDS."""

    def __init__(
        self,
        ground: Ground,
        server: Running,
        headers: dict[str, str],
        *,
        readers: int = 8,
        writers: int = 4,
        subscribers: int = 0,
        once: int = 0,
        pause: float = PAUSE,
    ) -> None:
        self.server, self.headers = server, headers
        people = ground.ask(
            "SELECT id::text FROM users WHERE is_active AND NOT is_service ORDER BY id LIMIT $1", writers
        )
        projects = ground.ask(
            "SELECT id::text FROM projects WHERE status = 'ACTIVE' AND archived_at IS NULL AND deleted_at IS NULL"
            " ORDER BY id LIMIT $1",
            writers,
        )
        run = uuid4().hex[:8]
        self.writers = [Writer(project[0], user[0], run) for project, user in zip(projects, people, strict=True)]
        self.subscribers = [Subscriber() for _ in range(subscribers)]
        self.answers: list[Answer] = []
        self._readers, self._once, self._pause = readers, once, pause
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._in_thread, name="load")
        self._failure: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def chosen(self, kind: str = "", *, since: float = 0.0, until: float = float("inf")) -> list[Answer]:
        """Answers to calls that were sent in this span of time."""
        return [each for each in list(self.answers) if each.kind.startswith(kind) and since <= each.at < until]

    def first_ok(self, kind: str, since: float, limit: float = 30.0) -> float | None:
        """Seconds from `since` until a call of this kind, sent since, was answered well. Waits for it."""
        while time.monotonic() < since + limit:
            found = [each.at + each.seconds for each in self.chosen(kind, since=since) if each.outcome == "ok"]
            if found:
                return min(found) - since
            time.sleep(0.02)
        return None

    def outcomes(self, since: float = 0.0, until: float = float("inf")) -> dict[str, int]:
        counted: dict[str, int] = {}
        for each in self.chosen(since=since, until=until):
            counted[each.outcome] = counted.get(each.outcome, 0) + 1
        return counted

    def _in_thread(self) -> None:
        try:
            asyncio.run(self._run())
        except Exception as failure:
            self._failure = failure

    async def _run(self) -> None:
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
        async with httpx.AsyncClient(
            base_url=self.server.url, timeout=HANGS, limits=limits, headers=self.headers
        ) as client:
            tasks = [
                *(asyncio.create_task(self._read(client)) for _ in range(self._readers)),
                *(asyncio.create_task(self._read_once()) for _ in range(self._once)),
                *(asyncio.create_task(self._write(client, writer)) for writer in self.writers),
            ]
            watching = [asyncio.create_task(self._watch(each)) for each in self.subscribers]
            await asyncio.wait(tasks)
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
            for task in tasks:
                task.result()

    @property
    def _goes_on(self) -> bool:
        return not self._ended.is_set() and len(self.answers) < MOST_REQUESTS

    async def _read(self, client: httpx.AsyncClient) -> None:
        while self._goes_on:
            await self._call(client, "read", {"query": READ})
            await asyncio.sleep(self._pause)

    async def _read_once(self) -> None:
        """A connection for each call, as from a proxy that keeps none."""
        tls = httpx.create_ssl_context()  # never used, but else made for each client, which takes long
        while self._goes_on:
            async with httpx.AsyncClient(
                base_url=self.server.url, timeout=HANGS, headers=self.headers, verify=tls
            ) as client:
                await self._call(client, "once", {"query": READ})
            await asyncio.sleep(self._pause)

    async def _write(self, client: httpx.AsyncClient, writer: Writer) -> None:
        number = 0
        while self._goes_on:
            number += 1
            cell = {"userId": writer.user, "projectId": writer.project, "month": MONTH, "days": days_of(number)}
            stated = await self._call(client, "write", {"query": STATE, "variables": {"input": {"cells": [cell]}}})
            writer.days.append((number, stated))
            renamed = False
            while not renamed and self._goes_on:  # a write without an answer is sent again, under its key
                change = {"id": writer.project, "name": writer.name(number)}
                key = {"idempotency-key": f"{writer.run}-{writer.project}-{number}"}
                renamed = await self._call(
                    client, "write-keyed", {"query": RENAME, "variables": {"input": change}}, key
                )
                writer.names.append((number, renamed))
                await asyncio.sleep(self._pause)

    async def _call(
        self, client: httpx.AsyncClient, kind: str, body: dict[str, Any], headers: dict[str, str] | None = None
    ) -> bool:
        at = time.monotonic()
        try:
            outcome = outcome_of(await client.post("/graphql", json=body, headers=headers))
        except httpx.ConnectError:
            outcome = "refused"
        except httpx.HTTPError as error:
            outcome = f"no answer: {type(error).__name__}"
        self.answers.append(Answer(kind, at, time.monotonic() - at, outcome))
        if outcome == "refused":
            await asyncio.sleep(0.1)
        return outcome == "ok"

    async def _watch(self, subscriber: Subscriber) -> None:
        address = self.server.url.replace("http", "ws") + "/graphql"
        while self._goes_on:
            try:
                async with connect(address, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
                    await socket.send(orjson.dumps({"type": "connection_init", "payload": self.headers}).decode())
                    payload = {"query": WATCH}
                    await socket.recv()
                    await socket.send(orjson.dumps({"type": "subscribe", "id": "1", "payload": payload}).decode())
                    subscriber.opened += 1
                    try:
                        async for frame in socket:
                            change = orjson.loads(frame).get("payload", {}).get("data", {}).get("planningChanged", {})
                            subscriber.received.append((time.monotonic(), change.get("kind", "?")))
                    finally:
                        if socket.close_code is not None:
                            subscriber.close_codes.append(socket.close_code)
            except (ConnectionClosed, OSError):
                await asyncio.sleep(0.2)
            with contextlib.suppress(OSError):
                await asyncio.sleep(0.2)


def outcome_of(answer: httpx.Response) -> str:
    """`ok`, `away` where it says so as it should, or what is wrong with it."""
    try:
        body = answer.json()
    except ValueError:
        return f"{answer.status_code} that is no JSON"
    errors = body.get("errors", []) if "status" not in body else []
    codes = {str(error.get("extensions", {}).get("code")) for error in errors} or {str(body.get("code"))}
    if answer.status_code == 200 and not errors:
        problems = [problem["code"] for field in body["data"].values() for problem in (field.get("problems") or [])]
        return "ok" if not problems else f"problem {problems[0]}"
    if codes <= PASSING:
        after = answer.headers.get("retry-after") or errors[0]["extensions"].get("retryAfter")
        status = answer.status_code if answer.status_code != 200 else errors[0]["extensions"]["status"]
        return "away" if status == 503 and after else f"{status} {codes} without Retry-After"
    if (answer.status_code, codes) == (504, {"TIMED_OUT"}):
        return "late"
    return f"{answer.status_code} {', '.join(sorted(codes))}"
