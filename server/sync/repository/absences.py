"""Sentences about PayFit's staged absences and those kept here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from server.sync.repository.people import NEW_ID

# An absence names a contract: this run's list tells whose it is, or the contracts kept here for one that is no longer
# listed.
_OWNED = (
    "SELECT s.external_id, s.data->>'contract' AS contract, coalesce(m.user_id, c.user_id) AS user_id,"
    " s.data->>'status' AS status, s.data->>'type' AS type, CAST(s.data->>'start' AS date) AS start_date,"
    " s.data->>'start_half' AS start_half, CAST(s.data->>'end' AS date) AS end_date, s.data->>'end_half' AS end_half"
    " FROM sync_staging s LEFT JOIN sync_staging sc"
    " ON sc.run_id = s.run_id AND sc.kind = 'CONTRACT' AND sc.external_id = s.data->>'contract'"
    " LEFT JOIN user_mappings m ON m.payfit_employee_id = sc.data->>'person'"
    " LEFT JOIN contracts c ON c.source = 'PAYFIT' AND c.external_id = s.data->>'contract'"
    " WHERE s.run_id = :run_id AND s.kind = 'ABSENCE' AND s.data->>'status' IS NOT NULL"
)
_FACTS = "user_id, start_date, start_half, end_date, end_half, type, status"
_OLD_FACTS = ", ".join(f"a.{name}" for name in _FACTS.split(", "))
_NEW_FACTS = ", ".join(f"excluded.{name}" for name in _FACTS.split(", "))

_UNOWNED = text(
    f"SELECT contract, count(*) AS records FROM ({_OWNED}) AS o WHERE user_id IS NULL GROUP BY 1 ORDER BY 1"  # noqa: S608 - own constants only; values are bound  # nosec B608
)
# Typed here before PayFit was connected, and the same: it is PayFit's from now on, instead of standing there twice.
_ADOPT = text(
    "UPDATE absences a SET source = 'PAYFIT', external_id = chosen.external_id, version = a.version + 1,"  # noqa: S608 - own constants only; values are bound  # nosec B608
    " updated_at = now() FROM (SELECT DISTINCT ON (typed.id) typed.id, o.external_id FROM"
    f" (SELECT DISTINCT ON (user_id, start_date, start_half, end_date, end_half, type) * FROM ({_OWNED}) AS every"
    "  ORDER BY user_id, start_date, start_half, end_date, end_half, type, external_id) AS o JOIN LATERAL"
    "  (SELECT id FROM absences t WHERE t.source = 'MANUAL' AND (t.user_id, t.start_date, t.start_half, t.end_date,"
    "  t.end_half, t.type) = (o.user_id, o.start_date, o.start_half, o.end_date, o.end_half, o.type) ORDER BY id"
    "  LIMIT 1) AS typed ON true WHERE NOT EXISTS (SELECT FROM absences p WHERE p.source = 'PAYFIT'"
    "  AND p.external_id = o.external_id) ORDER BY typed.id, o.external_id) AS chosen WHERE a.id = chosen.id"
    " RETURNING a.id"
)
# `old` reads what was there before, since all parts of a statement see the same snapshot.
_PUT = text(
    f"WITH o AS ({_OWNED}), old AS (SELECT a.user_id, a.start_date, a.end_date FROM absences a JOIN o"  # noqa: S608 - own constants only; values are bound  # nosec B608
    "  ON a.source = 'PAYFIT' AND a.external_id = o.external_id WHERE o.user_id IS NOT NULL AND"
    f"  ({_OLD_FACTS}) IS DISTINCT FROM ({', '.join('o.' + name for name in _FACTS.split(', '))})),"
    f" put AS (INSERT INTO absences AS a (id, source, external_id, {_FACTS})"
    f"  SELECT {NEW_ID}, 'PAYFIT', external_id, {_FACTS} FROM o WHERE user_id IS NOT NULL ORDER BY external_id"
    "  ON CONFLICT (source, external_id) DO UPDATE SET user_id = excluded.user_id, start_date = excluded.start_date,"
    "  start_half = excluded.start_half, end_date = excluded.end_date, end_half = excluded.end_half,"
    "  type = excluded.type, status = excluded.status, version = a.version + 1, updated_at = now()"
    f"  WHERE ({_OLD_FACTS}) IS DISTINCT FROM ({_NEW_FACTS})"
    "  RETURNING a.user_id, a.start_date, a.end_date, xmax = 0 AS created)"
    " SELECT user_id, min(start_date) AS first, max(end_date) AS last, count(*) FILTER (WHERE created) AS created,"
    " count(*) FILTER (WHERE NOT created) AS updated FROM (SELECT * FROM put"
    " UNION ALL SELECT user_id, start_date, end_date, NULL FROM old) AS touched GROUP BY user_id ORDER BY user_id"
)
# Declined or cancelled since; and, where the window was read whole, no longer there.
_REMOVE = text(
    "DELETE FROM absences a WHERE a.source = 'PAYFIT' AND (EXISTS (SELECT FROM sync_staging s WHERE s.run_id = :run_id"
    "  AND s.kind = 'ABSENCE' AND s.external_id = a.external_id AND s.data->>'status' IS NULL)"
    " OR (:whole AND a.start_date <= :last AND a.end_date >= :first"
    "  AND NOT EXISTS (SELECT FROM sync_staging s WHERE s.run_id = :run_id AND s.kind = 'ABSENCE'"
    "   AND s.external_id = a.external_id) AND NOT EXISTS (SELECT FROM sync_refusals f WHERE f.run_id = :run_id"
    "   AND f.kind = 'ABSENCE' AND f.external_id = a.external_id)))"
    " RETURNING a.user_id, a.start_date AS first, a.end_date AS last"
)


async def unowned(session: AsyncSession, run_id: UUID) -> Sequence[Any]:
    """(contract, records): the contracts whose absences belong to nobody here."""
    return (await session.execute(_UNOWNED, {"run_id": run_id})).all()


async def adopt(session: AsyncSession, run_id: UUID) -> int:
    return len((await session.execute(_ADOPT, {"run_id": run_id})).all())


async def put(session: AsyncSession, run_id: UUID) -> Sequence[Any]:
    """(user_id, first, last, created, updated): whose absences changed, and in which days."""
    return (await session.execute(_PUT, {"run_id": run_id})).all()


async def remove(session: AsyncSession, run_id: UUID, first: date, last: date, *, whole: bool) -> Sequence[Any]:
    values = {"run_id": run_id, "first": first, "last": last, "whole": whole}
    return (await session.execute(_REMOVE, values)).all()
