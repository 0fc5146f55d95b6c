"""Redis killed, paused and restarted under reads, writes, subscriptions and a sync."""

from __future__ import annotations

import os
import signal
import statistics
import time
from collections.abc import Callable
from typing import Any

import httpx

from faults.ground import Ground, paused, readiness, sign_in, unexpected, until_ready
from faults.load import Answer, Load
from faults.postgres import check_writes
from faults.shown import Shown
from tests.running import Running

AWAY_SECONDS = 6.0
LONGEST = 2.0
"""seconds that any answer may take while Redis is away; Redis itself costs one call in two seconds a quarter of one"""
RECOVERS = 10.0
SYNC_SECONDS = 60.0
MOCKS = {"PLANCHARGE_ENV": "development", "PAYFIT_USE_MOCK": "true"}
START = "mutation { syncStart(input: {provider: PAYFIT}) { run { id } problems { code } } }"
STATE = "query ($id: UUID!) { syncRun(id: $id) { state } }"
COSTLY = "{ projects(size: 100) { items { id } } }"
Fault = Callable[[Ground, Callable[[], None]], None]


def killed(ground: Ground, meanwhile: Callable[[], None]) -> None:
    os.kill(ground.valkey.pid, signal.SIGKILL)
    meanwhile()
    ground.valkey.stop()
    ground.valkey.start()


def halted(ground: Ground, meanwhile: Callable[[], None]) -> None:
    with paused(ground.valkey.pid):
        meanwhile()


def restarted(ground: Ground, meanwhile: Callable[[], None]) -> None:
    ground.valkey.stop()
    meanwhile()
    ground.valkey.start()


def show(ground: Ground, shown: Shown, fault: Fault, *, away: float = AWAY_SECONDS, limits: bool = False) -> None:
    with ground.worker(**MOCKS) as worker, ground.server(**MOCKS) as server:
        headers = sign_in(server)
        with Load(ground, server, headers, subscribers=3) as load:
            time.sleep(2.0)
            told: list[str] = []
            runs: list[str] = []

            def meanwhile() -> None:
                until = time.monotonic() + away
                runs.append(_start_sync(server, headers))
                while time.monotonic() < until:
                    told.append(readiness(server)[1]["status"])
                    time.sleep(0.1)
                if limits:
                    _show_limits(ground, shown)

            began = time.monotonic()
            fault(ground, meanwhile)
            back = time.monotonic()
            ready = until_ready(server)
            resynced = _until_resynced(load, began, back)
            synced = _until_synced(server, headers, runs[0])
            load.end()
        _report_answers(shown, load, began, back)
        shown.promise(
            set(told[1:]) == {"degraded"}, f"/readiness said 200, degraded, while it was away ({len(told)} x)"
        )
        for what, took, most in (
            ("readiness ok", ready, RECOVERS),
            ("RESYNC on each of 3 subscriptions", resynced, RECOVERS),
            ("the sync that was started meanwhile ended well", synced, SYNC_SECONDS),
        ):
            after = "never" if took is None else f"{took:.1f} s after it was back"
            shown.promise(took is not None and took < most, f"{what}: {after}")
        closed = [code for each in load.subscribers for code in each.close_codes if code is not None]
        shown.promise(not closed, f"no socket was closed {closed or ''}".rstrip())
        lived = server.process.poll() is None and worker.process.poll() is None
        shown.promise(lived, "the server's and the worker's process lived through it")
        errors = unexpected(server)
        shown.promise(not errors, f"{len(errors)} unexpected errors in the server's log {sorted(set(errors))}")
        check_writes(ground, shown, load.writers)


def _report_answers(shown: Shown, load: Load, began: float, back: float) -> None:
    outcomes = load.outcomes()
    shown.promise(set(outcomes) == {"ok"}, f"every call was answered 200: {outcomes}")
    before, away = load.chosen(until=began), load.chosen(since=began, until=back)
    shown.fact(f"before: {_latencies(before)}")
    shown.fact(f"away:   {_latencies(away)}")
    slowest = max(each.seconds for each in away)
    shown.promise(slowest < LONGEST, f"the slowest answer while it was away took {slowest * 1000:.0f} ms")


def _latencies(answers: list[Answer]) -> str:
    taken = sorted(each.seconds * 1000 for each in answers)
    parts = statistics.quantiles(taken, n=100)
    return f"{len(taken)} calls, median {parts[49]:.0f} ms, p99 {parts[98]:.0f} ms, slowest {taken[-1]:.0f} ms"


def _start_sync(server: Running, headers: dict[str, str]) -> str:
    answer = _ask(server, headers, START)["syncStart"]
    assert answer["run"], answer["problems"]
    return str(answer["run"]["id"])


def _ask(server: Running, headers: dict[str, str], query: str, **variables: Any) -> dict[str, Any]:
    body = {"query": query, "variables": variables}
    answer: dict[str, Any] = httpx.post(f"{server.url}/graphql", json=body, headers=headers, timeout=30).json()
    data: dict[str, Any] = answer["data"]
    return data


def _until_synced(server: Running, headers: dict[str, str], run: str) -> float | None:
    since = time.monotonic()
    while time.monotonic() - since < SYNC_SECONDS:
        state = _ask(server, headers, STATE, id=run)["syncRun"]["state"]
        if state not in ("QUEUED", "RUNNING"):
            return time.monotonic() - since if state == "SUCCEEDED" else None
        time.sleep(0.2)
    return None


def _until_resynced(load: Load, began: float, back: float) -> float | None:
    while time.monotonic() < back + RECOVERS:
        if all(each.count("RESYNC", began) for each in load.subscribers):
            return time.monotonic() - back
        time.sleep(0.05)
    return None


def _show_limits(ground: Ground, shown: Shown) -> None:
    """A web server that starts without Redis, and limits its callers by itself."""
    with ground.server(MAX_COST="1000", COST_PER_MINUTE="1000") as server:
        headers = sign_in(server, "analyst")
        for call in range(1, 31):
            answer = httpx.post(f"{server.url}/graphql", json={"query": COSTLY}, headers=headers, timeout=30)
            if answer.status_code == 429:
                after = answer.headers.get("retry-after")
                shown.promise(
                    after is not None, f"without Redis a server starts, and refuses call {call}: 429, {after} s"
                )
                return
        shown.promise(False, "without Redis a server starts, and limits what a caller may cost")
