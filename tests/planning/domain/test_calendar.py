from datetime import date

import holidays
import pytest

from server.planning.domain.calendar import Calendar, CalendarException, DayKind
from server.planning.domain.months import months_between

WHIT_MONDAY = date(2026, 5, 25)
BRIDGE = date(2026, 5, 15)  # the Friday after Ascension Day
SATURDAY = date(2026, 5, 16)


def with_exceptions(calendar, *exceptions):
    return Calendar(calendar.holidays, {exception.day: exception for exception in exceptions})


def test_working_days_of_france_in_2026_by_month(france):
    months = months_between(date(2026, 1, 1), date(2026, 12, 1))
    assert [len(france.working_days(month)) for month in months] == [21, 20, 22, 21, 17, 22, 22, 21, 22, 22, 20, 22]


@pytest.mark.parametrize(("year", "days"), [(2025, 251), (2026, 252), (2027, 254), (2028, 251)])
def test_working_days_of_france_by_year(france, year, days):
    months = months_between(date(year, 1, 1), date(year, 12, 1))
    assert sum(len(france.working_days(month)) for month in months) == days


@pytest.mark.parametrize("subdivision", ["57", "6AE"])
def test_moselle_and_alsace_have_good_friday_and_the_26th_of_december(subdivision):
    calendar = Calendar(dict(holidays.country_holidays("FR", subdiv=subdivision, years=[2025, 2026])), {})
    assert calendar.kind(date(2026, 4, 3)) is DayKind.HOLIDAY
    assert calendar.kind(date(2025, 12, 26)) is DayKind.HOLIDAY
    assert len(calendar.working_days(date(2026, 4, 1))) == 20


def test_a_day_is_worked_on_a_weekend_a_holiday_or_neither(france):
    assert france.kind(date(2026, 5, 4)) is DayKind.WORKING
    assert france.kind(SATURDAY) is DayKind.WEEKEND
    assert france.kind(WHIT_MONDAY) is DayKind.HOLIDAY
    assert france.is_working(date(2026, 5, 4))
    assert not france.is_working(WHIT_MONDAY)


def test_a_holiday_on_a_saturday_is_a_weekend(france):
    assert france.kind(date(2026, 8, 15)) is DayKind.WEEKEND
    assert france.label(date(2026, 8, 15)) == "Assumption Day"


def test_a_company_bridge_is_closed(france):
    calendar = with_exceptions(france, CalendarException(BRIDGE, worked=False, label="Ascension bridge"))
    assert calendar.kind(BRIDGE) is DayKind.CLOSED
    assert calendar.label(BRIDGE) == "Ascension bridge"
    assert len(calendar.working_days(date(2026, 5, 1))) == 16


def test_the_journee_de_solidarite_makes_a_holiday_a_working_day(france):
    calendar = with_exceptions(france, CalendarException(WHIT_MONDAY, worked=True, label="Journée de solidarité"))
    assert calendar.kind(WHIT_MONDAY) is DayKind.WORKING
    assert calendar.label(WHIT_MONDAY) == "Journée de solidarité"
    assert WHIT_MONDAY in calendar.working_days(date(2026, 5, 1))
    assert len(calendar.working_days(date(2026, 5, 1))) == 18


def test_a_closure_on_a_holiday_remains_a_holiday(france):
    calendar = with_exceptions(france, CalendarException(WHIT_MONDAY, worked=False, label="Closed"))
    assert calendar.kind(WHIT_MONDAY) is DayKind.HOLIDAY
    assert len(calendar.working_days(date(2026, 5, 1))) == 17


def test_no_exception_makes_a_saturday_count(france):
    calendar = with_exceptions(france, CalendarException(SATURDAY, worked=True, label="Stocktaking"))
    assert calendar.kind(SATURDAY) is DayKind.WEEKEND
    assert len(calendar.working_days(date(2026, 5, 1))) == 17


def test_an_ordinary_day_has_no_label(france):
    assert france.label(date(2026, 5, 4)) is None


def test_working_days_are_those_of_the_month_of_any_day_given(france):
    assert france.working_days(date(2026, 5, 20)) is france.working_days(date(2026, 5, 1))
