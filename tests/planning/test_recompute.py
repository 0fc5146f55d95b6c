"""Stored capacities and expected load follow every change, in the changing transaction, and never by too much."""

from __future__ import annotations

import asyncio
from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import func, select, text

from server.events import PlanningChanged
from server.ids import cell_id, month_id
from server.planning.models import (
    AbsenceStatus,
    AssignmentRow,
    CapacityRow,
    CompanySettingsRow,
    ForecastRow,
    Half,
    StaleUserRow,
)
from server.planning.service import recompute as module
from server.planning.service.recompute import recompute, recompute_marked
from tests.planning.stored import SYSTEM, capacities, everything, expected

pytestmark = pytest.mark.usefixtures("company")

JANUARY, MARCH, DECEMBER = date(2026, 1, 1), date(2026, 3, 1), date(2026, 12, 1)


async def run(database, *users, first=JANUARY, last=DECEMBER):
    async with database.transaction(SYSTEM) as tx:
        return await recompute(tx, [user.id for user in users] or None, first, last)


async def test_a_full_timer_has_the_working_days_of_2026(database, make):
    user = await make.user()
    await make.contract(user)
    await run(database, user)
    days = [f"{n}.00" for n in (21, 20, 22, 21, 17, 22, 22, 21, 22, 22, 20, 22)]
    assert list((await capacities(database, user)).values()) == days
    assert list((await capacities(database, user, "working_days")).values()) == days


async def test_alsace_has_good_friday_off(database, make):
    user = await make.user()
    await make.contract(user)
    async with database.transaction(SYSTEM) as tx:
        await tx.session.execute(text("UPDATE company_settings SET subdivision = '6AE'"))
    await run(database, user)
    assert (await capacities(database, user))["2026-04"] == "20.00"


async def test_part_time_counts_by_weekday_where_that_is_known_and_pro_rata_where_not(database, make):
    off_on_wednesdays, four_fifths = await make.user(), await make.user()
    pattern = [Decimal(1), Decimal(1), Decimal(0), Decimal(1), Decimal(1)]
    await make.contract(off_on_wednesdays, fte=Decimal("0.8"), weekday_pattern=pattern)
    await make.contract(four_fifths, fte=Decimal("0.8"))
    await run(database, off_on_wednesdays, four_fifths)
    assert (await capacities(database, off_on_wednesdays))["2026-03"] == "18.00"  # 22 days, 4 of them Wednesdays
    assert (await capacities(database, four_fifths))["2026-03"] == "17.60"


async def test_half_days_pending_and_overlapping_absences(database, make):
    user = await make.user()
    await make.contract(user)
    await make.absence(user, date(2026, 3, 2), date(2026, 3, 6), start_half=Half.AFTERNOON)  # 4.5 days
    await make.absence(user, date(2026, 3, 6), date(2026, 3, 9), type="rtt", end_half=Half.MORNING)  # Monday morning
    await make.absence(user, date(2026, 3, 9), date(2026, 3, 9), status=AbsenceStatus.PENDING)  # the afternoon is left
    await make.absence(user, date(2026, 3, 16), date(2026, 3, 20), type="fr_teletravail")
    await run(database, user)
    assert (await capacities(database, user))["2026-03"] == "17.00"
    assert (await capacities(database, user, "leave"))["2026-03"] == "5.00"
    assert (await capacities(database, user, "tentative"))["2026-03"] == "0.50"
    assert (await capacities(database, user, "working_days"))["2026-03"] == "22.00"


async def test_only_the_types_named_are_predictable_leave(database, make):
    user = await make.user()
    await make.contract(user)
    await make.absence(user, date(2026, 3, 2), date(2026, 3, 3), type="rtt")
    await make.absence(user, date(2026, 3, 4), date(2026, 3, 4), type="sick")
    async with database.transaction(SYSTEM) as tx:
        await tx.session.execute(text("UPDATE company_settings SET predictable_leave_types = '{rtt}'"))
    await run(database, user)
    assert (await capacities(database, user))["2026-03"] == "19.00"
    assert (await capacities(database, user, "leave"))["2026-03"] == "2.00"


async def test_an_assignment_expects_its_rate_of_each_months_capacity(database, make):
    user, project = await make.user(), await make.project()
    await make.contract(user)
    await make.assignment(user, project, rate=Decimal(50), start_date=date(2026, 3, 16), end_date=date(2026, 5, 31))
    await run(database, user)
    assert await expected(database, user) == {"2026-03": "6.00", "2026-04": "10.50", "2026-05": "8.50"}


async def test_an_override_scales_the_expected_load(database, make):
    user, project = await make.user(), await make.project()
    await make.contract(user)
    await make.assignment(user, project, rate=Decimal(50), start_date=MARCH, end_date=date(2026, 3, 31))
    await make.capacity(user, MARCH, "22.00", override=Decimal("11.00"))
    await run(database, user)
    assert await expected(database, user) == {"2026-03": "5.50"}
    assert (await capacities(database, user, "override"))["2026-03"] == "11.00"


async def test_what_is_expected_no_more_goes_back_to_zero_and_keeps_what_was_stated(database, make):
    user, project = await make.user(), await make.project()
    await make.contract(user)
    await make.cell(user, project, MARCH, expected="9.00", stated="3.00")
    await run(database, user)
    async with database.reads.session() as session:
        cell = await session.get_one(ForecastRow, cell_id(user.id, project.id, MARCH))
    assert (cell.expected, cell.stated, cell.version) == (Decimal("0.00"), Decimal("3.00"), 1)


async def test_a_deleted_assignment_expects_nothing(database, make):
    user, project = await make.user(), await make.project()
    await make.contract(user)
    await make.assignment(user, project, deleted_at=func.now())
    await run(database, user)
    assert await expected(database, user) == {}


async def test_rows_that_do_not_differ_are_not_written(database, make):
    user, project = await make.user(), await make.project()
    await make.contract(user)
    await make.assignment(user, project)
    first = await run(database, user)
    before = await everything(database)
    second = await run(database, user)
    assert (len(first.month_ids), len(first.cell_ids)) == (12, 12)
    assert (second.month_ids, second.cell_ids) == ((), ())
    assert await everything(database) == before


async def test_versions_count_what_people_state_only(database, make):
    user, project = await make.user(), await make.project()
    await make.contract(user)
    await make.assignment(user, project)
    await make.cell(user, project, MARCH, stated="3.00", expected="1.00")
    await make.capacity(user, MARCH, "1.00")
    await run(database, user)
    async with database.reads.session() as session:
        cell = await session.get_one(ForecastRow, cell_id(user.id, project.id, MARCH))
        month = await session.get_one(CapacityRow, month_id(user.id, MARCH))
    assert (cell.expected, cell.version) == (Decimal("11.00"), 1)
    assert (month.computed, month.version) == (Decimal("22.00"), 0)


async def test_closed_months_stay_as_they_are(database, make):
    user, project = await make.user(), await make.project()
    await make.contract(user)
    await make.assignment(user, project)
    await make.closed(MARCH)
    await make.capacity(user, MARCH, "5.00")
    await make.cell(user, project, MARCH, expected="1.00")
    done = await run(database, user)
    assert MARCH not in done.months
    assert (await capacities(database, user))["2026-03"] == "5.00"
    assert (await expected(database, user))["2026-03"] == "1.00"
    assert (await expected(database, user))["2026-04"] == "10.50"


async def test_months_outside_the_horizon_are_left_out(database, make):
    user = await make.user()
    await make.contract(user)
    done = await run(database, user, first=date(2020, 1, 1), last=date.max)
    assert (done.months[0], done.months[-1], len(done.months)) == (date(2025, 1, 1), date(2027, 12, 1), 36)
    assert (await run(database, user, first=date(2030, 1, 1), last=date.max)).months == ()


async def test_everybody_is_everybody_who_can_be_planned(database, make):
    first, second, tool = await make.user(), await make.user(), await make.user(is_service=True)
    for user in (first, second, tool):
        await make.contract(user)
    assert set((await run(database)).user_ids) == {first.id, second.id}
    assert await capacities(database, tool) == {}


async def test_statements_are_constant_in_number(database, make, statements):
    counts = []
    project = await make.project()
    for people in (1, 30):
        users = [await make.user() for _ in range(people)]
        for user in users:
            await make.contract(user)
            await make.absence(user, date(2026, 3, 2), date(2026, 3, 3))
            await make.assignment(user, project)
        statements.clear()
        await run(database, *users)
        counts.append(len(statements))
    assert counts[0] == counts[1] <= 13


async def test_what_changed_is_published(database, make, bus):
    user, project = await make.user(), await make.project()
    await make.contract(user)
    await make.assignment(user, project, start_date=MARCH, end_date=date(2026, 4, 30))
    async with bus.subscribe(PlanningChanged) as queue:
        await run(database, user, first=MARCH, last=date(2026, 4, 1))
        event = await asyncio.wait_for(queue.get(), 5)
    april = date(2026, 4, 1)
    assert event == PlanningChanged(
        first_month=MARCH,
        last_month=april,
        user_ids=(user.id,),
        cell_ids=(cell_id(user.id, project.id, MARCH), cell_id(user.id, project.id, april)),
        month_ids=(month_id(user.id, MARCH), month_id(user.id, april)),
    )


async def test_more_changes_than_can_be_listed_ask_for_a_new_read(database, make, bus):
    users = [await make.user() for _ in range(14)]
    for user in users:
        await make.contract(user)
    async with bus.subscribe(PlanningChanged) as queue:
        await run(database, *users, first=date(2025, 1, 1), last=date(2027, 12, 1))
        event = await asyncio.wait_for(queue.get(), 5)
    assert event == PlanningChanged(date(2025, 1, 1), date(2027, 12, 1), resync=True)


async def test_two_changes_at_once_for_one_person_leave_right_sums(database, make):
    user, project = await make.user(), await make.project()
    await make.contract(user)

    async def assign(rate):
        async with database.transaction(SYSTEM) as tx:
            values = {"rate": rate, "start_date": MARCH, "end_date": date(2026, 3, 31)}
            tx.session.add(AssignmentRow(user_id=user.id, project_id=project.id, **values))
            await tx.session.flush()
            await recompute(tx, [user.id], MARCH, MARCH)
            await asyncio.sleep(0.05)  # the other one is waiting by now, or has been waited for

    await asyncio.gather(*(assign(Decimal(rate)) for rate in (10, 20, 30)))
    assert await expected(database, user) == {"2026-03": "13.20"}


async def test_two_recomputations_of_many_people_do_not_wait_in_a_circle(database, make):
    users = [await make.user() for _ in range(20)]
    project = await make.project()
    for user in users:
        await make.contract(user)
        await make.assignment(user, project)
    await asyncio.gather(run(database, *users), run(database, *reversed(users)), run(database))
    assert {(await expected(database, user))["2026-03"] for user in users} == {"11.00"}


class TestALargeChange:
    @pytest.fixture(autouse=True)
    def small_limit(self, monkeypatch):
        monkeypatch.setattr(module, "MAX_MONTHS_AT_ONCE", 20)
        monkeypatch.setattr(module, "USERS_PER_CHUNK", 2)

    async def many(self, make, people=3):
        users, project = [await make.user() for _ in range(people)], await make.project()
        for user in users:
            await make.contract(user)
            await make.assignment(user, project)
        await make.capacity(users[0], MARCH, "1.00")
        await make.cell(users[0], project, MARCH, expected="1.00")
        return users, project

    async def marks(self, database):
        async with database.reads.session() as session:
            people = await session.scalar(select(func.count()).select_from(StaleUserRow))
            months = await session.scalar(select(func.count()).where(CapacityRow.recomputing))
            cells = await session.scalar(select(func.count()).where(ForecastRow.recomputing))
        return people, months, cells

    async def test_marks_its_rows_and_leaves_the_work_to_a_job(self, database, make, redis):
        users, _ = await self.many(make)
        done = await run(database, *users)
        assert done.deferred
        assert await self.marks(database) == (3, 1, 1)  # people, and the month and the cell that there were
        assert (await capacities(database, users[0]))["2026-03"] == "1.00"
        assert [key async for key in redis.scan_iter("arq:job:*")]

    async def test_the_job_recomputes_everyone_marked_and_clears_the_marks(self, database, make):
        users, _ = await self.many(make)
        await run(database, *users)
        assert await recompute_marked(database, SYSTEM) == 3
        assert await self.marks(database) == (0, 0, 0)
        for user in users:
            assert (await capacities(database, user))["2026-03"] == "22.00"
            assert (await expected(database, user))["2026-12"] == "11.00"

    async def test_a_lost_job_is_made_good_by_the_next_and_two_at_once_do_no_harm(self, database, make):
        users, _ = await self.many(make, people=5)
        await run(database, *users)
        await asyncio.gather(recompute_marked(database, SYSTEM), recompute_marked(database, SYSTEM))
        assert await self.marks(database) == (0, 0, 0)
        assert {(await expected(database, user))["2026-03"] for user in users} == {"11.00"}
        assert await recompute_marked(database, SYSTEM) == 0

    async def test_a_month_closed_meanwhile_stays_as_it_is_and_loses_its_mark(self, database, make):
        users, _ = await self.many(make)
        await run(database, *users)
        await make.closed(MARCH)
        await recompute_marked(database, SYSTEM)
        assert (await capacities(database, users[0]))["2026-03"] == "1.00"
        assert await self.marks(database) == (0, 0, 0)


async def test_without_settings_it_says_what_to_run(database, make):
    async with database.transaction(SYSTEM) as tx:
        await tx.session.execute(CompanySettingsRow.__table__.delete())
        with pytest.raises(RuntimeError, match="plancharge migrate"):
            await recompute(tx, None, JANUARY, DECEMBER)
