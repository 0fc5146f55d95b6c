"""The public audit suite of GraphQL over HTTP, by its own client (npm's graphql-http), against a real server.

`python -m scripts.run_audits` brings both and runs it; where the suite or Node is missing this prints NOT RUN.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from server.settings import Settings
from tests.access.people import PASSWORD, person
from tests.factories import Factory
from tests.running import Running, environment, serving

FOLDER = Path(__file__).parent
SUITE = FOLDER / "node_modules" / "graphql-http"
AUDITS = 61


def node() -> str:
    found = shutil.which("node")
    if found is None or not SUITE.is_dir():
        pytest.skip("NOT RUN: the audits need Node and `npm ci` in tests/conformance")
    return found


def signed_in(url: str) -> str:
    form = {"username": "ada@example.test", "password": PASSWORD}
    return str(httpx.post(f"{url}/api/v1/auth/login", data=form, timeout=30).json()["access_token"])


def audited(url: str, token: str) -> list[dict[str, Any]]:
    variables = {**os.environ, "AUDITED_URL": f"{url}/graphql", "AUDITED_TOKEN": token}
    done = subprocess.run([node(), "audit.mjs"], cwd=FOLDER, env=variables, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    found: list[dict[str, Any]] = orjson.loads(done.stdout)
    return found


@pytest.fixture
def server(settings: Settings, make: Factory, tmp_path: Path) -> Iterator[Running]:
    node()
    with serving(tmp_path / "log", environment(settings)) as running:
        yield running


async def test_all_audits_pass_for_a_client_that_sends_the_header(server: Running, make: Factory) -> None:
    await person(make)
    results = audited(server.url, signed_in(server.url))
    assert [result for result in results if result["status"] != "ok"] == []
    assert len(results) == AUDITS


async def test_without_it_only_queries_by_get_are_refused_which_are_no_must_and_no_should(server: Running) -> None:
    results = audited(server.url, "")
    others = [result for result in results if result["status"] != "ok"]
    assert [result for result in others if result["status"] != "notice"] == []
    assert all("GET" in result["name"] for result in others)
    assert len(results) == AUDITS
