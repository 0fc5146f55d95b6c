"""How the web server stops: everyone who was let in is answered first, and nobody else is let in."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import termios
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors import Multiprocess, multiprocess

from server.corking import Corked

LAST_CALL_SECONDS = 1.0
"""that a connection without a request is kept for one that is on its way"""
NEXT_LOOK_SECONDS = 0.01
CLOSE = (b"connection", b"close")


class Connection(HttpToolsProtocol):
    """uvicorn's, but at the stop it closes an idle connection a moment later.

    uvicorn closes it at once, and with it a request that has arrived and was not read yet: under load each stop would
    reset some callers. Answers from here on say `Connection: close`, so that nobody sends more.
    """

    def connection_made(self, transport: Any) -> None:
        super().connection_made(Corked(transport, self.loop))  # type: ignore[arg-type]  # all that a transport can do
        if CLOSE in self.server_state.default_headers:
            self.shutdown()

    def shutdown(self) -> None:
        if self.cycle is not None and not self.cycle.response_started:
            self.cycle.default_headers = self.server_state.default_headers
        self.loop.call_later(LAST_CALL_SECONDS, self._close_if_idle)

    def _close_if_idle(self) -> None:
        # After a busy moment timers run before what has arrived meanwhile is read.
        if self._unread():
            self.loop.call_later(NEXT_LOOK_SECONDS, self._close_if_idle)
        else:
            super().shutdown()

    def _unread(self) -> bool:
        connection = self.transport.get_extra_info("socket")
        is_idle = self.cycle is None or self.cycle.response_complete
        if not is_idle or self.transport.is_closing() or connection is None or connection.fileno() < 0:
            return False
        return fcntl.ioctl(connection.fileno(), termios.FIONREAD, b"\0" * 4) != b"\0" * 4


class Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.server_state.default_headers = [*self.server_state.default_headers, CLOSE]
        waiting = self._let_in_who_waits()
        for server in self.servers:  # with nothing in between, since closing resets who has come meanwhile
            server.close()
        for listener in sockets or []:
            listener.close()
        loop = asyncio.get_running_loop()
        for connection in waiting:
            await loop.connect_accepted_socket(self._protocol, connection)
        await super().shutdown(sockets)

    def _let_in_who_waits(self) -> list[socket.socket]:
        """Connections that the system has made, with their requests perhaps, and the event loop has not seen yet."""
        found = []
        for listening in (each for server in self.servers for each in server.sockets):
            with socket.socket(fileno=os.dup(listening.fileno())) as listener:
                listener.setblocking(False)
                try:
                    while True:
                        found.append(listener.accept()[0])
                except OSError:  # BlockingIOError: nobody is left
                    continue
        return found

    def _protocol(self) -> asyncio.Protocol:
        return Connection(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)


class _Worker(multiprocess.Process):
    @property
    def server(self) -> uvicorn.Server:
        if self._server is None:
            self._server = Server(self.config)
        return self._server


class Workers(Multiprocess):
    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        multiprocess.Process = _Worker  # type: ignore[misc]  # the name by which uvicorn starts and restarts workers

    def terminate_all(self) -> None:
        """Nobody accepts from here on, so an open socket of ours would only collect callers to be reset at the end."""
        for listener in self.sockets:
            listener.close()
        super().terminate_all()
