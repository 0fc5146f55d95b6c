"""What the scenarios stand on: PostgreSQL, Valkey, a small demo company, and `plancharge` processes of their own."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

import asyncpg  # type: ignore[import-untyped]
import httpx

from server.embedded import EmbeddedPostgres, EmbeddedValkey
from server.settings import DEMO_PASSWORD
from tests.running import Running, free_port, run, serving, started

T = TypeVar("T")
SEED = ["--users", "40", "--projects", "20", "--from", "2026-01", "--months", "12", "--as-of", "2026-06-15", "--demo"]
MONTH = "2026-06"


class Ground:
    """The two servers, each on a port that it keeps, for as long as the `with` block lasts.

    Durable (no `fast=True`): what is shown of acknowledged writes is worth nothing on a PostgreSQL without its log.
    """

    def __init__(self, folder: Path, logs: Path | None = None) -> None:
        self.folder, self.logs = folder, logs or folder / "logs"
        self.postgres = EmbeddedPostgres(folder / "postgres", port=free_port())
        self.valkey = EmbeddedValkey(folder / "valkey", port=free_port())
        self._stack = ExitStack()
        self._servers = 0

    def __enter__(self) -> Self:
        self.logs.mkdir()
        with ExitStack() as stack:  # so that a failed start, or Ctrl-C, stops what has started
            stack.enter_context(self.postgres)
            stack.enter_context(self.valkey)
            for arguments in (["migrate"], ["seed", *SEED]):
                done = run(*arguments, **(self.environment() | {"PLANCHARGE_ENV": "development"}))
                if done.returncode != 0:
                    raise RuntimeError(f"plancharge {arguments[0]}: {done.stderr}")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def environment(self, **values: str) -> dict[str, str]:
        return {
            "PLANCHARGE_ENV": "production",
            "DATABASE_URL": self.address,
            "REDIS_URL": self.valkey.url(),
            "JWT_KEYS": "faults:" + "0123456789abcdef" * 4,
            "COST_PER_MINUTE": "100000000",  # the load is not what is limited here
            **values,
        }

    @property
    def address(self) -> str:
        return self.postgres.url().replace("+asyncpg", "")

    @contextmanager
    def server(self, *options: str, **values: str) -> Iterator[Running]:
        self._servers += 1
        with serving(self.logs / f"serve-{self._servers}", self.environment(**values), *options) as running:
            yield running

    @contextmanager
    def worker(self, **values: str) -> Iterator[Running]:
        with started(self.logs / "worker", "worker", **self.environment(**values)) as running:
            running.wait_for("worker_started")
            yield running

    def ask(self, statement: str, *values: Any) -> list[Any]:
        """Rows straight from the database, past the product."""

        async def fetch() -> list[Any]:
            connection = await asyncpg.connect(self.address, timeout=10)
            try:
                return list(await connection.fetch(statement, *values))
            finally:
                await connection.close()

        return finished(fetch())


def finished(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def sign_in(server: Running, name: str = "admin") -> dict[str, str]:
    form = {"username": f"{name}@demo.test", "password": DEMO_PASSWORD}
    answer = httpx.post(f"{server.url}/api/v1/auth/login", data=form, timeout=30)
    answer.raise_for_status()
    return {"authorization": f"Bearer {answer.json()['access_token']}"}


def readiness(server: Running) -> tuple[int, dict[str, Any]]:
    answer = httpx.get(f"{server.url}/readiness", timeout=10)
    return answer.status_code, answer.json()


def until_ready(server: Running, *, limit: float = 30) -> float | None:
    """Seconds until everything is well again, or None when it does not become so."""
    since = time.monotonic()
    while time.monotonic() - since < limit:
        status, body = readiness(server)
        if status == 200 and body["status"] == "ok":
            return time.monotonic() - since
        time.sleep(0.05)
    return None


def children(pid: int) -> list[int]:
    """The processes below this one, nearest first."""
    parents: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(status.parent.name))
    found = list(parents.get(pid, []))
    for child in found:  # grows while it is walked
        found.extend(parents.get(child, []))
    return found


@contextmanager
def paused(pid: int) -> Iterator[None]:
    """The process and all below it do nothing, and their sockets stay open: what a stalled disk or host looks like."""
    stopped: list[int] = []
    try:
        for each in [pid, *children(pid)]:
            try:
                os.kill(each, signal.SIGSTOP)
            except ProcessLookupError:
                continue
            stopped.append(each)
        yield
    finally:
        for each in reversed(stopped):
            try:
                os.kill(each, signal.SIGCONT)
            except ProcessLookupError:
                continue


def unexpected(server: Running) -> list[str]:
    """What the server logged as a fault of its own."""
    return [
        " ".join([line["event"], *str(line.get("exception", "")).splitlines()[-1:]])
        for line in server.logged()
        if line["level"] in ("error", "critical")
    ]
