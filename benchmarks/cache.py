"""`python -m benchmarks.cache`: what keeping answers is worth, and what the marks that keep them right cost writers.

The grid of the other benchmarks, worked out each time, taken from memory, and not sent at all (304); then the write of
480 cells with the triggers and without, in turns. It stands apart: the targets are for answers that are worked out.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import itertools
import json
import sys
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import asyncpg  # type: ignore[import-untyped]

from benchmarks import operations
from benchmarks.contenders import CONTENDERS, Server
from benchmarks.ground import CONNECTIONS, Ground
from benchmarks.measure import Generator, Plan, Size, summary
from benchmarks.operations import PLANNING, body, variables

TABLES = "SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE tgname LIKE 'mark_plan%'"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cache", description=__doc__.partition("\n")[2])
    parser.add_argument("--users", type=int, default=300, help="size of the company (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=Plan.rounds, help="windows each (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=Plan.seconds, help="length of a window (default %(default)s)")
    options = parser.parse_args()
    with Ground(None) as ground:
        ground.prepare(options.users)
        ours, values = CONTENDERS["ours"], ground.environment(options.users)
        keeping = Server(ours, values | {"RESPONSE_CACHE_BYTES": str(64 * 2**20)})
        without = Server(ours, values)
        try:
            for server in (keeping, without):
                server.wait()
            run = Run(Size(ground, options.users, ["ours"], Plan(options.seconds, options.rounds)), keeping, without)
            for connections in (1, CONNECTIONS):
                run.reads(connections)
            for connections in (1, CONNECTIONS):
                run.writes(connections)
        finally:
            keeping.stop()
            without.stop()
    return 0


class Run:
    def __init__(self, size: Size, keeping: Server, without: Server) -> None:
        self.size, self.keeping, self.without = size, keeping, without
        self.generator = Generator()

    def reads(self, connections: int) -> None:
        text = body(PLANNING, "grid", variables("grid"))
        path, etag = self._persist()
        asked: dict[str, dict[str, Any]] = {
            "worked out": {"server": self.without, "bodies": [[text]] * connections},
            "from memory": {"server": self.keeping, "bodies": [[text]] * connections},
            "not sent (304)": {
                "server": self.keeping,
                "bodies": [[]] * connections,
                "path": path,
                "headers": {"If-None-Match": etag},
            },
        }
        self._show(f"grid, {connections} connections", asked, dict.fromkeys(asked))

    def writes(self, connections: int) -> None:
        bodies = [
            [body(operations.WRITE, "write", target.variables(days)) for days in ("1.50", "2.00")]
            for target in self.size.targets[:connections]
        ]
        asked = {name: {"server": self.without, "bodies": bodies} for name in ("without marks", "with marks")}
        switches = {"without marks": "DISABLE TRIGGER", "with marks": "ENABLE ALWAYS TRIGGER"}
        try:
            self._show(f"write of 480 cells, {connections} connections", asked, switches)
        finally:
            asyncio.run(self._switch("ENABLE ALWAYS TRIGGER"))

    def _show(self, title: str, asked: dict[str, dict[str, Any]], switches: Mapping[str, str | None]) -> None:
        """In turns, each beginning with another; the first round warms up."""
        made: dict[str, list[dict[str, Any]]] = {name: [] for name in asked}
        names = itertools.cycle(itertools.permutations(asked))
        for turn, order in zip(range(self.size.plan.rounds + 1), names, strict=False):
            for name in order:
                if (switch := switches[name]) is not None:
                    asyncio.run(self._switch(switch))
                window = self._window(**asked[name])
                if turn:
                    made[name].append(window)
        first = None
        print(title)
        for name, windows in made.items():
            found = summary(windows)
            first = first or found["median"]
            rates = f"{found['median']:9.1f}/s ({found['least']:.1f} to {found['most']:.1f})"
            each = f"p50 {found['p50_ms']:8.2f} ms, {found['server_cpu_ms']:7.2f} ms of the server's processor"
            print(f"    {name:16} {rates:36} {found['median'] / first:6.2f} x  {each}", flush=True)

    def _window(self, server: Server, headers: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
        before = server.cpu_seconds()
        given = self.size.headers() | (headers or {})
        window = self.generator.window(
            {"port": server.port, "headers": given, "seconds": self.size.plan.seconds, **spec}
        )
        if window["failure"]:
            raise SystemExit(f"{window['failure']}. The end of the log:\n{server.log()}")
        return window | {"server_cpu": server.cpu_seconds() - before}

    def _persist(self) -> tuple[str, str]:
        """Where the grid is read by GET, and the ETag of it there."""
        persisted = {"persistedQuery": {"version": 1, "sha256Hash": hashlib.sha256(PLANNING.encode()).hexdigest()}}
        url = f"http://127.0.0.1:{self.keeping.port}"
        text = json.dumps({**json.loads(body(PLANNING, "grid", variables("grid"))), "extensions": persisted})
        with urllib.request.urlopen(
            urllib.request.Request(f"{url}/graphql", text.encode(), self.size.headers())
        ) as answer:
            etag = answer.headers["ETag"]
        asked = {"operationName": "Planning", "variables": variables("grid"), "extensions": persisted}
        written = {name: each if isinstance(each, str) else json.dumps(each) for name, each in asked.items()}
        return f"/graphql?{urlencode(written)}", etag

    async def _switch(self, switch: str) -> None:
        connection = await asyncpg.connect(self.size.ground.environment(self.size.users)["DATABASE_URL"])
        try:
            for table, trigger in await connection.fetch(TABLES):
                await connection.execute(f"ALTER TABLE {table} {switch} {trigger}")
        finally:
            await connection.close()


if __name__ == "__main__":
    sys.exit(main())
