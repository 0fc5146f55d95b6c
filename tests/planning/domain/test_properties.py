"""What holds for every calendar, contract, absence, assignment and write."""

from collections import defaultdict
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from itertools import pairwise
from uuid import UUID

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from server.planning.domain.calendar import Calendar, CalendarException
from server.planning.domain.capacity import AbsencePeriod, ContractTerm, Half, day_capacities, month_capacity
from server.planning.domain.cells import (
    UNSET,
    CellKey,
    CellOutcome,
    CellSource,
    CellState,
    CellWrite,
    decide,
)
from server.planning.domain.explanation import explain_capacity
from server.planning.domain.load import AssignmentSpan, expected_load, utilisation
from server.planning.domain.months import add_months, days_of, format_month, last_day, months_between, parse_month
from server.planning.domain.numbers import to_days
from server.planning.domain.splitting import Part, split_at, split_violations

MONTH = date(2026, 5, 1)
NON_REDUCING = frozenset({"remote"})

bounded = settings(max_examples=100, deadline=None)
days = st.dates(date(2026, 4, 15), date(2026, 6, 15))
halves = st.sampled_from(Half)
shares = st.decimals(0, 1, places=4)
cents = st.decimals(0, 31, places=2)
rates = st.decimals("0.01", 100, places=2)
periods = st.tuples(days, days).map(sorted)


@st.composite
def calendars(draw):
    exceptions = draw(st.lists(st.builds(CalendarException, days, st.booleans(), st.just("Company")), max_size=4))
    holidays = draw(st.dictionaries(days, st.just("Holiday"), max_size=6))
    return Calendar(holidays, {exception.day: exception for exception in exceptions})


@st.composite
def contract_histories(draw):
    """Contracts of one user, which never overlap."""
    borders = sorted(draw(st.sets(days, max_size=6)))
    terms = []
    for start, following in zip(borders[::2], borders[1::2], strict=False):
        pattern = draw(st.none() | st.tuples(shares, shares, shares, shares, shares))
        terms.append(ContractTerm(start, following - timedelta(days=1), draw(shares), pattern))
    if len(borders) % 2:
        terms.append(ContractTerm(borders[-1], None, draw(shares)))
    return terms


@st.composite
def absence_lists(draw):
    return [
        AbsencePeriod(
            UUID(int=number), start, draw(halves), end, draw(halves), draw(st.sampled_from(["a", "remote"])), pending
        )
        for number, ((start, end), pending) in enumerate(draw(st.lists(st.tuples(periods, st.booleans()), max_size=5)))
    ]


@st.composite
def splits(draw):
    """An assignment, and parts that replace it: cut at some days, each piece shared by some people."""
    start, end = draw(periods)
    original = Part(UUID(int=0), draw(rates), start, end)
    pieces = [original]
    for day in sorted(draw(st.sets(days, max_size=3))):
        if pieces[-1].start < day <= end:
            pieces[-1:] = split_at(pieces[-1], day)
    parts = []
    for piece in pieces:
        limits = sorted({Decimal(0), piece.rate, *draw(st.lists(st.decimals(0, piece.rate, places=2), max_size=2))})
        for number, (low, high) in enumerate(pairwise(limits)):
            parts.append(Part(UUID(int=number), high - low, piece.start, piece.end))
    return original, draw(st.permutations(parts))


@bounded
@given(calendars(), contract_histories(), absence_lists(), st.none() | cents)
def test_the_lines_of_an_explanation_add_up_to_the_effective_capacity(calendar, contracts, absences, override):
    computed = month_capacity(calendar, MONTH, contracts, absences, NON_REDUCING).computed
    lines = explain_capacity(calendar, MONTH, contracts, absences, NON_REDUCING, override)
    assert sum(line.days for line in lines) == (computed if override is None else override)
    assert all(line.days.as_tuple().exponent == -2 for line in lines)


@bounded
@given(calendars(), contract_histories(), absence_lists())
def test_a_capacity_lies_between_0_and_the_working_days(calendar, contracts, absences):
    capacity = month_capacity(calendar, MONTH, contracts, absences, NON_REDUCING)
    assert 0 <= capacity.computed <= capacity.working_days <= len(calendar.working_days(MONTH))
    assert 0 <= capacity.leave <= capacity.working_days
    assert 0 <= capacity.tentative <= capacity.computed


def capacity_by_definition(calendar, contracts, absences):
    """Half day by half day, as the rule is spoken, with none of the code's shortcuts."""
    total = Fraction(0)
    for day in calendar.working_days(MONTH):
        for contract in contracts:
            if not contract.start <= day <= (contract.end or date.max):
                continue
            share = contract.fte if contract.pattern is None else contract.pattern[day.weekday()]
            for half in (0, 1):
                moment = (day, half)
                away = any(
                    (a.start, int(a.start_half is Half.AFTERNOON))
                    <= moment
                    <= (a.end, int(a.end_half is Half.AFTERNOON))
                    for a in absences
                    if not a.pending and a.type not in NON_REDUCING
                )
                total += 0 if away else Fraction(share) / 2
    return total


@bounded
@given(calendars(), contract_histories(), absence_lists())
def test_a_capacity_is_the_sum_of_the_half_days_that_are_left(calendar, contracts, absences):
    exact = capacity_by_definition(calendar, contracts, absences)
    capacities = day_capacities(calendar, MONTH, contracts, absences, NON_REDUCING)
    assert Fraction(capacities.total) == exact
    assert Fraction(sum(capacities.by_day().values(), Decimal(0))) == exact
    assert month_capacity(calendar, MONTH, contracts, absences, NON_REDUCING).computed == to_days(capacities.total)


@bounded
@given(calendars(), contract_histories(), absence_lists())
def test_the_order_of_contracts_and_absences_does_not_matter(calendar, contracts, absences):
    forwards = month_capacity(calendar, MONTH, contracts, absences, NON_REDUCING)
    assert month_capacity(calendar, MONTH, contracts[::-1], absences[::-1], NON_REDUCING) == forwards


@bounded
@given(calendars(), contract_histories(), absence_lists(), cents)
def test_a_rate_of_100_over_the_month_is_the_override(calendar, contracts, absences, override):
    capacities = day_capacities(calendar, MONTH, contracts, absences, NON_REDUCING, override)
    whole = AssignmentSpan(UUID(int=1), UUID(int=2), Decimal(100), MONTH, last_day(MONTH))
    assert expected_load(capacities, [whole]).get(UUID(int=2), Decimal(0)) == override


@bounded
@given(calendars(), contract_histories(), absence_lists(), st.none() | cents, rates, periods, days)
def test_expected_load_is_the_same_after_splitting_at_a_day(calendar, contracts, absences, override, rate, period, day):
    start, end = period
    assume(start < day <= end)
    capacities = day_capacities(calendar, MONTH, contracts, absences, NON_REDUCING, override)
    spans = [
        AssignmentSpan(UUID(int=1), UUID(int=2), part.rate, part.start, part.end)
        for part in split_at(Part(UUID(int=0), rate, start, end), day)
    ]
    original = AssignmentSpan(UUID(int=1), UUID(int=2), rate, start, end)
    assert expected_load(capacities, spans) == expected_load(capacities, [original])


@bounded
@given(splits())
def test_a_split_that_is_accepted_conserves_the_rate_of_every_day(split):
    original, parts = split
    assert split_violations(original, parts) == ()
    by_day = defaultdict(Decimal)
    for part in parts:
        for n in range((part.end - part.start).days + 1):
            by_day[part.start + timedelta(days=n)] += part.rate
    length = (original.end - original.start).days + 1
    assert by_day == {original.start + timedelta(days=n): original.rate for n in range(length)}


@bounded
@given(splits(), st.data())
def test_a_split_without_one_of_its_parts_is_refused(split, data):
    original, parts = split
    dropped = data.draw(st.integers(0, len(parts) - 1))
    assert split_violations(original, parts[:dropped] + parts[dropped + 1 :]) != ()


@given(st.decimals(-1000, 1000, places=6))
def test_rounding_is_half_up_and_never_prints_a_negative_zero(x):
    rounded = to_days(x)
    assert rounded == (abs(x) + Decimal("0.005")).quantize(Decimal("0.01"), "ROUND_DOWN").copy_sign(x)
    assert rounded == x.quantize(Decimal("0.01"), ROUND_HALF_UP)
    assert not str(rounded).startswith("-0.00")


@given(cents, cents)
def test_utilisation_is_unknown_exactly_where_capacity_is_0(load, capacity):
    assert (utilisation(load, capacity) is None) is (capacity == 0)


@given(st.dates(date(1, 1, 1), date(9000, 1, 1)), st.integers(0, 600))
def test_months_are_written_and_counted_consistently(day, n):
    month = parse_month(format_month(day))
    assert days_of(month)[0] == month
    assert months_between(month, add_months(month, n))[-1] == add_months(month, n)
    assert add_months(add_months(month, n), -n) == month


states = st.none() | st.builds(
    lambda stated, expected, source, version: CellState(
        stated, expected, None, CellSource.ASSIGNMENT if stated is None else source, version
    ),
    st.none() | cents,
    cents,
    st.sampled_from([CellSource.MANUAL, CellSource.LEGACY]),
    st.integers(0, 5),
)
writes = st.builds(
    CellWrite,
    st.just(0),
    st.builds(CellKey, st.just(UUID(int=1)), st.just(UUID(int=2)), st.sampled_from([MONTH, date(2026, 6, 1)])),
    st.none() | cents | st.decimals(-1, 40, places=3),
    st.just(UNSET) | st.none() | st.integers(0, 5),
)


@settings(max_examples=300, deadline=None)
@given(writes, states, st.booleans(), st.sampled_from([None, Decimal("0.5")]))
def test_only_an_applied_write_raises_the_version_and_then_by_one(write, state, project_open, step):
    decision = decide(
        write,
        state,
        source=CellSource.API,
        closed={date(2026, 6, 1)},
        step=step,
        project_open=project_open,
        horizon=(date(2026, 1, 1), date(2026, 12, 1)),
    )
    assert (decision.violation is not None) is (decision.outcome is CellOutcome.REJECTED)
    if decision.outcome is not CellOutcome.APPLIED:
        assert decision.state is state
        return
    assert decision.state.version == (state.version if state else 0) + 1
    assert decision.state.stated == write.days
    assert decision.state.expected == (state.expected if state else 0)
    assert write.days != (state.stated if state else None)
    assert write.key.month == MONTH
    assert project_open or not write.days
