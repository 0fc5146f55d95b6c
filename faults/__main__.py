"""`python -m faults [name ...]`: runs scenarios one after the other and prints what each has shown."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from faults import disk, pool, postgres, redis_away, stop
from faults.ground import Ground
from faults.shown import NotRun, Shown

Scenario = Callable[[Ground, Shown], None]
SCENARIOS: dict[str, Scenario] = {
    "postgres-killed": partial(postgres.show, fault=postgres.killed),
    "postgres-paused": partial(postgres.show, fault=postgres.halted, away=15.0),
    "postgres-restarted": partial(postgres.show, fault=postgres.restarted),
    "redis-killed": partial(redis_away.show, fault=redis_away.killed, limits=True),
    "redis-paused": partial(redis_away.show, fault=redis_away.halted),
    "redis-restarted": partial(redis_away.show, fault=redis_away.restarted),
    "stop-under-load": stop.show,
    "pool-exhausted": pool.show,
    "disk-full": disk.show,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help="scenarios to run; all of them unless named")
    parser.add_argument("--list", action="store_true", help="list the scenarios and end")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(SCENARIOS))
        return 0
    if unknown := set(arguments.names) - set(SCENARIOS):
        parser.error(f"there is no scenario {', '.join(sorted(unknown))}; --list shows them")
    for ending in (signal.SIGINT, signal.SIGTERM):  # SIGINT too: a shell's background jobs ignore it
        signal.signal(ending, _interrupt)
    results: dict[str, Shown | str] = {}
    with tempfile.TemporaryDirectory(prefix="plancharge-faults-") as folder:
        _say("PostgreSQL, Valkey and a demo company of 40 people ...")
        with Ground(Path(folder)) as ground:
            for name in arguments.names or SCENARIOS:
                results[name] = _run(name, ground)
    return _table(results)


def _run(name: str, ground: Ground) -> Shown | str:
    _say(f"\n{name}")
    started = time.monotonic()
    shown = Shown(progress=lambda text: _say(f"  {time.monotonic() - started:5.1f} s  {text}"))
    try:
        SCENARIOS[name](ground, shown)
    except NotRun as missing:
        return f"NOT RUN: {missing}"
    except Exception as error:  # the others are still worth running
        reason = str(error).strip().rpartition("\n")[2]
        shown.promise(False, f"the scenario ended with {type(error).__name__}: {reason}")
    return shown


def _table(results: dict[str, Shown | str]) -> int:
    broken = 0
    for name, shown in results.items():
        if isinstance(shown, str):
            print(f"{name:20} {shown}")
            continue
        broken += len(shown.broken)
        print(f"{name:20} {'broken' if shown.broken else 'kept'}")
        for text in shown.broken:
            print(f"{'':20}   BROKEN {text}")
        for text in shown.facts:
            print(f"{'':20}   {text}")
    return 1 if broken else 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        _say("Stopped.")
        sys.exit(130)
