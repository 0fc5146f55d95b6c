from datetime import date
from decimal import Decimal
from uuid import UUID

import pytest

from server.planning.domain.cells import (
    UNSET,
    CellKey,
    CellOutcome,
    CellSource,
    CellState,
    CellWrite,
    decide,
    find_duplicates,
)

JANUARY, MARCH = date(2026, 1, 1), date(2026, 3, 1)
KEY = CellKey(UUID(int=1), UUID(int=2), MARCH)
STATED = CellState(Decimal("5.00"), Decimal("11.00"), Decimal("4.00"), CellSource.MANUAL, 3)
CLEARED = CellState(None, Decimal("11.00"), None, CellSource.ASSIGNMENT, 4)


def write(days, expected_version=UNSET, key=KEY, index=7):
    return CellWrite(index, key, None if days is None else Decimal(days), expected_version)


def decision(cell_write, state=None, *, closed=(), step=None, project_open=True):
    return decide(
        cell_write,
        state,
        source=CellSource.API,
        closed=closed,
        step=step,
        project_open=project_open,
        horizon=(date(2025, 1, 1), date(2027, 12, 1)),
    )


def test_stating_an_empty_cell_makes_its_first_version():
    stated = decision(write("2.5"))
    assert stated.outcome is CellOutcome.APPLIED
    assert stated.state == CellState(Decimal("2.50"), Decimal("0.00"), None, CellSource.API, 1)
    assert str(stated.state.stated) == "2.50"


def test_stating_another_value_raises_the_version_and_keeps_expected_and_actual():
    assert decision(write("6"), STATED).state == CellState(
        Decimal("6.00"), Decimal("11.00"), Decimal("4.00"), CellSource.API, 4
    )


def test_0_is_a_stated_value():
    stated = decision(write("0"), CLEARED)
    assert stated.outcome is CellOutcome.APPLIED
    assert stated.state.stated == Decimal("0.00")
    assert stated.state.days == Decimal("0.00")


def test_clearing_brings_the_expected_value_back_and_raises_the_version():
    cleared = decision(write(None), STATED)
    assert cleared.outcome is CellOutcome.APPLIED
    assert cleared.state == CellState(None, Decimal("11.00"), Decimal("4.00"), CellSource.ASSIGNMENT, 4)
    assert cleared.state.days == Decimal("11.00")


def test_the_same_value_changes_neither_version_nor_source():
    same = decision(write("5.0"), STATED)
    assert same.outcome is CellOutcome.UNCHANGED
    assert same.state is STATED


def test_clearing_what_is_not_stated_changes_nothing():
    assert decision(write(None), CLEARED).outcome is CellOutcome.UNCHANGED
    assert decision(write(None), CLEARED).state is CLEARED
    assert decision(write(None)).outcome is CellOutcome.UNCHANGED
    assert decision(write(None)).state is None


def test_stating_the_expected_value_is_a_change():
    assert decision(write("11"), CLEARED).state.stated == Decimal("11.00")


@pytest.mark.parametrize(
    ("expected_version", "state", "outcome"),
    [
        (UNSET, STATED, "APPLIED"),
        (3, STATED, "APPLIED"),
        (2, STATED, "REJECTED"),
        (None, STATED, "REJECTED"),
        (None, None, "APPLIED"),
        (None, CLEARED, "APPLIED"),
        (4, CLEARED, "APPLIED"),
        (0, None, "APPLIED"),
        (1, None, "REJECTED"),
    ],
)
def test_the_expected_version_must_match(expected_version, state, outcome):
    assert decision(write("6", expected_version), state).outcome == outcome


def test_a_conflict_answers_with_the_current_cell_even_where_the_value_is_the_same():
    conflict = decision(write("5", 2), STATED)
    assert conflict.outcome is CellOutcome.REJECTED
    assert conflict.state is STATED
    assert (conflict.violation.code, conflict.violation.field) == ("VERSION_CONFLICT", "expected_version")
    assert conflict.violation.index == 7
    assert "is at version 3, the write expects version 2" in conflict.violation.message
    assert "the write expects nothing stated" in decision(write("5", None), STATED).violation.message


@pytest.mark.parametrize(
    ("days", "code"),
    [
        ("-0.5", "INVALID_DAYS"),
        ("31.01", "INVALID_DAYS"),
        ("1E+40", "INVALID_DAYS"),
        ("NaN", "INVALID_DAYS"),
        ("sNaN", "INVALID_DAYS"),
        ("-Infinity", "INVALID_DAYS"),
        ("1.005", "TOO_PRECISE"),
        ("1E-40", "TOO_PRECISE"),
        ("1.25", "STEP_VIOLATION"),
    ],
)
def test_an_impossible_value_is_refused(days, code):
    refused = decision(write(days), STATED, step=Decimal("0.5"))
    assert refused.outcome is CellOutcome.REJECTED
    assert refused.state is STATED
    assert (refused.violation.code, refused.violation.field, refused.violation.index) == (code, "days", 7)


@pytest.mark.parametrize("days", ["0", "31", "1.50", "1.500"])
def test_values_within_the_bounds_and_the_step_are_taken(days):
    assert decision(write(days), step=Decimal("0.5")).outcome is CellOutcome.APPLIED


@pytest.mark.parametrize("days", ["6", "5", "0", None])
def test_a_closed_month_refuses_every_write(days):
    refused = decision(write(days), STATED, closed={JANUARY, MARCH})
    assert (refused.violation.code, refused.violation.field) == ("MONTH_CLOSED", "month")
    assert refused.state is STATED


def test_another_closed_month_does_not_matter():
    assert decision(write("6"), STATED, closed={JANUARY}).outcome is CellOutcome.APPLIED


@pytest.mark.parametrize(
    ("month", "refused"),
    [
        (date(2024, 12, 1), True),
        (date(2025, 1, 1), False),
        (date(2027, 12, 1), False),
        (date(2028, 1, 1), True),
    ],
)
def test_the_horizon_includes_its_first_and_last_month(month, refused):
    outcome = decision(write("1", key=CellKey(UUID(int=1), UUID(int=2), month)))
    assert (outcome.violation is not None) is refused
    assert not refused or outcome.violation.code == "OUTSIDE_HORIZON"


def test_a_project_that_is_over_takes_no_new_load():
    refused = decision(write("1"), STATED, project_open=False)
    assert (refused.violation.code, refused.violation.field) == ("PROJECT_CLOSED", "project_id")


@pytest.mark.parametrize("days", ["0", None])
def test_the_load_of_a_project_that_is_over_can_be_removed(days):
    assert decision(write(days), STATED, project_open=False).outcome is CellOutcome.APPLIED


def test_every_write_of_a_duplicated_cell_is_refused():
    other = CellKey(UUID(int=1), UUID(int=3), MARCH)
    writes = [write("1", index=0), write("2", key=other, index=1), write("3", index=2)]
    duplicates = find_duplicates(writes)
    assert {index: violation.code.value for index, violation in duplicates.items()} == {
        0: "DUPLICATE_CELL",
        2: "DUPLICATE_CELL",
    }
    assert duplicates[2].index == 2
    assert duplicates[2].message == "The cell is written at 0, 2 of one call: keep one of them."


def test_one_user_project_and_month_is_the_same_cell_only_together():
    keys = [KEY, CellKey(UUID(int=9), UUID(int=2), MARCH), CellKey(UUID(int=1), UUID(int=2), JANUARY)]
    assert find_duplicates([write("1", key=key, index=n) for n, key in enumerate(keys)]) == {}


def test_keys_are_locked_in_the_order_of_user_project_and_month():
    january = CellKey(UUID(int=1), UUID(int=2), JANUARY)
    other_user = CellKey(UUID(int=0), UUID(int=9), MARCH)
    assert sorted([KEY, january, other_user]) == [other_user, january, KEY]
