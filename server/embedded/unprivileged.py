"""How to run PostgreSQL's programs when we are root, which they refuse to be."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from server.embedded.folder import EmbeddedError

NOBODY = 65534


@dataclass(frozen=True)
class Launch:
    """A command prefix and a user id for child processes; empty when we are no root ourselves."""

    prefix: tuple[str, ...] = ()
    user: int | None = None

    @property
    def groups(self) -> list[int] | None:
        return None if self.user is None else []


def choose_launch(folder: Path, program: str) -> Launch:
    """As root: the folder's owner if that is another; else root without its powers, in a user namespace of its own
    (`unshare -U`), which needs no other owner; where the kernel or the container denies that, user 65534."""
    if os.geteuid() != 0:
        return Launch()
    owner = folder.stat().st_uid
    unshare = shutil.which("unshare")
    candidates = [Launch(user=owner or NOBODY)]
    if owner == 0 and unshare is not None:
        candidates.insert(0, Launch(prefix=(unshare, "-U", "--")))
    for launch in candidates:
        if _can_run(launch, program, folder.parent):
            if launch.user is not None:
                _give(folder, launch.user)
            return launch
    raise EmbeddedError(
        "not_writable",
        f"PostgreSQL refuses to run as root, and as an unprivileged user it can enter {folder.parent} or run {program}"
        f" neither in a user namespace (unshare -U) nor as user {owner or NOBODY}. Start as a normal user, or move the"
        " project below folders that every user may enter; or set DATABASE_URL to use your own server.",
    )


def _can_run(launch: Launch, program: str, folder: Path) -> bool:
    done = subprocess.run(  # noqa: S603 - no shell, and no word of a stranger's  # nosec B603
        [*launch.prefix, "/bin/sh", "-c", 'cd "$0" && exec "$1" --version', str(folder), program],
        user=launch.user,
        group=launch.user,
        extra_groups=launch.groups,
        cwd="/",
        capture_output=True,
    )
    return done.returncode == 0


def _give(folder: Path, user: int) -> None:
    for parent, _, files in os.walk(folder):
        for path in [Path(parent), *(Path(parent, name) for name in files)]:
            if path.lstat().st_uid != user:
                os.chown(path, user, user, follow_symlinks=False)
