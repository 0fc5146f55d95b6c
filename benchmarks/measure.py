"""One size of the company, measured: answers compared first, then short windows that go round the contenders."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks import operations
from benchmarks.contenders import CONTENDERS, Server
from benchmarks.ground import CONNECTIONS, ROOT, Ground, clean_environment
from benchmarks.operations import Target, body, first_difference

SOCKETS = 1000
EVENTS = 5
CHECK_SECONDS = 120


@dataclass(frozen=True)
class Plan:
    """How long is measured: per contender, operation and number of connections `rounds` windows of `seconds`."""

    seconds: float = 2.0
    rounds: int = 5
    warm_up: float = 5.0
    sockets: int = SOCKETS


class Unequal(Exception):
    """A contender's answer is not the others'; the message says where."""


class Generator:
    """The load generator's process."""

    def __init__(self) -> None:
        self._process = _python("benchmarks.client")

    def window(self, spec: dict[str, Any]) -> dict[str, Any]:
        return _ask(self._process, spec)

    def close(self) -> None:
        _end(self._process)


def _python(module: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", module],
        cwd=ROOT,
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _ask(process: subprocess.Popen[str], spec: dict[str, Any]) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(spec) + "\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("The client ended; its message stands above.")
    found: dict[str, Any] = json.loads(line)
    return found


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Size:
    """The servers on one database, and what was found out about them."""

    def __init__(self, ground: Ground, users: int, names: list[str], plan: Plan) -> None:
        self.ground, self.users, self.plan = ground, users, plan
        self.names = names
        self.servers: dict[str, Server] = {}
        self.targets: list[Target] = ground.targets(users)
        self.left_out: dict[str, dict[str, str]] = {}

    @contextmanager
    def running(self) -> Iterator[None]:
        values = self.ground.environment(self.users)
        try:
            for name in self.names:
                self.servers[name] = Server(CONTENDERS[name], values)
            for server in self.servers.values():
                server.wait()
            yield
        finally:
            for server in self.servers.values():
                server.stop()

    def headers(self) -> dict[str, str]:
        token = self.ground.token(self.users)
        return {"Content-Type": "application/json", "Accept": "application/json", "Authorization": f"Bearer {token}"}

    def _bodies(self, name: str, operation: str, connections: int) -> list[list[str]]:
        """What each connection sends in a circle: a read again and again, writes of two values in turn."""
        contender = CONTENDERS[name]
        document = dict(contender.documents)[operation]
        if operation != "write":
            return [[body(document, operation, operations.variables(operation, dates=contender.dates))]] * connections
        return [
            [body(document, operation, target.variables(days)) for days in ("1.50", "2.00")]
            for target in self.targets[:connections]
        ]

    def _checked(self, name: str, operation: str, headers: dict[str, str]) -> tuple[dict[str, Any], int]:
        texts = self._bodies(name, operation, 1)[0]
        for text in texts:
            data, size = _answer(self.servers[name], text, headers)
        if operation == "write":
            if (held := self.ground.stated(self.users, self.targets[0])) != {"2.00"}:
                raise Unequal(f"wrote 2.00 and the database holds {sorted(held)[:5]}")
            return operations.without_versions(data), size
        return CONTENDERS[name].shape(operation, data), size

    def _must_refuse(self, name: str, operation: str, headers: dict[str, str]) -> None:
        """Every contender verifies the token: with one whose signature is wrong it gives no data."""
        start, _, signature = headers["Authorization"].rpartition(".")
        forged = headers | {"Authorization": f"{start}.{signature[::-1]}"}
        try:
            _answer(self.servers[name], self._bodies(name, operation, 1)[0][-1], forged)
        except Unequal:
            return
        raise Unequal("answers a caller whose token is forged")

    def compare(self, operation: str) -> tuple[list[str], dict[str, int]]:
        """Who answers as the floor of flat SELECTs does, else as most do, and with how many bytes."""
        headers = self.headers()
        answers: dict[str, dict[str, Any]] = {}
        sizes: dict[str, int] = {}
        for name in self.names:
            if operation not in CONTENDERS[name].operations:
                continue
            try:
                answers[name], sizes[name] = self._checked(name, operation, headers)
                self._must_refuse(name, operation, headers)
            except (Unequal, OSError, ValueError) as error:
                self._leave_out(operation, name, str(error))
        if not answers:
            return [], {}
        reference = next((name for name in ("floor-flat", "mercurius") if name in answers), next(iter(answers)))
        for name in list(answers):
            if difference := first_difference(answers[name], answers[reference]):
                self._leave_out(operation, name, f"differs from {reference} at {difference}")
                del answers[name]
        return list(answers), {name: sizes[name] for name in answers}

    def _leave_out(self, operation: str, name: str, reason: str) -> None:
        self.left_out.setdefault(operation, {})[name] = reason
        print(f"    ! {CONTENDERS[name].title} is left out of {operation}: {reason}", flush=True)

    def throughput(self, operation: str) -> dict[str, Any]:
        """operation -> contender -> connections -> what the windows showed."""
        equal, sizes = self.compare(operation)
        print(f"  {operation}: equal answers from {', '.join(equal) or 'nobody'}", flush=True)
        generator = Generator()
        found: dict[str, Any] = {name: {"bytes": sizes[name]} for name in equal}
        try:
            for connections in (1, CONNECTIONS):
                windows = self._windows(generator, operation, equal, sizes, connections)
                for name, made in windows.items():
                    found[name][str(connections)] = summary(made)
                    rate = found[name][str(connections)]["median"]
                    print(f"    {connections} conn. {CONTENDERS[name].title:48} {rate:9.1f}/s", flush=True)
        finally:
            generator.close()
        return found

    def _windows(
        self, generator: Generator, operation: str, names: list[str], sizes: dict[str, int], connections: int
    ) -> dict[str, list[dict[str, Any]]]:
        made: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        for turn in range(-1 if self.plan.warm_up else 0, self.plan.rounds):  # the turn before the first warms up
            start = turn % max(len(names), 1)
            for name in names[start:] + names[:start]:
                seconds = self.plan.warm_up if turn < 0 else self.plan.seconds
                window = self._window(generator, operation, name, connections, seconds)
                if window["smallest"] < sizes[name] * 0.9 or window["largest"] > sizes[name] * 1.1:
                    sized = f"{window['smallest']} to {window['largest']} bytes"
                    raise SystemExit(f"{name} answered {operation} with {sized}, where {sizes[name]} were checked.")
                if turn >= 0:
                    made[name].append(window)
        return made

    def _window(
        self, generator: Generator, operation: str, name: str, connections: int, seconds: float
    ) -> dict[str, Any]:
        server = self.servers[name]
        before = server.cpu_seconds()
        bodies = self._bodies(name, operation, connections)
        spec = {"port": server.port, "headers": self.headers(), "bodies": bodies, "seconds": seconds}
        window = generator.window(spec)
        if window["failure"]:
            raise SystemExit(f"{name}, {operation}: {window['failure']}. The end of its log:\n{server.log()}")
        window["server_cpu"] = server.cpu_seconds() - before
        return window

    def fan_out(self) -> dict[str, Any]:
        """With fresh processes: in one that has answered grids, sockets find memory that was freed and cost nothing."""
        found = {}
        for name in self.names:
            if "fanout" not in CONTENDERS[name].operations:
                continue
            server = Server(CONTENDERS[name], self.ground.environment(self.users))
            try:
                server.wait()
                found[name] = self._fan_out(server)
            except RuntimeError as error:
                self._leave_out("fanout", name, str(error))
                continue
            finally:
                server.stop()
            last = found[name]["last_ms"]["median"]
            print(
                f"    {CONTENDERS[name].title:48} the last of {self.plan.sockets} sockets after {last:7.0f} ms",
                flush=True,
            )
        return found

    def _fan_out(self, server: Server) -> dict[str, Any]:
        headers = self.headers()
        one = Target(self.targets[0].cells[:1])
        first, *writes = [
            body(operations.WRITE, "write", one.variables(f"{3 + number}.00")) for number in range(EVENTS + 1)
        ]
        _answer(server, first, headers)  # what the first write brings into memory belongs to no socket
        before = server.memory()["rss"]
        client = _python("benchmarks.sockets")
        try:
            answer = _ask(
                client,
                {
                    "port": server.port,
                    "authorization": headers["Authorization"],
                    "headers": headers,
                    "subscribe": {
                        "query": operations.CHANGES,
                        "variables": {"from": operations.WRITTEN_MONTHS[0], "to": operations.WRITTEN_MONTHS[-1]},
                    },
                    "sockets": self.plan.sockets,
                    "writes": writes,
                },
            )
            after = server.memory()["rss"]
        finally:
            _end(client)
        result: dict[str, Any] = {
            "sockets": self.plan.sockets,
            "opening_seconds": round(answer["opening_seconds"], 2),
            "kilobytes_per_socket": round((after - before) * 1024 / self.plan.sockets, 1),
        }
        for key in ("first", "median", "last"):
            result[f"{key}_ms"] = spread([event[key] * 1000 for event in answer["events"]])
        return result


def _answer(server: Server, text: str, headers: dict[str, str]) -> tuple[dict[str, Any], int]:
    """The data of one answer, and its size in bytes. Raises Unequal for anything but plain success."""
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}/graphql", text.encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=CHECK_SECONDS) as response:
            raw = response.read()
    except urllib.error.HTTPError as error:
        raise Unequal(f"HTTP {error.code}: {error.read()[:300].decode(errors='replace')}") from None
    answer = json.loads(raw)
    if answer.get("errors"):
        raise Unequal(f"errors: {json.dumps(answer['errors'])[:300]}")
    return answer["data"], len(raw)


def spread(values: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 2),
        "least": round(min(values), 2),
        "most": round(max(values), 2),
    }


def summary(windows: list[dict[str, Any]]) -> dict[str, Any]:
    """Requests per second with their spread; latency, and what a request costs in processor time of the server."""
    rates = [window["requests"] / window["seconds"] for window in windows]
    latencies = sorted(each * 1000 for window in windows for each in window["latencies"])
    total = sum(window["requests"] for window in windows)
    seconds = sum(window["seconds"] for window in windows)
    return {
        **spread(rates),
        "rates": [round(rate, 2) for rate in rates],
        "requests": total,
        "p50_ms": round(statistics.median(latencies), 2),
        "p95_ms": round(latencies[min(int(len(latencies) * 0.95), len(latencies) - 1)], 2),
        "server_cpu_ms": round(sum(window["server_cpu"] for window in windows) / total * 1000, 3),
        "client_core_share": round(sum(window["cpu_seconds"] for window in windows) / seconds, 2),
    }
