"""Settings: reading and changing the company's rules and calendar, and the recomputation that follows."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import text

from server.actor import Permission, Scope
from server.ids import cell_id
from server.planning.holidays import UnknownPlace, check_place, holidays_between
from server.planning.models import ForecastRow, TimeEntryRow
from server.planning.service import recompute as recomputing
from server.planning.service.recompute import recompute_marked
from server.planning.service.settings import ensure_settings, extend_horizon
from tests.factories import actor
from tests.planning.stored import SYSTEM, capacities, everything, expected

PROBLEM = "code detail errors { path code message }"
FIELDS = """country subdivision step secondsPerDay nonReducingAbsenceTypes predictableLeaveTypes
  horizonStart horizonEnd version"""
READ = f"{{ settings {{ {FIELDS} }} }}"
UPDATE = f"""mutation ($input: SettingsUpdateInput!) {{ settingsUpdate(input: $input) {{
  settings {{ {FIELDS} }} problems {{ {PROBLEM} }} }} }}"""
CALENDAR = "query ($from: Date!, $to: Date!) { calendar(from: $from, to: $to) { day kind label } }"

pytestmark = pytest.mark.usefixtures("company")


@pytest.fixture
async def admin(make):
    return actor(Permission.SETTINGS_READ, Permission.SETTINGS_WRITE, user=await make.user())


@pytest.fixture
def update(graphql, admin):
    async def run(**values):
        return (await graphql(admin, UPDATE, input=values))["settingsUpdate"]

    return run


@pytest.fixture
def calendar(graphql, admin):
    async def run(first, last):
        days = (await graphql(admin, CALENDAR, **{"from": first, "to": last}))["calendar"]
        return {day["day"]: (day["kind"], day["label"]) for day in days}

    return run


def codes(payload):
    return [
        (each["code"], [(error["path"], error["code"]) for error in each["errors"]]) for each in payload["problems"]
    ]


async def test_the_settings_as_they_begin(graphql, admin):
    assert (await graphql(admin, READ))["settings"] == {
        "country": "FR",
        "subdivision": None,
        "step": None,
        "secondsPerDay": 25200,
        "nonReducingAbsenceTypes": ["fr_teletravail", "uk_remote"],
        "predictableLeaveTypes": None,
        "horizonStart": "2025-01",
        "horizonEnd": "2027-12",
        "version": 1,
    }


async def test_a_region_changes_everybodys_april(update, planned, make, database):
    user, project = await planned(), await make.project()
    await make.assignment(user, project, start_date=date(2026, 4, 1), end_date=date(2026, 4, 30))
    payload = await update(subdivision="57", expectedVersion=1)
    assert (payload["settings"]["subdivision"], payload["settings"]["version"]) == ("57", 2)
    assert (await capacities(database, user))["2026-04"] == "20.00"
    assert await expected(database, user) == {"2026-04": "10.00"}


async def test_a_bridge_takes_a_day_and_a_worked_holiday_gives_one(update, planned, database, calendar):
    user = await planned()
    payload = await update(
        setCalendarDays=[
            {"day": "2026-05-15", "worked": False, "label": " Bridge "},
            {"day": "2026-05-25", "worked": True, "label": "Journée de solidarité"},
            {"day": "2026-07-13", "worked": False, "label": "Bridge"},
        ]
    )
    assert (codes(payload), payload["settings"]["version"]) == ([], 2)
    found = await capacities(database, user)
    assert (found["2026-05"], found["2026-07"]) == ("17.00", "21.00")
    days = await calendar("2026-05-14", "2026-05-25")
    assert len(days) == 12
    assert days["2026-05-14"] == ("HOLIDAY", "Ascension")
    assert days["2026-05-15"] == ("CLOSED", "Bridge")
    assert days["2026-05-16"] == ("WEEKEND", None)
    assert days["2026-05-18"] == ("WORKING", None)
    assert days["2026-05-25"] == ("WORKING", "Journée de solidarité")
    await update(removeCalendarDays=["2026-05-15", "2026-09-01"])
    assert (await capacities(database, user))["2026-05"] == "18.00"


async def test_a_type_that_takes_no_capacity_any_more_gives_its_days_back(update, planned, make, database):
    user = await planned()
    await make.absence(user, date(2026, 3, 2), date(2026, 3, 6), type="training")
    await update(nonReducingAbsenceTypes=["training", " training ", "fr_teletravail"])
    assert (await capacities(database, user))["2026-03"] == "22.00"
    payload = await update(nonReducingAbsenceTypes=["fr_teletravail"], predictableLeaveTypes=[])
    assert payload["settings"]["nonReducingAbsenceTypes"] == ["fr_teletravail"]
    assert (await capacities(database, user))["2026-03"] == "17.00"
    assert (await capacities(database, user, "leave"))["2026-03"] == "0.00"


async def test_closed_months_keep_their_figures(update, planned, make, database):
    user = await planned()
    await make.closed(date(2026, 4, 1))
    await update(subdivision="57")
    assert (await capacities(database, user))["2026-04"] == "21.00"


async def test_a_later_horizon_is_computed(update, planned, database):
    user = await planned()
    await update(horizonEnd="2028-12")
    assert (await capacities(database, user, year=2028))["2028-01"] == "21.00"


async def test_another_length_of_the_day_derives_the_declared_days_anew(update, make, database):
    user, project = await make.user(), await make.project()
    for month in (3, 4):
        await make.cell(user, project, date(2026, month, 1), actual="3.00")
        values = {"day": date(2026, month, 2), "seconds": 75_600, "provider": "gryzzly", "external_id": str(month)}
        await make.add(TimeEntryRow(user_id=user.id, project_id=project.id, **values))
    await make.closed(date(2026, 4, 1))
    await update(secondsPerDay=28_800)
    async with database.reads.session() as session:
        march, april = [
            await session.get_one(ForecastRow, cell_id(user.id, project.id, date(2026, month, 1))) for month in (3, 4)
        ]
    assert (march.actual, march.version) == (Decimal("2.63"), 0)  # 2.625, half up
    assert april.actual == Decimal("3.00")


async def test_nothing_new_changes_nothing(update, database):
    before = await everything(database)
    payload = await update(country="FR", step=None)
    assert (codes(payload), payload["settings"]["version"]) == ([], 1)
    assert await everything(database) == before


@pytest.mark.parametrize(
    ("values", "path", "code"),
    [
        ({"country": "FX"}, ["country"], "UNKNOWN_COUNTRY"),
        ({"subdivision": "GES"}, ["subdivision"], "UNKNOWN_SUBDIVISION"),
        ({"subdivision": "BY"}, ["subdivision"], "UNKNOWN_SUBDIVISION"),
        ({"step": "0.3"}, ["step"], "INVALID_STEP"),
        ({"secondsPerDay": 3599}, ["secondsPerDay"], "INVALID_SECONDS_PER_DAY"),
        ({"nonReducingAbsenceTypes": [" "]}, ["nonReducingAbsenceTypes"], "INVALID_TYPE"),
        ({"nonReducingAbsenceTypes": ["ok", "a\0b"]}, ["nonReducingAbsenceTypes"], "INVALID_TYPE"),
        ({"predictableLeaveTypes": ["\ud800"]}, ["predictableLeaveTypes"], "INVALID_TYPE"),
        ({"country": "F\0"}, ["country"], "UNKNOWN_COUNTRY"),
        ({"country": "\ud800"}, ["country"], "UNKNOWN_COUNTRY"),
        ({"subdivision": "a\0"}, ["subdivision"], "UNKNOWN_SUBDIVISION"),
        (
            {"setCalendarDays": [{"day": "2026-05-15", "worked": False, "label": "a\0b"}]},
            ["setCalendarDays", "0", "label"],
            "INVALID_LABEL",
        ),
        ({"horizonStart": "2025-02"}, ["horizonStart"], "HORIZON_SHRINKS"),
        ({"horizonEnd": "2027-11"}, ["horizonEnd"], "HORIZON_SHRINKS"),
        ({"horizonEnd": "2099-12"}, ["horizonEnd"], "HORIZON_TOO_LONG"),
        ({"country": None}, ["country"], "NULL_NOT_ALLOWED"),
        (
            {"setCalendarDays": [{"day": "2026-05-16", "worked": True, "label": "x"}]},
            ["setCalendarDays", "0", "day"],
            "WEEKEND",
        ),
        (
            {"setCalendarDays": [{"day": "2026-05-15", "worked": False, "label": " "}]},
            ["setCalendarDays", "0", "label"],
            "INVALID_LABEL",
        ),
        (
            {
                "setCalendarDays": [{"day": "2026-05-15", "worked": False, "label": "x"}],
                "removeCalendarDays": ["2026-05-15"],
            },
            ["setCalendarDays"],
            "DUPLICATE_DAY",
        ),
    ],
)
async def test_what_cannot_be_is_refused_and_changes_nothing(update, database, values, path, code):
    before = await everything(database)
    payload = await update(**values)
    assert payload["settings"] is None
    assert codes(payload) == [("INVALID_INPUT", [(path, code)])]
    assert await everything(database) == before


async def test_whoever_may_write_for_a_part_of_the_company_only_is_refused(graphql, make, database):
    caller = actor(Permission.SETTINGS_WRITE, user=await make.user(), scope=Scope.UNIT)
    before = await everything(database)
    payload = (await graphql(caller, UPDATE, input={"step": "0.5"}))["settingsUpdate"]
    assert codes(payload) == [("OUT_OF_SCOPE", [])]
    assert await everything(database) == before


async def test_an_unknown_subdivision_is_answered_with_the_known_ones(update):
    payload = await update(subdivision="GES")
    assert "57, 6AE, 971" in payload["problems"][0]["detail"]


async def test_a_stale_version_is_refused_with_the_settings_as_they_stand(update, database):
    await update(step="0.5")
    before = await everything(database)
    payload = await update(step="0.25", expectedVersion=1)
    assert codes(payload) == [("VERSION_CONFLICT", [(["expectedVersion"], "VERSION_CONFLICT")])]
    assert (payload["settings"]["step"], payload["settings"]["version"]) == ("0.50", 2)
    assert await everything(database) == before


async def test_a_change_is_audited(update, audited):
    await update(step="0.5", setCalendarDays=[{"day": "2026-05-15", "worked": False, "label": "Bridge"}])
    [row] = await audited("settings")
    assert (row.action, row.details["before"], row.details["after"]) == (
        "settings.updated",
        {"step": None},
        {"step": "0.5"},
    )
    assert row.details["days"] == [{"day": "2026-05-15", "worked": False, "label": "Bridge"}]


async def test_in_a_large_company_a_job_does_the_work(update, planned, database, monkeypatch):
    user = await planned()
    monkeypatch.setattr(recomputing, "MAX_MONTHS_AT_ONCE", 5)
    await update(subdivision="57")
    assert (await capacities(database, user))["2026-04"] == "21.00"
    assert set((await capacities(database, user, "recomputing")).values()) == {"True"}
    await recompute_marked(database, SYSTEM)
    assert (await capacities(database, user))["2026-04"] == "20.00"
    assert set((await capacities(database, user, "recomputing")).values()) == {"False"}


async def test_the_calendar_has_bounds(graphql, admin):
    for first, last in (("2026-01-02", "2026-01-01"), ("2026-01-01", "2029-01-05")):
        [error] = await graphql(admin, CALENDAR, errors=True, **{"from": first, "to": last})
        assert error["extensions"]["code"] == "BAD_REQUEST"
    days = (await graphql(admin, CALENDAR, **{"from": "2026-01-01", "to": "2029-01-04"}))["calendar"]
    assert len(days) == 1_100


async def test_a_company_starts_with_a_horizon_from_last_year_to_two_years_on(database):
    async with database.transaction(SYSTEM) as tx:
        await tx.session.execute(text("DELETE FROM company_settings"))
    for _ in range(2):
        async with database.transaction(SYSTEM) as tx:
            row = await ensure_settings(tx, date(2026, 11, 22))
        assert (row.horizon_start, row.horizon_end, row.version) == (date(2025, 1, 1), date(2028, 12, 1), 1)


async def test_the_horizon_moves_on_with_time(database, planned):
    user = await planned()
    async with database.transaction(SYSTEM) as tx:
        assert await extend_horizon(tx, date(2026, 1, 1))
    assert (await capacities(database, user, year=2028))["2028-05"] == "20.00"
    async with database.transaction(SYSTEM) as tx:
        assert not await extend_horizon(tx, date(2026, 12, 31))


def test_alsace_and_moselle_have_good_friday_and_saint_stephens():
    year = (date(2026, 1, 1), date(2026, 12, 31))
    france = set(holidays_between("FR", None, *year))
    for subdivision in ("57", "6AE"):
        more = set(holidays_between("FR", subdivision, *year)) - france
        assert more == {date(2026, 4, 3), date(2026, 12, 26)}


@pytest.mark.parametrize(("country", "subdivision", "field"), [("FR", "GES", "subdivision"), ("FX", None, "country")])
def test_places_that_the_library_only_pretends_to_know_are_refused(country, subdivision, field):
    with pytest.raises(UnknownPlace) as refusal:
        check_place(country, subdivision)
    assert refusal.value.field == field
