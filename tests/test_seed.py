"""The demo company: the same for the same arguments, believable, and exactly what `plancharge verify` recomputes."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from server.access.service import passwords
from server.database import Database
from server.planning.models import NON_REDUCING
from server.planning.repository import settings as company_settings
from server.planning.service.recompute import find_changes
from server.planning.service.verify import verify
from server.seed import DEMO_ACCOUNTS, Demo, SeedRefused, is_empty, write
from server.seed.company import Company, CompanySettings, build
from server.seed.people import Cause, employee
from server.seed.rows import COLUMNS, people_rows, shared_rows
from server.settings import Environment, Settings

AS_OF = date(2026, 11, 22)
FRANCE = CompanySettings("FR", None, 25_200, frozenset(NON_REDUCING), None)
Tables = dict[str, list[dict[str, Any]]]


def demo(users: int = 300, projects: int = 120, **values: Any) -> Demo:
    return Demo(
        **{"users": users, "projects": projects, "first_month": date(2025, 1, 1), "months": 36, "as_of": AS_OF} | values
    )


@lru_cache(maxsize=4)
def made(wanted: Demo) -> tuple[Company, Tables]:
    """The rows as they would be written, without a database."""
    company = build(wanted, FRANCE)
    tables: Tables = {name: [] for name in COLUMNS}
    for rows in (shared_rows(company), *people_rows(company)):
        for name, records in rows.items():
            tables[name] += [dict(zip(COLUMNS[name], record, strict=True)) for record in records]
    return company, tables


@pytest.fixture
def company() -> Company:
    return made(demo())[0]


@pytest.fixture
def tables() -> Tables:
    return made(demo())[1]


# --- the same arguments, the same rows ---


def digest(wanted: Demo) -> str:
    company = build(wanted, FRANCE)
    content = repr([shared_rows(company), *people_rows(company)])
    return hashlib.sha256(content.encode()).hexdigest()


def test_rows_do_not_depend_on_the_order_of_hashes() -> None:
    program = "from tests.test_seed import demo, digest; print(digest(demo(40, 30)))"
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert digests == {digest(demo(40, 30))}


def test_another_argument_gives_other_rows() -> None:
    other = (demo(41, 30), demo(40, 31), demo(40, 30, months=35), demo(40, 30, as_of=AS_OF + timedelta(days=1)))
    assert digest(demo(40, 30)) not in {digest(wanted) for wanted in other}


async def stored(database: Database) -> dict[str, list[Any]]:
    """Every row of every table that a seed writes, in the order of keys."""
    hidden = {"users": "to_jsonb(t) - 'password_hash'"}  # salted: never the same twice
    async with database.reads.session() as session:
        return {
            table: sorted(
                map(str, await session.scalars(text(f"SELECT {hidden.get(table, 'to_jsonb(t)')} FROM {table} t")))
            )
            for table in (*COLUMNS, "user_roles", "company_settings")
        }


async def test_two_databases_get_the_same_rows(database: Database, settings: Settings, wipe: Any) -> None:
    wanted = demo(60, 40, accounts=True)
    await write(settings, wanted)
    first = await stored(database)
    await wipe()
    await write(settings, wanted)
    second = await stored(database)
    assert first == second
    assert len(first["users"]) == 60


# --- people and contracts ---


def test_there_are_as_many_people_projects_and_months_as_asked_for(tables: Tables) -> None:
    assert len(tables["users"]) == 300
    assert len(tables["projects"]) == 120
    assert 6 <= len(tables["business_units"]) <= 8
    months = Counter(row["user_id"] for row in tables["capacities"])
    assert set(months.values()) == {36}
    assert len(months) == 300


def test_people_have_distinct_addresses_and_some_have_none(tables: Tables) -> None:
    emails = [row["email"] for row in tables["users"] if row["email"]]
    assert len(set(map(str.lower, emails))) == len(emails)
    assert 5 <= 300 - len(emails) <= 30
    assert all(re.fullmatch(r"[a-z-]+\.[a-z-]+@example\.test", email) for email in emails)


def test_addresses_stay_distinct_when_the_names_run_out() -> None:
    from server.seed.names import name_of

    addresses = [name_of(index)[2] for index in range(40_000)]
    assert len(set(addresses)) == 40_000


def test_people_are_in_every_status_that_their_contracts_allow(tables: Tables) -> None:
    ends: dict[UUID, date] = {}
    for row in tables["contracts"]:
        ends[row["user_id"]] = max(ends.get(row["user_id"], date.min), row["end_date"] or date.max)
    statuses = Counter(row["status"] for row in tables["users"])
    assert statuses.keys() == {"ACTIVE", "INVITED", "LEFT", "DEACTIVATED"}
    assert statuses["ACTIVE"] > 220
    assert 15 <= statuses["LEFT"] <= 45
    for row in tables["users"]:
        assert (row["status"] == "LEFT") == (ends[row["id"]] < AS_OF)
        assert row["is_active"] == (row["status"] in ("ACTIVE", "INVITED"))


def contract_patterns(tables: Tables) -> set[tuple[Any, ...]]:
    """By share, pattern, and whether it begins, ends or changes in the middle of a month of the plan."""

    def midway(day: date | None, first: int) -> bool:
        return day is not None and date(2025, 1, 1) <= day <= date(2027, 12, 31) and (day.day != first)

    starts = {(row["user_id"], row["start_date"]) for row in tables["contracts"]}
    found = set()
    for row in tables["contracts"]:
        after = row["end_date"] + timedelta(days=1) if row["end_date"] else None
        changes = (row["user_id"], after) in starts
        found.add((row["fte"], row["weekday_pattern"], midway(row["start_date"], 1), midway(after, 1), changes))
    return found


def test_there_are_at_least_forty_contract_patterns(tables: Tables) -> None:
    assert len(contract_patterns(tables)) >= 40
    assert len({(row["fte"], row["weekday_pattern"]) for row in tables["contracts"]}) >= 25


def test_about_six_people_in_ten_work_full_time(tables: Tables) -> None:
    part_time = {row["user_id"] for row in tables["contracts"] if row["fte"] != 1}
    assert 0.55 <= 1 - len(part_time) / 300 <= 0.67


def test_contracts_of_one_person_follow_each_other(tables: Tables) -> None:
    by_user = defaultdict(list)
    for row in tables["contracts"]:
        by_user[row["user_id"]].append((row["start_date"], row["end_date"]))
    gaps = []
    for terms in by_user.values():
        gaps += [(start - end).days - 1 for (_, end), (start, _) in pairwise(terms)]
    assert min(gaps) == 0
    assert max(gaps) >= 25


# --- absences ---


def test_absences_are_of_every_kind(tables: Tables) -> None:
    rows = tables["absences"]
    kinds = Counter(row["type"] for row in rows)
    assert kinds.keys() == {"fr_conges_payes", "fr_rtt", "fr_maladie_ordinaire", "fr_teletravail"}
    halves = Counter((row["start_half"], row["end_half"]) for row in rows if row["start_date"] == row["end_date"])
    assert halves["MORNING", "MORNING"] > 50
    assert halves["AFTERNOON", "AFTERNOON"] > 50
    assert any(r["start_half"] == "AFTERNOON" and r["end_half"] == "MORNING" for r in rows)
    assert Counter(r["start_date"].month for r in rows if r["type"] == "fr_conges_payes").most_common(1)[0][0] in (
        7,
        8,
        12,
    )


def test_pending_absences_lie_ahead_and_sickness_does_not(tables: Tables) -> None:
    pending = [row for row in tables["absences"] if row["status"] == "PENDING"]
    assert len(pending) > 50
    assert all(row["start_date"] > AS_OF for row in pending)
    assert all(row["start_date"] < AS_OF for row in tables["absences"] if row["type"] == "fr_maladie_ordinaire")
    assert sum(row["tentative"] > 0 for row in tables["capacities"]) > 50


def test_some_absences_overlap(tables: Tables) -> None:
    by_user = defaultdict(list)
    for row in tables["absences"]:
        by_user[row["user_id"]].append(row)
    overlapping = [
        (a, b)
        for rows in by_user.values()
        for a in rows
        for b in rows
        if a["id"] < b["id"] and a["start_date"] <= b["end_date"] and b["start_date"] <= a["end_date"]
    ]
    assert any({a["type"], b["type"]} == {"fr_conges_payes", "fr_maladie_ordinaire"} for a, b in overlapping)


# --- projects and assignments ---


def test_projects_are_in_every_status_with_dates_that_fit(tables: Tables) -> None:
    by_status = defaultdict(list)
    for row in tables["projects"]:
        by_status[row["status"]].append(row)
    assert by_status.keys() == {"PLANNED", "ACTIVE", "ON_HOLD", "DONE", "CANCELLED"}
    assert all(row["start_date"] > AS_OF for row in by_status["PLANNED"])
    assert all(row["end_date"] < AS_OF for row in by_status["DONE"] + by_status["CANCELLED"])
    for row in by_status["ACTIVE"] + by_status["ON_HOLD"]:
        assert row["start_date"] < AS_OF
        assert row["end_date"] is None or row["end_date"] > AS_OF
    assert [row["status"] for row in tables["projects"] if row["archived_at"]] == ["DONE"]
    assert sum(not row["productive"] for row in tables["projects"]) == 8
    assert all(re.fullmatch(r"[A-Z]+-\d{2}", row["code"]) for row in tables["projects"])
    assert len({row["code"] for row in tables["projects"]}) == 120
    assert {row["business_unit_id"] for row in tables["projects"]} == {row["id"] for row in tables["business_units"]}


def test_assignments_lie_within_their_projects_and_finished_ones_have_load_in_the_past_only(tables: Tables) -> None:
    projects = {row["id"]: row for row in tables["projects"]}
    for row in tables["assignments"]:
        project = projects[row["project_id"]]
        assert project["start_date"] <= row["start_date"]
        assert project["end_date"] is None or row["end_date"] <= project["end_date"]
    this_month = AS_OF.replace(day=1)
    for row in tables["forecasts"]:
        if projects[row["project_id"]]["status"] in ("DONE", "CANCELLED"):
            assert row["month"] <= this_month
    loaded = {projects[row["project_id"]]["status"] for row in tables["forecasts"]}
    assert loaded == {"PLANNED", "ACTIVE", "ON_HOLD", "DONE", "CANCELLED"}


def test_people_are_on_one_to_three_projects_at_once(tables: Tables) -> None:
    at_once: Counter[tuple[UUID, date]] = Counter()
    for row in tables["assignments"]:
        if row["start_date"] <= AS_OF <= row["end_date"]:
            at_once[row["user_id"]] += 1
    counts = Counter(at_once.values())
    assert counts.keys() <= {1, 2, 3}
    assert min(counts.values()) >= 5


# --- over-allocation ---


def overallocated(tables: Tables) -> dict[UUID, list[date]]:
    """The months of each person in which the cells' days exceed the capacity."""
    load: dict[tuple[UUID, date], Decimal] = defaultdict(Decimal)
    for row in tables["forecasts"]:
        load[row["user_id"], row["month"]] += row["expected"] if row["stated"] is None else row["stated"]
    found = defaultdict(list)
    for row in tables["capacities"]:
        capacity = row["computed"] if row["override"] is None else row["override"]
        if load[row["user_id"], row["month"]] > capacity:
            found[row["user_id"]].append(row["month"])
    return found


@pytest.mark.parametrize("as_of", [AS_OF, date(2026, 3, 10)])
def test_one_person_in_ten_is_overallocated_and_each_for_a_cause(as_of: date) -> None:
    company, tables = made(demo(as_of=as_of))
    causes = {}
    for index in range(300):
        person = employee(company, index)
        causes[person.id] = person.cause
    found = overallocated(tables)
    assert 0.08 <= len(found) / 300 <= 0.12
    assert {causes[user_id] for user_id in found} == set(Cause)


def test_some_people_are_overallocated_in_the_next_quarter(tables: Tables) -> None:
    ahead = {date(2026, 12, 1), date(2027, 1, 1), date(2027, 2, 1), date(2027, 3, 1)}
    assert sum(bool(ahead & set(months)) for months in overallocated(tables).values()) >= 10


# --- cells ---


def test_stated_days_come_from_every_source_and_mostly_agree_with_the_expected(tables: Tables) -> None:
    stated = [row for row in tables["forecasts"] if row["stated"] is not None]
    assert {row["source"] for row in stated} == {"MANUAL", "API", "IMPORT", "LEGACY"}
    assert 0.05 <= len(stated) / len(tables["forecasts"]) <= 0.2
    off = [row for row in stated if abs(row["stated"] - row["expected"]) > 1]
    assert 10 <= len(off) <= 0.15 * len(stated)
    assert any(row["stated"] == 0 and row["expected"] > 0 for row in stated)
    assert {row["version"] for row in stated} == {1, 2, 3}
    assert any(row["stated"] is None and row["version"] == 2 for row in tables["forecasts"])


def test_actuals_are_the_declared_seconds_of_the_last_months(tables: Tables) -> None:
    seconds: dict[tuple[UUID, UUID, date], int] = defaultdict(int)
    for row in tables["time_entries"]:
        assert row["day"] < AS_OF
        seconds[row["user_id"], row["project_id"], row["day"].replace(day=1)] += row["seconds"]
    actuals = {
        (row["user_id"], row["project_id"], row["month"]): row["actual"]
        for row in tables["forecasts"]
        if row["actual"] is not None
    }
    assert actuals == {
        key: (Decimal(total) / 25_200).quantize(Decimal("0.01"), ROUND_HALF_UP) for key, total in seconds.items()
    }
    assert {month for _, _, month in actuals} == {date(2026, month, 1) for month in (8, 9, 10, 11)}


def test_months_before_the_last_are_closed_and_some_time_came_in_late(tables: Tables) -> None:
    closed = {row["month"]: row["closed_at"] for row in tables["closed_months"]}
    assert (min(closed), max(closed), len(closed)) == (date(2025, 1, 1), date(2026, 9, 1), 21)
    late = [row for row in tables["time_entries"] if row["late"]]
    assert len(late) >= 3
    assert all(row["created_at"] > closed[row["day"].replace(day=1)] for row in late)
    flagged = {(row["user_id"], row["project_id"], row["month"]) for row in tables["forecasts"] if row["late_actual"]}
    assert flagged == {(row["user_id"], row["project_id"], row["day"].replace(day=1)) for row in late}


def test_each_year_has_one_or_two_bridges_and_whit_monday_is_a_holiday(tables: Tables, company: Company) -> None:
    days = {row["day"]: (row["worked"], row["label"]) for row in tables["calendar_days"]}
    assert days[date(2026, 5, 15)] == (False, "Pont : Ascension")
    assert set(Counter(day.year for day in days).values()) <= {1, 2}
    assert {day.year for day in days} == {2025, 2026, 2027}
    assert not company.rules.calendar.is_working(date(2026, 5, 25))


def test_a_few_capacities_are_set_by_hand(tables: Tables) -> None:
    overrides = [row for row in tables["capacities"] if row["override"] is not None]
    assert len(overrides) == 6
    assert {row["version"] for row in overrides} == {1}


# --- writing ---


async def differences(database: Database) -> int:
    """What `plancharge verify` finds, and the same asked of the closed months."""
    found = [difference async for difference in verify(database)]
    async with database.reads.session() as session:
        row = await company_settings.current(session)
        users = (await session.scalars(text("SELECT id FROM users ORDER BY id"))).all()
        months = (await session.scalars(text("SELECT DISTINCT month FROM capacities ORDER BY 1"))).all()
        changes = await find_changes(session, row, users, months)
    return len(found) + len(changes.capacities) + len(changes.expected)


async def test_verify_finds_no_difference_on_what_was_written(database: Database, settings: Settings) -> None:
    shares: list[float] = []
    counts = await write(settings, demo(), shares.append)
    async with database.reads.session() as session:
        rows = {table: await session.scalar(text(f"SELECT count(*) FROM {table}")) for table in counts}
        horizon = (await session.execute(text("SELECT horizon_start, horizon_end FROM company_settings"))).one()
    assert counts == rows == {table: len(records) for table, records in made(demo())[1].items()}
    assert tuple(horizon) == (date(2025, 1, 1), date(2027, 12, 1))
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert await differences(database) == 0


@pytest.mark.parametrize(
    "wanted",
    [
        demo(1, 1, months=1),
        demo(7, 0),
        demo(30, 20, as_of=date(2024, 6, 1)),
        demo(30, 20, as_of=date(2029, 6, 1)),
        demo(30, 20, as_of=date(2026, 1, 1)),
    ],
    ids=["smallest", "without projects", "before the plan", "after the plan", "on a first of January"],
)
async def test_unusual_companies_are_right_too(database: Database, settings: Settings, wanted: Demo) -> None:
    counts = await write(settings, wanted)
    assert (counts["users"], counts["projects"]) == (wanted.users, wanted.projects)
    assert counts["capacities"] == wanted.users * wanted.months
    assert await differences(database) == 0


async def test_a_database_with_users_is_refused_and_stays_as_it_is(
    database: Database, settings: Settings, make: Any
) -> None:
    assert await is_empty(settings)
    await make.user()
    assert not await is_empty(settings)
    before = await stored(database)
    with pytest.raises(SeedRefused, match="already has users"):
        await write(settings, demo(5, 5))
    assert await stored(database) == before


async def test_demo_sign_ins_are_people_with_the_roles_of_their_names(database: Database, settings: Settings) -> None:
    await write(settings, demo(40, 30, accounts=True))
    async with database.reads.session() as session:
        rows = await session.execute(
            text(
                "SELECT r.name, u.email, u.status, u.password_hash, u.business_unit_id,"
                " EXISTS (SELECT FROM forecasts f WHERE f.user_id = u.id) AS planned"
                " FROM users u JOIN user_roles ur ON ur.user_id = u.id JOIN roles r ON r.id = ur.role_id"
            )
        )
        accounts = {row.name: row for row in rows}
        colleagues = await session.scalar(
            text("SELECT count(*) FROM users WHERE business_unit_id = :unit"),
            {"unit": accounts["manager"].business_unit_id},
        )
    assert accounts.keys() == set(DEMO_ACCOUNTS)
    assert {row.email for row in accounts.values()} == {f"{name}@demo.test" for name in DEMO_ACCOUNTS}
    assert {row.status for row in accounts.values()} == {"ACTIVE"}
    assert accounts["member"].planned
    assert colleagues > 1
    password = settings.demo_password.get_secret_value()
    assert (await passwords.verify(password, accounts["admin"].password_hash)).matches


async def test_without_accounts_nobody_can_sign_in(database: Database, settings: Settings) -> None:
    await write(settings, demo(10, 5))
    async with database.reads.session() as session:
        assert await session.scalar(text("SELECT count(*) FROM users WHERE password_hash IS NOT NULL")) == 0
        assert await session.scalar(text("SELECT count(*) FROM user_roles")) == 0


async def test_demo_sign_ins_are_refused_in_production(database: Database, settings: Settings) -> None:
    production = settings.model_copy(update={"environment": Environment.PRODUCTION})
    with pytest.raises(SeedRefused, match="never created in production"):
        await write(production, demo(10, 5, accounts=True))
    assert await is_empty(settings)


async def test_demo_sign_ins_need_as_many_people(database: Database, settings: Settings) -> None:
    with pytest.raises(SeedRefused, match="ask for at least as many users"):
        await write(settings, demo(5, 5, accounts=True))
    assert await is_empty(settings)


async def test_a_database_without_tables_is_told_to_migrate(settings: Settings, database: Database) -> None:
    bare = settings.model_copy(update={"database_url": settings.database_url.rpartition("/")[0] + "/template1"})
    with pytest.raises(SeedRefused, match="plancharge migrate"):
        await is_empty(bare)
    with pytest.raises(SeedRefused, match="plancharge migrate"):
        await write(bare, demo(5, 5))
