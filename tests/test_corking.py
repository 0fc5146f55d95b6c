"""When an answer's head leaves: with its body, or by itself where the body is not written at once."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from server.corking import Corked

HEAD, BODY = b"HTTP/1.1 200 OK\r\n\r\n", b"body"


@pytest.fixture
async def ends() -> AsyncIterator[tuple[Corked, socket.socket]]:
    """The server's end of a connection, and the client's."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
    yield Corked(transport, loop), theirs
    transport.abort()
    theirs.close()


async def test_nothing_has_left_before_the_body_and_then_all_has(ends: tuple[Corked, socket.socket]) -> None:
    corked, client = ends
    corked.write(HEAD)
    with pytest.raises(BlockingIOError):
        client.recv(100)
    corked.write(BODY)
    assert client.recv(100) == HEAD + BODY


async def test_a_stream_s_head_does_not_wait_for_its_first_event(ends: tuple[Corked, socket.socket]) -> None:
    corked, client = ends
    corked.write(HEAD)
    await asyncio.sleep(0.01)
    assert client.recv(100) == HEAD
    corked.write(BODY)
    assert client.recv(100) == BODY


async def test_a_head_leaves_before_the_connection_is_closed(ends: tuple[Corked, socket.socket]) -> None:
    corked, client = ends
    corked.write(HEAD)
    corked.close()
    await asyncio.sleep(0.01)
    assert client.recv(100) == HEAD
    assert client.recv(100) == b""
    assert corked.is_closing()
