"""What people decide about values that they typed and a provider gives otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from server.database import Transaction
from server.errors import refuse
from server.projects import service as projects
from server.projects.models import ProjectStatus
from server.sync.models import ConflictResource, ConflictState, SyncConflictRow
from server.sync.repository import conflicts as repository
from server.sync.repository import runs
from server.users import service as users


class Resolution(StrEnum):
    KEEP = "KEEP"
    TAKE = "TAKE"


@dataclass(frozen=True, slots=True)
class Decision:
    conflict_id: UUID
    resolution: Resolution


async def resolve(tx: Transaction, decision: Decision) -> SyncConflictRow:
    """KEEP holds until the provider gives yet another value; TAKE follows the provider from now on.

    Taking is a change of the user or project, with the rights that it needs.
    """
    row = await repository.locked(tx.session, decision.conflict_id)
    if row is None:
        raise refuse("UNKNOWN_ID", "There is no conflict with this id.", "id")
    if row.state not in (ConflictState.OPEN, ConflictState.KEPT):
        raise refuse("SYNC_ENDED", "This conflict is settled already.", "id", current=row)
    if decision.resolution is Resolution.TAKE:
        await _take(tx, row)
    row.state = ConflictState.TAKEN if decision.resolution is Resolution.TAKE else ConflictState.KEPT
    row.resolved_by_id = tx.actor.user_id
    row.resolved_at = await _now(tx)
    await tx.session.flush()
    await tx.audit(
        "sync_conflict.resolved",
        "sync_conflict",
        row.id,
        resolution=decision.resolution.value,
        resource=row.resource.value,
        about=row.resource_id,
        field=row.field,
    )
    return row


async def _take(tx: Transaction, row: SyncConflictRow) -> None:
    value = row.external_value
    if row.resource is ConflictResource.USER:
        await users.update(tx, users.UserChange(row.resource_id, {row.field: value}))
    elif row.field == "status":
        await projects.update(tx, projects.ProjectChange(row.resource_id, {"status": ProjectStatus(value or "")}))
    else:
        await projects.update(tx, projects.ProjectChange(row.resource_id, {row.field: value}))


async def _now(tx: Transaction) -> datetime:
    return await runs.database_time(tx.session)
