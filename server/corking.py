"""An answer's head and body leave by one system call and in one packet: uvicorn writes them one after the other."""

from __future__ import annotations

import asyncio
from typing import Any

HEAD = b"HTTP/1."


class Corked:
    """A transport that keeps the head of an answer back until its body is written too, or the event loop turns: a
    stream's head must not wait for its first event."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._head: bytes | None = None
        self._turn: asyncio.Handle | None = None

    def write(self, data: bytes) -> None:
        if self._head is not None:
            head, self._head = self._head, None
            self._transport.writelines([head, data])
        elif data.startswith(HEAD):
            self._head = data
            if self._turn is None:
                self._turn = self._loop.call_soon(self._on_turn)
        else:
            self._transport.write(data)

    def _on_turn(self) -> None:
        self._turn = None
        self._uncork()

    def _uncork(self) -> None:
        if self._head is not None:
            head, self._head = self._head, None
            self._transport.write(head)

    def close(self) -> None:
        self._uncork()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
