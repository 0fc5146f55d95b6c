"""Which months may still be written, and which may be closed or reopened."""

from collections.abc import Collection, Iterable
from datetime import date

from server.planning.domain.months import format_month, month_of
from server.planning.domain.violations import Violation, ViolationCode


def open_months(months: Iterable[date], closed: Collection[date]) -> tuple[date, ...]:
    return tuple(month for month in months if month not in closed)


def closed_touched(start: date, end: date | None, closed: Iterable[date]) -> tuple[date, ...]:
    """The closed months that a change from `start` to `end` leaves as they are, in order; no end: open-ended."""
    first = month_of(start)
    return tuple(sorted(month for month in closed if first <= month and (end is None or month <= end)))


def check_closable(month: date, closed: Collection[date], today: date) -> Violation | None:
    """The present month may be closed; a future one may not, since its plan is still to be made."""
    name = format_month(month)
    if month in closed:
        message = f"{name} is closed already: nothing is left to do."
        return Violation(ViolationCode.MONTH_ALREADY_CLOSED, message, "month")
    if month > today:
        return Violation(ViolationCode.FUTURE_MONTH, f"{name} has not begun: close it once it has.", "month")
    return None


def check_reopenable(month: date, closed: Collection[date]) -> Violation | None:
    if month in closed:
        return None
    message = f"{format_month(month)} is open already: nothing is left to do."
    return Violation(ViolationCode.MONTH_NOT_CLOSED, message, "month")
