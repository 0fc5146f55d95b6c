"""Fills the seeded plan up to three cells a month, as a busy company has them; the demo's people have fewer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from uuid import UUID

import asyncpg  # type: ignore[import-untyped]

from server.ids import cell_id

CELLS_A_MONTH = 3
PEOPLE_AT_ONCE = 1000
COLUMNS = ("id", "user_id", "project_id", "month", "stated", "source", "version")
DAYS = (Decimal("1.00"), Decimal("2.50"), Decimal("0.50"))

_PEOPLE = "SELECT id FROM users WHERE NOT is_service ORDER BY id"
_PROJECTS = "SELECT id FROM projects WHERE status = 'ACTIVE' AND archived_at IS NULL AND deleted_at IS NULL ORDER BY id"
_MONTHS = "SELECT user_id, month FROM capacities WHERE user_id = ANY($1) ORDER BY user_id, month"
_HELD = "SELECT user_id, month, project_id FROM forecasts WHERE user_id = ANY($1)"

Row = tuple[UUID, UUID, UUID, date, Decimal, str, int]


async def fill_up(connection: asyncpg.Connection) -> None:
    """Every month that a person has a capacity for gets stated days until it has three cells; the same each time."""
    people = [row[0] for row in await connection.fetch(_PEOPLE)]
    projects = [row[0] for row in await connection.fetch(_PROJECTS)]
    for start in range(0, len(people), PEOPLE_AT_ONCE):
        chunk = people[start : start + PEOPLE_AT_ONCE]
        held: dict[tuple[UUID, date], set[UUID]] = defaultdict(set)
        for user_id, month, project_id in await connection.fetch(_HELD, chunk):
            held[user_id, month].add(project_id)
        months = [(row[0], row[1]) for row in await connection.fetch(_MONTHS, chunk)]
        rows = [row for number, key in enumerate(months) for row in _missing(key, held[key], projects, number)]
        await connection.copy_records_to_table("forecasts", records=rows, columns=COLUMNS)


def _missing(key: tuple[UUID, date], held: set[UUID], projects: list[UUID], number: int) -> Iterator[Row]:
    """A person keeps a project for about a year, as the next numbers are the same person's next months."""
    user_id, month = key
    free = (projects[(number // 12 * 7 + step) % len(projects)] for step in range(len(projects)))
    wanted = max(CELLS_A_MONTH - len(held), 0)
    for place, project_id in zip(range(wanted), (each for each in free if each not in held), strict=False):
        yield cell_id(user_id, project_id, month), user_id, project_id, month, DAYS[place], "MANUAL", 1
