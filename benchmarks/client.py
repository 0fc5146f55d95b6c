"""The load generator, in a process of its own: raw HTTP/1.1 over kept connections, each sending its next request when
the answer has come.

`python -m benchmarks.client` reads one window per line from standard input and answers each with a line, both JSON.
Written here rather than taken (wrk, oha): no machine has those by itself, and writes need another body each time. It
counts an answer's bytes without keeping them, so that it costs a fraction of any server; its share of a core is in
every result.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import orjson
import uvloop

LIMIT_SECONDS = 120.0
"""a window is given up when a server leaves a request unanswered for so long"""


@dataclass(slots=True)
class Window:
    """What came of one window. `seconds` end with the last answer, so a slow server's requests are all counted."""

    requests: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    smallest: int = 0
    largest: int = 0
    failure: str | None = None


class Connection(asyncio.Protocol):
    """One keep-alive connection in a closed loop until `until`."""

    def __init__(self, requests: Iterator[bytes], until: float, window: Window, done: asyncio.Future[None]) -> None:
        self._requests, self._until, self._window, self._done = requests, until, window, done
        self._head = b""
        self._left: int | None = None
        self._chunked = False
        self._size = 0
        self._sent = 0.0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._fail(f"the server closed the connection ({error})")

    def data_received(self, data: bytes) -> None:
        if self._left is None and not self._chunked:
            self._head += data
            head, found, data = self._head.partition(b"\r\n\r\n")
            if not found or not self._begin(head):
                return
            self._head = b""
        self._size += len(data)
        if self._chunked:
            if data.endswith(b"0\r\n\r\n"):  # JSON text holds no line break, so this ends the body
                self._answered()
        else:
            assert self._left is not None
            self._left -= len(data)
            if self._left == 0:
                self._answered()

    def _begin(self, head: bytes) -> bool:
        status, *lines = head.split(b"\r\n")
        if status.split(b" ")[1] not in (b"200", b"304"):  # 304 comes to who asks for it
            self._fail(f"answered {status.decode()}")
            return False
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        self._chunked = headers.get(b"transfer-encoding", b"").lower() == b"chunked"
        self._left = None if self._chunked else int(headers.get(b"content-length", 0))
        self._size = 0
        return True

    def _answered(self) -> None:
        now, window = time.perf_counter(), self._window
        window.latencies.append(now - self._sent)
        window.smallest = min(window.smallest or self._size, self._size)
        window.largest = max(window.largest, self._size)
        self._left, self._chunked = None, False
        if now >= self._until or self._done.done():
            self._finish()
        else:
            self._send()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(next(self._requests))

    def _fail(self, reason: str) -> None:
        self._window.failure = self._window.failure or reason
        self._finish()

    def _finish(self) -> None:
        if not self._done.done():
            self._done.set_result(None)
        self._transport.close()


def requests(port: int, headers: dict[str, str], bodies: list[str], path: str | None = None) -> Iterator[bytes]:
    """The same few requests in a circle; with a path, GETs of it."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    if path is not None:
        return itertools.repeat(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{lines}\r\n".encode())
    made = []
    for text in bodies:
        body = text.encode()
        head = f"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
        made.append(head.encode() + body)
    return itertools.cycle(made)


def _given(connection: Connection) -> Connection:
    return connection


async def run(spec: dict[str, Any]) -> Window:
    """`spec`: port, headers, seconds and, for each connection, its bodies, sent in a circle; for GETs `path`."""
    loop = asyncio.get_running_loop()
    window = Window()
    cpu, started = time.process_time(), time.perf_counter()
    until = started + spec["seconds"]
    waiting = []
    for bodies in spec["bodies"]:
        done: asyncio.Future[None] = loop.create_future()
        source = requests(spec["port"], spec["headers"], bodies, spec.get("path"))
        connection = Connection(source, until, window, done)
        await loop.create_connection(partial(_given, connection), "127.0.0.1", spec["port"])
        waiting.append(done)
    _, late = await asyncio.wait(waiting, timeout=spec["seconds"] + LIMIT_SECONDS)
    if late:
        window.failure = window.failure or f"no answer within {LIMIT_SECONDS:.0f} s"
        for future in late:
            future.cancel()
    window.seconds = time.perf_counter() - started
    window.cpu_seconds = time.process_time() - cpu
    window.requests = len(window.latencies)
    return window


async def main() -> None:
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        window = await run(orjson.loads(line))
        sys.stdout.write(orjson.dumps(asdict(window)).decode() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(main())
