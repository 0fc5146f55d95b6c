"""How many days a person has in a month: dated contracts, half-day absences and overrides, day by day."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from uuid import UUID

from server.planning.domain.calendar import Calendar
from server.planning.domain.months import days_of, last_day
from server.planning.domain.numbers import to_days

WeekPattern = tuple[Decimal, Decimal, Decimal, Decimal, Decimal]
AwayHalves = dict[date, int]

_ZERO = Decimal(0)
_HALF_DAYS = (_ZERO, Decimal("0.5"), Decimal("0.5"), Decimal(1))  # by mask: none, morning, afternoon, both
_MORNING, _AFTERNOON, _WHOLE_DAY = 1, 2, 3


class Half(StrEnum):
    MORNING = "MORNING"
    AFTERNOON = "AFTERNOON"


@dataclass(frozen=True, slots=True)
class ContractTerm:
    """One dated contract; no `end` means open-ended.

    `fte` is the share of full time (0.8 is four days a week); `pattern`, where known, is the share of each
    day from Monday to Friday and wins over `fte`.
    """

    start: date
    end: date | None
    fte: Decimal
    pattern: WeekPattern | None = None

    def share(self, day: date) -> Decimal:
        return self.fte if self.pattern is None else self.pattern[day.weekday()]


@dataclass(frozen=True, slots=True)
class AbsencePeriod:
    """Away from `start` to `end`, both included.

    `start_half` is the first half that is taken (AFTERNOON leaves the first morning), `end_half` the last one
    (MORNING leaves the last afternoon). A period that is reversed takes nothing.
    """

    id: UUID
    start: date
    start_half: Half
    end: date
    end_half: Half
    type: str
    pending: bool = False

    def halves(self, day: date) -> int:
        """The halves taken on a day of the period, as a mask: 1 the morning, 2 the afternoon."""
        mask = _WHOLE_DAY
        if day == self.start and self.start_half is Half.AFTERNOON:
            mask &= _AFTERNOON
        if day == self.end and self.end_half is Half.MORNING:
            mask &= _MORNING
        return mask


@dataclass(frozen=True, slots=True)
class DayCapacities:
    """The exact capacity of each working day under contract, in ascending order.

    An override stays beside the shares, and is applied after summing: scaling each day first would divide
    once per day, and the sum of such quotients can fall on the wrong side of a half cent.
    """

    dates: tuple[date, ...]
    shares: tuple[Decimal, ...]
    total: Decimal
    override: Decimal | None = None

    def share_within(self, start: date, end: date) -> Decimal:
        """Days between two dates, both included, before the override: sum first, then `scaled`."""
        low, high = bisect_left(self.dates, start), bisect_right(self.dates, end)
        if low == 0 and high == len(self.dates):
            return self.total
        return sum(self.shares[low:high], _ZERO)

    def scaled(self, days: Decimal) -> Decimal:
        return days if self.override is None else days * self.override / self.total

    def by_day(self) -> dict[date, Decimal]:
        return {day: self.scaled(share) for day, share in zip(self.dates, self.shares, strict=True)}


@dataclass(frozen=True, slots=True)
class MonthCapacity:
    """What a month's contracts and absences come to, rounded half up to two places, before any override.

    `working_days` is what the contracts owe before absences: the calendar's working days for full time, and
    pro rata for part time and partial months, so that a part-timer's TACE can reach 1. `leave` is what the
    leave types take of them, `tentative` what pending absences would take beyond the confirmed ones.
    """

    computed: Decimal
    tentative: Decimal
    working_days: Decimal
    leave: Decimal


def touching(absences: Iterable[AbsencePeriod], month: date, non_reducing: frozenset[str]) -> list[AbsencePeriod]:
    """The absences that can take something of the month, pending ones included."""
    last = last_day(month)
    return [
        absence
        for absence in absences
        if absence.start <= last and absence.end >= month and absence.type not in non_reducing
    ]


def away_halves(absences: Iterable[AbsencePeriod], month: date) -> AwayHalves:
    """Which halves are taken on each day of the month; halves taken twice count once."""
    last = last_day(month)
    away: AwayHalves = {}
    for absence in absences:
        day, end = max(absence.start, month), min(absence.end, last)
        while day <= end:
            away[day] = away.get(day, 0) | absence.halves(day)
            day += timedelta(days=1)
    return away


def days_away(capacities: DayCapacities, away: AwayHalves) -> Decimal:
    """The exact days that absences take of the capacities: share × half days, skipping days not worked."""
    if not away:
        return _ZERO
    pairs = zip(capacities.dates, capacities.shares, strict=True)
    return sum((share * _HALF_DAYS[away[day]] for day, share in pairs if day in away), _ZERO)


def under_contract(calendar: Calendar, month: date, contracts: Iterable[ContractTerm]) -> DayCapacities:
    """What the contracts owe in the month, before absences. Contracts that overlap are a ValueError."""
    return _under_clipped_contracts(calendar, month, clip(contracts, month))


def clip(contracts: Iterable[ContractTerm], month: date) -> tuple[ContractTerm, ...]:
    """The contracts of the month, cut to it, in order: people with equal terms then share one cache entry."""
    last = last_day(month)
    terms = [
        ContractTerm(
            start=max(contract.start, month),
            end=last if contract.end is None else min(contract.end, last),
            fte=contract.fte,
            pattern=contract.pattern,
        )
        for contract in contracts
        if contract.start <= last and (contract.end is None or contract.end >= month)
    ]
    return tuple(sorted(terms, key=lambda term: term.start))


# Most people of a company share a few contracts: verifying 20,000 users over 36 months costs some thousands
# of walks over days instead of 720,000.
@lru_cache(maxsize=4096)
def _under_clipped_contracts(calendar: Calendar, month: date, terms: tuple[ContractTerm, ...]) -> DayCapacities:
    working_days = calendar.working_days(month)
    shares: dict[date, Decimal] = {}
    for term in terms:
        for day in working_days:
            if term.start <= day and (term.end is None or day <= term.end):
                if day in shares:
                    raise ValueError(f"two contracts cover {day}: end the earlier one before the later one starts")
                shares[day] = term.share(day)
    return DayCapacities(tuple(shares), tuple(shares.values()), sum(shares.values(), _ZERO))


def day_capacities(
    calendar: Calendar,
    month: date,
    contracts: Iterable[ContractTerm],
    absences: Iterable[AbsencePeriod],
    non_reducing: frozenset[str],
    override: Decimal | None = None,
) -> DayCapacities:
    """Share × (1 − away) of each working day of the month, confirmed absences only.

    An override keeps the proportions of the days. Where the computed capacity is 0 it is spread evenly over
    the working days, or over all days of a month that has none, so that it is never lost.
    """
    capacities = under_contract(calendar, month, contracts)
    away = away_halves((a for a in touching(absences, month, non_reducing) if not a.pending), month)
    if away:
        pairs = zip(capacities.dates, capacities.shares, strict=True)
        shares = tuple(share * (1 - _HALF_DAYS[away.get(day, 0)]) for day, share in pairs)
        capacities = DayCapacities(capacities.dates, shares, sum(shares, _ZERO))
    if override is None:
        return capacities
    if not capacities.total:
        dates = calendar.working_days(month) or days_of(month)
        capacities = DayCapacities(dates, (Decimal(1),) * len(dates), Decimal(len(dates)))
    return replace(capacities, override=override)


def month_capacity(
    calendar: Calendar,
    month: date,
    contracts: Iterable[ContractTerm],
    absences: Iterable[AbsencePeriod],
    non_reducing: frozenset[str],
    leave_types: frozenset[str] | None = None,
) -> MonthCapacity:
    """The month's figures. `leave_types` are the types that count as predictable leave; None: all that reduce."""
    owed = under_contract(calendar, month, contracts)
    reducing = touching(absences, month, non_reducing)
    confirmed = [absence for absence in reducing if not absence.pending]
    leave = confirmed if leave_types is None else [a for a in confirmed if a.type in leave_types]
    taken = days_away(owed, away_halves(confirmed, month))
    # Most often the three are the same absences, and walking their days is what costs.
    taken_with_pending, taken_as_leave = (
        taken if len(chosen) == len(confirmed) else days_away(owed, away_halves(chosen, month))
        for chosen in (reducing, leave)
    )
    return MonthCapacity(
        computed=to_days(owed.total - taken),
        tentative=to_days(taken_with_pending - taken),
        working_days=to_days(owed.total),
        leave=to_days(taken_as_leave),
    )
