from datetime import date
from decimal import Decimal
from uuid import UUID

import pytest

from server.planning.domain.capacity import AbsencePeriod, ContractTerm, Half, day_capacities
from server.planning.domain.load import (
    AssignmentSpan,
    ProjectLoad,
    availability,
    contributors,
    effective,
    expected_load,
    is_overallocated,
    utilisation,
)

MARCH = date(2026, 3, 1)  # 22 working days
FULL_TIME = ContractTerm(date(2020, 1, 1), None, Decimal(1))
APOLLO, HERMES = UUID(int=1), UUID(int=2)


def march(day):
    return date(2026, 3, day)


def span(rate, start=date(2026, 1, 1), end=date(2026, 12, 31), project=APOLLO):
    return AssignmentSpan(UUID(int=9), project, Decimal(rate), start, end)


def capacities(calendar, *, contract=FULL_TIME, absences=(), override=None):
    return day_capacities(calendar, MARCH, [contract], absences, frozenset(), override)


def test_a_rate_over_the_whole_month_is_that_share_of_the_capacity(france):
    assert expected_load(capacities(france), [span("50")]) == {APOLLO: Decimal("11.00")}


def test_only_the_days_of_overlap_count_and_both_dates_are_included(france):
    assert expected_load(capacities(france), [span("50", march(10), march(12))]) == {APOLLO: Decimal("1.50")}


def test_a_rate_follows_part_time_and_absences(france):
    away = AbsencePeriod(UUID(int=5), march(10), Half.MORNING, march(10), Half.MORNING, "sick")
    part_time = ContractTerm(date(2020, 1, 1), None, Decimal("0.8"))
    monday_to_wednesday = span("100", march(9), march(11))
    loaded = expected_load(capacities(france, contract=part_time, absences=[away]), [monday_to_wednesday])
    assert loaded == {APOLLO: Decimal("2.00")}


def test_overlapping_spans_of_one_project_add_up_beyond_the_capacity(france):
    loaded = expected_load(capacities(france), [span("80"), span("50"), span("20", project=HERMES)])
    assert loaded == {APOLLO: Decimal("28.60"), HERMES: Decimal("4.40")}


def test_the_sum_of_a_project_is_rounded_once(france):
    # two times 0.125: rounded apart they would be 0.13 + 0.13
    spans = [span("12.5", march(10), march(10)), span("12.5", march(11), march(11))]
    assert expected_load(capacities(france), spans) == {APOLLO: Decimal("0.25")}


def test_half_a_cent_is_rounded_up(france):
    assert expected_load(capacities(france), [span("0.5", march(10), march(10))]) == {APOLLO: Decimal("0.01")}


@pytest.mark.parametrize(
    "outside", [(date(2026, 2, 1), date(2026, 2, 28)), (march(7), march(8)), (date(2026, 4, 1), date(2026, 4, 2))]
)
def test_a_project_without_a_day_of_capacity_is_left_out(france, outside):
    assert expected_load(capacities(france), [span("100", *outside)]) == {}


def test_a_project_that_rounds_to_nothing_is_left_out(france):
    assert expected_load(capacities(france), [span("0.4", march(10), march(10))]) == {}


def test_a_rate_follows_an_overridden_capacity(france):
    overridden = capacities(france, override=Decimal("11.55"))
    assert expected_load(overridden, [span("100")]) == {APOLLO: Decimal("11.55")}
    assert expected_load(overridden, [span("50", march(2), march(3))]) == {APOLLO: Decimal("0.53")}  # 0.525


def test_an_override_keeps_a_half_cent_exact_whatever_the_divisions(france):
    # 0.03 / 22 has no finite decimals; 50 % of the whole is exactly 0.015
    parts = [span("50", march(2), march(12)), span("50", march(13), march(31))]
    assert expected_load(capacities(france, override=Decimal("0.03")), parts) == {APOLLO: Decimal("0.02")}


def test_an_override_without_any_contract_still_carries_load(france):
    nobody = day_capacities(france, MARCH, [], [], frozenset(), override=Decimal(11))
    assert expected_load(nobody, [span("100", march(2), march(3))]) == {APOLLO: Decimal("1.00")}


def test_stated_days_win_over_expected_ones_and_0_is_stated():
    assert effective(Decimal("3.00"), Decimal("5.00")) == Decimal("3.00")
    assert effective(Decimal("0.00"), Decimal("5.00")) == Decimal("0.00")
    assert effective(None, Decimal("5.00")) == Decimal("5.00")


def test_utilisation_is_load_by_capacity_with_four_places():
    assert str(utilisation(Decimal(7), Decimal(21))) == "0.3333"
    assert str(utilisation(Decimal(22), Decimal(20))) == "1.1000"


def test_utilisation_is_unknown_without_capacity():
    assert utilisation(Decimal(5), Decimal("0.00")) is None


def test_more_load_than_capacity_is_over_allocated():
    assert is_overallocated(Decimal("20.01"), Decimal("20.00"))
    assert not is_overallocated(Decimal("20.00"), Decimal("20.00"))
    assert is_overallocated(Decimal("0.01"), Decimal("0.00"))


def test_availability_is_negative_where_over_allocated():
    assert availability(Decimal(20), Decimal("22.5")) == Decimal("-2.5")


def test_an_over_allocated_month_lists_its_contributors_and_the_missing_days():
    loads = [
        ProjectLoad(HERMES, "Hermes", Decimal("8.00")),
        ProjectLoad(APOLLO, "Apollo", Decimal("15.00")),
        ProjectLoad(UUID(int=3), "Idle", Decimal("0.00")),
    ]
    assert [(c.kind.value, c.label, str(c.days), c.reference_id) for c in contributors(loads, Decimal("20.00"))] == [
        ("LOAD", "Apollo", "15.00", APOLLO),
        ("LOAD", "Hermes", "8.00", HERMES),
        ("MISSING", "Missing: 3.00 days", "3.00", None),
    ]


def test_a_month_within_its_capacity_misses_nothing():
    loads = [ProjectLoad(HERMES, "Hermes", Decimal(10)), ProjectLoad(APOLLO, "Apollo", Decimal(10))]
    assert [line.label for line in contributors(loads, Decimal(20))] == ["Apollo", "Hermes"]
