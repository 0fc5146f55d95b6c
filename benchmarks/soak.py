"""Memory of one worker under hours of mixed load: `python -m benchmarks.soak --minutes 60`.

Reads, writes, refused documents, ever new documents and sockets that come and go, at a low rate: what is looked for is
memory that is never given back, and that takes kinds of requests rather than many of them. Prints the resident memory
of each minute, and in the end how it grew over the second half, when every cache has filled.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks import operations
from benchmarks.contenders import CONTENDERS, Server
from benchmarks.ground import Ground
from benchmarks.operations import Target, body
from benchmarks.sockets import Socket

TOKEN_SECONDS = 600
"""a token is good for half an hour"""
SOCKET_SECONDS = (5, 90)
WRITTEN_AT_ONCE = 24
ALIASES = 50
"""of a new document: so large that what is kept of them turns over within minutes"""
KINDS = {"small": 30, "list": 10, "grid": 10, "filtered": 15, "new document": 20, "refused": 5, "write": 10}
"""what is asked, and how often in a hundred requests"""


@dataclass
class Load:
    """What is sent, by one connection and a few sockets, for as long as the tasks run."""

    ground: Ground
    server: Server
    users: int
    targets: list[Target]
    rate: float
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    sent: Counter[str] = field(default_factory=Counter)
    token: str = ""

    async def keep_token(self) -> None:
        while True:
            self.token = f"Bearer {await asyncio.to_thread(self.ground.token, self.users)}"
            await asyncio.sleep(TOKEN_SECONDS)

    async def requests(self) -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.server.port}", timeout=60) as client:
            while True:
                if self.token:
                    await self._request(client)
                await asyncio.sleep(self.chance.expovariate(self.rate))

    async def _request(self, client: httpx.AsyncClient) -> None:
        kind = self.chance.choices(list(KINDS), list(KINDS.values()))[0]
        self.sent[kind] += 1
        headers = {"Content-Type": "application/json", "Authorization": self.token}
        answer = await client.post("/graphql", content=self._body(kind), headers=headers)
        if answer.status_code != 200 or ("errors" in answer.json()) != (kind == "refused"):
            raise SystemExit(f"{kind}: answered {answer.status_code}: {answer.text[:300]}")

    def _body(self, kind: str) -> str:
        number = sum(self.sent.values())
        document, values = operations.OWN_DOCUMENTS.get(kind, ""), operations.variables(kind)
        match kind:
            case "list" | "grid":
                values["page"] = self.chance.randint(1, 3)
            case "filtered":
                kind, document = "grid", operations.PLANNING.replace("size: $size)", "size: $size, filter: $filter)")
                document = document.replace("$size: Int!)", "$size: Int!, $filter: PlanningFilter)")
                search = self.chance.choice("abcdefghijklmnopqrstuvwxyz")
                values = {**operations.variables("grid"), "filter": {"search": search}}
            case "new document":
                aliases = " ".join(f"a{number}x{place}: email" for place in range(ALIASES))
                kind, document = "small", f"query Me {{ me {{ {aliases} }} }}"
            case "refused":
                kind, document = "small", f"query Me {{ me {{ id unknown{number} }} }}"
            case "write":
                cells = self.chance.choice(self.targets).cells
                start = self.chance.randrange(len(cells) - WRITTEN_AT_ONCE)
                some = Target(cells[start : start + WRITTEN_AT_ONCE])
                values = some.variables(f"{self.chance.randint(0, 20) / 2:.2f}")
        return body(document, kind, values)

    async def sockets(self) -> None:
        """One socket after another, each with a range of its own."""
        loop = asyncio.get_running_loop()
        while True:
            if not self.token:
                await asyncio.sleep(0.1)
                continue
            last = self.chance.choice(operations.WRITTEN_MONTHS)
            subscribe = {"query": operations.CHANGES, "variables": {"from": operations.FIRST, "to": last}}
            spec = {"port": self.server.port, "authorization": self.token, "subscribe": subscribe}
            transport, socket = await loop.create_connection(lambda spec=spec: Socket(spec), "127.0.0.1", spec["port"])  # type: ignore[misc]
            await socket.heard
            self.sent["socket"] += 1
            await asyncio.sleep(self.chance.uniform(*SOCKET_SECONDS))
            transport.close()


async def soak(load: Load, minutes: int, sockets: int) -> list[float]:
    """The resident megabytes after each minute."""
    tasks = [asyncio.ensure_future(each) for each in (load.keep_token(), load.requests())]
    tasks += [asyncio.ensure_future(load.sockets()) for _ in range(sockets)]
    found: list[float] = []
    until = time.monotonic()
    try:
        for minute in range(1, minutes + 1):
            until += 60
            ended, _ = await asyncio.wait(tasks, timeout=until - time.monotonic(), return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()  # none ends by itself but by an error
            found.append(load.server.memory()["rss"])
            requests = sum(load.sent.values()) - load.sent["socket"]
            opened = load.sent["socket"]
            print(f"{minute:4} min {found[-1]:7.1f} MB {requests:7} requests {opened:6} sockets", flush=True)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return found


def growth(values: list[float]) -> float:
    """Megabytes an hour, by the line through the second half's minutes."""
    half = values[len(values) // 2 :]
    return statistics.linear_regression(range(len(half)), half).slope * 60


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=int, default=60, help="how long (default %(default)s; at least 4)")
    parser.add_argument("--users", type=int, default=300, help="size of the company (default %(default)s)")
    parser.add_argument("--rate", type=float, default=20, help="requests per second, about (default %(default)s)")
    parser.add_argument("--sockets", type=int, default=20, help="open at a time (default %(default)s)")
    parser.add_argument("--postgres", type=Path, metavar="BIN", help="binaries of another PostgreSQL")
    options = parser.parse_args()
    if options.minutes < 4:
        parser.error("--minutes: at least 4, or there is no line to draw")
    with Ground(options.postgres) as ground:
        ground.prepare(options.users)
        server = Server(CONTENDERS["ours"], ground.environment(options.users))
        try:
            server.wait()
            print(f"   0 min {server.memory()['rss']:7.1f} MB", flush=True)
            load = Load(ground, server, options.users, ground.targets(options.users), options.rate)
            found = asyncio.run(soak(load, options.minutes, options.sockets))
        finally:
            server.stop()
    asked: dict[str, Any] = dict(sorted(load.sent.items()))
    print("Asked: " + ", ".join(f"{count} × {kind}" for kind, count in asked.items()))
    print(f"Second half: {min(found[len(found) // 2 :])} to {max(found)} MB, {growth(found):+.1f} MB an hour")


if __name__ == "__main__":
    main()
