"""What a larger company costs: `python -m benchmarks.growth` fills docs/scale.md's tables.

Bytes of the large tables and their indexes, and for each operation its statements' time and the 8 kB pages that they
touch. Pages are the honest figure: they hang on plans and sizes, not on what else the machine does. `--partitions` also
compares the cells as they are with a copy that is partitioned by month.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import orjson
from sqlalchemy import event, select

from benchmarks import operations
from benchmarks.ground import Ground
from benchmarks.operations import OWN_DOCUMENTS, Target
from schema import build_schema
from schema.context import Context
from server.actor import Actor, Permission, Scope
from server.connections import connected
from server.settings import read_settings
from server.users.models import UserRow

TABLES = ("forecasts", "capacities", "absences", "assignments", "users", "projects")
_SIZES = (
    "SELECT relname, reltuples::bigint, pg_table_size(oid), pg_indexes_size(oid) FROM pg_class"
    " WHERE relname = ANY($1) AND relnamespace = 'public'::regnamespace ORDER BY array_position($1, relname::text)"
)
READS = {
    **{name: (OWN_DOCUMENTS[name], operations.variables(name)) for name in ("list", "grid")},
    "flat list of cells": ("{ forecasts(size: 100) { items { id days } } }", {}),
    "utilisation, a page of people": (
        '{ utilisation(from: "2026-01", to: "2026-12", groupBy: USER) { items { value } } }',
        {},
    ),
    "utilisation by month": (
        '{ utilisation(from: "2026-01", to: "2026-12", groupBy: MONTH) { items { value } } }',
        {},
    ),
}
PARTITIONED = (
    "DROP TABLE IF EXISTS cells_by_month, cells_as_they_are",
    "CREATE TABLE cells_as_they_are (LIKE forecasts INCLUDING ALL)",
    "INSERT INTO cells_as_they_are SELECT * FROM forecasts ORDER BY user_id, month",
    "CREATE TABLE cells_by_month (LIKE forecasts INCLUDING DEFAULTS) PARTITION BY RANGE (month)",
    "DO $$ DECLARE m date; BEGIN FOR m IN SELECT DISTINCT month FROM forecasts LOOP EXECUTE format("
    "'CREATE TABLE cells_%s PARTITION OF cells_by_month FOR VALUES FROM (%L) TO (%L)', to_char(m, 'YYYYMM'), m,"
    " (m + interval '1 month')::date); END LOOP; END $$",
    "INSERT INTO cells_by_month SELECT * FROM forecasts ORDER BY user_id, month",
    "ALTER TABLE cells_by_month ADD PRIMARY KEY (id, month), ADD UNIQUE (user_id, month, project_id)",
    *(
        f"CREATE INDEX ON cells_by_month ({columns})"
        for columns in ("project_id, month", "month, user_id, project_id", "updated_by_id", "updated_at")
    ),
    "VACUUM ANALYZE cells_by_month",
    "VACUUM ANALYZE cells_as_they_are",
)


async def cost(connection: asyncpg.Connection, query: str, *values: Any) -> tuple[float, int]:
    """Milliseconds and pages of one run with warm pages."""
    await connection.fetch(query, *values)
    text = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {query}", *values)
    found = orjson.loads(text)[0]
    plan = found["Plan"]
    return found["Execution Time"], plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


async def sizes(connection: asyncpg.Connection) -> None:
    for name, rows, table, indexes in await connection.fetch(_SIZES, list(TABLES)):
        print(f"  {name:12} {rows:9} rows  {table / 2**20:7.1f} MB  indexes {indexes / 2**20:7.1f} MB")


async def operations_of(ground: Ground, users: int, connection: asyncpg.Connection) -> None:
    values = ground.environment(users)
    names = ("DATABASE_URL", "REDIS_URL", "JWT_KEYS")
    settings = read_settings(**{name: values[name] for name in names}, response_cache_bytes=0)
    schema = build_schema()
    async with connected(settings) as connections:
        database, ran = connections.database, dict[str, Any]()

        def executed(_c: Any, _cursor: Any, statement: str, given: Any, *_rest: Any) -> None:
            ran.setdefault(statement, given)

        def opened(made: Any, _record: Any) -> None:
            made.driver_connection.add_query_logger(lambda query: ran.setdefault(query.query, query.args))

        event.listen(database.engine.sync_engine, "before_cursor_execute", executed)
        event.listen(database.engine.sync_engine, "connect", opened)
        async with database.reads.session() as session:
            statement = select(UserRow.id).where(UserRow.email == "admin@demo.test")
            caller = Actor((await session.scalars(statement)).one(), dict.fromkeys(Permission, Scope.ALL))
        context = Context(database, settings, connections.bus, caller)

        async def ask(document: str, given: dict[str, Any]) -> float:
            context.forget()
            started = time.perf_counter()
            result = await schema.execute(document, variable_values=given, context_value=context)
            assert not result.errors, result.errors
            return (time.perf_counter() - started) * 1000

        for name, (document, given) in READS.items():
            ran.clear()
            whole = statistics.median([await ask(document, given) for _ in range(9)])
            costs = [
                await cost(connection, query, *args) for query, args in ran.items() if query[:4] in ("SELE", "WITH")
            ]
            print(
                f"  {name:30} {whole:8.1f} ms, of which PostgreSQL {sum(each[0] for each in costs):8.1f} ms,"
                f" {sum(each[1] for each in costs):7} pages in {len(costs)} statements"
            )
        target = Target(_targets[users].cells)
        times = [await ask(OWN_DOCUMENTS["write"], target.variables(f"{turn % 2 + 1}.00")) for turn in range(9)]
        print(f"  {'write of 480 cells':30} {statistics.median(times):8.1f} ms")


async def partitions(connection: asyncpg.Connection) -> None:
    for statement in PARTITIONED:
        await connection.execute(statement)
    people = [row[0] for row in await connection.fetch("SELECT id FROM users ORDER BY lower(last_name) LIMIT 100")]
    ids = [row[0] for row in await connection.fetch("SELECT id FROM forecasts ORDER BY md5(id::text) LIMIT 100")]
    asked: dict[str, tuple[str, list[Any]]] = {
        "cells of 100 people in a year": (
            "user_id = ANY($1) AND month BETWEEN '2026-01-01' AND '2026-12-01'",
            [people],
        ),
        "cells of one month": ("month = '2026-03-01'", []),
        "100 cells by id": ("id = ANY($1)", [ids]),
    }
    for table in ("cells_as_they_are", "cells_by_month"):
        total = "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree($1::text::regclass)"
        size = await connection.fetchval(total, table) or await connection.fetchval(
            "SELECT pg_total_relation_size($1::text::regclass)", table
        )
        print(f"  {table}: {size / 2**20:.0f} MB")
        for name, (condition, values) in asked.items():
            query = f"SELECT user_id, month, stated, expected FROM {table} WHERE {condition}"
            milliseconds, pages = await cost(connection, query, *values)
            print(f"    {name:30} {milliseconds:8.1f} ms {pages:7} pages")
    await connection.execute("DROP TABLE cells_by_month, cells_as_they_are")


async def measure(ground: Ground, users: int, with_partitions: bool) -> None:
    connection = await asyncpg.connect(ground.environment(users)["DATABASE_URL"])
    try:
        await sizes(connection)
        await operations_of(ground, users, connection)
        if with_partitions:
            await partitions(connection)
    finally:
        await connection.close()


_targets: dict[int, Target] = {}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--users", type=int, nargs="+", default=[300, 3000, 20000], help="(default %(default)s)")
    parser.add_argument("--partitions", action="store_true", help="compare with cells that are partitioned by month")
    options = parser.parse_args()
    with Ground(None) as ground:
        for users in options.users:
            ground.prepare(users)
            _targets[users] = ground.targets(users)[0]
            print(f"{users} users", flush=True)
            asyncio.run(measure(ground, users, options.partitions))


if __name__ == "__main__":
    main()
