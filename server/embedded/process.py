"""What PostgreSQL and Valkey share as child processes: start, wait until ready, stop, and healing after a crash."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Self

from server.embedded.folder import EmbeddedError, Lock, disk_full, not_writable

START_LIMIT = 30.0  # seconds; a start takes 0.7 s on an idle machine, recovery after a crash longer
STOP_LIMIT = 20.0
_POLL = 0.02


class EmbeddedServer(ABC):
    """One server on one data folder, on the loopback interface only. Blocking: call it before the event loop has work.

    `fast=True` gives up durability for speed, for tests. Without `port`, each start takes a free one.
    """

    label: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]

    def __init__(self, data_dir: Path, *, port: int | None = None, fast: bool = False) -> None:
        self.data_dir = data_dir.resolve()
        self.fast = fast
        self._wanted_port = port
        self._port: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._stale_pid: int | None = None
        self._lock = Lock(self.data_dir / "lock")
        self._log = self.data_dir / "server.log"

    @property
    def port(self) -> int:
        if self._port is None:
            raise RuntimeError(f"{self.label} is not started")
        return self._port

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError(f"{self.label} is not started")
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it ended by itself, or was killed, since it was started."""
        return self._process is not None and self._process.poll() is not None

    @abstractmethod
    def _prepare(self) -> None:
        """Make the data folder ready; runs with the lock held and no server on the data."""

    @abstractmethod
    def _spawn(self, port: int) -> "subprocess.Popen[bytes]": ...

    @abstractmethod
    def _is_ready(self) -> bool: ...

    @property
    @abstractmethod
    def _pid_file(self) -> Path:
        """Written by the server itself; its first line is its pid."""

    def start(self) -> None:
        if self._process is not None:
            return
        try:
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock.acquire()
            self.data_dir.chmod(0o700)
            self._stop_left_over()
            self._prepare()
            self._start_on_a_port()
        except OSError as error:
            self.stop()
            raise EmbeddedError.from_os_error(error, self.data_dir) from error
        except BaseException:  # Ctrl-C during the start included: leave nothing behind
            self.stop()
            raise

    def stop(self) -> None:
        """Orderly, then by force after a limit; stopping twice is harmless."""
        process, self._process, self._port = self._process, None, None
        try:
            if process is not None:
                _end(process, self.stop_signal)
        finally:
            self._lock.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start_on_a_port(self) -> None:
        if self._wanted_port is not None:
            _refuse_taken_port(self.label, self._wanted_port)
        for attempt in range(5):
            port = self._wanted_port or _free_port()
            if self._log.exists():
                self._log.replace(self._log.with_suffix(".log.1"))
            self._process = self._spawn(port)
            self._port = port
            try:
                self._wait_until_ready()
            except EmbeddedError as error:
                # Between our look and the server's bind another process may take a free port: take the next one.
                # "Already running": the sessions of a killed PostgreSQL need a moment to notice that it is gone.
                passing = error.code == "already_running" or (error.code == "port_taken" and self._wanted_port is None)
                if not passing or attempt == 4:
                    raise
                self._process = None
                time.sleep(attempt * 0.5)
            else:
                return

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_LIMIT
        while not self._is_ready():
            if self._process.poll() is not None:
                raise diagnose(self.label, self.data_dir, self.port, self._read_log())
            if time.monotonic() > deadline:
                tail = _tail(self._read_log())
                raise EmbeddedError(
                    "start_timeout",
                    f"{self.label} was not ready after {START_LIMIT:.0f} s. The end of {self._log}:\n{tail}",
                )
            time.sleep(_POLL)

    def _read_log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def _stop_left_over(self) -> None:
        """A killed starter may leave its server; we hold the lock, so nobody else uses it.

        Stopped rather than adopted: its settings may be those of an older checkout.
        """
        try:
            pid = int(self._pid_file.read_text().split()[0])
        except (FileNotFoundError, ValueError, IndexError):
            return
        deadline = time.monotonic() + STOP_LIMIT
        force_at = time.monotonic() + STOP_LIMIT / 2
        sent: signal.Signals | None = None
        while self._runs_here(pid):
            wanted = self.stop_signal if time.monotonic() < force_at else signal.SIGKILL
            if wanted is not sent:
                with suppress(ProcessLookupError):
                    os.kill(pid, wanted)
                sent = wanted
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    "already_running", f"{self.label} (process {pid}) still runs on {self.data_dir}: kill -9 {pid}"
                )
            time.sleep(_POLL)
        self._stale_pid = pid

    def _runs_here(self, pid: int) -> bool:
        """Whether this very pid serves this very folder: pids are reused, and a zombie has no command line."""
        if Path("/proc/self").exists():
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                return False
        else:
            ps = subprocess.run(["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True)  # noqa: S603 - no shell, and no word of a stranger's  # nosec B603
            command = ps.stdout
        return f"{self.data_dir}/" in command


def _end(process: "subprocess.Popen[bytes]", stop_signal: signal.Signals) -> None:
    try:
        process.send_signal(stop_signal)
        process.wait(STOP_LIMIT)
    except subprocess.TimeoutExpired:
        pass
    finally:  # also on a second, impatient Ctrl-C; without effect on a process that has ended
        process.kill()
        process.wait()


def die_with_parent(stop_signal: signal.Signals) -> list[str]:
    """A command prefix: on Linux the kernel sends `stop_signal` when the starter dies, even by SIGKILL.

    Elsewhere the next start stops what was left. The kernel watches the starting *thread*, so this holds for the main
    thread only: a pool's thread that ends would take the server with it.
    """
    setpriv = shutil.which("setpriv")
    if sys.platform != "linux" or setpriv is None or threading.current_thread() is not threading.main_thread():
        return []
    return [setpriv, "--pdeathsig", stop_signal.name.removeprefix("SIG"), "--"]


def diagnose(label: str, folder: Path, port: int | None, log: str) -> EmbeddedError:
    """The reason of a failed start, read from what the server wrote."""
    if "pre-existing shared memory block" in log:
        return EmbeddedError("already_running", f"Processes of another {label} still use {folder}. Stop them first.")
    if "Address already in use" in log:
        return EmbeddedError("port_taken", _port_taken(label, port))
    if re.search(r"No space left on device|Disk quota exceeded", log):
        return EmbeddedError("disk_full", disk_full(folder))
    if reason := re.search(r"Permission denied|Read-only file system", log):
        return EmbeddedError("not_writable", not_writable(folder, reason.group()))
    return EmbeddedError("start_failed", f"{label} did not start in {folder}. It wrote:\n{_tail(log)}")


def _tail(log: str) -> str:
    return "\n".join(log.splitlines()[-15:])


def _port_taken(label: str, port: int | None) -> str:
    return f"Port {port} for {label} is taken by another process. Stop that process, or choose another port."


def _refuse_taken_port(label: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: a port in TIME_WAIT is free
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            raise EmbeddedError(
                "port_taken", f"Port {port} for {label} is reserved. Choose a port above 1023."
            ) from None
        except OSError:
            raise EmbeddedError("port_taken", _port_taken(label, port)) from None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
