"""Locks are taken in one order, so that two writes wait in a line and not in a circle."""

from __future__ import annotations

import asyncio
from datetime import date

import pytest

from server.planning.service.recompute import recompute
from server.projects import repository as projects
from tests.planning.stored import SYSTEM, expected

pytestmark = pytest.mark.usefixtures("company")


async def test_deleting_a_project_and_a_change_of_its_people_do_not_wait_in_a_circle(database, make):
    user, project = await make.user(), await make.project()
    await make.contract(user)
    await make.assignment(user, project)
    held = asyncio.Event()

    async def change_the_project():
        async with database.transaction(SYSTEM) as tx:
            await projects.by_id(tx.session, project.id, for_update=True)
            held.set()
            await asyncio.sleep(0.3)  # the other one inserts cells of the project by now
            await recompute(tx, [user.id], date(2026, 3, 1), date(2026, 3, 1))

    async def change_the_person():
        await held.wait()
        async with database.transaction(SYSTEM) as tx:
            await recompute(tx, [user.id], date(2026, 3, 1), date(2026, 3, 1))

    await asyncio.gather(change_the_project(), change_the_person())
    assert await expected(database, user) == {"2026-03": "11.00"}
