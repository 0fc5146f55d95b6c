"""The floor of one statement: PostgreSQL builds the JSON, the application passes its bytes on."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import asyncpg  # type: ignore[import-untyped]

from benchmarks.peers.floor_app import Floor
from benchmarks.peers.floor_flat import first_day

ME = """
SELECT json_build_object('data', json_build_object('me', json_build_object(
    'id', id, 'email', email, 'firstName', first_name, 'lastName', last_name)))::text
FROM users WHERE id = $1
"""

PROJECTS = """
WITH picked AS MATERIALIZED (
    SELECT * FROM projects WHERE deleted_at IS NULL ORDER BY lower(code), id OFFSET $1 LIMIT $2
), given AS (
    SELECT a.project_id, json_agg(json_build_object('id', a.id, 'rate', a.rate::text, 'startDate', a.start_date,
        'endDate', a.end_date, 'user', json_build_object('id', u.id, 'firstName', u.first_name,
        'lastName', u.last_name)) ORDER BY a.start_date, a.id) AS items
    FROM assignments AS a JOIN users AS u ON u.id = a.user_id
    WHERE a.project_id = ANY(ARRAY(SELECT id FROM picked)) AND a.deleted_at IS NULL GROUP BY a.project_id
)
SELECT json_build_object('data', json_build_object('projects', json_build_object('items',
    COALESCE(json_agg(json_build_object('id', p.id, 'code', p.code, 'name', p.name, 'status', p.status,
        'startDate', p.start_date, 'endDate', p.end_date, 'assignments', COALESCE(g.items, '[]'::json))
        ORDER BY lower(p.code), p.id), '[]'::json))))::text
FROM picked AS p LEFT JOIN given AS g ON g.project_id = p.id
"""

PLANNING = """
WITH picked AS MATERIALIZED (
    SELECT id, email, first_name, last_name FROM users AS u
    WHERE NOT is_service AND (is_active OR (status = 'LEFT' AND EXISTS (SELECT FROM contracts AS c
        WHERE c.user_id = u.id AND c.start_date < $2::date + interval '1 month'
            AND (c.end_date IS NULL OR c.end_date >= $1::date)))
        OR (status = 'DEACTIVATED' AND EXISTS (SELECT FROM forecasts AS f WHERE f.user_id = u.id
            AND f.month BETWEEN $1::date AND $2::date AND COALESCE(f.stated, f.expected) <> 0)))
    ORDER BY lower(last_name), lower(first_name), id OFFSET $3 LIMIT $4
), held AS (
    SELECT f.user_id, f.month, sum(COALESCE(f.stated, f.expected)) AS load,
        json_agg(json_build_object('id', f.id, 'days', COALESCE(f.stated, f.expected)::text,
            'project', json_build_object('id', p.id, 'code', p.code, 'name', p.name)) ORDER BY f.project_id) AS cells
    FROM forecasts AS f JOIN projects AS p ON p.id = f.project_id
    WHERE f.user_id = ANY(ARRAY(SELECT id FROM picked)) AND f.month BETWEEN $1 AND $2
        AND (f.stated IS NOT NULL OR f.expected <> 0 OR f.actual IS NOT NULL)
    GROUP BY f.user_id, f.month
), able AS (
    SELECT user_id, month, COALESCE(override, computed) AS days FROM capacities
    WHERE user_id = ANY(ARRAY(SELECT id FROM picked)) AND month BETWEEN $1 AND $2
), months AS (
    SELECT u.id AS user_id, json_agg(json_build_object('month', to_char(m, 'YYYY-MM'),
        'capacity', COALESCE(a.days, 0.00)::text, 'load', COALESCE(h.load, 0.00)::text,
        'cells', COALESCE(h.cells, '[]'::json)) ORDER BY m) AS items
    FROM picked AS u CROSS JOIN generate_series($1::timestamp, $2::timestamp, interval '1 month') AS m
    LEFT JOIN able AS a ON a.user_id = u.id AND a.month = m::date
    LEFT JOIN held AS h ON h.user_id = u.id AND h.month = m::date
    GROUP BY u.id
)
SELECT json_build_object('data', json_build_object('planning', json_build_object('items',
    COALESCE(json_agg(json_build_object('user', json_build_object('id', u.id, 'email', u.email,
        'firstName', u.first_name, 'lastName', u.last_name), 'months', m.items)
        ORDER BY lower(u.last_name), lower(u.first_name), u.id), '[]'::json))))::text
FROM picked AS u JOIN months AS m ON m.user_id = u.id
"""


async def _bytes(pool: asyncpg.Pool, statement: str, *values: Any) -> bytes:
    text: str = await pool.fetchval(statement, *values)
    return text.encode()


async def me(pool: asyncpg.Pool, user_id: UUID, _variables: dict[str, Any]) -> bytes:
    return await _bytes(pool, ME, user_id)


async def projects(pool: asyncpg.Pool, _user_id: UUID, variables: dict[str, Any]) -> bytes:
    page, size = variables["page"], variables["size"]
    return await _bytes(pool, PROJECTS, (page - 1) * size, size)


async def planning(pool: asyncpg.Pool, _user_id: UUID, variables: dict[str, Any]) -> bytes:
    page, size = variables["page"], variables["size"]
    first, last = first_day(variables["from"]), first_day(variables["to"])
    return await _bytes(pool, PLANNING, first, last, (page - 1) * size, size)


app = Floor({"Me": me, "Projects": projects, "Planning": planning})
