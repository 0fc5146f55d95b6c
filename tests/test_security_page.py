"""docs/security.md names the test that holds each line of the threat model: all of them exist."""

from __future__ import annotations

import ast
import re

import pytest

from tests.conftest import PROJECT_ROOT

PAGE = (PROJECT_ROOT / "docs" / "security.md").read_text(encoding="utf-8")
LINES = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| tries")]
NAMED = sorted(set(re.findall(r"`(tests/[^`]+::[^`]+)`", PAGE)))


def exists(node_id: str) -> bool:
    """Whether pytest would find the test: read from the text, since collecting everything takes ten seconds."""
    path, *names = node_id.split("::")
    file = PROJECT_ROOT / path
    body: list[ast.stmt] = ast.parse(file.read_text(encoding="utf-8")).body if file.is_file() else []
    for name in names:
        found = [node for node in body if getattr(node, "name", None) == name]
        if not found:
            return False
        body = getattr(found[0], "body", [])
    return bool(names) and names[-1].startswith("test_")


@pytest.mark.parametrize("line", LINES, ids=[line.split("|")[1].strip() for line in LINES])
def test_every_line_of_the_threat_model_names_the_test_that_holds_it(line: str) -> None:
    assert re.findall(r"`(tests/[^`]+::[^`]+)`", line.split("|")[3])


@pytest.mark.parametrize("node_id", NAMED)
def test_every_test_that_it_names_exists(node_id: str) -> None:
    assert exists(node_id)


def test_a_test_that_is_renamed_would_be_missed() -> None:
    assert not exists("tests/test_security_page.py::test_of_another_name")
    assert not exists("tests/access/test_roles.py::TestTheLastAdmin::test_of_another_name")
    assert not exists("tests/test_nothing.py::test_every_test_that_it_names_exists")


def test_the_threat_model_is_one_page() -> None:
    assert len(PAGE.splitlines()) <= 90
