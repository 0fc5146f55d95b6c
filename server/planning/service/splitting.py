"""Splitting an assignment, at a day or into parts, without changing its sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID

from server.actor import Permission
from server.database import Transaction
from server.errors import FieldError, Problem, Refused, invalid
from server.planning.domain.splitting import Part, split_at, split_violations
from server.planning.domain.violations import Violation
from server.planning.models import AssignmentRow
from server.planning.service.assignments import facts, follow, for_change, project_problem
from server.planning.service.people import unreachable
from server.users import repository as users

MAX_PARTS = 100

_NAMES = {"user_id": "userId", "start": "startDate", "end": "endDate"}


@dataclass(frozen=True, slots=True)
class Split:
    """`at` is the first day of the second part; or `parts`, which may be of several people."""

    id: UUID
    at: date | None = None
    parts: Sequence[Part] | None = None
    expected_version: int | None = None


@dataclass(frozen=True, slots=True)
class Divided:
    """`original` kept its id for the first part of its own person, or was deleted where none is left to them."""

    original: AssignmentRow
    parts: list[AssignmentRow]
    warnings: list[Problem]


async def split(tx: Transaction, wanted: Split) -> Divided:
    row, _, project = await for_change(tx, wanted.id, wanted.expected_version)
    if refused := project_problem(project, "id"):
        raise Refused([refused])
    original = Part(row.user_id, row.rate, row.start_date, row.end_date)
    parts = _parts(original, wanted)
    await _check_people(tx, parts)
    before = facts(row)
    rows = [_row(row, part) for part in parts]
    kept = next((n for n, part in enumerate(parts) if part.user_id == row.user_id), None)
    if kept is None:
        row.deleted_at = datetime.now(UTC)
    else:
        part, rows[kept] = parts[kept], row
        row.rate, row.start_date, row.end_date = round(part.rate, 2), part.start, part.end
    row.version += 1
    tx.session.add_all(rows)
    await tx.session.flush()
    await tx.audit(
        "assignment.split",
        "assignment",
        row.id,
        before=before,
        after=facts(row),
        parts=[{"id": part.id, **facts(part)} for part in rows],
    )
    people = sorted({original.user_id, *(part.user_id for part in parts)})
    return Divided(row, rows, await follow(tx, people, original.start, original.end))


def _parts(original: Part, wanted: Split) -> list[Part]:
    if (wanted.at is None) == (wanted.parts is None):
        message = "Give either the day to split at or the parts."
        raise invalid([FieldError(("at",), "AT_OR_PARTS", message)])
    if wanted.at is not None:
        try:
            return list(split_at(original, wanted.at))
        except ValueError as error:
            raise invalid([FieldError(("at",), "OUTSIDE_ASSIGNMENT", f"{error}.")]) from error
    parts = list(wanted.parts or ())
    if len(parts) > MAX_PARTS:
        raise invalid([FieldError(("parts",), "TOO_MANY_PARTS", f"Split into at most {MAX_PARTS} parts at a time.")])
    if violations := split_violations(original, parts):
        raise invalid([_at_its_place(violation) for violation in violations])
    return parts


def _at_its_place(violation: Violation) -> FieldError:
    place = () if violation.index is None else ("parts", str(violation.index))
    name = _NAMES.get(violation.field or "", violation.field or "parts")
    return FieldError((*place, name), violation.code.value, violation.message)


async def _check_people(tx: Transaction, parts: Sequence[Part]) -> None:
    found = {row.id: row for row in await users.by_ids(tx.session, sorted({part.user_id for part in parts}))}
    refusals = [
        unreachable(tx, Permission.ASSIGNMENTS_WRITE, found.get(part.user_id), "parts", n, "userId")
        for n, part in enumerate(parts)
    ]
    if problems := [each for each in refusals if each is not None]:
        raise Refused(problems)


def _row(original: AssignmentRow, part: Part) -> AssignmentRow:
    return AssignmentRow(
        user_id=part.user_id,
        project_id=original.project_id,
        rate=round(part.rate, 2),
        start_date=part.start,
        end_date=part.end,
        note=original.note,
    )
