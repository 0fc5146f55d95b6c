"""The fan-out: many sockets of one process subscribe to the plan, one cell is written, and each socket is timed.

`python -m benchmarks.sockets` reads one JSON object from standard input and writes one. The client speaks just enough
WebSocket and graphql-transport-ws to count messages, so that a thousand sockets cost it little.
"""

from __future__ import annotations

import asyncio
import base64
import os
import statistics
import sys
import time
from typing import Any

import orjson
import uvloop

from benchmarks.client import Connection as Exchange
from benchmarks.client import Window, requests

STEP_SECONDS = 60.0
AT_ONCE = 50
"""sockets that are opened at the same time"""


class Socket(asyncio.Protocol):
    """One subscriber. `heard` is when the message that is waited for has come."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self._spec = spec
        self._buffer = b""
        self._open = False
        self.heard: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        lines = (
            f"GET /graphql HTTP/1.1\r\nHost: 127.0.0.1:{self._spec['port']}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
        )
        transport.write(lines.encode())

    def connection_lost(self, error: Exception | None) -> None:
        if not self.heard.done():
            self.heard.set_exception(ConnectionError(f"the server closed a socket ({error})"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._open:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            if b" 101 " not in head.split(b"\r\n")[0]:
                self.heard.set_exception(ConnectionError(f"no WebSocket: {head.decode(errors='replace')}"))
                return
            self._open, self._buffer = True, rest
            self._send({"type": "connection_init", "payload": {"authorization": self._spec["authorization"]}})
        while (frame := self._frame()) is not None:
            self._message(orjson.loads(frame))

    def _frame(self) -> bytes | None:
        """The next text frame's payload; a server's frames are not masked, and these are never fragmented."""
        if len(self._buffer) < 2:
            return None
        opcode, length, start = self._buffer[0] & 0x0F, self._buffer[1] & 0x7F, 2
        if length == 126:
            length, start = int.from_bytes(self._buffer[2:4], "big"), 4
        elif length == 127:
            length, start = int.from_bytes(self._buffer[2:10], "big"), 10
        if len(self._buffer) < start + length:
            return None
        payload, self._buffer = self._buffer[start : start + length], self._buffer[start + length :]
        return payload if opcode == 1 else b'{"type":"control"}'

    def _message(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "connection_ack":
            self._send({"id": "1", "type": "subscribe", "payload": self._spec["subscribe"]})
        elif kind == "ping":
            self._send({"type": "pong"})
        elif kind in ("next", "error", "complete"):
            if kind != "next" or message["payload"].get("errors"):
                self.heard.set_exception(ConnectionError(f"the subscription failed: {message}"))
            elif not self.heard.done():
                self.heard.set_result(time.perf_counter())

    def _send(self, message: dict[str, Any]) -> None:
        payload, mask = orjson.dumps(message), os.urandom(4)
        length = len(payload)
        head = bytes([0x81, 0x80 | length]) if length < 126 else b"\x81\xfe" + length.to_bytes(2, "big")
        self._transport.write(head + mask + bytes(b ^ mask[n % 4] for n, b in enumerate(payload)))


async def _all(sockets: list[Socket]) -> list[float]:
    async with asyncio.timeout(STEP_SECONDS):
        return list(await asyncio.gather(*(socket.heard for socket in sockets)))


async def _write(spec: dict[str, Any], body: str) -> None:
    loop = asyncio.get_running_loop()
    window, done = Window(), loop.create_future()
    source = requests(spec["port"], spec["headers"], [body])
    await loop.create_connection(lambda: Exchange(source, 0.0, window, done), "127.0.0.1", spec["port"])
    await done
    if window.failure:
        raise ConnectionError(f"the write: {window.failure}")


async def run(spec: dict[str, Any]) -> dict[str, Any]:
    """`spec`: port, authorization, headers, subscribe, sockets, writes (bodies, one per event)."""
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    sockets: list[Socket] = []
    while len(sockets) < spec["sockets"]:
        opened = [
            loop.create_connection(lambda: Socket(spec), "127.0.0.1", spec["port"])
            for _ in range(min(AT_ONCE, spec["sockets"] - len(sockets)))
        ]
        batch = [socket for _, socket in await asyncio.gather(*opened)]
        await _all(batch)  # each begins with a RESYNC
        sockets += batch
    opening = time.perf_counter() - started
    events = []
    for body in spec["writes"]:
        for socket in sockets:
            socket.heard = loop.create_future()
        sent = time.perf_counter()
        writing = asyncio.ensure_future(_write(spec, body))
        times = sorted(each - sent for each in await _all(sockets))
        await writing
        events.append({"first": times[0], "median": statistics.median(times), "last": times[-1]})
        await asyncio.sleep(0.5)
    return {"opening_seconds": opening, "events": events}


if __name__ == "__main__":
    wanted = orjson.loads(sys.stdin.readline())
    sys.stdout.write(orjson.dumps(uvloop.run(run(wanted))).decode() + "\n")
    sys.stdout.flush()
    sys.stdin.readline()  # the sockets stay open until the server's memory has been looked at
