"""Brings the public audits of GraphQL over HTTP, and Node where it is missing, and runs tests/conformance with them."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts.build_graphiql import ROOT, environment_with_node


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        try:
            environment = environment_with_node(Path(scratch))
            npm = shutil.which("npm", path=environment["PATH"]) or "npm"
            subprocess.run([npm, "ci"], cwd=ROOT / "tests" / "conformance", env=environment, check=True)  # noqa: S603 - no shell, and no word of a stranger's  # nosec B603
        except (subprocess.CalledProcessError, OSError) as error:
            print(f"NOT RUN: the audits of GraphQL over HTTP could not be brought: {error}")
            return 0
        tests = [sys.executable, "-m", "pytest", "tests/conformance", "-q"]
        return subprocess.run(tests, cwd=ROOT, env=environment).returncode  # noqa: S603 - no shell, and no word of a stranger's  # nosec B603


if __name__ == "__main__":
    sys.exit(main())
