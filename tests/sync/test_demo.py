"""The built-in simulators: the demo company with its documented differences, the same on every run."""

from __future__ import annotations

from datetime import date

import pytest

from clients.simulator import DIFFERENCES
from server import seed
from server.planning.service.recompute import recompute_marked
from server.sync.models import Provider, SyncState
from server.sync.providers import Providers
from server.sync.service import runner
from tests.sync.conftest import QUICK, SYSTEM

PAYFIT, GRYZZLY = Provider.PAYFIT, Provider.GRYZZLY
TODAY = date(2026, 11, 18)


@pytest.fixture
async def demo(sync):
    """A seeded company of 60 people, synced with its own simulators."""
    wanted = seed.Demo(60, 20, date(2025, 10, 1), 18, TODAY, accounts=True)
    await seed.write(sync.settings, wanted)
    connect = Providers(sync.settings, sync.database).connect

    async def run(provider):
        row = await sync.start(provider)
        await runner.run(sync.database, SYSTEM, connect, row.id, TODAY, QUICK)
        row = await sync.row(row.id)
        assert row.state is SyncState.SUCCEEDED, row.message
        return row

    return run


async def test_the_demo_company_is_brought_over_once_and_a_second_run_changes_nothing(demo, sync):
    payfit = await demo(PAYFIT)
    assert payfit.counts["PERSON"]["created"] == 1  # the new hire of the documented differences
    assert payfit.counts["CONTRACT"]["refused"] == 0
    gryzzly = await demo(GRYZZLY)
    assert gryzzly.counts["PROJECT"]["created"] == 1  # the new project
    declared = gryzzly.counts["DECLARATION"]
    assert declared["read"] > 1000
    assert declared["removed"] == 0
    assert declared["created"] == 1  # the late declaration; the freelancer's waits for a person, all others are ours
    await recompute_marked(sync.database, SYSTEM)
    assert await sync.one("SELECT count(*) FROM forecasts WHERE actual > 0") > 50
    for provider in (PAYFIT, GRYZZLY):
        run = await demo(provider)
        assert all(counts[name] == 0 for counts in run.counts.values() for name in ("created", "updated", "removed")), (
            run.counts
        )


async def test_the_differences_show(demo, sync):
    await demo(PAYFIT)
    await demo(GRYZZLY)
    assert "married-name" in DIFFERENCES
    assert await sync.one("SELECT count(*) FROM sync_conflicts WHERE field = 'last_name' AND state = 'OPEN'") == 1
    assert await sync.one("SELECT count(*) FROM contracts WHERE external_id LIKE '%@%'") == 1  # part-time-now
    waiting = await sync.rows("SELECT external_id, state FROM external_people WHERE state <> 'LINKED' ORDER BY 1")
    assert "added-freelancer" in {row.external_id for row in waiting}
    assert await sync.one("SELECT count(*) FROM projects WHERE code = 'NEW'") == 1
    assert await sync.one("SELECT count(*) FROM users WHERE last_name = 'Nouvelle'") == 1
