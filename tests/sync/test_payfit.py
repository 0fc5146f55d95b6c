"""PayFit's people, contracts and absences: what is owned by whom, what is removed and what never is."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from clients.simulator import Company
from clients.simulator.company import Absence, Collaborator, Contract
from server.planning.models import RecordSource
from server.sync.models import Provider, SyncState
from server.sync.service import conflicts
from server.sync.service.conflicts import Decision, Resolution
from server.users import service as users
from server.users.service import UserChange
from tests.sync.conftest import SYSTEM, TODAY

PAYFIT = Provider.PAYFIT
ADA = Collaborator("p1", "Ada", "Lovelace", "ada@example.test", "ada@home.test")
HIRED = date(2025, 1, 1)
CONTRACT = Contract("c1", "p1", HIRED)
LEAVE = Absence("a1", "c1", "fr_conges_payes", date(2026, 12, 7), date(2026, 12, 9), end_moment="middle-of-day")


@pytest.fixture
def company() -> Company:
    return Company("co", "Company", [ADA], [CONTRACT], [LEAVE])


@pytest.fixture
def payfit(sync):
    """One employee at PayFit; calling it changes what PayFit holds and syncs."""

    async def run(**held):
        sync.simulated.serve(replace(sync.simulated.payfit.company, **held))
        done = await sync(PAYFIT)
        assert done.state is SyncState.SUCCEEDED, done.message
        return done

    run.sync = sync
    return run


async def contracts(sync):
    rows = await sync.rows("SELECT start_date, end_date, fte, source, external_id FROM contracts ORDER BY start_date")
    return [(row.start_date, row.end_date, str(row.fte.normalize()), row.source, row.external_id) for row in rows]


async def capacity(sync, month):
    return str(await sync.one("SELECT computed FROM capacities WHERE month = :month", month=month))


async def test_an_employee_becomes_a_person_who_cannot_sign_in(payfit):
    await payfit()
    (row,) = await payfit.sync.rows("SELECT * FROM users")
    assert (row.first_name, row.last_name, row.email, row.password_hash) == ("Ada", "Lovelace", ADA.email, None)


async def test_a_personal_address_is_never_used(payfit):
    await payfit(collaborators=[replace(ADA, email=None)])
    assert await payfit.sync.one("SELECT email FROM users") is None
    assert await payfit.sync.one("SELECT count(*) FROM external_people WHERE email IS NOT NULL") == 0


async def test_absences_take_capacity_by_halves(payfit):
    """December 2026 has 22 working days: Monday and Tuesday, and Wednesday's morning, are away."""
    await payfit()
    assert await capacity(payfit.sync, date(2026, 12, 1)) == "19.50"


async def test_a_pending_absence_is_tentative_and_telework_takes_nothing(payfit):
    await payfit(absences=[replace(LEAVE, status="pending_approval"), replace(LEAVE, id="a2", type="fr_teletravail")])
    row = (await payfit.sync.rows("SELECT computed, tentative FROM capacities WHERE month = '2026-12-01'"))[0]
    assert (str(row.computed), str(row.tentative)) == ("22.00", "2.50")


@pytest.mark.parametrize("status", ["declined", "cancelled"])
async def test_an_absence_that_was_declined_or_cancelled_goes(payfit, status):
    await payfit()
    run = await payfit(absences=[replace(LEAVE, status=status)])
    assert run.counts["ABSENCE"]["removed"] == 1
    assert await capacity(payfit.sync, date(2026, 12, 1)) == "22.00"


async def test_an_absence_missing_from_the_window_that_was_read_whole_goes(payfit):
    await payfit()
    run = await payfit(absences=[])
    assert run.counts["ABSENCE"]["removed"] == 1
    assert await capacity(payfit.sync, date(2026, 12, 1)) == "22.00"


async def test_an_absence_outside_the_window_stays(payfit):
    await payfit(absences=[replace(LEAVE, start_date=TODAY - timedelta(92), end_date=TODAY - timedelta(90))])
    payfit.sync.today = TODAY + timedelta(1)
    run = await payfit(absences=[])
    assert run.counts["ABSENCE"]["removed"] == 0
    assert await payfit.sync.one("SELECT count(*) FROM absences") == 1


async def test_a_missing_contract_and_a_missing_employee_stay(payfit):
    await payfit()
    run = await payfit(collaborators=[], contracts=[])
    assert run.counts["CONTRACT"] == dict.fromkeys(run.counts["CONTRACT"], 0)
    assert len(await contracts(payfit.sync)) == 1
    assert await payfit.sync.one("SELECT status FROM users") == "ACTIVE"


async def test_absences_of_a_contract_that_is_no_longer_listed_are_still_followed(payfit):
    await payfit()
    run = await payfit(contracts=[], absences=[replace(LEAVE, end_date=date(2026, 12, 8))])
    assert run.counts["ABSENCE"]["updated"] == 1
    assert await capacity(payfit.sync, date(2026, 12, 1)) == "20.50"


async def test_absences_of_an_unknown_contract_are_left_out_with_the_reason(payfit):
    run = await payfit(absences=[replace(LEAVE, contract_id="other"), replace(LEAVE, id="a2", contract_id="other")])
    assert (run.counts["ABSENCE"]["skipped"], run.counts["ABSENCE"]["created"]) == (2, 0)
    (refusal,) = await payfit.sync.refusals(run.id)
    assert (refusal.external_id, refusal.code, refusal.records) == ("other", "UNKNOWN_CONTRACT", 2)


async def test_another_rate_holds_from_this_month_on_and_the_past_keeps_its_own(payfit):
    await payfit(absences=[])
    await payfit(contracts=[replace(CONTRACT, full_time_equivalent=Decimal("0.5"))])
    assert await contracts(payfit.sync) == [
        (HIRED, date(2026, 10, 31), "1", "PAYFIT", "c1@2025-01-01"),
        (date(2026, 11, 1), None, "0.5", "PAYFIT", "c1"),
    ]
    assert await capacity(payfit.sync, date(2026, 10, 1)) == "22.00"
    assert await capacity(payfit.sync, date(2026, 12, 1)) == "11.00"


async def test_a_closed_month_is_never_rewritten_by_another_rate(payfit, make):
    await payfit(absences=[])
    await make.closed(date(2026, 11, 1))
    await payfit(contracts=[replace(CONTRACT, full_time_equivalent=Decimal("0.5"))])
    assert [row[:3] for row in await contracts(payfit.sync)] == [
        (HIRED, date(2026, 11, 30), "1"),
        (date(2026, 12, 1), None, "0.5"),
    ]
    assert await capacity(payfit.sync, date(2026, 11, 1)) == "20.00"


async def test_an_ended_contract_makes_its_person_a_leaver_and_a_new_one_brings_them_back(payfit):
    await payfit()
    ended = replace(CONTRACT, end_date=TODAY - timedelta(30))
    await payfit(contracts=[ended])
    assert await payfit.sync.one("SELECT status FROM users") == "LEFT"
    await payfit(contracts=[ended, Contract("c2", "p1", TODAY + timedelta(10))])
    assert await payfit.sync.one("SELECT status FROM users") == "ACTIVE"


async def test_a_contract_typed_here_with_the_same_start_is_taken_over_with_its_weekdays(payfit, make):
    ada = await make.user(email="ada@example.test", first_name="Ada", last_name="Lovelace")
    week = [Decimal(1), Decimal(1), Decimal(0), Decimal(1), Decimal(1)]
    await make.contract(ada, start_date=HIRED, fte=Decimal("0.8"), weekday_pattern=week)
    run = await payfit(contracts=[replace(CONTRACT, full_time_equivalent=Decimal("0.8"))])
    assert (run.counts["CONTRACT"]["created"], run.counts["CONTRACT"]["updated"]) == (0, 1)
    assert await contracts(payfit.sync) == [(HIRED, None, "0.8", "PAYFIT", "c1")]
    assert await payfit.sync.one("SELECT weekday_pattern FROM contracts") == week


async def test_any_other_overlap_is_refused_and_the_rest_lands(payfit, make):
    ada = await make.user(email="ada@example.test", first_name="Ada", last_name="Lovelace")
    await make.contract(ada, start_date=date(2024, 1, 1))
    run = await payfit()
    assert run.counts["CONTRACT"]["refused"] == 1
    (refusal,) = await payfit.sync.refusals(run.id)
    assert (refusal.external_id, refusal.code) == ("c1", "CONTRACT_OVERLAP")
    assert run.counts["ABSENCE"]["created"] == 1
    assert [row[3] for row in await contracts(payfit.sync)] == ["MANUAL"]


async def test_an_absence_typed_here_is_taken_over_and_not_doubled(payfit, make):
    ada = await make.user(email="ada@example.test", first_name="Ada", last_name="Lovelace")
    await make.absence(ada, date(2026, 12, 7), date(2026, 12, 9), end_half="MORNING", type="fr_conges_payes")
    await make.absence(ada, date(2026, 12, 21), date(2026, 12, 21), type="fr_rtt")
    run = await payfit()
    assert (run.counts["ABSENCE"]["created"], run.counts["ABSENCE"]["updated"]) == (0, 1)
    sources = await payfit.sync.rows("SELECT source FROM absences ORDER BY start_date")
    assert [row.source for row in sources] == [RecordSource.PAYFIT, RecordSource.MANUAL]


async def test_a_name_typed_here_stays_and_becomes_a_conflict_to_keep(payfit):
    await payfit()
    sync = payfit.sync
    await typed(sync, last_name="King")
    await payfit()
    assert await sync.one("SELECT last_name FROM users") == "King"
    (conflict,) = await sync.rows("SELECT * FROM sync_conflicts")
    assert (conflict.field, conflict.local_value, conflict.external_value) == ("last_name", "King", "Lovelace")
    await resolve(sync, conflict.id, Resolution.KEEP)
    await payfit()
    assert await sync.one("SELECT state FROM sync_conflicts") == "KEPT"
    await payfit(collaborators=[replace(ADA, last_name="Byron")])
    (conflict,) = await sync.rows("SELECT * FROM sync_conflicts")
    assert (conflict.state, conflict.external_value) == ("OPEN", "Byron")
    assert await sync.one("SELECT last_name FROM users") == "King"


async def test_a_conflict_that_is_taken_follows_the_provider_from_then_on(payfit):
    await payfit()
    sync = payfit.sync
    await typed(sync, last_name="King")
    await payfit()
    await resolve(sync, await sync.one("SELECT id FROM sync_conflicts"), Resolution.TAKE)
    assert await sync.one("SELECT last_name FROM users") == "Lovelace"
    await payfit(collaborators=[replace(ADA, last_name="Byron")])
    assert await sync.one("SELECT last_name FROM users") == "Byron"
    assert await sync.one("SELECT state FROM sync_conflicts") == "TAKEN"


async def test_a_conflict_that_ends_by_itself_is_settled(payfit):
    await payfit()
    sync = payfit.sync
    await typed(sync, last_name="King")
    await payfit()
    await payfit(collaborators=[replace(ADA, last_name="King")])
    assert await sync.one("SELECT state FROM sync_conflicts") == "SETTLED"


async def test_a_changed_name_that_nobody_typed_is_followed(payfit):
    await payfit()
    run = await payfit(collaborators=[replace(ADA, last_name="King")])
    assert run.counts["PERSON"]["updated"] == 1
    assert await payfit.sync.one("SELECT last_name FROM users") == "King"


async def test_an_address_that_another_user_has_is_refused_and_the_person_made(payfit, make):
    await make.user(email="other@example.test", first_name="Zoé", last_name="Autre")
    await payfit()
    await payfit(collaborators=[replace(ADA, email="other@example.test")])
    assert await payfit.sync.one("SELECT email FROM users WHERE first_name = 'Ada'") == "ada@example.test"


async def typed(sync, **values):
    user_id = await sync.one("SELECT id FROM users WHERE first_name = 'Ada'")
    async with sync.database.transaction(SYSTEM) as tx:
        await users.update(tx, UserChange(user_id, values))


async def resolve(sync, conflict_id, resolution):
    async with sync.database.transaction(SYSTEM) as tx:
        await conflicts.resolve(tx, Decision(conflict_id, resolution))
