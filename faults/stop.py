"""SIGTERM to the web server under load, with subscriptions open: who was let in is answered, and nothing is left."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from faults.ground import Ground, children, sign_in, unexpected
from faults.load import Load
from faults.shown import Shown
from tests.running import Running, wait_until

RUNS = {1: 12, 2: 8}
"""stops of a server with so many workers"""
LONGEST = 10.0
SUBSCRIBERS = 4
RESTARTING = 1012


def show(ground: Ground, shown: Shown, *, planned: Mapping[int, int] = RUNS) -> None:
    with ground.server() as server:
        headers = sign_in(server)
    for workers, runs in planned.items():
        seconds: list[float] = []
        answered = 0
        wrong: list[str] = []
        for number in range(1, runs + 1):
            took, calls, found = _stop(ground, workers, headers)
            seconds.append(took)
            answered += calls
            wrong += [f"run {number}: {each}" for each in found]
            shown.progress(f"{workers} worker(s), run {number} of {runs}: {took:.2f} s {'; '.join(found) or 'orderly'}")
        good = runs - len({each.partition(":")[0] for each in wrong})
        between = f"{min(seconds):.1f} to {max(seconds):.1f} s"
        shown.promise(
            not wrong,
            f"{workers} worker(s): {good} of {runs} stops orderly; {answered} calls answered, each socket closed with"
            f" {RESTARTING}, exit code 0 after {between} {'; '.join(wrong[:5])}".rstrip(),
        )


def _stop(ground: Ground, workers: int, headers: dict[str, str]) -> tuple[float, int, list[str]]:
    """Seconds it took, calls that were answered, and what went wrong."""
    with ground.server("--workers", str(workers)) as server:
        wait_until(lambda: server.text().count('"event":"started"') == workers)
        pids = [server.process.pid, *children(server.process.pid)]
        with Load(ground, server, headers, readers=10, writers=2, once=4, subscribers=SUBSCRIBERS, pause=0.0) as load:
            wait_until(lambda: sum(each.opened for each in load.subscribers) == SUBSCRIBERS)
            time.sleep(0.5)
            since = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            ended = _ended(server)
            took = time.monotonic() - since
            time.sleep(0.2)
            load.end()
        return took, load.outcomes().get("ok", 0), _wrong(server, load, pids, ended, since)


def _left(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def _ended(server: Running) -> int | None:
    try:
        return server.process.wait(LONGEST)
    except subprocess.TimeoutExpired:
        return None


def _wrong(server: Running, load: Load, pids: list[int], ended: int | None, since: float) -> list[str]:
    found = [
        f"{each.kind} {each.at - since:+.2f} s: {each.outcome}"
        for each in load.chosen()
        if each.outcome not in ("ok", "refused")
    ]
    codes = [each.close_codes for each in load.subscribers]
    if codes != [[RESTARTING]] * SUBSCRIBERS:
        found.append(f"sockets were closed with {codes}")
    if ended != 0:
        found.append(f"it did not end within {LONGEST:.0f} s" if ended is None else f"exit code {ended}")
    with contextlib.suppress(AssertionError):  # multiprocessing's own helper goes a moment after its parent
        wait_until(lambda: not _left(pids), limit=3)
    if left := _left(pids):
        found.append(f"processes {left} are left")
    return found + unexpected(server)
