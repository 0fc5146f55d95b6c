"""`plancharge dev` as people use it: a first start, Ctrl-C, a restart, a crash, and what can be in the way."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from server.settings import DEMO_PASSWORD
from tests.running import Running, free_port, run, started, wait_until

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="NOT RUN: needs Linux")
as_root_only = pytest.mark.skipif(os.geteuid() != 0, reason="NOT RUN: needs root")
READY = "Ctrl-C stops everything"


@contextmanager
def dev(folder: Path, output: Path) -> Iterator[Running]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with started(output, "dev", "--data", str(folder), "--port", str(port), url=url) as running:
        running.wait_for(READY)
        yield running


def processes_of(folder: Path) -> list[str]:
    """Every process that names the folder, in its command line or its environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in words and int(process.name) != os.getpid():
            found.append(f"{process.name} {words[:200]!r}")
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dev") / "kept"


@pytest.fixture(scope="module")
def first_start(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, int, int]:
    """What a first start printed, the status of a sign-in as it told, and how it ended on Ctrl-C."""
    with dev(folder, tmp_path_factory.mktemp("first") / "output") as running:
        who = {"username": "analyst@demo.test", "password": DEMO_PASSWORD}
        answer = httpx.post(f"{running.url}/api/v1/auth/login", data=who, timeout=30)
        ended = running.stop(signal.SIGINT)
        return running.text(), answer.status_code, ended


def test_a_first_start_makes_the_demo_company_and_prints_where_and_how_to_sign_in(
    first_start: tuple[str, int, int],
) -> None:
    output, signed_in, _ = first_start
    assert "Demo company of 300 people, 120 projects, 36 months" in output
    assert re.search(r"GraphiQL +http://127\.0\.0\.1:\d+/graphql", output)
    assert "admin@demo.test" in output
    assert DEMO_PASSWORD in output
    assert signed_in == 200


@linux_only
def test_ctrl_c_leaves_no_process_and_says_so(first_start: tuple[str, int, int], folder: Path) -> None:
    output, _, ended = first_start
    assert ended == 130
    assert output.rstrip().endswith("Stopped.")
    assert "Traceback" not in output
    assert processes_of(folder) == []


@linux_only
def test_a_restart_keeps_the_data_refuses_a_second_start_and_dies_whole(
    first_start: tuple[str, int, int], folder: Path, tmp_path: Path
) -> None:
    with dev(folder, tmp_path / "output") as running:
        assert "Demo company" not in running.text()
        second = run("dev", "--data", str(folder), "--port", str(free_port()))
        assert second.returncode == 1
        assert f"{folder / 'postgres'} is in use by another start (process {running.process.pid})" in second.stderr
        port = running.url.rpartition(":")[2]
        same_port = run("dev", "--data", str(tmp_path / "other"), "--port", port)
        assert same_port.stderr.startswith(f"Error: Port {port} is taken: stop what listens there, or choose another")
        assert not (tmp_path / "other").exists()
        os.kill(running.process.pid, signal.SIGKILL)
        running.process.wait()
        wait_until(lambda: processes_of(folder) == [], limit=30)


def error_of(folder: Path, **values: str) -> str:
    """The one line with which a start on this folder ends."""
    done = run("dev", "--data", str(folder), "--port", str(free_port()), **values)
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_data_of_another_version_is_not_touched(tmp_path: Path) -> None:
    cluster = tmp_path / "postgres" / "data"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("14\n")
    error = error_of(tmp_path)
    assert "was written by PostgreSQL 14; this is PostgreSQL 18" in error
    assert [path.name for path in cluster.iterdir()] == ["PG_VERSION"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert f"Cannot write in {tmp_path / 'file' / 'data'}" in error_of(tmp_path / "file" / "data")


def test_an_unreachable_database_of_ones_own_is_named(tmp_path: Path) -> None:
    error = error_of(tmp_path, DATABASE_URL="postgresql://u:p@127.0.0.1:1/d")
    assert error.startswith("Error: PostgreSQL cannot be reached")


def test_a_production_environment_is_refused_since_demo_accounts_have_a_published_password(tmp_path: Path) -> None:
    assert "`plancharge dev` makes demo accounts" in error_of(tmp_path, PLANCHARGE_ENV="production")


@as_root_only
@linux_only
def test_a_full_disk_is_named(tmp_path: Path) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(tmp_path)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("NOT RUN: may not mount a small disk")
    try:
        assert "is full. Free some space" in error_of(tmp_path / "data")
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)
