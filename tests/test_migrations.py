"""The schema as migrations make it: up, down and up again on PostgreSQL 18 and 15, and no row that cannot be."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import asyncpg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from server.embedded import EmbeddedPostgres, debian_postgres_bin
from server.migrate import alembic_config, downgrade, upgrade
from server.settings import Settings

USER, PROJECT = "0190b3f0-5d1c-7cc3-8c2b-5f0a3c1e9d10", "0190b3f0-5d1c-7cc3-8c2b-5f0a3c1e9d11"
ID = "gen_random_uuid()"


async def execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def tables(url: str) -> set[str]:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        rows = await connection.fetch(
            "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE nspname = 'public' AND relkind IN ('r', 'S', 'v', 'm')"
            " UNION SELECT proname || '()' FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace"
            " WHERE nspname = 'public'"
        )
        return {row[0] for row in rows}
    finally:
        await connection.close()


@contextmanager
def fresh(server: EmbeddedPostgres, name: str) -> Iterator[str]:
    """The address of an empty database of its own."""
    asyncio.run(execute(server.url(), f"CREATE DATABASE {name}"))
    try:
        yield server.url(name)
    finally:
        asyncio.run(execute(server.url(), f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="module", params=[18, 15])
def server(
    request: pytest.FixtureRequest, postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedPostgres]:
    if request.param == 18:
        yield postgres
        return
    binaries = debian_postgres_bin(15)
    if binaries is None:
        pytest.skip("NOT RUN: PostgreSQL 15 is not installed (apt install postgresql-15)")
    folder = tmp_path_factory.mktemp("postgres15") / "data"
    with EmbeddedPostgres(folder, fast=True, bin_dir=binaries) as server:
        yield server


def test_up_down_and_up_again_leave_nothing_behind_and_agree_with_the_models(server: EmbeddedPostgres) -> None:
    with fresh(server, "updown") as url:
        before = asyncio.run(tables(url))
        upgrade(url)
        first = asyncio.run(tables(url))
        assert {"users", "forecasts", "audit_logs", "refuse_change()"} <= first
        downgrade(url, "base")
        assert asyncio.run(tables(url)) - before == {"alembic_version"}
        upgrade(url)
        assert asyncio.run(tables(url)) == first
        command.check(alembic_config(url))  # raises when autogenerate would add something


def test_each_migration_can_be_taken_back_alone(server: EmbeddedPostgres) -> None:
    revisions = [script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()]
    with fresh(server, "steps") as url:
        for revision in reversed(revisions):
            upgrade(url, revision)
            downgrade(url, "-1")
            upgrade(url, revision)


def test_two_migrations_at_once_are_one_after_the_other(postgres: EmbeddedPostgres) -> None:
    program = "import sys; from server.migrate import upgrade; upgrade(sys.argv[1])"
    with fresh(postgres, "twice") as url:
        both = [
            subprocess.Popen([sys.executable, "-c", program, url], stderr=subprocess.PIPE, text=True) for _ in range(2)
        ]
        for process in both:
            _, stderr = process.communicate(timeout=120)
            assert process.returncode == 0, stderr
        assert "users" in asyncio.run(tables(url))


def test_a_migration_does_not_queue_behind_a_lock_for_ever(postgres: EmbeddedPostgres) -> None:
    async def held(url: str) -> float:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        try:
            async with connection.transaction():
                await connection.execute("LOCK TABLE users IN ACCESS SHARE MODE")
                started = time.monotonic()
                with pytest.raises(DBAPIError, match="lock timeout"):
                    await asyncio.to_thread(downgrade, url, "base")
                return time.monotonic() - started
        finally:
            await connection.close()

    with fresh(postgres, "locked") as url:
        upgrade(url)
        assert 4 < asyncio.run(held(url)) < 20
        assert "users" in asyncio.run(tables(url))  # nothing was half taken back


@pytest.fixture
async def rows(settings: Settings, migrated: None) -> AsyncIterator[asyncpg.Connection]:
    """A connection in a transaction that is rolled back, with a user and a project."""
    connection = await asyncpg.connect(settings.database_url.replace("+asyncpg", ""))
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute(
        "INSERT INTO users (id, email, first_name, last_name, status, is_active)"
        f" VALUES ('{USER}', 'ada@rows.test', 'Ada', 'L', 'ACTIVE', true)"
    )
    await connection.execute(f"INSERT INTO projects (id, code, name, status) VALUES ('{PROJECT}', 'R1', 'R', 'ACTIVE')")
    yield connection
    await transaction.rollback()
    await connection.close()


def insert(table: str, **values: str) -> str:
    return f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(values.values())})"


def contract(**values: str) -> str:
    given = {"id": ID, "user_id": f"'{USER}'", "start_date": "'2026-01-01'", "fte": "1", "source": "'MANUAL'"}
    return insert("contracts", **given | values)


def absence(**values: str) -> str:
    given = {"id": ID, "user_id": f"'{USER}'", "type": "'fr_rtt'", "status": "'APPROVED'", "source": "'MANUAL'"}
    dates = {"start_date": "'2026-01-05'", "start_half": "'MORNING'"}
    return insert("absences", **given | dates | {"end_date": "'2026-01-05'", "end_half": "'AFTERNOON'"} | values)


def capacity(**values: str) -> str:
    given = {"id": ID, "user_id": f"'{USER}'", "month": "'2026-01-01'", "computed": "20"}
    return insert("capacities", **given | values)


def assignment(**values: str) -> str:
    given = {"id": ID, "user_id": f"'{USER}'", "project_id": f"'{PROJECT}'", "rate": "50"}
    return insert("assignments", **given | {"start_date": "'2026-01-01'", "end_date": "'2026-06-30'"} | values)


def cell(**values: str) -> str:
    given = {"id": ID, "user_id": f"'{USER}'", "project_id": f"'{PROJECT}'", "month": "'2026-01-01'"}
    return insert("forecasts", **given | values)


def user(**values: str) -> str:
    given = {"id": ID, "first_name": "'B'", "last_name": "'B'", "status": "'ACTIVE'", "is_active": "true"}
    return insert("users", **given | values)


IMPOSSIBLE = [
    ("ck_contracts_dates_in_order", contract(end_date="'2025-12-31'")),
    ("ck_contracts_fte_is_a_share", contract(fte="0")),
    ("ck_contracts_fte_is_a_share", contract(fte="1.2")),
    ("ck_contracts_pattern_adds_up_to_fte", contract(fte="0.8", weekday_pattern="'{1,1,1,1,1}'")),
    ("ck_contracts_pattern_adds_up_to_fte", contract(fte="1", weekday_pattern="'{1,1,1,1}'")),
    ("ck_contracts_source", contract(source="'GUESS'")),
    ("ex_contracts_one_at_a_time", contract(end_date="'2026-03-31'") + "; " + contract(start_date="'2026-03-31'")),
    ("ck_absences_begins_before_it_ends", absence(end_date="'2026-01-04'")),
    ("ck_absences_begins_before_it_ends", absence(start_half="'AFTERNOON'", end_half="'MORNING'")),
    ("ck_absences_type_is_not_blank", absence(type="' '")),
    ("ck_absences_is_not_longer_than_three_years", absence(end_date="'2036-01-01'")),
    ("ck_capacities_month_is_first_day", capacity(month="'2026-01-02'")),
    ("ck_capacities_days_fit", capacity(computed="32")),
    ("ck_capacities_days_fit", capacity(computed="-1")),
    ("ck_capacities_override_fits", capacity(override="32")),
    ("uq_capacities_user_id_month", f"{capacity()}; {capacity()}"),
    ("fk_capacities_user_id", capacity(user_id=ID)),
    ("ck_assignments_rate_is_a_percentage", assignment(rate="0")),
    ("ck_assignments_rate_is_a_percentage", assignment(rate="101")),
    ("ck_assignments_dates_in_order", assignment(end_date="'2025-12-31'")),
    ("fk_assignments_project_id", assignment(project_id=ID)),
    ("ck_forecasts_month_is_first_day", cell(month="'2026-01-31'")),
    ("ck_forecasts_stated_has_a_source", cell(stated="1")),
    ("ck_forecasts_stated_has_a_source", cell(source="'MANUAL'")),
    ("ck_forecasts_assignments_state_nothing", cell(stated="1", source="'ASSIGNMENT'")),
    ("ck_forecasts_stated_fits", cell(stated="31.01", source="'API'")),
    ("ck_forecasts_expected_is_not_negative", cell(expected="-0.01")),
    ("ck_forecasts_actual_is_not_negative", cell(actual="-1")),
    ("uq_forecasts_user_id_month_project_id", f"{cell()}; {cell()}"),
    ("ck_closed_months_month_is_first_day", insert("closed_months", month="'2026-01-15'")),
    ("ck_company_settings_is_one_row", "UPDATE company_settings SET id = 2"),
    ("ck_company_settings_step_is_known", "UPDATE company_settings SET step = 0.3"),
    ("ck_company_settings_horizon_in_order", "UPDATE company_settings SET horizon_end = '2001-01-01'"),
    ("ck_calendar_days_label_is_not_blank", insert("calendar_days", day="'2026-05-15'", worked="false", label="''")),
    ("uq_projects_code", insert("projects", id=ID, code="'r1'", name="'R'", status="'ACTIVE'")),
    ("ck_projects_code_is_trimmed", insert("projects", id=ID, code="' x'", name="'R'", status="'ACTIVE'")),
    ("ck_projects_status", insert("projects", id=ID, code="'x'", name="'R'", status="'LOST'")),
    ("ck_projects_dates_in_order", "UPDATE projects SET start_date = '2026-02-01', end_date = '2026-01-01'"),
    ("uq_users_email", user(email="'ADA@rows.test'")),
    ("ck_users_email_is_an_address", user(email="'nobody'")),
    ("ck_users_signs_in_by_email", user(password_hash="'x'")),
    ("ck_users_status_agrees_with_is_active", user(status="'LEFT'")),
    ("ck_users_last_name_is_not_blank", user(last_name="' '")),
]


@pytest.mark.parametrize(("constraint", "statement"), IMPOSSIBLE)
async def test_a_wrong_row_is_impossible(rows: asyncpg.Connection, constraint: str, statement: str) -> None:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refused:
        await rows.execute(statement)
    assert refused.value.constraint_name == constraint


@pytest.mark.parametrize("build", [contract, absence, capacity, assignment, cell, user])
async def test_the_rows_that_the_wrong_ones_differ_from_are_right(rows: asyncpg.Connection, build: object) -> None:
    await rows.execute(build())  # type: ignore[operator]


@pytest.mark.parametrize(
    "change", ["UPDATE audit_logs SET action = 'x'", "DELETE FROM audit_logs", "TRUNCATE audit_logs"]
)
async def test_the_audit_log_is_append_only(rows: asyncpg.Connection, change: str) -> None:
    await rows.execute(insert("audit_logs", id=ID, action="'a'", resource_type="'t'"))
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await rows.execute(change)


async def test_who_has_load_or_a_history_cannot_be_removed(rows: asyncpg.Connection) -> None:
    await rows.execute(cell())
    for table, row in (("users", USER), ("projects", PROJECT)):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="violates"):
            async with rows.transaction():
                await rows.execute(f"DELETE FROM {table} WHERE id = '{row}'")


async def test_every_foreign_key_has_an_index(rows: asyncpg.Connection) -> None:
    """Without one, deleting or joining reads the whole table."""
    missing = await rows.fetch(
        "SELECT conrelid::regclass::text || '.' || conname FROM pg_constraint c WHERE contype = 'f'"
        " AND connamespace = 'public'::regnamespace AND NOT EXISTS (SELECT FROM pg_index i"
        " WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1] AND i.indpred IS NULL)"
    )
    assert [row[0] for row in missing] == []
