"""What a sync brings over: everything that the providers hold, with counts that add up, and nothing twice."""

from __future__ import annotations

from server.sync.models import Provider, SyncState

PAYFIT, GRYZZLY = Provider.PAYFIT, Provider.GRYZZLY
NOTHING = {"created": 0, "updated": 0, "removed": 0}


def changes(run):
    return {kind: {name: counts.get(name, 0) for name in NOTHING} for kind, counts in run.counts.items()}


async def test_payfit_brings_people_contracts_absences_and_capacities(sync, company):
    run = await sync(PAYFIT)
    assert run.state is SyncState.SUCCEEDED, run.message
    visible = [c for c in company.contracts if c.end_date is None or (sync.today - c.end_date).days <= 365]
    assert run.counts["PERSON"] == {"read": 40, "skipped": 0, "refused": 0, "created": 40, "updated": 0, "removed": 0}
    assert run.counts["CONTRACT"]["read"] == run.counts["CONTRACT"]["created"] == len(visible)
    kept = [a for a in company.absences if a.status in ("approved", "pending_approval")]
    assert run.counts["ABSENCE"]["created"] == len(kept)
    assert run.counts["ABSENCE"]["read"] == len(company.absences)
    assert await sync.one("SELECT count(*) FROM users WHERE password_hash IS NULL AND status = 'ACTIVE'") == 40
    assert await sync.one("SELECT count(*) FROM capacities WHERE computed > 0") > 40
    assert run.progress == 100
    assert await sync.one("SELECT count(*) FROM sync_staging") == 0


async def test_gryzzly_brings_projects_tasks_and_actual_days(sync, company):
    await sync(PAYFIT)
    run = await sync(GRYZZLY)
    assert run.state is SyncState.SUCCEEDED, run.message
    assert run.counts["PERSON"]["updated"] == 40
    assert run.counts["PROJECT"]["created"] == 12
    assert run.counts["TASK"]["created"] == len(company.tasks) == 48
    assert run.counts["DECLARATION"] == {
        "read": 1200, "skipped": 0, "refused": 0, "created": 1200, "updated": 0, "removed": 0
    }  # fmt: skip
    declared = sum(d.seconds for user in company.users for d in company.declarations[user.id])
    assert await sync.one("SELECT sum(seconds) FROM time_entries") == declared
    assert await sync.one("SELECT sum(actual) FROM forecasts") == await sync.one(
        "SELECT sum(days) FROM (SELECT round(sum(seconds)::numeric / 25200, 2) AS days FROM time_entries"
        " GROUP BY user_id, project_id, date_trunc('month', day)) AS cells"
    )
    assert await sync.one("SELECT count(*) FROM forecasts WHERE stated IS NOT NULL") == 0


async def test_a_second_run_changes_nothing(sync):
    for provider in (PAYFIT, GRYZZLY):
        await sync(provider)
    for provider in (PAYFIT, GRYZZLY):
        run = await sync(provider)
        assert run.state is SyncState.SUCCEEDED
        assert set(map(str, changes(run).values())) == {str(NOTHING)}, run.counts
