"""Splitting an assignment among people and periods without changing its sum."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

from server.planning.domain.numbers import MAX_RATE, fits_cents
from server.planning.domain.violations import Violation, ViolationCode

_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Part:
    """A rate of one user between two dates, both included; the assignment to split is read as one part too."""

    user_id: UUID
    rate: Decimal
    start: date
    end: date


def split_at(original: Part, day: date) -> tuple[Part, Part]:
    """The part that ends the day before `day`, and the one that starts on it."""
    if not original.start < day <= original.end:
        raise ValueError(f"{day} does not divide the assignment: choose after {original.start}, up to {original.end}")
    return replace(original, end=day - _ONE_DAY), replace(original, start=day)


def split_violations(original: Part, parts: Sequence[Part]) -> tuple[Violation, ...]:
    """Why `parts` may not replace `original`; empty when they may.

    On every day of the original the parts' rates add up to its rate, and no part lies outside it.
    """
    if not parts:
        return (Violation(ViolationCode.NO_PARTS, "Give the parts that replace the assignment.", "parts"),)
    violations = tuple(v for index, part in enumerate(parts) if (v := _part_violation(original, part, index)))
    return violations or _sum_violations(original, parts)


def _part_violation(original: Part, part: Part, index: int) -> Violation | None:
    if part.end < part.start:
        message = f"The part ends on {part.end}, before it starts on {part.start}: exchange the dates."
        return Violation(ViolationCode.EMPTY_PART, message, "end", index)
    if part.start < original.start or part.end > original.end:
        message = f"The part leaves the assignment: stay within {original.start} and {original.end}."
        return Violation(ViolationCode.OUTSIDE_ASSIGNMENT, message, "start", index)
    if not part.rate.is_finite() or not 0 < part.rate <= MAX_RATE or not fits_cents(part.rate):
        message = f"The rate {part.rate} is not possible: give a percentage above 0, at most 100, with two decimals."
        return Violation(ViolationCode.INVALID_RATE, message, "rate", index)
    return None


def _sum_violations(original: Part, parts: Sequence[Part]) -> tuple[Violation, ...]:
    """The sum can only change where a part starts or after one ends: those days stand for all others."""
    starts = {original.start, *(part.start for part in parts)}
    after_ends = {part.end + _ONE_DAY for part in parts if part.end < original.end}
    for day in sorted(starts | after_ends):
        total = sum((part.rate for part in parts if part.start <= day <= part.end), Decimal(0))
        if total != original.rate:
            message = f"On {day} the parts add up to {total} %: the assignment has {original.rate} %."
            return (Violation(ViolationCode.SUM_NOT_CONSERVED, message, "parts"),)
    return ()
