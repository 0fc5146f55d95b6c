"""PostgreSQL on a disk that fills up under writes, and has room again later."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from faults.ground import Ground, sign_in, unexpected, until_ready
from faults.load import Load
from faults.postgres import MEANT, RECOVERS, check_writes
from faults.shown import NotRun, Shown

SIZE = "320m"
LEFT = 64 * 1024
FULL_SECONDS = 6.0


def show(ground: Ground, shown: Shown) -> None:
    logs = ground.folder / "logs-of-the-small-disk"
    with _small_disk(ground.folder / "small") as disk, Ground(disk, logs) as small, small.server() as server:
        headers = sign_in(server)
        with Load(small, server, headers) as load:
            time.sleep(1.0)
            ballast = disk / "ballast"
            since = time.monotonic()
            _fill(ballast)
            while time.monotonic() - since < FULL_SECONDS:
                _fill(ballast)
                time.sleep(0.2)
            ballast.unlink()
            if small.postgres.has_ended:  # as a person would, who has made room
                shown.fact("PostgreSQL ended itself for want of room for its log, and was started again")
                small.postgres.stop()
                small.postgres.start()
            back = time.monotonic()
            ready, wrote = until_ready(server), load.first_ok("write", back)
            time.sleep(1.0)
            load.end()
        outcomes = load.outcomes()
        strange = {name: count for name, count in outcomes.items() if name not in MEANT}
        shown.fact(f"{sum(outcomes.values())} calls: {outcomes}")
        shown.promise(
            outcomes.get("away", 0) > 0 and not strange, f"refused with 503, nothing else: {strange or 'none'}"
        )
        for what, took in (("readiness", ready), ("write", wrote)):
            after = "never" if took is None else f"after {took:.2f} s"
            shown.promise(took is not None and took < RECOVERS, f"{what} again {after}, no restart of the server")
        errors = unexpected(server)
        shown.promise(not errors, f"{len(errors)} unexpected errors in the server's log {sorted(set(errors))}")
        check_writes(small, shown, load.writers)


def _fill(ballast: Path) -> None:
    """Takes what room there is, but for a little: what PostgreSQL has freed meanwhile too."""
    free = shutil.disk_usage(ballast.parent).free - LEFT
    if free > 0:
        with ballast.open("ab") as file:
            os.posix_fallocate(file.fileno(), file.tell(), free)


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    if sys.platform != "linux" or os.geteuid() != 0:
        raise NotRun("only root may mount a small disk, on Linux")
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode != 0:
        raise NotRun("a small disk may not be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
