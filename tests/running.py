"""Real processes of the command line: started, asked over real sockets, and stopped with their test."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import orjson

from server.cli import main
from server.settings import Settings

START_LIMIT = 90.0
STOP_LIMIT = 30.0


@dataclass(frozen=True)
class Running:
    process: subprocess.Popen[bytes]
    output: Path
    url: str = ""

    def text(self) -> str:
        return self.output.read_text()

    def logged(self) -> list[dict[str, Any]]:
        """Every line of standard output must be one JSON object."""
        return [orjson.loads(line) for line in self.text().splitlines()]

    def wait_for(self, text: str) -> None:
        wait_until(lambda: text in self.text() or self.process.poll() is not None)
        assert text in self.text(), f"ended with {self.process.poll()}:\n{self.text()}"

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(STOP_LIMIT)


def wait_until(holds: Any, limit: float = START_LIMIT) -> None:
    deadline = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


def environment(settings: Settings, **values: str) -> dict[str, str]:
    """What a production process of these servers is given."""
    return {
        "PLANCHARGE_ENV": "production",
        "DATABASE_URL": settings.database_url.replace("+asyncpg", ""),
        "REDIS_URL": settings.redis_url,
        "JWT_KEYS": settings.jwt_keys.get_secret_value(),
        "GRAPHQL_EXECUTOR": settings.graphql_executor,
        **values,
    }


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "server.cli", *arguments]


def inherited() -> dict[str, str]:
    """Ours without what would configure the product."""
    ours = {"DATABASE_URL", "REDIS_URL", "JWT_KEYS", "PLANCHARGE_ENV", "METRICS_TOKEN", "PROMETHEUS_MULTIPROC_DIR"}
    return {name: value for name, value in os.environ.items() if name not in ours}


def run(*arguments: str, stdin: str = "", **values: str) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    return subprocess.run(
        command(*arguments), env=inherited() | values, input=stdin, capture_output=True, text=True, timeout=120
    )


def call(*arguments: str, stdin: str = "", **values: str) -> subprocess.CompletedProcess[str]:
    """As `run`, within this process: an interpreter that imports everything anew takes seconds."""
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.dict(os.environ, inherited() | values, clear=True),
        patch.object(sys, "argv", ["plancharge", *arguments]),
        patch.object(sys, "stdin", io.StringIO(stdin)),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
            code: Any = 0
        except SystemExit as done:
            code = done.code or 0
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


@contextmanager
def started(output: Path, *arguments: str, url: str = "", **values: str) -> Iterator[Running]:
    with output.open("wb") as log:
        process = subprocess.Popen(
            command(*arguments), env=inherited() | values, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        yield Running(process, output, url)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_LIMIT)
            finally:
                process.kill()


@contextmanager
def serving(output: Path, env: Mapping[str, str], *options: str) -> Iterator[Running]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with started(output, "serve", "--port", str(port), *options, url=url, **env) as server:
        wait_until(lambda: answers(url) or server.process.poll() is not None)
        assert server.process.poll() is None, server.text()
        yield server


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=1).status_code == 200
    except httpx.TransportError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
