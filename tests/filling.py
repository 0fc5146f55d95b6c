"""A large company in seconds, where the seed takes a minute: 2,000 people with 36 months of three cells.

For tests of plans, which hang on numbers of rows and on how values are spread, not on what the rows say.
"""

from __future__ import annotations

import asyncpg

from server.ids import cell_id, month_id

USERS, PROJECTS, MONTHS, CELLS = 2000, 1600, 36, 3
CHANGED = "now() - random() * interval '700 days'"

# Triggers and foreign keys are passed by: they would take most of the time, and here every row is right.
BEFORE = (
    "SET session_replication_role = replica",
    "UPDATE company_settings SET horizon_start = '2025-01-01', horizon_end = '2027-12-01'",
    "INSERT INTO business_units (id, code, name) SELECT uuidv7(), 'BU' || n, 'Unit ' || n FROM generate_series(1, 8) n",
    f"""INSERT INTO users (id, email, first_name, last_name, status, is_active, business_unit_id, updated_at)
    SELECT uuidv7(), 'person' || n || '@example.test', initcap(substr(md5('f' || n), 1, 6)),
      initcap(substr(md5('l' || n), 1, 9)), coalesce((ARRAY['LEFT', 'DEACTIVATED'])[n % 20 + 1], 'ACTIVE'), n % 20 > 1,
      (SELECT id FROM business_units ORDER BY code OFFSET n % 8 LIMIT 1), {CHANGED}
    FROM generate_series(1, {USERS}) n""",
    f"""INSERT INTO projects (id, code, name, status, business_unit_id, updated_at)
    SELECT uuidv7(), 'P' || n, 'Project ' || n, (ARRAY['PLANNED', 'ACTIVE', 'ACTIVE', 'DONE'])[n % 4 + 1],
      (SELECT id FROM business_units ORDER BY code OFFSET n % 8 LIMIT 1), {CHANGED}
    FROM generate_series(1, {PROJECTS}) n""",
    "CREATE TEMPORARY TABLE people AS SELECT id, row_number() OVER (ORDER BY id) AS n FROM users",
    "CREATE TEMPORARY TABLE work AS SELECT id, row_number() OVER (ORDER BY id) AS n FROM projects",
    f"""CREATE TEMPORARY TABLE months AS
    SELECT n, CAST(CAST('2025-01-01' AS date) + n * interval '1 month' AS date) AS month
    FROM generate_series(0, {MONTHS - 1}) n""",
    """INSERT INTO contracts (id, user_id, start_date, fte, source, version)
    SELECT uuidv7(), id, '2024-01-01', 1, 'MANUAL', 1 FROM people""",
    """INSERT INTO absences (id, user_id, start_date, start_half, end_date, end_half, type, status, source, version)
    SELECT uuidv7(), p.id, d.day, 'MORNING', d.day + 2, 'AFTERNOON', 'conges', 'APPROVED', 'MANUAL', 1
    FROM people p, LATERAL (SELECT CAST('2025-01-01' AS date) + (n * 67 + CAST(p.n AS int)) % 1090 AS day
      FROM generate_series(1, 16) n) d""",
    f"""INSERT INTO assignments (id, user_id, project_id, rate, start_date, end_date, version, updated_at)
    SELECT uuidv7(), p.id, w.id, 50, d.day, d.day + 120, 1, {CHANGED}
    FROM people p CROSS JOIN generate_series(1, 8) k
    JOIN work w ON w.n = (p.n * 7 + k * 13) % {PROJECTS} + 1
    CROSS JOIN LATERAL (SELECT CAST('2025-01-01' AS date) + k * 120 AS day) d""",
)
CAPACITIES = f"SELECT p.id, m.month, {CHANGED} FROM people p, months m ORDER BY p.n, m.n"
FORECASTS = f"""SELECT p.id, w.id, m.month, {CHANGED} FROM people p CROSS JOIN months m
    CROSS JOIN generate_series(1, {CELLS}) k
    JOIN work w ON w.n = (p.n * 7 + m.n / 12 * 3 + k * 13) % {PROJECTS} + 1 ORDER BY p.n, m.n"""
AFTER = (
    """INSERT INTO time_entries (id, user_id, project_id, day, seconds, provider, external_id)
    SELECT uuidv7(), user_id, project_id, month + 5, 25200, 'GRYZZLY', 'e' || row_number() OVER ()
    FROM forecasts WHERE month BETWEEN '2026-01-01' AND '2026-06-01'""",
    f"""INSERT INTO audit_logs (id, at, actor_id, action, resource_type, metadata)
    SELECT uuidv7(), {CHANGED}, user_id,
      (ARRAY['forecasts.written', 'session.started', 'project.updated'])[CAST(random() * 2 AS int) + 1], 'forecast',
      jsonb_build_object('cells', jsonb_build_array(id)) FROM forecasts WHERE month < '2025-07-01'""",
    "SET session_replication_role = origin",
    "VACUUM ANALYZE",
)


async def fill(connection: asyncpg.Connection) -> None:
    """Of a superuser, in a database that `migrate` has prepared."""
    for statement in BEFORE:
        await connection.execute(statement)
    capacities = [
        (month_id(user, month), user, month, 20, 21, at) for user, month, at in await connection.fetch(CAPACITIES)
    ]
    columns = ("id", "user_id", "month", "computed", "working_days", "updated_at")
    await connection.copy_records_to_table("capacities", records=capacities, columns=columns)
    cells = [
        (cell_id(user, project, month), user, project, month, 6, "MANUAL", 6, 1, at)
        for user, project, month, at in await connection.fetch(FORECASTS)
    ]
    columns = ("id", "user_id", "project_id", "month", "stated", "source", "expected", "version", "updated_at")
    await connection.copy_records_to_table("forecasts", records=cells, columns=columns)
    for statement in AFTER:
        await connection.execute(statement)
