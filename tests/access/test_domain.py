"""Which passwords are refused and why, and how the delay grows."""

from __future__ import annotations

from datetime import timedelta

import pytest

from server.access.domain import ADDRESS_PACE, PAIR_PACE, Pace, is_common, network_of, password_faults
from tests.factories import moment

NOON = moment("2026-03-02T12:00:00")


def codes(password: str, **values: object) -> list[str]:
    options = {"shortest": 12, "classes": 2, "email": "ada.lovelace@example.test", "names": ("Ada", "Lovelace")}
    return [code for code, _ in password_faults(password, **{**options, **values})]


@pytest.mark.parametrize(
    "password", ["Rose-des-vents-84", "plan-de-charge-2026", "correct horse battery", "éàü çñ 漢字 ok ok"]
)
def test_a_good_password_has_no_fault(password: str) -> None:
    assert codes(password) == []


@pytest.mark.parametrize(
    ("password", "expected"),
    [
        ("Kort-en-7up", ["PASSWORD_TOO_SHORT"]),
        ("x7" * 200 + "abcd", ["PASSWORD_TOO_LONG"]),
        ("lettersonlyhere", ["PASSWORD_TOO_SIMPLE"]),
        ("my-Lovelace-2026x", ["PASSWORD_CONTAINS_NAME"]),
        ("ADA-quelque-chose-7", ["PASSWORD_CONTAINS_NAME"]),
        ("Motdepasse2026!", ["PASSWORD_TOO_COMMON"]),
        ("p@ssw0rd-12345", ["PASSWORD_TOO_COMMON"]),
        ("1234567890-1234", ["PASSWORD_TOO_COMMON"]),
        ("a1a1a1a1a1a1a1", ["PASSWORD_TOO_COMMON"]),
        ("Rose-des-\0vents", ["PASSWORD_UNREADABLE"]),
        ("Rose-des-\ud800vents", ["PASSWORD_UNREADABLE"]),
        ("", ["PASSWORD_TOO_SHORT", "PASSWORD_TOO_SIMPLE", "PASSWORD_TOO_COMMON"]),
        ("azerty", ["PASSWORD_TOO_SHORT", "PASSWORD_TOO_SIMPLE", "PASSWORD_TOO_COMMON"]),
    ],
)
def test_each_fault_has_its_code(password: str, expected: list[str]) -> None:
    assert codes(password) == expected


def test_length_and_classes_are_configurable() -> None:
    assert codes("Kort-7up", shortest=8, classes=4) == []
    assert codes("rose-des-vents-84", classes=4) == ["PASSWORD_TOO_SIMPLE"]


def test_a_name_of_two_letters_is_not_looked_for() -> None:
    assert codes("Rose-Li-vents-84", email="li@example.test", names=("Li", "Wu")) == []


def test_symbols_alone_are_not_a_run_of_digits() -> None:
    assert not is_common("!?;:&@#%$€£")


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 0), (4, 0), (5, 1), (6, 2), (7, 4), (10, 32), (14, 512), (15, 900), (5000, 900)]
)
def test_the_delay_doubles_from_the_fifth_failure_up_to_fifteen_minutes(failures: int, seconds: int) -> None:
    assert PAIR_PACE.wait(failures, NOON, NOON) == seconds


def test_the_delay_counts_from_the_last_failure_in_whole_seconds() -> None:
    pace = Pace(free=0, longest=60, forget_seconds=60)
    assert pace.wait(4, NOON, NOON + timedelta(seconds=10.2)) == 6
    assert pace.wait(4, NOON, NOON + timedelta(seconds=16)) == 0
    assert pace.wait(4, NOON, NOON + timedelta(days=1)) == 0


def test_failures_are_forgotten_one_by_one() -> None:
    assert ADDRESS_PACE.remembered(20, NOON, NOON + timedelta(seconds=59)) == 20
    assert ADDRESS_PACE.remembered(20, NOON, NOON + timedelta(minutes=5)) == 15
    assert ADDRESS_PACE.remembered(20, NOON, NOON + timedelta(hours=1)) == 0


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.10", "192.0.2.10"),
        ("::ffff:192.0.2.10", "192.0.2.10"),
        ("2001:db8:1:2:3:4:5:6", "2001:0db8:0001:0002"),
        ("2001:db8:1:2::9", "2001:0db8:0001:0002"),
        (None, "unknown"),
    ],
)
def test_an_ipv6_network_counts_as_one_address(address: str | None, network: str) -> None:
    assert network_of(address) == network
