"""Sentences about the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from server.audit.models import AuditLogRow
from server.columns import is_any


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """All that is given must hold; lists mean any of. `from_` is included, `to` is not."""

    actor_ids: Sequence[UUID] | None = None
    actions: Sequence[str] | None = None
    resource_type: str | None = None
    resource_id: UUID | None = None
    cell_id: UUID | None = None
    from_: datetime | None = None
    to: datetime | None = None


async def newest(
    session: AsyncSession, wanted: AuditFilter, *, before: UUID | None, limit: int
) -> Sequence[AuditLogRow]:
    """The newest entries, older than `before` when it is given: ids are v7, so their order is that of time."""
    conditions = _conditions(wanted)
    if before is not None:
        conditions.append(AuditLogRow.id < before)
    statement = select(AuditLogRow).where(*conditions).order_by(AuditLogRow.id.desc()).limit(limit)
    return (await session.scalars(statement)).all()


def _conditions(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.actor_ids is not None:
        conditions.append(is_any(AuditLogRow.actor_id, wanted.actor_ids))
    if wanted.actions is not None:
        conditions.append(is_any(AuditLogRow.action, wanted.actions))
    if wanted.resource_type is not None:
        conditions.append(AuditLogRow.resource_type == wanted.resource_type)
    if wanted.resource_id is not None:
        conditions.append(AuditLogRow.resource_id == wanted.resource_id)
    if wanted.cell_id is not None:
        # Written as the index ix_audit_logs_cells has it, so that one cell's history is found by it.
        cells = AuditLogRow.details.op("->", return_type=JSONB)("cells")
        conditions.append(cells.contains([str(wanted.cell_id)]))
    if wanted.from_ is not None:
        conditions.append(AuditLogRow.at >= wanted.from_)
    if wanted.to is not None:
        conditions.append(AuditLogRow.at < wanted.to)
    return conditions
