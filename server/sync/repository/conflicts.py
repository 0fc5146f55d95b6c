"""Sentences about values that a person typed and a provider gives otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from server.columns import is_any
from server.sync.models import ConflictResource, ConflictState, Provider, SyncConflictRow
from server.sync.repository.people import NEW_ID, columns

_C = SyncConflictRow


@dataclass(frozen=True, slots=True)
class ConflictFilter:
    """All that is given must hold; lists mean any of."""

    ids: Sequence[UUID] | None = None
    providers: Sequence[Provider] | None = None
    resources: Sequence[ConflictResource] | None = None
    resource_ids: Sequence[UUID] | None = None
    states: Sequence[ConflictState] | None = None


@dataclass(frozen=True, slots=True)
class Differing:
    resource_id: UUID
    field: str
    local_value: str | None
    external_value: str | None


# What was kept stays kept against the value that it was kept against; another one asks again.
_PUT = text(
    "INSERT INTO sync_conflicts AS c"  # noqa: S608 - own constants only; values are bound  # nosec B608
    " (id, provider, resource, resource_id, field, local_value, external_value, run_id, state)"
    f" SELECT {NEW_ID}, :provider, :resource, resource_id, field, local_value, external_value, :run_id, 'OPEN'"
    " FROM unnest(CAST(:resource_id AS uuid[]), CAST(:field AS text[]), CAST(:local_value AS text[]),"
    " CAST(:external_value AS text[])) AS new (resource_id, field, local_value, external_value)"
    " ORDER BY resource_id, field ON CONFLICT (provider, resource, resource_id, field) DO UPDATE SET"
    " local_value = excluded.local_value, external_value = excluded.external_value, run_id = excluded.run_id,"
    " state = 'OPEN', resolved_by_id = NULL, resolved_at = NULL, updated_at = now()"
    " WHERE (c.state <> 'KEPT' OR c.external_value IS DISTINCT FROM excluded.external_value)"
    " AND (c.state, c.local_value, c.external_value) IS DISTINCT FROM"
    " ('OPEN', excluded.local_value, excluded.external_value)"
)
# The resources that this run compared, under `id`.
_READ = {
    ConflictResource.USER: "SELECT m.user_id AS id FROM user_mappings m JOIN sync_staging s"
    " ON s.external_id = m.payfit_employee_id AND s.run_id = :run_id AND s.kind = 'PERSON'",
    ConflictResource.PROJECT: "SELECT e.project_id AS id FROM external_projects e JOIN sync_staging s"
    " ON s.external_id = e.external_id AND s.run_id = :run_id AND s.kind = 'PROJECT' WHERE e.provider = :provider",
}
_SETTLE = {
    resource: text(
        "UPDATE sync_conflicts c SET state = 'SETTLED', resolved_at = now(), updated_at = now()"  # noqa: S608 - own constants only; values are bound  # nosec B608
        f" WHERE c.provider = :provider AND c.resource = :resource AND c.state = 'OPEN' AND c.resource_id IN ({read})"
        " AND NOT EXISTS (SELECT FROM unnest(CAST(:resource_id AS uuid[]), CAST(:field AS text[]))"
        " AS now (resource_id, field) WHERE now.resource_id = c.resource_id AND now.field = c.field)"
    )
    for resource, read in _READ.items()
}


async def put(
    session: AsyncSession,
    provider: Provider,
    resource: ConflictResource,
    run_id: UUID,
    differing: Sequence[Differing],
) -> None:
    """These are all that differ now; open conflicts about anything else that this run compared are settled."""
    named = {"provider": provider.value, "resource": resource.value, "run_id": run_id}
    values = columns(differing) or {"resource_id": [], "field": [], "local_value": [], "external_value": []}
    if differing:
        await session.execute(_PUT, {**named, **values})
    pairs = {name: values[name] for name in ("resource_id", "field")}
    await session.execute(_SETTLE[resource], {**named, **pairs})


async def locked(session: AsyncSession, conflict_id: UUID) -> SyncConflictRow | None:
    return (await session.scalars(select(_C).where(_C.id == conflict_id).with_for_update())).one_or_none()


async def page(session: AsyncSession, wanted: ConflictFilter, offset: int, limit: int) -> Sequence[SyncConflictRow]:
    """The newest first."""
    statement = select(_C).where(*_conditions(wanted)).order_by(_C.id.desc()).offset(offset).limit(limit)
    return (await session.scalars(statement)).all()


async def count(session: AsyncSession, wanted: ConflictFilter) -> int:
    return int((await session.scalars(select(func.count()).select_from(_C).where(*_conditions(wanted)))).one())


def _conditions(wanted: ConflictFilter) -> list[Any]:
    lists = (
        (_C.id, wanted.ids),
        (_C.provider, wanted.providers),
        (_C.resource, wanted.resources),
        (_C.resource_id, wanted.resource_ids),
        (_C.state, wanted.states),
    )
    return [is_any(column, values) for column, values in lists if values is not None]
