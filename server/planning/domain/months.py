"""Months as dates on their first day."""

import re
from calendar import monthrange
from datetime import date, timedelta
from functools import lru_cache

_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


def month_of(day: date) -> date:
    return date(day.year, day.month, 1)


def parse_month(text: str) -> date:
    """The month written as "2026-03"; anything else is a ValueError that says what to write."""
    if not _MONTH.fullmatch(text) or text.startswith("0000"):
        raise ValueError(f"{text!r} is not a month: write the year and the month, as in 2026-03")
    return date(int(text[:4]), int(text[5:]), 1)


def format_month(month: date) -> str:
    return f"{month.year:04d}-{month.month:02d}"


def add_months(month: date, n: int) -> date:
    years, index = divmod(month.month - 1 + n, 12)
    return date(month.year + years, index + 1, 1)


def months_between(first: date, last: date) -> tuple[date, ...]:
    """Every month from the one of `first` to the one of `last`, both included."""
    count = (last.year - first.year) * 12 + last.month - first.month + 1
    if count < 1:
        raise ValueError(f"{format_month(last)} is before {format_month(first)}: give the earlier month first")
    start = month_of(first)
    return tuple(add_months(start, n) for n in range(count))


@lru_cache(maxsize=2048)
def last_day(month: date) -> date:
    return date(month.year, month.month, monthrange(month.year, month.month)[1])


def days_of(month: date) -> tuple[date, ...]:
    first = month_of(month)
    return tuple(first + timedelta(days=n) for n in range(last_day(month).day))
