"""What a sync applies is in every worker's next answer, however much of the plan they keep."""

from __future__ import annotations

from datetime import date

from clients.simulator import Company
from clients.simulator.company import Declaration, Project, Task, User
from schema.kept_responses import KeptResponses
from server.sync.models import Provider, SyncState
from tests.factories import admin
from tests.response_cache.conftest import Worker

GRID = """{ planning(from: "2026-11", to: "2026-11") { items {
  user { lastName } months { cells { actual project { name } } } } } }"""


async def test_a_sync_s_days_are_seen_at_once(sync, make, schema, database, settings, bus):
    ada = await make.user(email="ada@example.test", first_name="Ada", last_name="Lovelace")
    worker = Worker(schema, database, settings, bus, KeptResponses(1_000_000))
    before, _ = await worker.answer(admin(ada), GRID)
    assert await worker.answer(admin(ada), GRID) == (before, "hit")
    for name, days in (("d1", "1.00"), ("d2", "2.00")):
        held = sync.simulated.gryzzly.company.declarations.get("u1", ())
        declarations = {"u1": [*held, Declaration(name, "u1", "t1", date(2026, 11, int(name[1]) + 2), 25_200)]}
        sync.simulated.serve(
            Company(
                "co",
                "Company",
                users=[User("u1", "Ada Lovelace", "ada@example.test")],
                projects=[Project("g1", "Engine", "ENG")],
                tasks=[Task("t1", "g1", "Build")],
                declarations=declarations,
            )
        )
        assert (await sync(Provider.GRYZZLY)).state is SyncState.SUCCEEDED
        after, outcome = await worker.answer(admin(ada), GRID)
        assert (outcome, after.count(f'"actual":"{days}"'.encode())) == ("miss", 1)
        assert b"Engine" in after
