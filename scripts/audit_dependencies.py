"""Asks whether anything that uv.lock or GraphiQL's package-lock.json names has a known vulnerability.

Exits with 1 when something has. A database that cannot be reached, or knows none of the packages (as behind a mirror),
is NOT RUN: pip-audit alone would call that "no known vulnerabilities".
"""

import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from scripts.build_graphiql import ROOT

CONNECT_SECONDS = 20
ALL_SECONDS = 300


class NotRun(Exception):
    pass


def asked(command: list[str | Path], folder: Path) -> dict[str, Any]:
    """What the command printed as JSON; its exit code does not tell a finding from a database that is away."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=ALL_SECONDS)  # noqa: S603 - no shell, and no word of a stranger's  # nosec B603
        answer: dict[str, Any] = json.loads(done.stdout)
    except subprocess.TimeoutExpired as error:
        raise NotRun(f"no answer within {ALL_SECONDS} s") from error
    except ValueError as error:
        raise NotRun((done.stderr.strip() or "no answer").splitlines()[-1]) from error
    return answer


def locked() -> list[str]:
    """name==version of everything that uv.lock would install anywhere, ours excepted."""
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    return [f"{each['name']}=={each['version']}" for each in packages if "registry" in each["source"]]


def python_findings() -> list[str]:
    with tempfile.TemporaryDirectory() as scratch:
        listed = Path(scratch) / "requirements.txt"
        listed.write_text("\n".join(locked()))
        options = ["--no-deps", "--disable-pip", "--format=json", "--progress-spinner=off"]
        command = [sys.executable, "-m", "pip_audit", "--requirement", listed, *options]
        answer = asked([*command, f"--timeout={CONNECT_SECONDS}"], ROOT)
    unknown = [each["name"] for each in answer["dependencies"] if "skip_reason" in each]
    if len(unknown) == len(answer["dependencies"]):
        raise NotRun("the database of vulnerabilities knows none of the packages")
    if unknown:
        print(f"NOT RUN for {', '.join(unknown)}: the database of vulnerabilities does not know them.")
    return [
        f"{each['name']} {each['version']}: {found['id']}, mended in {', '.join(found['fix_versions']) or 'no version'}"
        for each in answer["dependencies"]
        for found in each.get("vulns", [])
    ]


def graphiql_findings() -> list[str]:
    """Of what is built into the bundle; what only builds it never meets a stranger."""
    npm = shutil.which("npm")
    if npm is None:
        raise NotRun("npm is not installed")
    options = ["--json", "--package-lock-only", "--omit=dev", f"--fetch-timeout={CONNECT_SECONDS * 1000}"]
    answer = asked([npm, "audit", *options, "--fetch-retries=0"], ROOT / "graphiql")
    if "vulnerabilities" not in answer:
        raise NotRun(answer.get("message", "npm's database of vulnerabilities gave no answer"))
    return [f"{name} ({found['severity']})" for name, found in answer["vulnerabilities"].items()]


def main() -> int:
    found = 0
    for what, findings in (("uv.lock", python_findings), ("graphiql", graphiql_findings)):
        try:
            lines = findings()
        except NotRun as reason:
            print(f"NOT RUN: vulnerabilities of {what}: {reason}")
            continue
        print(f"{what}: {len(lines)} known vulnerabilities", *lines, sep="\n  ")
        found += len(lines)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
