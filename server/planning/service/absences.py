"""What people do to absences. Those of a provider are changed there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from server.actor import Permission
from server.changes import check_version, refuse_violations
from server.database import Transaction
from server.errors import Problem, refuse
from server.planning.models import AbsenceRow, AbsenceStatus, Half, RecordSource
from server.planning.repository import absences as repository
from server.planning.repository import months as closing
from server.planning.service import warnings
from server.planning.service.people import reach
from server.planning.service.recompute import recompute

MAX_DAYS = 1_100
TYPE_LENGTH = 100


@dataclass(frozen=True, slots=True)
class AbsenceDraft:
    user_id: UUID
    start_date: date
    end_date: date
    type: str
    start_half: Half = Half.MORNING
    end_half: Half = Half.AFTERNOON
    status: AbsenceStatus = AbsenceStatus.APPROVED


async def create(tx: Transaction, draft: AbsenceDraft) -> tuple[AbsenceRow, list[Problem]]:
    """May overlap others of the same person: days off count once."""
    refuse_violations(_violations(draft))
    await closing.share_lock(tx.session)
    await reach(tx, Permission.ABSENCES_WRITE, draft.user_id, "userId")
    row = AbsenceRow(
        user_id=draft.user_id,
        start_date=draft.start_date,
        start_half=draft.start_half,
        end_date=draft.end_date,
        end_half=draft.end_half,
        type=draft.type.strip(),
        status=draft.status,
        source=RecordSource.MANUAL,
    )
    tx.session.add(row)
    await tx.session.flush()
    await tx.audit("absence.created", "absence", row.id, after=_facts(row))
    return row, await _follow(tx, row)


async def delete(tx: Transaction, absence_id: UUID, expected_version: int | None) -> tuple[AbsenceRow, list[Problem]]:
    await closing.share_lock(tx.session)
    row = await repository.locked(tx.session, absence_id)
    if row is None:
        raise refuse("UNKNOWN_ID", "There is no absence with this id; it may have been deleted.", "id")
    await reach(tx, Permission.ABSENCES_WRITE, row.user_id, "id")
    if row.source is not RecordSource.MANUAL:
        raise refuse("MANAGED_ELSEWHERE", "This absence comes from PayFit: delete it there.", "id")
    check_version(row, expected_version)
    before = _facts(row)
    await tx.session.delete(row)
    await tx.session.flush()
    await tx.audit("absence.deleted", "absence", row.id, before=before)
    return row, await _follow(tx, row)


async def _follow(tx: Transaction, row: AbsenceRow) -> list[Problem]:
    """The figures that the absence changes, and what to know about them."""
    done = await recompute(tx, [row.user_id], row.start_date, row.end_date)
    notes = await warnings.closed_months(tx, row.start_date, row.end_date, "startDate")
    return notes + await warnings.overallocations(tx, [row.user_id], done.months, "userId")


def _violations(draft: AbsenceDraft) -> list[tuple[str, str, str]]:
    found = []
    if draft.end_date < draft.start_date:
        message = f"The end ({draft.end_date}) lies before the start ({draft.start_date}): swap them."
        found.append(("endDate", "DATES_REVERSED", message))
    elif draft.start_date == draft.end_date and (draft.start_half, draft.end_half) == (Half.AFTERNOON, Half.MORNING):
        found.append(("endHalf", "HALVES_REVERSED", "It ends in the morning before it starts: swap the halves."))
    elif draft.end_date - draft.start_date >= timedelta(days=MAX_DAYS):
        found.append(("endDate", "TOO_LONG", f"An absence takes less than {MAX_DAYS} days: enter it in parts."))
    kind = draft.type.strip()
    if not kind or len(kind) > TYPE_LENGTH or not kind.isprintable():
        found.append(("type", "INVALID_TYPE", f"Name the type in 1 to {TYPE_LENGTH} printable characters."))
    return found


def _facts(row: AbsenceRow) -> dict[str, Any]:
    """Without the type, which may be health data."""
    names = ("user_id", "start_date", "start_half", "end_date", "end_half", "status")
    return {name: getattr(row, name) for name in names}
