"""Brings graphql-eslint, and Node where it is missing, and runs its recommended rules over schema/schema.graphql."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts.build_graphiql import ROOT, environment_with_node

FOLDER = ROOT / "tests" / "schema" / "lint"


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        try:
            environment = environment_with_node(Path(scratch))
            npm = shutil.which("npm", path=environment["PATH"]) or "npm"
            subprocess.run([npm, "ci"], cwd=FOLDER, env=environment, check=True)  # noqa: S603 - no shell, and no word of a stranger's  # nosec B603
        except (subprocess.CalledProcessError, OSError) as error:
            print(f"NOT RUN: graphql-eslint could not be brought: {error}")
            return 0
        eslint = [FOLDER / "node_modules" / ".bin" / "eslint", "--config", FOLDER / "eslint.config.js"]
        command = [*eslint, "--max-warnings", "0", "schema/schema.graphql"]
        findings = subprocess.run(command, cwd=ROOT, env=environment).returncode  # noqa: S603 - no shell, and no word of a stranger's  # nosec B603
    if not findings:
        print("schema/schema.graphql: 0 findings of graphql-eslint's recommended rules.")
    return findings


if __name__ == "__main__":
    sys.exit(main())
