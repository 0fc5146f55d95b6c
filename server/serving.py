"""Starting the web server: the port, the database's schema, the workers, and waiting until it answers."""

from __future__ import annotations

import asyncio
import errno
import math
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import click
import uvicorn
from uvicorn.config import STARTUP_FAILURE

from server.connections import connected
from server.migrate import refuse_old_schema
from server.observability import MULTIPROCESS_DIR, configure_logging, empty_multiprocess_folder
from server.settings import Settings
from server.stopping import Connection, Server, Workers

START_SECONDS = 60
GRACEFUL_SECONDS = 2.0
"""beyond the time that a request may take, which no request at hand exceeds"""


def check_port(host: str, port: int) -> None:
    """Raises a ClickException that says what to do when the address cannot be listened on."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise click.ClickException(
                    f"Port {port} is taken: stop what listens there, or choose another with --port."
                ) from error
            raise click.ClickException(f"Cannot listen on {host}:{port}: {error.strerror}.") from error


def serve(settings: Settings, host: str, port: int, workers: int, metrics_folder: Path | None) -> None:
    """Runs uvicorn until it is told to stop; accepted requests are answered first, and the exit code is 0.

    Refuses to start on a database that is away or too old: a supervisor tries again, and a person reads why.
    """
    configure_logging(settings)
    check_port(host, port)
    asyncio.run(_check_schema(settings))
    own_folder = None
    if workers > 1:
        # prometheus_client reads this when it is imported, which the workers do anew.
        own_folder = None if metrics_folder else tempfile.mkdtemp(prefix="plancharge-metrics-")
        folder = metrics_folder or Path(own_folder or "")
        empty_multiprocess_folder(folder)
        os.environ[MULTIPROCESS_DIR] = str(folder)
    config = uvicorn.Config(
        "server.app:app",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        loop="uvloop",
        http=Connection,
        ws="websockets-sansio",
        ws_max_size=1_000_000,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=math.ceil(settings.request_seconds + GRACEFUL_SECONDS),
        # A worker that does not answer its supervisor for so long is replaced. uvicorn's own 5 s are less than a
        # busy machine needs to import the application, and replace workers for ever.
        timeout_worker_healthcheck=START_SECONDS,
    )
    try:
        _run(config)
    finally:
        if own_folder is not None:
            shutil.rmtree(own_folder, ignore_errors=True)


def _run(config: uvicorn.Config) -> None:
    """As `uvicorn.run`, which cannot be given another server."""
    signal.signal(signal.SIGTERM, _stopped)
    if config.workers > 1:
        Workers(config, sockets=[config.bind_socket()]).run()
        return
    config.load_app()
    server = Server(config)
    server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)


def _stopped(_signal: int, _frame: object) -> None:
    """uvicorn raises SIGTERM once more when it has stopped, which would end us as if we had been killed."""
    sys.exit(0)


async def _check_schema(settings: Settings) -> None:
    async with connected(settings) as connections:
        await refuse_old_schema(connections.database)


def wait_until_healthy(host: str, port: int, ended: Callable[[], str | None]) -> None:
    """Returns when /health answers. Raises a ClickException when a process ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if name := ended():
            raise click.ClickException(f"The {name} ended while starting; its log above says why.")
        try:
            with urllib.request.urlopen(f"http://{_reachable(host)}:{port}/health", timeout=1):  # nosec B310
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise click.ClickException(f"The web server did not answer within {START_SECONDS} s.")


def _reachable(host: str) -> str:
    """An address to call: one listens on every interface at once, but calls only one."""
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 - compared with, not bound to  # nosec B104
