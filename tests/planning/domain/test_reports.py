from datetime import date
from decimal import Decimal
from uuid import UUID

from server.planning.domain.reports import Formula, FreeTime, MonthFigures, free_in_range, group_utilisation

MARCH, APRIL, MAY = date(2026, 3, 1), date(2026, 4, 1), date(2026, 5, 1)


def figures(capacity, load, working_days, leave, productive_days):
    return MonthFigures(*map(Decimal, (capacity, load, working_days, leave, productive_days)))


def test_the_ratios_of_a_group_are_those_of_its_totals():
    group = group_utilisation([figures("20", "18", "22", "2", "15"), figures("10", "12", "20", "4", "6")])
    assert (group.capacity, group.load) == (Decimal(30), Decimal(30))
    assert (group.working_days, group.leave, group.productive_days) == (Decimal(42), Decimal(6), Decimal(21))
    assert str(group.utilisation) == "1.0000"
    assert str(group.tace) == "0.5833"  # 21 / 36
    assert str(group.taci) == "0.5000"  # 21 / 42


def test_a_month_wholly_on_leave_has_no_tace():
    group = group_utilisation([figures("0", "0", "22", "22", "0")])
    assert group.utilisation is None
    assert group.tace is None
    assert str(group.taci) == "0.0000"


def test_an_empty_group_has_totals_and_no_ratio():
    group = group_utilisation([])
    assert str(group.capacity) == "0.00"
    assert (group.utilisation, group.tace, group.taci) == (None, None, None)


def test_a_report_can_state_the_formula_it_used():
    assert Formula.UTILISATION.definition == "load / capacity"
    assert Formula.TACE.definition == "productive days / (working days − predictable leave)"
    assert Formula.TACI.definition == "productive days / working days"


def test_free_time_names_the_months_that_make_it_up():
    months = [(MARCH, Decimal(22), Decimal(20)), (APRIL, Decimal(21), Decimal(21)), (MAY, Decimal(17), Decimal(14))]
    assert free_in_range(months, Decimal(5)) == FreeTime(Decimal(5), ((MARCH, Decimal(2)), (MAY, Decimal(3))))


def test_fewer_free_days_than_asked_is_nobody():
    assert free_in_range([(MARCH, Decimal(22), Decimal("17.01"))], Decimal(5)) is None


def test_an_over_allocated_month_takes_nothing_from_the_others():
    months = [(MARCH, Decimal(22), Decimal(17)), (APRIL, Decimal(21), Decimal(30))]
    assert free_in_range(months, Decimal(5)) == FreeTime(Decimal(5), ((MARCH, Decimal(5)),))


def test_the_most_free_come_first_and_ties_are_by_name_then_id():
    five, nine = FreeTime(Decimal(5), ()), FreeTime(Decimal(9), ())
    people = [(five, "bea", 4), (five, "Zoe", 1), (five, "Bea", 3), (nine, "Yan", 2)]
    ranked = sorted(people, key=lambda person: person[0].ranking(person[1], UUID(int=person[2])))
    assert [number for _, _, number in ranked] == [2, 3, 4, 1]
