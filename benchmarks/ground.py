"""What all contenders stand on: one PostgreSQL and one Valkey of this machine, databases filled by our seed, tokens."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import subprocess
import sys
from collections.abc import Coroutine
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar
from uuid import UUID

import asyncpg  # type: ignore[import-untyped]

from benchmarks.cells import CELLS_A_MONTH, fill_up
from benchmarks.operations import WRITTEN_MONTHS, Target
from server.access.service import access_tokens
from server.embedded import EmbeddedPostgres, EmbeddedValkey
from server.ids import named_id, new_id
from server.settings import read_settings

HERE = Path(__file__).parent
ROOT = HERE.parent
DATA = HERE / ".data"
SEED = ["--from", "2025-01", "--months", "36", "--as-of", "2026-06-15", "--demo"]
CONNECTIONS = 8
T = TypeVar("T")
SESSION = named_id("benchmarks", "session")


class Ground:
    """The two servers, for as long as the `with` block lasts; their data stay for the next run."""

    def __init__(self, postgres_bin: Path | None) -> None:
        folder = (
            "postgres" if postgres_bin is None else "postgres-" + hashlib.sha256(bytes(postgres_bin)).hexdigest()[:8]
        )
        self.postgres = EmbeddedPostgres(DATA / folder, bin_dir=postgres_bin)
        self.valkey = EmbeddedValkey(DATA / "valkey")
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        DATA.mkdir(exist_ok=True)
        self._stack.enter_context(self.postgres)
        self._stack.enter_context(self.valkey)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def environment(self, users: int) -> dict[str, str]:
        """What a production process is given; the key is made once and kept with the data."""
        key = DATA / "key"
        if not key.exists():
            key.write_text(f"bench:{secrets.token_hex(32)}")
        return {
            "PLANCHARGE_ENV": "production",
            "DATABASE_URL": self._url(f"bench_{users}"),
            "REDIS_URL": self.valkey.url(),
            "JWT_KEYS": key.read_text(),
            # What is compared is working answers out; benchmarks/cache.py measures not doing so.
            "RESPONSE_CACHE_BYTES": "0",
            # One caller asks without pause, which is what the budget of a minute is there to refuse.
            "COST_PER_MINUTE": str(10**12),
        }

    def _url(self, database: str) -> str:
        return self.postgres.url(database).replace("+asyncpg", "")

    def prepare(self, users: int) -> None:
        """A database of that many people; one that is there already is kept unless the seed or the tables changed."""
        name, wanted = f"bench_{users}", _fingerprint(users)
        if _run(self._comment(name)) != wanted:
            print(f"Filling a database of {users} people; it is kept for the next run ...", flush=True)
            _run(self._recreate(name))
            values = self.environment(users) | {"PLANCHARGE_ENV": "development"}
            _plancharge(values, "migrate")
            _plancharge(values, "seed", "--users", str(users), "--projects", str(users * 4 // 5), *SEED)
            _run(self._finish(name, wanted))
        _run(self._sign_in(name))

    async def _comment(self, name: str) -> str | None:
        connection = await asyncpg.connect(self._url("plancharge"))
        statement = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = $1"
        try:
            found: str | None = await connection.fetchval(statement, name)
            return found
        finally:
            await connection.close()

    async def _recreate(self, name: str) -> None:
        connection = await asyncpg.connect(self._url("plancharge"))
        try:
            await connection.execute(f"DROP DATABASE IF EXISTS {name}")
            await connection.execute(f"CREATE DATABASE {name}")
        finally:
            await connection.close()

    async def _finish(self, name: str, fingerprint: str) -> None:
        connection = await asyncpg.connect(self._url(name))
        try:
            # Compiling a plan takes longer than these statements do; PostGraphile switches it off for itself.
            await connection.execute(f"ALTER DATABASE {name} SET jit = off")
            await fill_up(connection)
            await connection.execute("VACUUM ANALYZE")
            await connection.execute(f"COMMENT ON DATABASE {name} IS '{fingerprint}'")
        finally:
            await connection.close()

    async def _sign_in(self, name: str) -> None:
        """PostGraphile's views and functions, and a living session of the demo's admin, to which the tokens belong."""
        now = datetime.now(UTC)
        connection = await asyncpg.connect(self._url(name))
        try:
            await connection.execute((HERE / "peers" / "postgraphile" / "schema.sql").read_text())
            await connection.execute("DELETE FROM refresh_tokens WHERE family_id = $1", SESSION)
            statement = (
                "INSERT INTO refresh_tokens (id, user_id, family_id, token_hash, created_at, expires_at)"
                " SELECT $1, id, $2, $3, $4, $5 FROM users WHERE email = 'admin@demo.test'"
            )
            values = (new_id(), SESSION, secrets.token_hex(32), now, now + timedelta(days=7))
            await connection.execute(statement, *values)
        finally:
            await connection.close()

    def token(self, users: int) -> str:
        """A fresh access token of ours; valid for half an hour."""
        values = self.environment(users)
        settings = read_settings(**{name: values[name] for name in ("DATABASE_URL", "REDIS_URL", "JWT_KEYS")})
        return access_tokens.issue(settings, _run(self._admin(users)), SESSION)[0]

    async def _admin(self, users: int) -> UUID:
        connection = await asyncpg.connect(self._url(f"bench_{users}"))
        try:
            found: UUID = await connection.fetchval("SELECT id FROM users WHERE email = 'admin@demo.test'")
            return found
        finally:
            await connection.close()

    def targets(self, users: int) -> list[Target]:
        """For each connection its own 480 cells, so that writers do not wait for each other's rows."""
        people, projects = _run(self._people_and_projects(users))
        return [
            Target([(u, p, m) for u in people[n * 20 : n * 20 + 20] for p in projects for m in WRITTEN_MONTHS])
            for n in range(CONNECTIONS)
        ]

    async def _people_and_projects(self, users: int) -> tuple[list[str], list[str]]:
        connection = await asyncpg.connect(self._url(f"bench_{users}"))
        statement = "SELECT id::text FROM users WHERE is_active AND NOT is_service ORDER BY id LIMIT $1"
        projects = (
            "SELECT id::text FROM projects WHERE status = 'ACTIVE' AND archived_at IS NULL AND deleted_at IS NULL"
            " ORDER BY id LIMIT 2"
        )
        try:
            people = await connection.fetch(statement, CONNECTIONS * 20)
            return [row[0] for row in people], [row[0] for row in await connection.fetch(projects)]
        finally:
            await connection.close()

    def stated(self, users: int, target: Target) -> set[str]:
        """What the database holds for these cells now: to see that a write was really done."""
        return _run(self._stated(users, target))

    async def _stated(self, users: int, target: Target) -> set[str]:
        connection = await asyncpg.connect(self._url(f"bench_{users}"))
        statement = (
            "SELECT stated::text FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS w (u, p, m)"
            " LEFT JOIN forecasts ON user_id = u AND project_id = p AND month = (m || '-01')::date"
        )
        try:
            rows = await connection.fetch(statement, *map(list, zip(*target.cells, strict=True)))
            return {str(row[0]) for row in rows}
        finally:
            await connection.close()

    def postgres_version(self) -> str:
        return _run(self._version())

    async def _version(self) -> str:
        connection = await asyncpg.connect(self._url("plancharge"))
        try:
            return str(await connection.fetchval("SHOW server_version"))
        finally:
            await connection.close()


def _run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def _fingerprint(users: int) -> str:
    """Of all that decides what a database holds."""
    digest = hashlib.sha256(f"{users} {SEED} {CELLS_A_MONTH} 1".encode())
    for folder in ("migrations/versions", "server/seed"):
        for path in sorted((ROOT / folder).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def clean_environment() -> dict[str, str]:
    """Ours without what would configure the product."""
    ours = {"DATABASE_URL", "REDIS_URL", "JWT_KEYS", "PLANCHARGE_ENV", "METRICS_TOKEN", "PROMETHEUS_MULTIPROC_DIR"}
    return {name: value for name, value in os.environ.items() if name not in ours}


def _plancharge(values: dict[str, str], *arguments: str) -> None:
    command = [sys.executable, "-m", "server.cli", *arguments]
    subprocess.run(command, cwd=ROOT, env=clean_environment() | values, check=True)
