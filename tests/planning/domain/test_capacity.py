from datetime import date
from decimal import Decimal
from uuid import UUID

import pytest

from server.planning.domain.calendar import Calendar
from server.planning.domain.capacity import (
    AbsencePeriod,
    ContractTerm,
    Half,
    MonthCapacity,
    day_capacities,
    month_capacity,
)
from server.planning.domain.months import days_of

MARCH = date(2026, 3, 1)  # 22 working days, no holiday, the 1st is a Sunday
MAY = date(2026, 5, 1)  # 17 working days
FULL_TIME = ContractTerm(date(2020, 1, 1), None, Decimal(1))
NOT_WEDNESDAY = (Decimal(1), Decimal(1), Decimal(0), Decimal(1), Decimal(1))
REMOTE = frozenset({"fr_teletravail"})


def march(day):
    return date(2026, 3, day)


def absence(start, end, start_half=Half.MORNING, end_half=Half.AFTERNOON, kind="holiday", pending=False):
    return AbsencePeriod(UUID(int=start.toordinal()), start, start_half, end, end_half, kind, pending)


def computed(calendar, *contracts, month=MARCH, absences=(), non_reducing=REMOTE):
    return month_capacity(calendar, month, contracts, absences, non_reducing).computed


def test_full_time_has_all_working_days(france):
    assert computed(france, FULL_TIME) == Decimal("22.00")
    assert computed(france, FULL_TIME, month=MAY) == Decimal("17.00")


def test_nobody_has_capacity_without_a_contract(france):
    assert computed(france) == Decimal("0.00")


def test_part_time_by_rate_is_pro_rata(france):
    assert computed(france, ContractTerm(date(2020, 1, 1), None, Decimal("0.8"))) == Decimal("17.60")


def test_part_time_by_weekday_skips_the_days_off(france):
    # March 2026 has four Wednesdays; a rate of 80 % would give 17.60
    assert computed(france, ContractTerm(date(2020, 1, 1), None, Decimal("0.8"), NOT_WEDNESDAY)) == Decimal("18.00")


def test_a_holiday_on_a_day_off_costs_a_part_timer_nothing(france):
    # May 2026 has five Fridays, of which the 1st and the 8th are holidays: only three more days are lost
    not_friday = (Decimal(1), Decimal(1), Decimal(1), Decimal(1), Decimal(0))
    assert computed(france, ContractTerm(date(2020, 1, 1), None, Decimal("0.8"), not_friday), month=MAY) == Decimal(14)


def test_starting_in_mid_month_counts_from_that_day(france):
    assert computed(france, ContractTerm(march(16), None, Decimal(1))) == Decimal("12.00")


def test_leaving_in_mid_month_counts_to_that_day(france):
    assert computed(france, ContractTerm(date(2020, 1, 1), march(13), Decimal(1))) == Decimal("10.00")


def test_a_contract_change_in_mid_month_counts_day_by_day(france):
    before = ContractTerm(date(2020, 1, 1), march(10), Decimal(1))  # 7 working days
    after = ContractTerm(march(11), None, Decimal("0.6"))  # 15 working days
    capacities = day_capacities(france, MARCH, [after, before], [], REMOTE).by_day()
    assert capacities[march(10)] == Decimal(1)
    assert capacities[march(11)] == Decimal("0.6")
    assert computed(france, after, before) == Decimal("16.00")


def test_contracts_of_other_months_do_not_count(france):
    earlier = ContractTerm(date(2020, 1, 1), date(2026, 2, 28), Decimal(1))
    later = ContractTerm(date(2026, 4, 1), None, Decimal(1))
    assert computed(france, earlier, later) == Decimal("0.00")


def test_overlapping_contracts_are_refused(france):
    with pytest.raises(ValueError, match="two contracts cover 2026-03-10"):
        computed(france, FULL_TIME, ContractTerm(march(10), march(10), Decimal(1)))


@pytest.mark.parametrize(
    ("start_half", "end_half", "taken"),
    [
        (Half.MORNING, Half.AFTERNOON, "3"),
        (Half.AFTERNOON, Half.AFTERNOON, "2.5"),
        (Half.MORNING, Half.MORNING, "2.5"),
        (Half.AFTERNOON, Half.MORNING, "2"),
    ],
)
def test_an_absence_of_three_days_by_its_halves(france, start_half, end_half, taken):
    away = absence(march(10), march(12), start_half, end_half)
    assert computed(france, FULL_TIME, absences=[away]) == Decimal(22) - Decimal(taken)


@pytest.mark.parametrize(
    ("start_half", "end_half", "left"),
    [
        (Half.MORNING, Half.AFTERNOON, "0"),
        (Half.AFTERNOON, Half.AFTERNOON, "0.5"),
        (Half.MORNING, Half.MORNING, "0.5"),
        (Half.AFTERNOON, Half.MORNING, "1"),
    ],
)
def test_an_absence_of_one_day_by_its_halves(france, start_half, end_half, left):
    away = absence(march(10), march(10), start_half, end_half)
    assert day_capacities(france, MARCH, [FULL_TIME], [away], REMOTE).by_day()[march(10)] == Decimal(left)


def test_the_halves_of_an_absence_act_on_its_own_first_and_last_day_only(france):
    away = absence(date(2026, 2, 20), date(2026, 4, 10), Half.AFTERNOON, Half.MORNING)
    assert computed(france, FULL_TIME, absences=[away]) == Decimal("0.00")


def test_the_first_and_the_last_day_of_a_month_belong_to_it(france):
    april = date(2026, 4, 1)  # 21 working days, the 1st is a Wednesday, the 30th a Thursday
    until_the_first, from_the_last = absence(march(30), april), absence(date(2026, 4, 30), date(2026, 5, 5))
    assert computed(france, FULL_TIME, month=april, absences=[until_the_first, from_the_last]) == Decimal("19.00")
    assert computed(france, ContractTerm(march(1), april, Decimal(1)), month=april) == Decimal("1.00")
    assert computed(france, ContractTerm(date(2026, 4, 30), None, Decimal(1)), month=april) == Decimal("1.00")


def test_an_absence_skips_days_that_are_not_worked(france):
    over_a_weekend = absence(march(6), march(9))
    over_three_holidays = absence(date(2026, 5, 1), date(2026, 5, 17))
    assert computed(france, FULL_TIME, absences=[over_a_weekend]) == Decimal("20.00")
    assert computed(france, FULL_TIME, month=MAY, absences=[over_three_holidays]) == Decimal("9.00")


def test_an_absence_takes_only_the_share_of_a_part_timer(france):
    part_time = ContractTerm(date(2020, 1, 1), None, Decimal("0.8"))
    away = absence(march(10), march(11), end_half=Half.MORNING)
    assert computed(france, part_time, absences=[away]) == Decimal("16.40")


def test_a_half_day_in_a_pattern_is_halved_by_half_a_day_away(france):
    wednesday_half = (Decimal(1), Decimal(1), Decimal("0.5"), Decimal(1), Decimal(1))
    contract = ContractTerm(date(2020, 1, 1), None, Decimal("0.9"), wednesday_half)
    away = absence(march(11), march(11), end_half=Half.MORNING)
    assert day_capacities(france, MARCH, [contract], [away], REMOTE).by_day()[march(11)] == Decimal("0.25")


def test_an_absence_outside_the_contract_takes_nothing(france):
    leaver = ContractTerm(date(2020, 1, 1), march(13), Decimal(1))
    assert computed(france, leaver, absences=[absence(march(12), march(20))]) == Decimal("8.00")


def test_overlapping_absences_count_once(france):
    absences = [absence(march(9), march(12)), absence(march(11), march(13), kind="sick")]
    assert computed(france, FULL_TIME, absences=absences) == Decimal("17.00")


def test_a_morning_and_an_afternoon_of_one_day_are_two_halves(france):
    morning, afternoon = (
        absence(march(10), march(10), end_half=Half.MORNING),
        absence(march(10), march(10), start_half=Half.AFTERNOON),
    )
    assert computed(france, FULL_TIME, absences=[morning, afternoon]) == Decimal("21.00")
    assert computed(france, FULL_TIME, absences=[morning, morning]) == Decimal("21.50")


def test_working_from_home_does_not_reduce_capacity(france):
    at_home = absence(march(9), march(13), kind="fr_teletravail")
    assert computed(france, FULL_TIME, absences=[at_home]) == Decimal("22.00")


def test_a_pending_absence_is_tentative_and_not_subtracted(france):
    capacity = month_capacity(france, MARCH, [FULL_TIME], [absence(march(9), march(13), pending=True)], REMOTE)
    assert capacity.computed == Decimal("22.00")
    assert capacity.tentative == Decimal("5.00")
    assert capacity.leave == Decimal("0.00")


def test_what_is_tentative_is_what_pending_absences_take_in_addition(france):
    absences = [absence(march(9), march(10)), absence(march(10), march(12), pending=True)]
    capacity = month_capacity(france, MARCH, [FULL_TIME], absences, REMOTE)
    assert capacity.computed == Decimal("20.00")
    assert capacity.tentative == Decimal("2.00")


def test_working_days_are_what_the_contracts_owe_before_absences(france):
    part_time = ContractTerm(date(2020, 1, 1), None, Decimal("0.8"))
    assert month_capacity(france, MARCH, [part_time], [absence(march(9), march(13))], REMOTE) == MonthCapacity(
        computed=Decimal("13.60"), tentative=Decimal("0.00"), working_days=Decimal("17.60"), leave=Decimal("4.00")
    )


def test_leave_counts_the_leave_types_only(france):
    absences = [absence(march(9), march(10)), absence(march(11), march(13), kind="sick")]
    capacity = month_capacity(france, MARCH, [FULL_TIME], absences, REMOTE, leave_types=frozenset({"holiday"}))
    assert capacity.leave == Decimal("2.00")
    assert capacity.computed == Decimal("17.00")


def test_a_capacity_is_rounded_half_up_once(france):
    # 22 × 0.4775 = 10.505; rounded day by day it would be 22 × 0.48 = 10.56
    assert computed(france, ContractTerm(date(2020, 1, 1), None, Decimal("0.4775"))) == Decimal("10.51")


def test_an_override_keeps_the_proportions_of_the_days(france):
    away = absence(march(10), march(10), end_half=Half.MORNING)
    capacities = day_capacities(france, MARCH, [FULL_TIME], [away], REMOTE, override=Decimal("10.75")).by_day()
    assert capacities[march(10)] == Decimal("0.25")
    assert capacities[march(11)] == Decimal("0.5")
    assert sum(capacities.values()) == Decimal("10.75")


def test_an_override_of_nothing_is_spread_evenly_over_the_working_days(france):
    capacities = day_capacities(france, MARCH, [], [], REMOTE, override=Decimal(11)).by_day()
    assert capacities == dict.fromkeys(france.working_days(MARCH), Decimal("0.5"))


def test_an_override_replaces_the_capacity_that_absences_took(france):
    month_off = absence(march(1), march(31))
    capacities = day_capacities(france, MARCH, [FULL_TIME], [month_off], REMOTE, override=Decimal(11)).by_day()
    assert capacities == dict.fromkeys(france.working_days(MARCH), Decimal("0.5"))


def test_an_override_is_not_lost_in_a_month_without_working_days():
    all_holidays = Calendar(dict.fromkeys(days_of(MARCH), "Closed"), {})
    capacities = day_capacities(all_holidays, MARCH, [FULL_TIME], [], REMOTE, override=Decimal("15.5")).by_day()
    assert capacities == dict.fromkeys(days_of(MARCH), Decimal("0.5"))


def test_an_override_of_0_leaves_no_capacity(france):
    capacities = day_capacities(france, MARCH, [FULL_TIME], [], REMOTE, override=Decimal(0)).by_day()
    assert set(capacities.values()) == {Decimal(0)}


def test_another_calendar_is_never_answered_from_the_cache(france):
    bridge_less = Calendar({}, {})
    assert computed(france, FULL_TIME, month=MAY) == Decimal("17.00")
    assert computed(bridge_less, FULL_TIME, month=MAY) == Decimal("21.00")
    assert computed(france, FULL_TIME, month=MAY) == Decimal("17.00")
