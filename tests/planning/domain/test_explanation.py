from datetime import date
from decimal import Decimal
from uuid import UUID

from server.planning.domain.calendar import Calendar, CalendarException
from server.planning.domain.capacity import AbsencePeriod, ContractTerm, Half
from server.planning.domain.explanation import explain_capacity

MARCH = date(2026, 3, 1)
MAY = date(2026, 5, 1)
FULL_TIME = ContractTerm(date(2020, 1, 1), None, Decimal(1))
FIRST, SECOND = UUID(int=1), UUID(int=2)
REMOTE = frozenset({"fr_teletravail"})


def march(day):
    return date(2026, 3, day)


def absence(number, start, end, start_half=Half.MORNING, end_half=Half.AFTERNOON, kind="sick", pending=False):
    return AbsencePeriod(UUID(int=number), start, start_half, end, end_half, kind, pending)


def lines(calendar, month=MARCH, contracts=(FULL_TIME,), absences=(), override=None):
    explained = explain_capacity(calendar, month, contracts, absences, REMOTE, override)
    return [(line.kind.value, line.label, str(line.days)) for line in explained]


def test_a_plain_month_is_its_weekdays(france):
    assert lines(france) == [("WEEKDAYS", "Mondays to Fridays of March 2026", "22.00")]


def test_each_holiday_on_a_weekday_takes_a_day(france):
    assert lines(france, MAY) == [
        ("WEEKDAYS", "Mondays to Fridays of May 2026", "21.00"),
        ("HOLIDAY", "Public holiday on Friday 1 May 2026: Labor Day", "-1.00"),
        ("HOLIDAY", "Public holiday on Friday 8 May 2026: Victory Day", "-1.00"),
        ("HOLIDAY", "Public holiday on Thursday 14 May 2026: Ascension Day", "-1.00"),
        ("HOLIDAY", "Public holiday on Monday 25 May 2026: Pentecost Monday", "-1.00"),
    ]


def test_a_holiday_on_a_weekend_has_no_line(france):
    assert lines(france, date(2026, 8, 1)) == [("WEEKDAYS", "Mondays to Fridays of August 2026", "21.00")]


def test_company_closures_and_worked_holidays_are_named():
    bridge = CalendarException(march(13), worked=False, label="Bridge")
    solidarity = CalendarException(march(16), worked=True, label="Journée de solidarité")
    calendar = Calendar({march(16): "Foundation Day"}, {march(13): bridge, march(16): solidarity})
    assert lines(calendar)[1:] == [
        ("CLOSED", "Company closed on Friday 13 March 2026: Bridge", "-1.00"),
        ("WORKED_HOLIDAY", "Worked public holiday on Monday 16 March 2026: Journée de solidarité", "0.00"),
    ]


def test_part_time_by_rate(france):
    assert lines(france, contracts=[ContractTerm(date(2020, 1, 1), None, Decimal("0.80"))])[1:] == [
        ("PART_TIME", "Part time: 80 %", "-4.40"),
    ]


def test_part_time_by_weekday_names_the_days(france):
    pattern = (Decimal(1), Decimal(1), Decimal(0), Decimal(1), Decimal("0.5"))
    assert lines(france, contracts=[ContractTerm(date(2020, 1, 1), None, Decimal("0.7"), pattern)])[1:] == [
        ("PART_TIME", "Part time: Wednesday off, Friday 50 %", "-6.00"),
    ]


def test_a_mid_month_starter_has_no_contract_before(france):
    assert lines(france, contracts=[ContractTerm(march(16), None, Decimal(1))])[1:] == [
        ("NO_CONTRACT", "No contract from Monday 2 March 2026 to Friday 13 March 2026", "-10.00"),
    ]


def test_a_gap_between_two_contracts_is_named_once_and_each_contract_speaks_for_itself(france):
    contracts = [
        ContractTerm(date(2020, 1, 1), march(10), Decimal(1)),
        ContractTerm(march(12), None, Decimal("0.5")),
    ]
    assert lines(france, contracts=contracts)[1:] == [
        ("NO_CONTRACT", "No contract on Wednesday 11 March 2026", "-1.00"),
        ("PART_TIME", "Part time from Thursday 12 March 2026 to Tuesday 31 March 2026: 50 %", "-7.00"),
    ]


def test_a_month_without_any_contract(france):
    assert lines(france, contracts=[])[1:] == [("NO_CONTRACT", "No contract in March 2026", "-22.00")]


def test_absences_are_named_by_their_dates_and_never_by_their_type(france):
    absences = [
        absence(3, march(18), march(18), start_half=Half.AFTERNOON),
        absence(1, march(9), march(11), Half.AFTERNOON, Half.MORNING),
        absence(2, march(16), march(16), end_half=Half.MORNING),
        absence(4, march(20), march(20)),
    ]
    explained = explain_capacity(france, MARCH, [FULL_TIME], absences, REMOTE)
    assert [(line.label, str(line.days), line.reference_id) for line in explained[1:]] == [
        (
            "Absence from Monday 9 March 2026 (afternoon) to Wednesday 11 March 2026 (morning)",
            "-2.00",
            UUID(int=1),
        ),
        ("Absence on Monday 16 March 2026 (morning)", "-0.50", UUID(int=2)),
        ("Absence on Wednesday 18 March 2026 (afternoon)", "-0.50", UUID(int=3)),
        ("Absence on Friday 20 March 2026", "-1.00", UUID(int=4)),
    ]
    assert not any("sick" in line.label for line in explained)


def test_days_of_two_absences_are_counted_with_the_first(france):
    absences = [absence(2, march(11), march(13)), absence(1, march(9), march(12))]
    assert [days for _, _, days in lines(france, absences=absences)] == ["22.00", "-4.00", "-1.00"]


def test_an_absence_that_takes_nothing_still_has_its_line(france):
    assert lines(france, absences=[absence(1, march(7), march(8))])[1:] == [
        ("ABSENCE", "Absence from Saturday 7 March 2026 to Sunday 8 March 2026", "0.00"),
    ]


def test_a_pending_absence_takes_nothing_and_says_what_it_would_take_beyond_the_confirmed_ones(france):
    absences = [absence(1, march(9), march(11), pending=True), absence(2, march(11), march(11))]
    assert lines(france, absences=absences)[1:] == [
        ("ABSENCE", "Absence on Wednesday 11 March 2026", "-1.00"),
        (
            "PENDING_ABSENCE",
            "Absence awaiting approval from Monday 9 March 2026 to Wednesday 11 March 2026: would take 2.00 days",
            "0.00",
        ),
    ]


def test_working_from_home_has_no_line(france):
    assert len(lines(france, absences=[absence(1, march(9), march(13), kind="fr_teletravail")])) == 1


def test_an_override_is_the_last_line(france):
    assert lines(france, override=Decimal(15))[1:] == [
        ("OVERRIDE", "Capacity set by hand to 15.00 days instead of 22.00", "-7.00"),
    ]
    assert lines(france, contracts=[], override=Decimal("3.5"))[-1] == (
        "OVERRIDE",
        "Capacity set by hand to 3.50 days instead of 0.00",
        "3.50",
    )


def test_rounded_lines_still_add_up(france):
    contracts = [
        ContractTerm(date(2020, 1, 1), march(3), Decimal("0.3333")),  # 2 days: 0.6666
        ContractTerm(march(4), None, Decimal("0.6667")),  # 20 days: 13.334
    ]
    explained = lines(france, contracts=contracts)
    assert [days for _, _, days in explained] == ["22.00", "-1.33", "-6.67"]
    assert sum(Decimal(days) for _, _, days in explained) == Decimal("14.00")
