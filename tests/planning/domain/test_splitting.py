from dataclasses import replace
from datetime import date
from decimal import Decimal
from uuid import UUID

import pytest

from server.planning.domain.splitting import Part, split_at, split_violations

ANNE, BOB = UUID(int=1), UUID(int=2)


def june(day):
    return date(2026, 6, day)


ORIGINAL = Part(ANNE, Decimal(80), june(1), june(30))


def part(rate, start=1, end=30, user=ANNE):
    return Part(user, Decimal(rate), june(start), june(end))


def codes(*parts):
    return [(violation.code.value, violation.index) for violation in split_violations(ORIGINAL, parts)]


def test_splitting_at_a_day_ends_the_first_part_the_day_before():
    assert split_at(ORIGINAL, june(16)) == (part(80, 1, 15), part(80, 16, 30))
    assert split_violations(ORIGINAL, split_at(ORIGINAL, june(16))) == ()


@pytest.mark.parametrize("day", [june(1), date(2026, 5, 31), date(2026, 7, 1)])
def test_a_day_that_leaves_one_part_empty_is_refused(day):
    with pytest.raises(ValueError, match="does not divide the assignment"):
        split_at(ORIGINAL, day)


def test_the_last_day_can_stand_alone():
    assert split_at(ORIGINAL, june(30))[1] == part(80, 30, 30)


def test_a_split_between_two_people_conserves_the_rate():
    assert codes(part("50.5"), part("29.5", user=BOB)) == []


def test_an_uneven_split_over_people_and_periods_conserves_the_rate():
    assert codes(part(80, 1, 10), part(30, 11, 20), part(50, 11, 30, BOB), part(30, 21, 30, BOB)) == []


def test_a_day_with_another_sum_is_named():
    (violation,) = split_violations(ORIGINAL, [part(80, 1, 14), part(80, 16, 30)])
    assert violation.code == "SUM_NOT_CONSERVED"
    assert violation.message == "On 2026-06-15 the parts add up to 0 %: the assignment has 80 %."


@pytest.mark.parametrize(
    "parts",
    [
        [part(80, 2, 30)],
        [part(80, 1, 29)],
        [part(80, 1, 15), part(80, 15, 30)],
        [part(40)],
        [part(80), part(10, 30, 30, BOB)],
    ],
)
def test_a_split_that_changes_the_sum_on_any_day_is_refused(parts):
    assert codes(*parts) == [("SUM_NOT_CONSERVED", None)]


def test_a_part_outside_the_assignment_is_refused():
    early, late = replace(part(80), start=date(2026, 5, 31)), replace(part(80), end=date(2026, 7, 1))
    assert codes(early, late) == [("OUTSIDE_ASSIGNMENT", 0), ("OUTSIDE_ASSIGNMENT", 1)]


def test_an_empty_part_is_refused():
    assert codes(part(80), part(10, 20, 19)) == [("EMPTY_PART", 1)]


@pytest.mark.parametrize("rate", ["0", "-1", "100.01", "33.333", "NaN", "Infinity", "1E+40"])
def test_an_impossible_rate_is_refused(rate):
    assert codes(part(80), part(rate)) == [("INVALID_RATE", 1)]


def test_a_split_needs_parts():
    assert codes() == [("NO_PARTS", None)]


def test_an_assignment_to_the_last_day_of_time_can_be_split():
    endless = Part(ANNE, Decimal(80), june(1), date.max)
    assert split_violations(endless, split_at(endless, june(16))) == ()
