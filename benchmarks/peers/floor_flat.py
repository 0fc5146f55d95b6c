"""The floor of flat reads: the dataloaders' SELECTs by asyncpg, put together as dictionaries, written by orjson."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from typing import Any
from uuid import UUID

import asyncpg  # type: ignore[import-untyped]
import orjson

from benchmarks.peers.floor_app import Floor

HAS_VALUE = "(stated IS NOT NULL OR expected <> 0 OR actual IS NOT NULL)"
# PostgreSQL writes ids and numbers as text: decoding them only to print them again would be no floor.
USER = 'id::text AS id, email, first_name AS "firstName", last_name AS "lastName"'
USERS = f"SELECT {USER} FROM users WHERE id = ANY($1::uuid[])"
ASSIGNMENT_USERS = (
    'SELECT id::text AS id, first_name AS "firstName", last_name AS "lastName" FROM users WHERE id = ANY($1::uuid[])'
)
PROJECT_PAGE = (
    'SELECT id::text AS id, code, name, status, start_date::text AS "startDate", end_date::text AS "endDate"'
    " FROM projects WHERE deleted_at IS NULL ORDER BY lower(code), projects.id OFFSET $1 LIMIT $2"
)
ASSIGNMENTS = (
    'SELECT id::text AS id, rate::text AS rate, start_date::text AS "startDate", end_date::text AS "endDate",'
    " user_id::text AS user_id, project_id::text AS project_id FROM assignments"
    " WHERE project_id = ANY($1::uuid[]) AND deleted_at IS NULL ORDER BY assignments.start_date, assignments.id"
)
PEOPLE = (
    f"SELECT {USER} FROM users WHERE NOT is_service AND (is_active OR (status = 'LEFT' AND EXISTS (SELECT"
    " FROM contracts AS c WHERE c.user_id = users.id AND c.start_date < $2::date + interval '1 month'"
    " AND (c.end_date IS NULL OR c.end_date >= $1::date))) OR (status = 'DEACTIVATED' AND EXISTS (SELECT"
    " FROM forecasts AS f WHERE f.user_id = users.id AND f.month BETWEEN $1::date AND $2::date"
    " AND COALESCE(f.stated, f.expected) <> 0)))"
    " ORDER BY lower(last_name), lower(first_name), users.id OFFSET $3 LIMIT $4"
)
CAPACITIES = (
    "SELECT user_id::text, to_char(month, 'YYYY-MM') AS month, COALESCE(override, computed)::text AS capacity"
    " FROM capacities WHERE user_id = ANY($1::uuid[]) AND month BETWEEN $2 AND $3"
)
CELLS = (
    "SELECT user_id::text, to_char(month, 'YYYY-MM') AS month, id::text, project_id::text,"
    " COALESCE(stated, expected)::text, (COALESCE(stated, expected) * 100)::int FROM forecasts"
    f" WHERE user_id = ANY($1::uuid[]) AND forecasts.month BETWEEN $2 AND $3 AND {HAS_VALUE}"
    " ORDER BY forecasts.user_id, forecasts.month, forecasts.project_id"
)
PROJECTS = "SELECT id::text AS id, code, name FROM projects WHERE id = ANY($1::uuid[])"


def _wrapped(**data: Any) -> bytes:
    return orjson.dumps({"data": data})


def _by_id(rows: Iterable[asyncpg.Record]) -> dict[str, dict[str, Any]]:
    return {row["id"]: dict(row) for row in rows}


async def me(pool: asyncpg.Pool, user_id: UUID, _variables: dict[str, Any]) -> bytes:
    return _wrapped(me=dict((await pool.fetch(USERS, [user_id]))[0]))


async def projects(pool: asyncpg.Pool, _user_id: UUID, variables: dict[str, Any]) -> bytes:
    page, size = variables["page"], variables["size"]
    async with pool.acquire() as connection:
        items = [dict(row) for row in await connection.fetch(PROJECT_PAGE, (page - 1) * size, size)]
        assignments = await connection.fetch(ASSIGNMENTS, [item["id"] for item in items])
        users = _by_id(await connection.fetch(ASSIGNMENT_USERS, list({row["user_id"] for row in assignments})))
    of_project: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for each, rate, start, end, of_user, project_id in assignments:
        of_project[project_id].append(
            {"id": each, "rate": rate, "startDate": start, "endDate": end, "user": users[of_user]}
        )
    for item in items:
        item["assignments"] = of_project[item["id"]]
    return _wrapped(projects={"items": items})


def months_between(first: str, last: str) -> list[str]:
    start, end = (int(text[:4]) * 12 + int(text[5:]) - 1 for text in (first, last))
    return [f"{number // 12:04}-{number % 12 + 1:02}" for number in range(start, end + 1)]


def first_day(month: str) -> date:
    return date(int(month[:4]), int(month[5:]), 1)


async def planning(pool: asyncpg.Pool, _user_id: UUID, variables: dict[str, Any]) -> bytes:
    page, size = variables["page"], variables["size"]
    first, last = first_day(variables["from"]), first_day(variables["to"])
    async with pool.acquire() as connection:
        people = [dict(row) for row in await connection.fetch(PEOPLE, first, last, (page - 1) * size, size)]
        ids = [user["id"] for user in people]
        capacities = await connection.fetch(CAPACITIES, ids, first, last)
        cells = await connection.fetch(CELLS, ids, first, last)
        projects = _by_id(await connection.fetch(PROJECTS, list({row[3] for row in cells})))
    capacity_of = {(row[0], row[1]): row[2] for row in capacities}
    cells_of: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    cents_of: dict[tuple[str, str], int] = defaultdict(int)
    for user_id, month, cell_id, project_id, days, cents in cells:
        key = (user_id, month)
        cells_of[key].append({"id": cell_id, "days": days, "project": projects[project_id]})
        cents_of[key] += cents
    months = months_between(variables["from"], variables["to"])
    items = []
    for user in people:
        rows = []
        for month in months:
            key = (user["id"], month)
            cents = cents_of[key]
            load = f"{cents // 100}.{cents % 100:02}"
            rows.append(
                {"month": month, "capacity": capacity_of.get(key, "0.00"), "load": load, "cells": cells_of[key]}
            )
        items.append({"user": user, "months": rows})
    return _wrapped(planning={"items": items})


app = Floor({"Me": me, "Projects": projects, "Planning": planning})
