"""The decision on one write of one cell: what a person or a tool states for a user, a project and a month."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Final, Literal, NamedTuple
from uuid import UUID

from server.planning.domain.load import effective
from server.planning.domain.months import format_month
from server.planning.domain.numbers import MAX_STATED_DAYS, NO_DAYS, fits_cents, fits_step, to_days
from server.planning.domain.violations import Violation, ViolationCode


class CellSource(StrEnum):
    """Where the effective days come from: an assignment as long as nothing is stated."""

    ASSIGNMENT = "ASSIGNMENT"
    MANUAL = "MANUAL"
    API = "API"
    IMPORT = "IMPORT"
    LEGACY = "LEGACY"


class CellOutcome(StrEnum):
    APPLIED = "APPLIED"
    UNCHANGED = "UNCHANGED"
    REJECTED = "REJECTED"


class Unset(Enum):
    UNSET = "UNSET"


UNSET: Final = Unset.UNSET


# Named tuples, because a call has hundreds of each: a frozen dataclass takes three times as long to make.
class CellKey(NamedTuple):
    """The person, the project and the month that a cell is of."""

    user_id: UUID
    project_id: UUID
    month: date


class CellState(NamedTuple):
    """`version` counts changes of what people state, clearing included; a recomputation leaves it as it is."""

    stated: Decimal | None
    expected: Decimal
    actual: Decimal | None
    source: CellSource
    version: int

    @property
    def days(self) -> Decimal:
        return effective(self.stated, self.expected)


NEW_CELL: Final = CellState(None, NO_DAYS, None, CellSource.ASSIGNMENT, 0)


@dataclass(frozen=True, slots=True)
class CellWrite:
    """`days` None clears. `expected_version`: UNSET checks nothing, None wants nothing stated, a number must match."""

    index: int
    key: CellKey
    days: Decimal | None
    expected_version: int | Literal[Unset.UNSET] | None = UNSET


class Decision(NamedTuple):
    """The cell after the write; of a REJECTED or UNCHANGED write, the cell as it is (None: it has no row)."""

    outcome: CellOutcome
    state: CellState | None
    violation: Violation | None = None


def decide(
    write: CellWrite,
    state: CellState | None,
    *,
    source: CellSource,
    closed: Collection[date],
    step: Decimal | None,
    project_open: bool,
    horizon: tuple[date, date],
) -> Decision:
    """What becomes of one write against the locked row (`state` None: there is none).

    `source` says who states; writing the value that is stated already keeps source and version. `closed` are
    the closed months, `horizon` the first and the last month that may be planned, `project_open` whether the
    project takes new load; one that does not can still be set to 0 or cleared.
    """
    violation = (
        _value_violation(write.days, step)
        or _month_violation(write.key.month, closed, horizon)
        or _project_violation(write.days, project_open)
        or _version_violation(write, state or NEW_CELL)
    )
    if violation is not None:
        return Decision(CellOutcome.REJECTED, state, replace(violation, index=write.index))
    before = state or NEW_CELL
    if write.days == before.stated:
        return Decision(CellOutcome.UNCHANGED, state)
    stated = None if write.days is None else to_days(write.days)
    stated_by = CellSource.ASSIGNMENT if stated is None else source
    return Decision(
        CellOutcome.APPLIED, CellState(stated, before.expected, before.actual, stated_by, before.version + 1)
    )


def find_duplicates(writes: Iterable[CellWrite]) -> dict[int, Violation]:
    """A violation for each write that shares its key with another one, by index: neither of them can win."""
    indexes: dict[CellKey, list[int]] = defaultdict(list)
    for write in writes:
        indexes[write.key].append(write.index)
    return {
        index: Violation(
            ViolationCode.DUPLICATE_CELL,
            f"The cell is written at {', '.join(map(str, same))} of one call: keep one of them.",
            index=index,
        )
        for same in indexes.values()
        if len(same) > 1
        for index in same
    }


def _value_violation(days: Decimal | None, step: Decimal | None) -> Violation | None:
    if days is None:
        return None
    if not days.is_finite() or not 0 <= days <= MAX_STATED_DAYS:
        message = f"{days} days are not possible in a month: state 0 to {MAX_STATED_DAYS}."
        return Violation(ViolationCode.INVALID_DAYS, message, "days")
    if not fits_cents(days):
        message = f"{days} is too precise: state days with at most two decimals."
        return Violation(ViolationCode.TOO_PRECISE, message, "days")
    if not fits_step(days, step):
        message = f"{days} is not a multiple of {step}, the company's step: round it."
        return Violation(ViolationCode.STEP_VIOLATION, message, "days")
    return None


def _month_violation(month: date, closed: Collection[date], horizon: tuple[date, date]) -> Violation | None:
    first, last = horizon
    if not first <= month <= last:
        message = f"{format_month(month)} cannot be planned: choose {format_month(first)} to {format_month(last)}."
        return Violation(ViolationCode.OUTSIDE_HORIZON, message, "month")
    if month in closed:
        message = f"{format_month(month)} is closed: reopen it to change its plan."
        return Violation(ViolationCode.MONTH_CLOSED, message, "month")
    return None


def _project_violation(days: Decimal | None, project_open: bool) -> Violation | None:
    if project_open or not days:
        return None
    message = "The project is done, cancelled, archived or deleted: it takes no new load. State 0 or clear the cell."
    return Violation(ViolationCode.PROJECT_CLOSED, message, "project_id")


def _version_violation(write: CellWrite, current: CellState) -> Violation | None:
    expected = write.expected_version
    if expected is UNSET or (current.stated is None if expected is None else expected == current.version):
        return None
    seen = "nothing stated" if expected is None else f"version {expected}"
    message = f"The cell is at version {current.version}, the write expects {seen}: read it again and decide anew."
    return Violation(ViolationCode.VERSION_CONFLICT, message, "expected_version")
