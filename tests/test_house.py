"""The house rules that a linter does not know: what pure code may import, and where generated files stand."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PROJECT_ROOT

DOMAIN = [*PROJECT_ROOT.glob("server/*/domain.py"), *PROJECT_ROOT.glob("server/*/domain/*.py")]


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("path", DOMAIN, ids=lambda path: str(path.relative_to(PROJECT_ROOT)))
def test_domain_modules_import_the_standard_library_and_their_own_feature_alone(path: Path) -> None:
    own = ".".join(path.relative_to(PROJECT_ROOT).with_suffix("").parts[:3])
    foreign = [
        name
        for name in imported(path)
        if name.partition(".")[0] not in sys.stdlib_module_names and name != own and not name.startswith(f"{own}.")
    ]
    assert foreign == []


def test_the_lock_file_names_the_public_index_alone() -> None:
    lock = (PROJECT_ROOT / "uv.lock").read_text(encoding="utf-8")
    registries = {line.strip() for line in lock.splitlines() if line.startswith("source = { registry")}
    assert len(registries) == 1
    assert "file:" not in lock


def test_no_module_is_called_after_nothing() -> None:
    """Layers and nouns name modules; what is in `utils` nobody finds."""
    folders = ("server", "schema", "clients", "execution", "migrations")
    names = {path.stem for folder in folders for path in (PROJECT_ROOT / folder).rglob("*.py")}
    assert names.isdisjoint({"utils", "util", "helpers", "helper", "common", "manager", "misc"})
