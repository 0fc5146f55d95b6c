"""Deleting a project: what becomes of its assignments and of the load on it."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import exists, func, or_, select, update

from server.database import Transaction
from server.errors import Problem, problem
from server.planning.models import AssignmentRow, ForecastRow
from server.planning.repository import months
from server.planning.service.recompute import recompute
from server.projects.models import ProjectRow
from server.projects.service import for_change


async def delete(tx: Transaction, project_id: UUID, expected_version: int | None) -> tuple[ProjectRow, list[Problem]]:
    """Soft-deletes the project and its assignments; one with stated or actual load is archived, and nothing is lost.

    Its assignments end either way, so that nobody is expected on it any more in the open months.
    """
    await months.share_lock(tx.session)  # before the project's own lock: the order that every write keeps
    row = await for_change(tx, project_id, expected_version)
    loaded = exists().where(
        ForecastRow.project_id == project_id, or_(ForecastRow.stated.is_not(None), ForecastRow.actual.is_not(None))
    )
    archive = bool((await tx.session.execute(select(loaded))).scalar_one())
    now = datetime.now(UTC)
    if archive:
        row.archived_at = row.archived_at or now
    else:
        row.deleted_at = now
    row.version += 1
    await tx.session.flush()
    ended = (
        await tx.session.execute(
            update(AssignmentRow)
            .where(AssignmentRow.project_id == project_id, AssignmentRow.deleted_at.is_(None))
            .values(deleted_at=now, updated_at=func.now(), version=AssignmentRow.version + 1)
            .returning(AssignmentRow.id, AssignmentRow.user_id, AssignmentRow.start_date, AssignmentRow.end_date)
        )
    ).all()
    if ended:
        users = {each.user_id for each in ended}
        await recompute(tx, users, min(each.start_date for each in ended), max(each.end_date for each in ended))
    action = "project.archived" if archive else "project.deleted"
    await tx.audit(action, "project", row.id, before={"code": row.code}, assignments=[each.id for each in ended])
    if not archive:
        return row, []
    return row, [
        problem("ARCHIVED", "The project has stated or declared load, so it was archived rather than deleted.", "id")
    ]
