"""Starting the web server: the port, the workers, and waiting until it answers."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import click
import uvicorn

from server.observability import MULTIPROCESS_DIR, empty_multiprocess_folder

START_SECONDS = 60
GRACEFUL_SECONDS = 20


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


def serve(host: str, port: int, workers: int, metrics_folder: Path | None) -> None:
    """Runs uvicorn until it is told to stop; accepted requests are answered first."""
    check_port(host, port)
    if workers > 1:
        folder = metrics_folder or Path(tempfile.mkdtemp(prefix="plancharge-metrics-"))
        empty_multiprocess_folder(folder)
        os.environ[MULTIPROCESS_DIR] = str(folder)
    uvicorn.run(
        "server.app:app",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        loop="uvloop",
        ws="websockets-sansio",
        ws_max_size=1_000_000,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
        forwarded_allow_ips=os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1"),
    )


def wait_until_healthy(host: str, port: int, ended: Callable[[], str | None]) -> None:
    """Returns when /health answers. Raises a ClickException when a process ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if name := ended():
            raise click.ClickException(f"The {name} ended while starting; its log above says why.")
        try:
            with urllib.request.urlopen(f"http://{host}:{port}/health", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise click.ClickException(f"The web server did not answer within {START_SECONDS} s.")
