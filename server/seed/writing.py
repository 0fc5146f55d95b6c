"""Writes a demo company into an empty database: by COPY, in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from server.access.service import passwords
from server.database import create_engine
from server.planning.domain.months import add_months
from server.planning.models import NON_REDUCING
from server.seed.company import CompanySettings, build
from server.seed.demo import DEMO_ACCOUNTS, Demo, SeedRefused
from server.seed.people import person_id
from server.seed.rows import COLUMNS, USERS_PER_CHUNK, Rows, people_rows, shared_rows
from server.settings import Settings

Progress = Callable[[float], None]

_ANY_USER = "SELECT EXISTS (SELECT FROM users)"
_ANY_TABLE = "SELECT to_regclass('users') IS NOT NULL"


async def is_empty(settings: Settings) -> bool:
    """Whether nobody is in the database yet, so that a company may be written into it."""
    engine = create_engine(settings)
    try:
        async with engine.connect() as connection:
            return not await _has_users(await _driver(connection))
    finally:
        await engine.dispose()


async def write(settings: Settings, demo: Demo, progress: Progress | None = None) -> dict[str, int]:
    """Writes the company, and answers how many rows of each table. Raises SeedRefused, and leaves nothing then."""
    if demo.accounts and settings.is_production:
        raise SeedRefused("Demo sign-ins have a published password: they are never created in production.")
    if demo.accounts and demo.users < len(DEMO_ACCOUNTS):
        raise SeedRefused(f"The demo sign-ins are {len(DEMO_ACCOUNTS)} of the people: ask for at least as many users.")
    password_hash = await passwords.hashed(settings.demo_password.get_secret_value()) if demo.accounts else None
    engine = create_engine(settings)
    try:
        async with engine.connect() as connection:
            driver = await _driver(connection)
            async with driver.transaction():
                await _claim(driver)
                return await _write(driver, demo, password_hash, progress or (lambda _share: None))
    finally:
        await engine.dispose()


async def _driver(connection: Any) -> Any:
    """asyncpg's own connection: SQLAlchemy does not know COPY."""
    return (await connection.get_raw_connection()).driver_connection


async def _has_users(driver: Any) -> bool:
    if not await driver.fetchval(_ANY_TABLE):
        raise SeedRefused("The database has no tables yet: run `plancharge migrate` first.")
    return bool(await driver.fetchval(_ANY_USER))


async def _claim(driver: Any) -> None:
    """Makes sure that nobody else writes people while this transaction lasts, and that there are none yet."""
    # COPY of a large company takes longer than any statement of the API may.
    await driver.execute("SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")
    # Keeps a second seed waiting until this one has committed; it then finds people, and refuses.
    if await driver.fetchval(_ANY_TABLE):
        await driver.execute("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE")
    if await _has_users(driver):
        raise SeedRefused(
            "The database already has users, and a demo company is only written into an empty one: "
            "name a fresh database in DATABASE_URL."
        )


async def _write(driver: Any, demo: Demo, password_hash: str | None, progress: Progress) -> dict[str, int]:
    company = build(demo, await _settings(driver, demo))
    counts = dict.fromkeys(COLUMNS, 0)
    await _copy(driver, shared_rows(company), counts)
    chunks = people_rows(company)
    # The next chunk is made in a thread while PostgreSQL takes in this one: two processes, two cores.
    upcoming = asyncio.create_task(asyncio.to_thread(_next, chunks))
    written = 0
    try:
        while (rows := await upcoming) is not None:
            upcoming = asyncio.create_task(asyncio.to_thread(_next, chunks))
            await _copy(driver, rows, counts)
            written += USERS_PER_CHUNK
            progress(min(written / demo.users, 1.0))
    finally:
        await asyncio.wait([upcoming])
    if password_hash is not None:
        counts["user_roles"] = await _open_accounts(driver, password_hash, company.moment)
    for table in counts:
        await driver.execute(f"ANALYZE {table}")  # the first queries need to know how large the tables have become
    return counts


def _next(chunks: Iterator[Rows]) -> Rows | None:
    return next(chunks, None)


async def _settings(driver: Any, demo: Demo) -> CompanySettings:
    """Plans the seeded months, and reads the rules that the figures follow."""
    row = await driver.fetchrow(
        "INSERT INTO company_settings (id, horizon_start, horizon_end, non_reducing_absence_types, updated_at)"
        " VALUES (1, $1, $2, $3, $4)"
        " ON CONFLICT (id) DO UPDATE SET horizon_start = excluded.horizon_start, horizon_end = excluded.horizon_end,"
        " updated_at = excluded.updated_at"
        " RETURNING *",
        demo.first_month,
        add_months(demo.first_month, demo.months - 1),
        list(NON_REDUCING),
        demo.moment,
    )
    leave_types = row["predictable_leave_types"]
    return CompanySettings(
        country=row["country"],
        subdivision=row["subdivision"],
        seconds_per_day=row["seconds_per_day"],
        non_reducing=frozenset(row["non_reducing_absence_types"]),
        leave_types=None if leave_types is None else frozenset(leave_types),
    )


async def _copy(driver: Any, rows: Rows, counts: dict[str, int]) -> None:
    for table, columns in COLUMNS.items():
        if records := rows.get(table):
            await driver.copy_records_to_table(table, records=records, columns=columns)
            counts[table] += len(records)


async def _open_accounts(driver: Any, password_hash: str, moment: datetime) -> int:
    """Gives the first people the role that their address names, and the password."""
    found = await driver.fetch("SELECT id, name FROM roles WHERE shipped AND name = ANY($1)", list(DEMO_ACCOUNTS))
    roles = {row["name"]: row["id"] for row in found}
    missing = [name for name in DEMO_ACCOUNTS if name not in roles]
    if missing:
        raise SeedRefused(f"The roles {', '.join(missing)} are missing: run `plancharge migrate` first.")
    people = [person_id(index) for index in range(len(DEMO_ACCOUNTS))]
    await driver.execute("UPDATE users SET password_hash = $1 WHERE id = ANY($2)", password_hash, people)
    grants = [(person, roles[name], moment) for person, name in zip(people, DEMO_ACCOUNTS, strict=True)]
    await driver.copy_records_to_table("user_roles", records=grants, columns=("user_id", "role_id", "created_at"))
    return len(grants)
