"""PgBouncer, Debian's: in transaction mode, with a few server connections that many clients share."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from socket import create_connection
from urllib.parse import urlsplit

from server.embedded import EmbeddedPostgres
from server.embedded.process import die_with_parent
from server.embedded.unprivileged import choose_launch
from tests.running import free_port, wait_until

PROGRAM = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
MISSING = "NOT RUN: PgBouncer is not installed (apt install pgbouncer)"
CONNECTIONS = 3
"""to PostgreSQL: few, so that what a client does lands on other connections than what it did before"""


@contextmanager
def pgbouncer(postgres: EmbeddedPostgres) -> Iterator[int]:
    """The port of one in front of this PostgreSQL, without `ignore_startup_parameters` or other help for ours."""
    assert PROGRAM is not None, MISSING
    with tempfile.TemporaryDirectory(prefix="pgbouncer-") as name:
        folder, port = Path(name), free_port()
        folder.chmod(0o755)
        launch = choose_launch(folder, PROGRAM)
        server = urlsplit(postgres.url())
        users = [f'"{user}" "{server.password}"\n' for user in ("plancharge", "postgres")]
        (folder / "users").write_text("".join(users))
        (folder / "ini").write_text(
            "[databases]\n"
            f"* = host=127.0.0.1 port={server.port}\n"
            "[pgbouncer]\n"
            "pool_mode = transaction\n"
            f"default_pool_size = {CONNECTIONS}\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = scram-sha-256\nauth_file = {folder / 'users'}\n"
            "server_round_robin = 1\n"  # or the connection that was used last is used again
        )
        for path in folder.iterdir():
            path.chmod(0o644)
        log = (folder / "log").open("wb")
        process = subprocess.Popen(
            [*launch.prefix, *die_with_parent(signal.SIGTERM), PROGRAM, str(folder / "ini")],
            user=launch.user,
            group=launch.user,
            extra_groups=launch.groups,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            wait_until(lambda: _listens(port) or process.poll() is not None)
            assert process.poll() is None, (folder / "log").read_text()
            yield port
        finally:
            process.terminate()
            process.wait(10)
            log.close()


def through(url: str, port: int) -> str:
    """The same database, by way of PgBouncer."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}").geturl()


def _listens(port: int) -> bool:
    try:
        with closing(create_connection(("127.0.0.1", port), 1)):
            return True
    except OSError:
        return False
