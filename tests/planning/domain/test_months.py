from datetime import date

import pytest

from server.planning.domain.months import (
    add_months,
    days_of,
    format_month,
    last_day,
    month_of,
    months_between,
    parse_month,
)


def test_a_month_is_the_date_of_its_first_day():
    assert month_of(date(2026, 3, 31)) == date(2026, 3, 1)


def test_a_month_is_written_with_its_year_first():
    assert parse_month("2026-03") == date(2026, 3, 1)
    assert format_month(date(2026, 3, 1)) == "2026-03"
    assert format_month(date(87, 11, 1)) == "0087-11"


@pytest.mark.parametrize(
    "text",
    ["2026-13", "2026-00", "2026-3", "03-2026", "2026-03-01", " 2026-03", "2026-03\n", "", "0000-01", "２０２６-03"],
)
def test_anything_else_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="as in 2026-03"):
        parse_month(text)


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (0, date(2026, 11, 1)),
        (1, date(2026, 12, 1)),
        (2, date(2027, 1, 1)),
        (26, date(2029, 1, 1)),
        (-10, date(2026, 1, 1)),
        (-11, date(2025, 12, 1)),
    ],
)
def test_adding_months_crosses_years_in_both_directions(n, expected):
    assert add_months(date(2026, 11, 1), n) == expected


def test_months_between_includes_both_ends():
    assert months_between(date(2025, 12, 15), date(2026, 2, 1)) == (
        date(2025, 12, 1),
        date(2026, 1, 1),
        date(2026, 2, 1),
    )


def test_months_between_two_days_of_one_month_is_that_month():
    assert months_between(date(2026, 2, 20), date(2026, 2, 3)) == (date(2026, 2, 1),)


def test_reversed_months_are_refused():
    with pytest.raises(ValueError, match="2026-02 is before 2026-03"):
        months_between(date(2026, 3, 1), date(2026, 2, 28))


@pytest.mark.parametrize(("month", "day"), [(date(2026, 2, 1), 28), (date(2028, 2, 1), 29), (date(2026, 12, 1), 31)])
def test_the_days_of_a_month_end_with_its_last_day(month, day):
    assert last_day(month).day == day
    assert len(days_of(month)) == day
    assert days_of(month)[0] == month
    assert days_of(month)[-1] == last_day(month)
