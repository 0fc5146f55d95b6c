from datetime import date

from server.planning.domain.closing import check_closable, check_reopenable, closed_touched, open_months

JANUARY, FEBRUARY, MARCH, APRIL = (date(2026, number, 1) for number in range(1, 5))
CLOSED = frozenset({FEBRUARY, JANUARY})


def test_open_months_keep_their_order():
    assert open_months([APRIL, JANUARY, MARCH], CLOSED) == (APRIL, MARCH)


def test_a_change_across_closed_months_names_them_in_order():
    assert closed_touched(date(2026, 1, 31), date(2026, 3, 15), CLOSED) == (JANUARY, FEBRUARY)
    assert closed_touched(date(2026, 1, 31), date(2026, 1, 31), CLOSED) == (JANUARY,)
    assert closed_touched(date(2026, 3, 1), date(2026, 3, 15), CLOSED) == ()


def test_a_change_without_an_end_touches_every_closed_month_from_its_start():
    assert closed_touched(date(2026, 2, 28), None, CLOSED) == (FEBRUARY,)


def test_past_and_present_months_may_be_closed():
    assert check_closable(MARCH, CLOSED, today=date(2026, 4, 2)) is None
    assert check_closable(APRIL, CLOSED, today=date(2026, 4, 1)) is None


def test_a_future_month_may_not_be_closed():
    assert check_closable(APRIL, CLOSED, today=date(2026, 3, 31)).code == "FUTURE_MONTH"


def test_a_closed_month_is_not_closed_again():
    violation = check_closable(FEBRUARY, CLOSED, today=date(2026, 4, 2))
    assert (violation.code, violation.field) == ("MONTH_ALREADY_CLOSED", "month")


def test_only_a_closed_month_may_be_reopened():
    assert check_reopenable(FEBRUARY, CLOSED) is None
    assert check_reopenable(MARCH, CLOSED).code == "MONTH_NOT_CLOSED"
