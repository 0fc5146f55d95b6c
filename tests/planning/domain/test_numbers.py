from decimal import Decimal

import pytest

from server.planning.domain.numbers import fits_cents, fits_step, to_days, to_ratio


@pytest.mark.parametrize(
    ("exact", "rounded"),
    [("1.005", "1.01"), ("1.0049", "1.00"), ("0.125", "0.13"), ("2.5", "2.50"), ("-1.005", "-1.01"), ("17", "17.00")],
)
def test_days_are_rounded_half_up_to_two_places(exact, rounded):
    assert str(to_days(Decimal(exact))) == rounded


@pytest.mark.parametrize(
    ("exact", "rounded"), [("0.00005", "0.0001"), ("0.33333", "0.3333"), ("1", "1.0000"), ("0.66665", "0.6667")]
)
def test_ratios_are_rounded_half_up_to_four_places(exact, rounded):
    assert str(to_ratio(Decimal(exact))) == rounded


def test_nothing_is_printed_as_a_negative_zero():
    assert str(to_days(Decimal("-0.001"))) == "0.00"
    assert str(to_days(Decimal("-0"))) == "0.00"
    assert str(to_ratio(Decimal("-0.00001"))) == "0.0000"


@pytest.mark.parametrize(("x", "fits"), [("1.25", True), ("1.250", True), ("1.255", False), ("1E-30", False)])
def test_two_decimals_are_judged_by_value(x, fits):
    assert fits_cents(Decimal(x)) is fits


@pytest.mark.parametrize(
    ("days", "step", "fits"),
    [
        ("1.5", "0.5", True),
        ("1.25", "0.5", False),
        ("1.25", "0.25", True),
        ("1.30", "0.1", True),
        ("1.35", "0.1", False),
        ("0", "0.5", True),
    ],
)
def test_a_stated_value_is_a_multiple_of_the_step(days, step, fits):
    assert fits_step(Decimal(days), Decimal(step)) is fits


def test_without_a_step_any_value_fits():
    assert fits_step(Decimal("1.37"), None)
