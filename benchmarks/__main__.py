"""`python -m benchmarks`: this server against its peers and two floors, on this machine, in one run."""

from __future__ import annotations

import argparse
import resource
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import contenders, operations, report
from benchmarks.contenders import CONTENDERS, USUAL
from benchmarks.ground import HERE, Ground
from benchmarks.machine import describe
from benchmarks.measure import Plan, Size

SIZES = (300, 3000, 20000)
QUICK = Plan(seconds=0.5, rounds=1, warm_up=0, sockets=100)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures this server against others that GraphQL users would pick, over the same database, with "
        "equal answers checked first. Brings Node and the peers' packages on the first run. benchmarks/README.md "
        "explains the method. Listens on 127.0.0.1 only.",
    )
    parser.add_argument("--quick", action="store_true", help="a smoke run: 300 users, one short window, no warm-up")
    parser.add_argument(
        "--users", type=int, nargs="+", default=list(SIZES), metavar="N", help=f"sizes (default {SIZES})"
    )
    parser.add_argument(
        "--only", default=",".join(USUAL), help=f"some of {','.join(CONTENDERS)} (default: %(default)s)"
    )
    parser.add_argument(
        "--operations",
        default=",".join(operations.OPERATIONS),
        help="some of %(default)s (default: all of them)",
    )
    parser.add_argument("--rounds", type=int, default=Plan.rounds, help="windows each (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=Plan.seconds, help="length of a window (default %(default)s)")
    parser.add_argument("--warm-up", type=float, default=Plan.warm_up, help="seconds of warm-up (default %(default)s)")
    parser.add_argument("--sockets", type=int, default=Plan.sockets, help="of the fan-out (default %(default)s)")
    parser.add_argument(
        "--postgres", type=Path, metavar="BIN", help="binaries of another PostgreSQL, such as Debian's bin folder"
    )
    parser.add_argument(
        "--write",
        action=argparse.BooleanOptionalAction,
        help="write results/DATE.json, RESULTS.md and results.svg (default: when nothing is narrowed)",
    )
    options = parser.parse_args()
    if options.write is None:
        options.write = not options.quick and all(
            getattr(options, name) == parser.get_default(name) for name in ("users", "only", "operations")
        )
    options.only = _some_of(parser, options.only, tuple(CONTENDERS))
    options.operations = _some_of(parser, options.operations, operations.OPERATIONS)
    if min(options.users) < 200:
        parser.error("--users: at least 200, or there are not enough people for the writes and the grid")
    return options


def _some_of(parser: argparse.ArgumentParser, text: str, known: tuple[str, ...]) -> list[str]:
    wanted = text.split(",")
    if unknown := set(wanted) - set(known):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known are {', '.join(known)}")
    return [name for name in known if name in wanted]


def main() -> int:
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as by Ctrl-C: what was started is stopped
    _raise_file_limit()
    plan = QUICK if options.quick else Plan(options.seconds, options.rounds, options.warm_up, options.sockets)
    sizes = [300] if options.quick else options.users
    contenders.install(options.only)
    results: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),
        "plan": vars(plan) | {"quick": options.quick},
    }
    with Ground(options.postgres) as ground:
        results["machine"] = describe(ground, options.only)
        results["sizes"] = {}
        for users in sizes:
            ground.prepare(users)
            print(f"{users} users", flush=True)
            results["sizes"][str(users)] = measure(ground, users, options, plan)
    print()
    print(report.text(results))
    if options.write:
        for path in report.write(results, HERE):
            print(f"Wrote {path.relative_to(HERE.parent)}")
    return 0


def measure(ground: Ground, users: int, options: argparse.Namespace, plan: Plan) -> dict[str, Any]:
    size = Size(ground, users, options.only, plan)
    found: dict[str, Any] = {"operations": {}}
    with size.running():
        found["memory_at_start"] = {name: server.memory() for name, server in size.servers.items()}
        for operation in options.operations:
            if operation != "fanout":
                found["operations"][operation] = size.throughput(operation)
        found["memory"] = {name: server.memory() for name, server in size.servers.items()}
        if "fanout" in options.operations:
            print(f"  fanout: {plan.sockets} sockets, one event", flush=True)
            found["fanout"] = size.fan_out()
    found["left_out"] = size.left_out
    return found


def _raise_file_limit() -> None:
    """A thousand sockets need as many files, in the client and in the servers, which inherit the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 4096:
        wanted = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        sys.exit(130)
