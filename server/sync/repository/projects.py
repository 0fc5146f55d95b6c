"""Sentences about Gryzzly's staged projects and tasks, and ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from server.projects.models import ProjectRow
from server.sync.models import ExternalProjectRow, Provider
from server.sync.repository.people import NEW_ID, columns

GRYZZLY = Provider.GRYZZLY


async def ours(session: AsyncSession) -> Sequence[ProjectRow]:
    """Every project, deleted ones too, locked in the order of ids."""
    return (await session.scalars(select(ProjectRow).order_by(ProjectRow.id).with_for_update(key_share=True))).all()


async def linked(session: AsyncSession) -> dict[str, ExternalProjectRow]:
    """external_id -> which of ours it is."""
    rows = await session.scalars(select(ExternalProjectRow).where(ExternalProjectRow.provider == GRYZZLY))
    return {row.external_id: row for row in rows}


@dataclass(frozen=True, slots=True)
class Link:
    external_id: str
    project_id: UUID
    given: str

    @classmethod
    def of(cls, external_id: str, project_id: UUID, given: dict[str, Any]) -> Link:
        return cls(external_id, project_id, orjson.dumps(given).decode())


_LINK = text(
    "INSERT INTO external_projects AS e (id, provider, external_id, project_id, given)"  # noqa: S608 - own constants only; values are bound  # nosec B608
    f" SELECT {NEW_ID}, 'GRYZZLY', external_id, project_id, CAST(given AS jsonb) FROM unnest("
    "CAST(:external_id AS text[]), CAST(:project_id AS uuid[]), CAST(:given AS text[]))"
    " AS new (external_id, project_id, given) ORDER BY external_id ON CONFLICT (provider, external_id) DO UPDATE SET"
    " given = excluded.given, updated_at = now() WHERE e.given IS DISTINCT FROM excluded.given"
)


async def link(session: AsyncSession, links: Sequence[Link]) -> None:
    if links:
        await session.execute(_LINK, columns(links))


# A task of a project that is not linked waits with its declarations.
_TASKS = (
    "SELECT s.external_id, e.project_id, s.data->>'name' AS name, s.data->>'parent' AS parent,"
    " CAST(s.data->>'completed_at' AS timestamptz) AS completed_at FROM sync_staging s"
    " JOIN external_projects e ON e.provider = 'GRYZZLY' AND e.external_id = s.data->>'project'"
    " WHERE s.run_id = :run_id AND s.kind = 'TASK'"
)
_PUT_TASKS = text(
    "WITH put AS (INSERT INTO tasks AS t (id, provider, external_id, project_id, name, completed_at)"  # noqa: S608 - own constants only; values are bound  # nosec B608
    f" SELECT {NEW_ID}, 'GRYZZLY', external_id, project_id, name, completed_at FROM ({_TASKS}) AS s"
    " ORDER BY external_id ON CONFLICT (provider, external_id) DO UPDATE SET project_id = excluded.project_id,"
    " name = excluded.name, completed_at = excluded.completed_at, updated_at = now()"
    " WHERE (t.project_id, t.name, t.completed_at) IS DISTINCT FROM"
    " (excluded.project_id, excluded.name, excluded.completed_at) RETURNING xmax = 0 AS created)"
    " SELECT count(*) FILTER (WHERE created) AS created, count(*) FILTER (WHERE NOT created) AS updated FROM put"
)
_PARENTS = text(
    f"UPDATE tasks t SET parent_id = p.id, updated_at = now() FROM ({_TASKS}) AS s"  # noqa: S608 - own constants only; values are bound  # nosec B608
    " LEFT JOIN tasks p ON p.provider = 'GRYZZLY' AND p.external_id = s.parent"
    " WHERE t.provider = 'GRYZZLY' AND t.external_id = s.external_id AND t.parent_id IS DISTINCT FROM p.id"
)
_TASKS_WAITING = text(
    "SELECT s.data->>'project' AS project, count(*) AS records FROM sync_staging s WHERE s.run_id = :run_id"
    " AND s.kind = 'TASK' AND NOT EXISTS (SELECT FROM external_projects e WHERE e.provider = 'GRYZZLY'"
    " AND e.external_id = s.data->>'project') GROUP BY 1 ORDER BY 1"
)


async def put_tasks(session: AsyncSession, run_id: UUID) -> Any:
    """(created, updated)."""
    counts = (await session.execute(_PUT_TASKS, {"run_id": run_id})).one()
    await session.execute(_PARENTS, {"run_id": run_id})
    return counts


async def tasks_waiting(session: AsyncSession, run_id: UUID) -> Sequence[Any]:
    """(project, records): the projects that are none of ours, and how many tasks wait for them."""
    return (await session.execute(_TASKS_WAITING, {"run_id": run_id})).all()
