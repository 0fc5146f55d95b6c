"""What a service needs of every change: the fields that were given, the version that was expected, before and after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from sqlalchemy.exc import IntegrityError

from server.database import Base
from server.errors import FieldError, Refused, invalid, refuse

R = TypeVar("R", bound=Base)


def check_version(row: Any, expected: int | None) -> None:
    """Raises a VERSION_CONFLICT that carries the row as it stands. `expected` None: the caller does not care."""
    if expected is not None and row.version != expected:
        raise refuse(
            "VERSION_CONFLICT",
            f"This was changed in the meantime: you expected version {expected}, it is at {row.version}. "
            "Look at the current values and try again.",
            "expectedVersion",
            current=row,
        )


def apply(row: Any, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sets what differs and raises the version if anything does; (before, after) of those fields, for the audit."""
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for name, value in values.items():
        if getattr(row, name) != value:
            before[name] = getattr(row, name)
            after[name] = value
            setattr(row, name, value)
    if after:
        row.version += 1
    return before, after


def refuse_violations(violations: list[tuple[str, str, str]]) -> None:
    """Raises one INVALID_INPUT problem that lists all of these (field, code, what to do)."""
    if violations:
        raise invalid([FieldError((field,), code, message) for field, code, message in violations])


def broken_constraint(error: IntegrityError) -> str | None:
    """The name of the constraint or unique index that PostgreSQL refused the write for."""
    cause = getattr(error.orig, "__cause__", None)
    return getattr(cause, "constraint_name", None)


def duplicate(what: str, field: str, value: str) -> Refused:
    return refuse("DUPLICATE", f"There is already a {what} with the {field} {value}: choose another.", field)
