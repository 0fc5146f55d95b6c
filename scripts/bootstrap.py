"""Makes .venv with what uv.lock names; needs Python 3.11 or newer and nothing else. `make` runs it when that changes.

Only the standard library, in the syntax of older Pythons too, so that those get a sentence and no traceback.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
OLDEST = (3, 11)


def succeeds(*command, **options):
    try:
        return subprocess.run([str(part) for part in command], check=False, **options).returncode == 0  # ours alone  # nosec B603
    except OSError:  # there is no such program
        return False


def quietly(*command):
    return succeeds(*command, capture_output=True)


def bring_uv():
    """uv's path: the machine's own, else from PyPI into .venv, made with or without Debian's python3-venv."""
    own = VENV / "bin" / "uv"
    if shutil.which("uv"):
        return "uv"
    if own.exists() and quietly(own, "--version"):
        return own
    print("Bringing uv into .venv ...", flush=True)
    if not quietly(PYTHON, "-c", ""):
        quietly(sys.executable, "-m", "venv", VENV) or quietly(sys.executable, "-m", "venv", "--without-pip", VENV)
    for pip in ((PYTHON, "-m", "pip"), (sys.executable, "-m", "pip", "--python", PYTHON)):
        if quietly(*pip, "--version") and succeeds(*pip, "install", "--quiet", "--disable-pip-version-check", "uv"):
            return own
    sys.exit(
        "Cannot install uv into .venv: pip is missing, or could not download (then its message stands above).\n"
        "On Debian and Ubuntu: sudo apt install python3-venv. Elsewhere: https://docs.astral.sh/uv/ and try again."
    )


def main():
    if sys.version_info < OLDEST:
        found = ".".join(map(str, sys.version_info[:3]))
        sys.exit("Python 3.11 or newer is needed; this is {}. Name another: make PYTHON=python3.12 run".format(found))
    os.environ.pop("VIRTUAL_ENV", None)
    os.environ["UV_PROJECT_ENVIRONMENT"] = str(VENV)
    uv = bring_uv()
    os.chdir(str(ROOT))
    synced = succeeds(
        uv, "sync", "--frozen", "--all-extras", "--compile-bytecode", "--quiet", "--python", sys.executable
    )
    sys.exit(0 if synced else "uv could not install what uv.lock names; its message stands above.")


if __name__ == "__main__":
    main()
