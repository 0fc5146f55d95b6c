"""Who works for the demo company, and under which contracts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from random import Random
from uuid import UUID

from server.ids import named_id
from server.planning.domain.capacity import ContractTerm, WeekPattern
from server.planning.domain.months import add_months, last_day, month_of
from server.seed.company import Company
from server.seed.demo import DEMO_ACCOUNTS, dice
from server.seed.names import UNITS, name_of
from server.users.models import UserStatus

Terms = tuple[Decimal, WeekPattern | None]


class Cause(StrEnum):
    """Why a person has more work than time in some month: the planner's mistakes that the product is there to show."""

    DOUBLE_BOOKED = "DOUBLE_BOOKED"
    LEAVE_IGNORED = "LEAVE_IGNORED"
    PART_TIME_IGNORED = "PART_TIME_IGNORED"
    PARTIAL_MONTH_IGNORED = "PARTIAL_MONTH_IGNORED"
    SAME_PROJECT_TWICE = "SAME_PROJECT_TWICE"


class Career(StrEnum):
    PERMANENT = "PERMANENT"
    STARTER = "STARTER"
    LEFT = "LEFT"
    LEAVER = "LEAVER"
    RATE_CHANGE = "RATE_CHANGE"
    FIXED_TERM = "FIXED_TERM"
    GAP = "GAP"


@dataclass(frozen=True, slots=True)
class Employee:
    """`start` and `end` bound what is planned for the person within the company's months; start > end: nothing is."""

    index: int
    id: UUID
    first_name: str
    last_name: str
    email: str | None
    unit: int
    status: UserStatus
    contracts: tuple[ContractTerm, ...]
    cause: Cause | None
    start: date
    end: date


def person_id(index: int) -> UUID:
    return named_id("seed", "user", str(index))


def _weekdays(*shares: str) -> Terms:
    monday, tuesday, wednesday, thursday, friday = pattern = tuple(Decimal(share) for share in shares)
    return (sum(pattern, Decimal(0)) / 5).quantize(Decimal("0.0001")), (monday, tuesday, wednesday, thursday, friday)


FULL_TIME: Terms = (Decimal(1), None)
PART_TIME: tuple[Terms, ...] = (
    _weekdays("1", "1", "0", "1", "1"),
    _weekdays("1", "1", "1", "1", "0"),
    _weekdays("0", "1", "1", "1", "1"),
    _weekdays("1", "0", "1", "1", "1"),
    _weekdays("1", "1", "1", "0", "1"),
    _weekdays("1", "1", "0.5", "1", "1"),
    _weekdays("1", "1", "1", "1", "0.5"),
    _weekdays("0.5", "1", "1", "1", "1"),
    _weekdays("0.5", "0.5", "0.5", "0.5", "0.5"),
    _weekdays("1", "1", "0.5", "0", "0"),
    _weekdays("0", "0", "0.5", "1", "1"),
    _weekdays("1", "1", "1", "0", "0"),
    _weekdays("0", "0", "1", "1", "1"),
    _weekdays("1", "0", "1", "0", "1"),
    _weekdays("1", "1", "0", "1", "0"),
    _weekdays("1", "1", "0", "1", "0.5"),
    _weekdays("1", "1", "0.5", "1", "0"),
    _weekdays("0.5", "1", "0.5", "1", "0.5"),
    _weekdays("1", "1", "0", "0", "0"),
    _weekdays("0", "1", "0", "1", "0"),
    _weekdays("0.8", "0.8", "0.8", "0.8", "0.8"),
    *((Decimal(rate), None) for rate in ("0.5", "0.55", "0.6", "0.65", "0.7", "0.75", "0.8", "0.85", "0.9")),
)
_CAREERS = tuple(Career)
_WEIGHTS = (55, 12, 9, 4, 9, 6, 5)
_FULL_TIME_SHARE = 0.66


def employee(company: Company, index: int) -> Employee:
    rng = dice("person", index)
    first_name, last_name, address = name_of(index)
    cause = tuple(Cause)[index // 10 % len(Cause)] if index % 10 == 7 else None
    career, contracts = _contracts(rng, company, index, cause)
    email = None if index % 25 == 13 else f"{address}@example.test"
    if company.demo.accounts and index < len(DEMO_ACCOUNTS):
        email = f"{DEMO_ACCOUNTS[index]}@demo.test"
    status = _status(company, index, career, contracts, email)
    end = min(contracts[-1].end or company.last, company.last)
    if status is UserStatus.DEACTIVATED:
        end = min(end, company.demo.as_of)
    return Employee(
        index=index,
        id=person_id(index),
        first_name=first_name,
        last_name=last_name,
        email=email,
        unit=index % len(UNITS) if index < len(DEMO_ACCOUNTS) else rng.randrange(len(UNITS)),
        status=status,
        contracts=contracts,
        cause=cause,
        start=max(contracts[0].start, company.first),
        end=end,
    )


def _status(
    company: Company, index: int, career: Career, contracts: tuple[ContractTerm, ...], email: str | None
) -> UserStatus:
    as_of = company.demo.as_of
    end = contracts[-1].end
    if end is not None and end < as_of:
        return UserStatus.LEFT
    if index % 60 == 31:
        return UserStatus.DEACTIVATED
    recent = career is Career.STARTER and contracts[0].start > as_of - timedelta(days=15)
    if email is not None and (recent or index % 40 == 21):
        return UserStatus.INVITED
    return UserStatus.ACTIVE


def _contracts(
    rng: Random, company: Company, index: int, cause: Cause | None
) -> tuple[Career, tuple[ContractTerm, ...]]:
    """Contracts that follow each other, and never overlap."""
    terms = FULL_TIME if rng.random() < _FULL_TIME_SHARE else rng.choice(PART_TIME)
    career = rng.choices(_CAREERS, _WEIGHTS)[0]
    if index < len(DEMO_ACCOUNTS):
        career, terms = Career.PERMANENT, FULL_TIME
    elif cause is Cause.PARTIAL_MONTH_IGNORED:
        career = rng.choice((Career.STARTER, Career.LEAVER))
    elif cause is Cause.PART_TIME_IGNORED:
        career, terms = Career.PERMANENT, rng.choice(PART_TIME)
    elif cause is not None:
        career = Career.PERMANENT
    hired = date(company.first.year - rng.randint(1, 12), rng.randint(1, 12), 1)
    return career, _by_career(rng, company, career, hired, terms)


def _by_career(rng: Random, company: Company, career: Career, hired: date, terms: Terms) -> tuple[ContractTerm, ...]:
    as_of = company.demo.as_of
    match career:
        case Career.STARTER:
            return (ContractTerm(_monday(rng, company.month_near(rng.randint(-16, 3))), None, *terms),)
        case Career.LEFT:
            end = _friday(as_of - timedelta(days=rng.randint(5, 500)))
            return (ContractTerm(min(hired, end - timedelta(days=200)), end, *terms),)
        case Career.LEAVER:
            month = company.month_near(rng.randint(1, 6))
            end = _friday(max(as_of + timedelta(days=7), month + timedelta(days=rng.randint(11, 20))))
            return (ContractTerm(min(hired, end - timedelta(days=200)), end, *terms),)
        case Career.RATE_CHANGE:
            month = company.month_near(rng.randint(-18, 8))
            change = max(rng.choice((month, month + timedelta(days=rng.randint(9, 19)))), hired + timedelta(days=30))
            after = FULL_TIME if terms != FULL_TIME and rng.random() < 0.3 else rng.choice(PART_TIME)
            return (ContractTerm(hired, change - timedelta(days=1), *terms), ContractTerm(change, None, *after))
        case Career.FIXED_TERM:
            start = _monday(rng, company.month_near(rng.randint(-14, 1)))
            end = last_day(add_months(month_of(start), rng.randint(5, 17)))
            return (ContractTerm(start, end - timedelta(days=rng.choice((0, 0, 12))), *terms),)
        case Career.GAP:
            month = company.month_near(rng.randint(-18, -2))
            end = max(_friday(month + timedelta(days=rng.randint(8, 24))), hired + timedelta(days=60))
            back = end + timedelta(days=rng.randint(25, 120))
            return (ContractTerm(hired, end, *terms), ContractTerm(back, None, *terms))
        case _:
            return (ContractTerm(hired, None, *terms),)


def _monday(rng: Random, month: date) -> date:
    """A Monday from the 6th to the 24th, so that working days of the month lie before it."""
    day = month + timedelta(days=rng.randint(11, 23))
    return day - timedelta(days=day.weekday())


def _friday(day: date) -> date:
    """That Friday, or the last one before the day."""
    return day - timedelta(days=(day.weekday() - 4) % 7)
