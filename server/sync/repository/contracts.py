"""Sentences about PayFit's staged contracts and the dated contracts kept here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from server.columns import is_any
from server.planning.models import ContractRow, RecordSource
from server.sync.domain.contracts import Change, Held

_UNMAPPED = text(
    "SELECT s.data->>'person' AS person, count(*) AS records FROM sync_staging s WHERE s.run_id = :run_id"
    " AND s.kind = 'CONTRACT' AND NOT EXISTS"
    " (SELECT FROM user_mappings m WHERE m.payfit_employee_id = s.data->>'person') GROUP BY 1 ORDER BY 1"
)
# A contract of somebody who was mapped to another user since: its past belonged to the wrong person too.
_MISPLACED = text(
    "DELETE FROM contracts c USING sync_staging s, user_mappings m WHERE s.run_id = :run_id AND s.kind = 'CONTRACT'"
    " AND m.payfit_employee_id = s.data->>'person' AND c.source = 'PAYFIT' AND c.user_id <> m.user_id"
    " AND (c.external_id = s.external_id OR starts_with(c.external_id, s.external_id || '@'))"
    " RETURNING c.user_id, c.start_date"
)
_CHANGED = text(
    "SELECT s.external_id, m.user_id, CAST(s.data->>'start' AS date) AS start, CAST(s.data->>'end' AS date) AS end_,"
    " CAST(s.data->>'fte' AS numeric) AS fte FROM sync_staging s"
    " JOIN user_mappings m ON m.payfit_employee_id = s.data->>'person'"
    " LEFT JOIN contracts c ON c.source = 'PAYFIT' AND c.external_id = s.external_id"
    " WHERE s.run_id = :run_id AND s.kind = 'CONTRACT' AND (c.id IS NULL OR c.fte <> CAST(s.data->>'fte' AS numeric)"
    " OR c.start_date <> CAST(s.data->>'start' AS date) OR c.end_date IS DISTINCT FROM CAST(s.data->>'end' AS date))"
    " ORDER BY m.user_id, start, s.external_id"
)


async def unmapped(session: AsyncSession, run_id: UUID) -> Sequence[Any]:
    """(person, records): the people whose contracts belong to nobody here."""
    return (await session.execute(_UNMAPPED, {"run_id": run_id})).all()


async def remove_misplaced(session: AsyncSession, run_id: UUID) -> Sequence[Any]:
    return (await session.execute(_MISPLACED, {"run_id": run_id})).all()


async def changed(session: AsyncSession, run_id: UUID) -> Sequence[Any]:
    """(external_id, user_id, start, end_, fte) of the contracts that are not as they are kept here."""
    return (await session.execute(_CHANGED, {"run_id": run_id})).all()


async def held(session: AsyncSession, user_ids: Sequence[UUID]) -> dict[UUID, list[Held]]:
    row = ContractRow
    statement = select(row.id, row.user_id, row.start_date, row.end_date, row.fte, row.external_id, row.source)
    found: dict[UUID, list[Held]] = {user_id: [] for user_id in user_ids}
    statement = statement.where(is_any(row.user_id, user_ids)).order_by(row.user_id, row.start_date)
    for one in await session.execute(statement):
        typed = one.source is RecordSource.MANUAL
        found[one.user_id].append(Held(one.id, one.start_date, one.end_date, one.fte, one.external_id, typed))
    return found


# The weekday pattern, which PayFit does not tell, stays as long as it adds up to the rate.
_UPDATE = text(
    "UPDATE contracts SET start_date = :start, end_date = :end, external_id = :external_id, source = 'PAYFIT',"
    " weekday_pattern = CASE WHEN fte = :fte THEN weekday_pattern END, fte = :fte, version = version + 1,"
    " updated_at = now() WHERE id = :id"
)


async def write(session: AsyncSession, changes: Sequence[tuple[UUID, Change]]) -> None:
    """In the order in which they were decided, so that contracts which make room do so first; additions come last."""
    updates = [
        {
            "id": change.before.id,
            "start": change.after.start,
            "end": change.after.end,
            "external_id": change.after.external_id,
            "fte": change.after.fte,
        }
        for _, change in changes
        if change.before is not None
    ]
    if updates:
        await session.execute(_UPDATE, updates)
    session.add_all(
        ContractRow(
            user_id=user_id,
            start_date=change.after.start,
            end_date=change.after.end,
            fte=change.after.fte,
            source=RecordSource.PAYFIT,
            external_id=change.after.external_id,
        )
        for user_id, change in changes
        if change.before is None
    )
    await session.flush()


_RETURNED = text(
    "UPDATE users u SET status = 'ACTIVE', is_active = true, version = version + 1, updated_at = now()"
    " WHERE u.id = ANY(CAST(:user_ids AS uuid[])) AND u.status = 'LEFT' AND EXISTS (SELECT FROM contracts c"
    " WHERE c.user_id = u.id AND (c.end_date IS NULL OR c.end_date >= :today)) RETURNING u.id"
)


async def bring_back(session: AsyncSession, user_ids: Sequence[UUID], today: date) -> Sequence[UUID]:
    """Who had left and has a contract again."""
    return (await session.scalars(_RETURNED, {"user_ids": list(user_ids), "today": today})).all()
