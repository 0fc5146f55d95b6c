"""`plancharge sync`: one sync from the command line, to its end, with what became of the records."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

from tests.conftest import PROJECT_ROOT


async def plancharge(sync, *arguments, **environment):
    settings = sync.settings
    variables = {
        **os.environ,
        "PLANCHARGE_ENV": "test",
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "JWT_KEYS": settings.jwt_keys.get_secret_value(),
        "LOG_LEVEL": "ERROR",
        **environment,
    }
    command = [sys.executable, "-m", "server.cli", *arguments]
    run = subprocess.run
    return await asyncio.to_thread(run, command, cwd=PROJECT_ROOT, env=variables, capture_output=True, timeout=60)


async def test_it_brings_everything_over_and_prints_the_counts(sync, make):
    user = await make.user()
    await make.contract(user)
    done = await plancharge(sync, "sync", "payfit", "--json", PAYFIT_USE_MOCK="true")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["state"] == "SUCCEEDED"
    assert answer["counts"]["CONTRACT"]["updated"] == 1  # the one typed here is PayFit's now
    assert await sync.one("SELECT source FROM contracts") == "PAYFIT"


async def test_without_a_key_it_says_what_to_set(sync):
    done = await plancharge(sync, "sync", "gryzzly")
    assert done.returncode == 1
    assert b"GRYZZLY_API_KEY" in done.stderr


async def test_a_sync_that_fails_exits_with_one_and_says_why(sync):
    sync.simulated.switch("forbidden")
    url = next(iter(sync.simulated.urls.values()))
    addresses = {"PAYFIT_API_URL": url, "PAYFIT_OAUTH_URL": url, "PAYFIT_API_KEY": "simulated-key"}
    done = await plancharge(sync, "sync", "payfit", **addresses)
    assert done.returncode == 1
    assert b"ended as FAILED" in done.stderr
    assert b"missing scope" in done.stderr
