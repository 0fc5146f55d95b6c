"""Sentences about Gryzzly's staged declarations, and the declared time and actual days kept here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from server.sync.repository.people import NEW_ID

# Under the primary key of staging one person's declarations do not lie together: this brings them together once.
_COLLECT = text(
    "CREATE TEMPORARY TABLE sync_declared ON COMMIT DROP AS SELECT s.external_id, m.user_id, t.project_id,"
    " s.data->>'user' AS person, s.data->>'task' AS task, CAST(s.data->>'day' AS date) AS day,"
    " CAST(s.data->>'seconds' AS integer) AS seconds FROM sync_staging s"
    " LEFT JOIN user_mappings m ON m.gryzzly_user_id = s.data->>'user'"
    " LEFT JOIN tasks t ON t.provider = 'GRYZZLY' AND t.external_id = s.data->>'task'"
    " WHERE s.run_id = :run_id AND s.kind = 'DECLARATION'"
)
_INDEX = text("CREATE UNIQUE INDEX ON sync_declared (external_id)")
_BY_USER = text("CREATE INDEX ON sync_declared (user_id)")
_ANALYSE = text("ANALYZE sync_declared")


async def collect(session: AsyncSession, run_id: UUID) -> None:
    await session.execute(_COLLECT, {"run_id": run_id})
    for statement in (_INDEX, _BY_USER, _ANALYSE):
        await session.execute(statement)


_WAITING = {
    "person": text(
        "SELECT person AS id, count(*) AS records FROM sync_declared WHERE user_id IS NULL GROUP BY 1 ORDER BY 1"
    ),
    "task": text(
        "SELECT task AS id, count(*) AS records FROM sync_declared WHERE user_id IS NOT NULL AND project_id IS NULL"
        " GROUP BY 1 ORDER BY 1"
    ),
}


async def waiting(session: AsyncSession, of: str) -> Sequence[Any]:
    """(id, records): the people ("person") or tasks ("task") that are unknown here, and how much waits for them."""
    return (await session.execute(_WAITING[of])).all()


_USERS = text("SELECT DISTINCT user_id FROM sync_declared WHERE user_id IS NOT NULL ORDER BY 1")

# `old`: the days and projects that lose time. A declaration of no time is none.
_PUT = text(
    "WITH new AS (SELECT external_id, user_id, project_id, day, seconds FROM sync_declared"  # noqa: S608 - own constants only; values are bound  # nosec B608
    "  WHERE user_id = ANY(CAST(:users AS uuid[])) AND project_id IS NOT NULL AND seconds > 0),"
    " old AS (SELECT t.user_id, t.project_id, t.day FROM time_entries t JOIN new n ON t.provider = 'GRYZZLY'"
    "  AND t.external_id = n.external_id WHERE (t.user_id, t.project_id, t.day, t.seconds)"
    "  IS DISTINCT FROM (n.user_id, n.project_id, n.day, n.seconds)),"
    " put AS (INSERT INTO time_entries AS t (id, user_id, project_id, day, seconds, provider, external_id, late)"
    f"  SELECT {NEW_ID}, user_id, project_id, day, seconds, 'GRYZZLY', external_id,"
    "  CAST(date_trunc('month', day) AS date) = ANY(CAST(:closed AS date[])) FROM new ORDER BY external_id"
    "  ON CONFLICT (provider, external_id) DO UPDATE SET user_id = excluded.user_id,"
    "  project_id = excluded.project_id, day = excluded.day, seconds = excluded.seconds, late = excluded.late"
    "  WHERE (t.user_id, t.project_id, t.day, t.seconds) IS DISTINCT FROM"
    "  (excluded.user_id, excluded.project_id, excluded.day, excluded.seconds)"
    "  RETURNING t.user_id, t.project_id, t.day, xmax = 0 AS created)"
    " SELECT user_id, project_id, CAST(date_trunc('month', day) AS date) AS month,"
    " count(*) FILTER (WHERE created) AS created, count(*) FILTER (WHERE NOT created) AS updated"
    " FROM (SELECT * FROM put UNION ALL SELECT user_id, project_id, day, NULL FROM old) AS touched GROUP BY 1, 2, 3"
)


async def users(session: AsyncSession) -> Sequence[UUID]:
    return (await session.scalars(_USERS)).all()


async def put(session: AsyncSession, users: Sequence[UUID], closed: Sequence[date]) -> Sequence[Any]:
    """(user_id, project_id, month, created, updated) of the cells whose declared time changed."""
    return (await session.execute(_PUT, {"users": list(users), "closed": list(closed)})).all()


# Those of the people who were read whole: who is refused by Gryzzly keeps what was declared.
_REMOVE = text(
    "DELETE FROM time_entries t USING user_mappings m WHERE m.user_id = t.user_id AND t.provider = 'GRYZZLY'"
    " AND t.day BETWEEN :first AND :last AND EXISTS (SELECT FROM sync_staging s WHERE s.run_id = :run_id"
    "  AND s.kind = 'PERSON' AND s.external_id = m.gryzzly_user_id)"
    " AND NOT EXISTS (SELECT FROM sync_declared d WHERE d.external_id = t.external_id AND d.seconds > 0)"
    " AND NOT EXISTS (SELECT FROM sync_refusals f WHERE f.run_id = :run_id AND f.kind = 'DECLARATION'"
    "  AND f.external_id IN (t.external_id, m.gryzzly_user_id))"
    " RETURNING t.user_id, t.project_id, CAST(date_trunc('month', t.day) AS date) AS month"
)


async def remove(session: AsyncSession, run_id: UUID, first: date, last: date) -> Sequence[Any]:
    """(user_id, project_id, month) of each declaration that is gone, in the window that was read whole."""
    return (await session.execute(_REMOVE, {"run_id": run_id, "first": first, "last": last})).all()


# round() of a numeric rounds half away from zero, which for days is half up, as everywhere.
_STORE = text(
    "INSERT INTO forecasts AS f (id, user_id, project_id, month, actual, late_actual)"
    " SELECT c.id, c.user_id, c.project_id, c.month,"
    "  round(CAST(sum(t.seconds) AS numeric) / :seconds_per_day, 2), c.month = ANY(CAST(:closed AS date[]))"
    " FROM unnest(CAST(:ids AS uuid[]), CAST(:users AS uuid[]), CAST(:projects AS uuid[]), CAST(:months AS date[]))"
    "  AS c (id, user_id, project_id, month) LEFT JOIN time_entries t ON t.user_id = c.user_id"
    "  AND t.project_id = c.project_id AND t.day >= c.month AND t.day < c.month + interval '1 month'"
    " GROUP BY c.id, c.user_id, c.project_id, c.month ORDER BY c.id ON CONFLICT (id) DO UPDATE SET"
    " actual = excluded.actual, late_actual = f.late_actual OR excluded.late_actual, updated_at = now()"
    " WHERE f.actual IS DISTINCT FROM excluded.actual"
)


async def store_actuals(
    session: AsyncSession,
    cells: Sequence[tuple[UUID, UUID, UUID, date]],
    seconds_per_day: int,
    closed: Sequence[date],
) -> None:
    """The declared days of these cells (id, user, project, month) anew; those of closed months are flagged as late."""
    ids, users, projects, months = (list(column) for column in zip(*cells, strict=True))
    values = {"ids": ids, "users": users, "projects": projects, "months": months}
    await session.execute(_STORE, {**values, "seconds_per_day": seconds_per_day, "closed": list(closed)})
