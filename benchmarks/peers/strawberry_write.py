"""The bulk write of the Strawberry peer: read what is there, decide in Python, let the ORM write it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from benchmarks.peers import strawberry_types as types
from benchmarks.peers.strawberry_loaders import Session
from benchmarks.peers.strawberry_types import first_day
from server.audit.models import AuditLogRow
from server.ids import cell_id, month_id, new_id
from server.planning.models import CellSource, ClosedMonthRow, CompanySettingsRow, ForecastRow
from server.projects.models import ProjectRow
from server.users.models import UserRow

WRITE_LOCK = 0x706C616E
"""what every write of the plan takes, so that no month is closed under it"""


async def write_cells(actor: UUID, inputs: list[types.CellInput]) -> tuple[types.ForecastsWritePayload, dict[str, Any]]:
    """All cells or none; the answer, and the event to publish."""
    async with Session.begin() as session:
        await session.execute(select(func.pg_advisory_xact_lock_shared(WRITE_LOCK)))
        await _check(session, inputs)
        ids = [cell_id(each.user_id, each.project_id, first_day(each.month)) for each in inputs]
        locked = select(ForecastRow).where(ForecastRow.id.in_(ids)).order_by(ForecastRow.id).with_for_update()
        rows = {row.id: row for row in await session.scalars(locked)}
        before = {str(row.id): str(row.stated) for row in rows.values()}
        results = []
        for index, (key, each) in enumerate(zip(ids, inputs, strict=True)):
            row = rows.get(key)
            if row is None:
                row = ForecastRow(
                    id=key, user_id=each.user_id, project_id=each.project_id, month=first_day(each.month), version=0
                )
                row.expected, row.stated = Decimal("0.00"), None
                session.add(row)
            outcome = "UNCHANGED" if row.stated == each.days else "APPLIED"
            if outcome == "APPLIED":
                row.stated = each.days
                row.stated_source = None if each.days is None else CellSource.MANUAL
                row.version += 1
                row.updated_by_id = actor
                row.updated_at = datetime.now(UTC)
            results.append(types.CellResult(index=index, outcome=outcome, cell=types.Cell.of(row)))
        after = {str(result.cell.id): str(result.cell.days) for result in results if result.cell}
        session.add(
            AuditLogRow(
                id=new_id(),
                actor_id=actor,
                action="cells.written",
                resource_type="cell",
                details={"before": before, "after": after, "cells": [str(each) for each in ids]},
            )
        )
    touched = sorted({(each.month, each.user_id) for each in inputs})
    months = [types.PlanningMonth(month=month, capacity=Decimal(0), user_id=user) for month, user in touched]
    event = {
        "first": touched[0][0],
        "last": touched[-1][0],
        "cell_ids": [str(each) for each in ids],
        "month_ids": [str(month_id(user, first_day(month))) for month, user in touched],
    }
    return types.ForecastsWritePayload(results=results, months=months, problems=[]), event


async def _check(session: Any, inputs: list[types.CellInput]) -> None:
    wanted = {each.user_id for each in inputs}
    people = select(UserRow.id).where(UserRow.id.in_(wanted), UserRow.is_service.is_(False)).with_for_update(read=True)
    if len((await session.scalars(people)).all()) < len(wanted):
        raise ValueError("There is nobody with this id.")
    project_ids = {each.project_id for each in inputs}
    projects = (
        await session.scalars(select(ProjectRow).where(ProjectRow.id.in_(project_ids)).with_for_update(read=True))
    ).all()
    if len(projects) < len(project_ids) or not all(row.takes_load for row in projects):
        raise ValueError("The project takes no load.")
    months = {first_day(each.month) for each in inputs}
    if (await session.scalars(select(ClosedMonthRow.month).where(ClosedMonthRow.month.in_(months)))).all():
        raise ValueError("The month is closed.")
    settings = (await session.scalars(select(CompanySettingsRow))).one()
    if min(months) < settings.horizon_start or max(months) > settings.horizon_end:
        raise ValueError("The plan does not reach that far.")
