"""What people do to assignments. Splitting one is in splitting.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from server.actor import Permission
from server.changes import apply, check_version, refuse_violations
from server.database import Transaction
from server.errors import Problem, Refused, problem, refuse
from server.planning.domain.numbers import MAX_RATE, fits_cents
from server.planning.models import AssignmentRow
from server.planning.repository import assignments as repository
from server.planning.repository import months as closing
from server.planning.service import warnings
from server.planning.service.people import full_name, reach, unreachable
from server.planning.service.recompute import recompute
from server.projects.models import ProjectRow
from server.search import storable
from server.users import repository as users
from server.users.models import UserRow

MAX_DAYS = 3_700
NOTE_LENGTH = 2_000

FACTS = ("user_id", "project_id", "rate", "start_date", "end_date", "note", "deleted_at")


@dataclass(frozen=True, slots=True)
class AssignmentDraft:
    """`rate` is a percentage of the person's capacity."""

    user_id: UUID
    project_id: UUID
    rate: Decimal
    start_date: date
    end_date: date
    note: str | None = None


@dataclass(frozen=True, slots=True)
class AssignmentChange:
    """`values` holds the columns to set; those left out stay as they are."""

    id: UUID
    values: Mapping[str, Any] = field(default_factory=dict)
    expected_version: int | None = None


async def create(tx: Transaction, draft: AssignmentDraft) -> tuple[AssignmentRow, list[Problem]]:
    row = AssignmentRow(
        user_id=draft.user_id,
        project_id=draft.project_id,
        rate=draft.rate,
        start_date=draft.start_date,
        end_date=draft.end_date,
        note=_text(draft.note),
    )
    refuse_violations(_violations(row.rate, row.start_date, row.end_date, row.note))
    await closing.share_lock(tx.session)
    found = {user.id: user for user in await users.by_ids(tx.session, [draft.user_id])}
    user = found.get(draft.user_id)
    # Both ends are looked at before either is refused, so that a form shows everything at once.
    problems = [
        unreachable(tx, Permission.ASSIGNMENTS_WRITE, user, "userId"),
        project_problem(await repository.hold_project(tx.session, draft.project_id), "projectId"),
    ]
    if refusals := [each for each in problems if each is not None]:
        raise Refused(refusals)
    assert user is not None
    row.rate = round(row.rate, 2)
    tx.session.add(row)
    await tx.session.flush()
    await tx.audit("assignment.created", "assignment", row.id, after=facts(row))
    return row, await _warn_no_contract(tx, user, row) + await follow(tx, [row.user_id], row.start_date, row.end_date)


async def update(tx: Transaction, change: AssignmentChange) -> tuple[AssignmentRow, list[Problem]]:
    values: dict[str, Any] = dict(change.values)
    if "note" in values:
        values["note"] = _text(values["note"])
    row, user, project = await for_change(tx, change.id, change.expected_version)
    wanted = {**facts(row), **values}
    refuse_violations(_violations(wanted["rate"], wanted["start_date"], wanted["end_date"], wanted["note"]))
    more = wanted["rate"] > row.rate or wanted["start_date"] < row.start_date or wanted["end_date"] > row.end_date
    if more and (refused := project_problem(project, "id")):
        raise Refused([refused])
    start, end = min(row.start_date, wanted["start_date"]), max(row.end_date, wanted["end_date"])
    if "rate" in values:
        values["rate"] = round(values["rate"], 2)
    before, after = apply(row, values)
    if not after:
        return row, []
    await tx.session.flush()
    await tx.audit("assignment.updated", "assignment", row.id, before=before, after=after)
    return row, await _warn_no_contract(tx, user, row) + await follow(tx, [row.user_id], start, end)


async def delete(
    tx: Transaction, assignment_id: UUID, expected_version: int | None
) -> tuple[AssignmentRow, list[Problem]]:
    """Keeps the row, with `deleted_at`, for those who read incrementally."""
    row, *_ = await for_change(tx, assignment_id, expected_version)
    row.deleted_at = datetime.now(UTC)
    row.version += 1
    await tx.session.flush()
    await tx.audit("assignment.deleted", "assignment", row.id, before=facts(row))
    await recompute(tx, [row.user_id], row.start_date, row.end_date)
    return row, await warnings.closed_months(tx, row.start_date, row.end_date, "id")


async def for_change(
    tx: Transaction, assignment_id: UUID, expected_version: int | None
) -> tuple[AssignmentRow, UserRow, ProjectRow]:
    """The assignment, locked, with its project and its person, whom the caller may plan."""
    await closing.share_lock(tx.session)
    project = await repository.hold_project_of(tx.session, assignment_id)
    row = await repository.locked(tx.session, assignment_id)
    if row is None or project is None:
        raise refuse("UNKNOWN_ID", "There is no assignment with this id; it may have been deleted.", "id")
    user = await reach(tx, Permission.ASSIGNMENTS_WRITE, row.user_id, "id")
    check_version(row, expected_version)
    return row, user, project


def project_problem(project: ProjectRow | None, *path: str | int) -> Problem | None:
    """Why nobody may be given to the project, if so."""
    if project is None:
        return problem("UNKNOWN_ID", "There is no project with this id; it may have been deleted.", *path)
    if not project.takes_load:
        detail = f"Project {project.code} is done, cancelled or archived: reopen it, or choose another."
        return problem("PROJECT_CLOSED", detail, *path)
    return None


async def follow(tx: Transaction, user_ids: list[UUID], start: date, end: date) -> list[Problem]:
    """The load that assignments between these dates lead to expect, and what to know about it."""
    done = await recompute(tx, user_ids, start, end)
    notes = await warnings.closed_months(tx, start, end, "startDate")
    return notes + await warnings.overallocations(tx, user_ids, done.months, "userId")


async def _warn_no_contract(tx: Transaction, user: UserRow, row: AssignmentRow) -> list[Problem]:
    if await repository.has_contract(tx.session, user.id, row.start_date, row.end_date):
        return []
    detail = (
        f"{full_name(user)} has no contract between {row.start_date} and {row.end_date}, so nothing is expected there."
    )
    return [problem("NO_CONTRACT", detail, "userId")]


def _violations(rate: Decimal, start: date, end: date, note: str | None) -> list[tuple[str, str, str]]:
    found = []
    if not 0 < rate <= MAX_RATE:
        found.append(("rate", "INVALID_RATE", f"{rate} is not a rate: give a percentage above 0 and at most 100."))
    elif not fits_cents(rate):
        found.append(("rate", "TOO_PRECISE", f"{rate} is too precise: give a percentage with two decimals at most."))
    if end < start:
        found.append(("endDate", "DATES_REVERSED", f"The end ({end}) lies before the start ({start}): swap them."))
    elif end - start >= timedelta(days=MAX_DAYS):
        found.append(("endDate", "TOO_LONG", f"An assignment takes less than {MAX_DAYS} days: enter it in parts."))
    if note is not None and len(note) > NOTE_LENGTH:
        found.append(("note", "TOO_LONG", f"A note has at most {NOTE_LENGTH} characters."))
    elif note is not None and not storable(note):
        found.append(("note", "INVALID_NOTE", "Write the note in plain text, without NUL or half characters."))
    return found


def _text(note: str | None) -> str | None:
    return (note.strip() or None) if note else None


def facts(row: AssignmentRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in FACTS}
