"""How two workers compare with one: `python -m benchmarks.workers`.

Requests per second of small and grid at 8 connections, in windows that alternate between `plancharge serve --workers 1`
and `--workers 2`, as ratios within one run. PostgreSQL and the load generator take from the same cores: on a machine of
two, what is printed is the least that a second worker brings.
"""

from __future__ import annotations

import argparse
import os
import statistics
from dataclasses import replace
from pathlib import Path

from benchmarks import operations
from benchmarks.contenders import CONTENDERS, Server
from benchmarks.ground import CONNECTIONS, Ground
from benchmarks.measure import Generator
from benchmarks.operations import body


def server(ground: Ground, users: int, workers: int) -> Server:
    one = CONTENDERS["ours"]
    command = (*one.command, "--workers", str(workers))
    values = ground.environment(users) | {"RESPONSE_CACHE_BYTES": "0"}  # kept answers would not be computed again
    return Server(replace(one, name=f"ours-{workers}", command=command), values)


def measure(ground: Ground, users: int, counts: list[int], rounds: int, seconds: float) -> None:
    servers = {count: server(ground, users, count) for count in counts}
    generator = Generator()
    try:
        for each in servers.values():
            each.wait()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {ground.token(users)}"}
        for operation in ("small", "grid"):
            asked = body(operations.OWN_DOCUMENTS[operation], operation, operations.variables(operation))
            rates: dict[int, list[float]] = {count: [] for count in counts}
            shares = []
            for turn in range(-1, rounds):  # the turn before the first warms up
                for count, each in servers.items():
                    spec = {"port": each.port, "headers": headers, "bodies": [[asked]] * CONNECTIONS}
                    window = generator.window({**spec, "seconds": seconds})
                    if window["failure"]:
                        raise SystemExit(f"{count} workers, {operation}: {window['failure']}\n{each.log()}")
                    if turn >= 0:
                        rates[count].append(window["requests"] / window["seconds"])
                        shares.append(window["cpu_seconds"] / window["seconds"])
            print(f"{operation}: generator at {statistics.median(shares):.0%} of a core", flush=True)
            for count in counts:
                ratios = [rate / first for rate, first in zip(rates[count], rates[counts[0]], strict=True)]
                print(
                    f"  {count} worker{'s' * (count > 1)}: {statistics.median(rates[count]):8.1f}/s,"
                    f" × {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}),"
                    f" {servers[count].memory()['rss']:.0f} MB",
                    flush=True,
                )
    finally:
        generator.close()
        for each in servers.values():
            each.stop()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--users", type=int, default=300, help="size of the company (default %(default)s)")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="to compare (default 1 2)")
    parser.add_argument("--rounds", type=int, default=7, help="windows each (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a window (default %(default)s)")
    parser.add_argument("--postgres", type=Path, metavar="BIN", help="binaries of another PostgreSQL")
    options = parser.parse_args()
    print(f"{options.users} users, {CONNECTIONS} connections, {os.cpu_count()} cores", flush=True)
    with Ground(options.postgres) as ground:
        ground.prepare(options.users)
        measure(ground, options.users, options.workers, options.rounds, options.seconds)


if __name__ == "__main__":
    main()
