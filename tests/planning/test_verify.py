"""`verify` finds what was corrupted and nothing else."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import text

from server.ids import cell_id, month_id
from server.planning.service.recompute import recompute
from server.planning.service.verify import Difference, What, verify
from tests.planning.stored import SYSTEM, everything

pytestmark = pytest.mark.usefixtures("company")

MARCH, APRIL = date(2026, 3, 1), date(2026, 4, 1)


@pytest.fixture
async def people(database, make):
    users, project = [await make.user() for _ in range(5)], await make.project()
    for user in users[:4]:
        await make.contract(user, fte=Decimal("0.9"))
        await make.absence(user, date(2026, 3, 2), date(2026, 3, 4))
        await make.assignment(user, project)
    async with database.transaction(SYSTEM) as tx:
        await recompute(tx, None, date(2025, 1, 1), date(2027, 12, 1))
    return users, project


async def differences(database, **options):
    return [difference async for difference in verify(database, **options)]


async def spoil(database, statement, **values):
    async with database.transaction(SYSTEM) as tx:
        await tx.session.execute(text(statement), values)


async def test_a_plan_that_is_up_to_date_shows_no_difference_and_is_not_touched(database, people):
    before = await everything(database)
    assert await differences(database) == []
    assert await everything(database) == before


async def test_a_corrupted_capacity_is_the_only_difference(database, people):
    user = people[0][1]
    row = month_id(user.id, MARCH)
    await spoil(database, "UPDATE capacities SET computed = 16.5 WHERE id = :id", id=row)
    [found] = await differences(database)
    assert found == Difference(What.COMPUTED, row, user.id, MARCH, Decimal("16.50"), Decimal("17.10"))


async def test_a_corrupted_cell_a_lost_cell_and_one_too_many_are_the_only_differences(database, people, make):
    (first, second, third, _, idle), project = people
    wrong, lost = cell_id(first.id, project.id, MARCH), cell_id(second.id, project.id, MARCH)
    await spoil(database, "UPDATE forecasts SET expected = 1 WHERE id = :id", id=wrong)
    await spoil(database, "DELETE FROM forecasts WHERE id = :id", id=lost)
    extra = await make.cell(third, await make.project(), APRIL, expected="2.00")
    await spoil(database, "UPDATE forecasts SET expected = 3 WHERE user_id = :id", id=idle.id)  # has none
    found = {(each.what, each.id, str(each.stored), str(each.expected)) for each in await differences(database)}
    assert found == {
        (What.EXPECTED, wrong, "1.00", "8.55"),
        (What.EXPECTED, lost, "0.00", "8.55"),
        (What.EXPECTED, extra.id, "2.00", "0.00"),
    }


async def test_each_figure_of_a_capacity_is_looked_at(database, people):
    row = month_id(people[0][0].id, MARCH)
    await spoil(database, "UPDATE capacities SET tentative = 1, working_days = 2, leave = 3 WHERE id = :id", id=row)
    found = [(each.what, str(each.stored), str(each.expected)) for each in await differences(database)]
    assert found == [
        (What.TENTATIVE, "1.00", "0.00"),
        (What.WORKING_DAYS, "2.00", "19.80"),
        (What.LEAVE, "3.00", "2.70"),
    ]


async def test_closed_months_are_frozen_and_not_compared(database, people, make):
    await make.closed(MARCH)
    await spoil(database, "UPDATE capacities SET computed = 1 WHERE id = :id", id=month_id(people[0][0].id, MARCH))
    assert await differences(database) == []


async def test_it_goes_in_chunks_and_says_how_far_it_is(database, people):
    heard = []
    assert await differences(database, progress=heard.append, chunk=2) == []
    assert heard == [2, 4, 5]
