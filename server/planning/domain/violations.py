"""What the planning rules refuse, with a stable code and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class ViolationCode(StrEnum):
    INVALID_DAYS = "INVALID_DAYS"
    TOO_PRECISE = "TOO_PRECISE"
    STEP_VIOLATION = "STEP_VIOLATION"
    OUTSIDE_HORIZON = "OUTSIDE_HORIZON"
    MONTH_CLOSED = "MONTH_CLOSED"
    PROJECT_CLOSED = "PROJECT_CLOSED"
    VERSION_CONFLICT = "VERSION_CONFLICT"
    DUPLICATE_CELL = "DUPLICATE_CELL"
    MONTH_ALREADY_CLOSED = "MONTH_ALREADY_CLOSED"
    MONTH_NOT_CLOSED = "MONTH_NOT_CLOSED"
    FUTURE_MONTH = "FUTURE_MONTH"
    NO_PARTS = "NO_PARTS"
    EMPTY_PART = "EMPTY_PART"
    OUTSIDE_ASSIGNMENT = "OUTSIDE_ASSIGNMENT"
    INVALID_RATE = "INVALID_RATE"
    SUM_NOT_CONSERVED = "SUM_NOT_CONSERVED"


@dataclass(frozen=True, slots=True)
class Violation:
    """`field` is the name of the input's field in snake case; `index` is the item's place in its list."""

    code: ViolationCode
    message: str
    field: str | None = None
    index: int | None = None
