"""Deadlocks and serialisation failures of real transactions: run anew, once each kept, never for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from sqlalchemy import func, select

from schema import build_schema
from schema.context import Context
from server import jobs
from server.access.models import IdempotencyKeyRow, RefreshTokenRow
from server.access.service import sessions
from server.access.service.passwords import change_password
from server.actor import Actor, Permission
from server.audit.models import AuditLogRow
from server.errors import TryAgain
from server.events import AccessChanged
from server.ids import new_id
from server.projects.models import ProjectRow
from server.retries import TRIES
from server.sync.models import SyncRunRow
from tests.access.people import HERE, PASSWORD, actions, person
from tests.factories import actor, admin
from tests.schema.examples import EXAMPLES, World

UPDATE = """
mutation ($input: ProjectUpdateInput!) { projectUpdate(input: $input) { project { name version } problems { code } } }
"""
CREATE = """
mutation ($input: ProjectCreateInput!) { projectCreate(input: $input) { project { name version } problems { code } } }
"""
Break = Callable[..., Any]


@pytest.fixture
async def superuser(settings, database) -> AsyncIterator[asyncpg.Connection]:
    url = settings.database_url.replace("+asyncpg", "").replace("//plancharge:", "//postgres:")
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


@pytest.fixture
def broken_off(superuser) -> Break:
    """The first `times` COMMITs after a write to the table fail, as those of a serialisable transaction may."""

    @asynccontextmanager
    async def breaking(table: str, times: int, sqlstate: str = "40001") -> AsyncIterator[Callable[[], Any]]:
        # A sequence counts what is rolled back, too.
        await superuser.execute(
            f"""
            CREATE SEQUENCE public.commits;
            GRANT USAGE ON SEQUENCE public.commits TO PUBLIC;
            CREATE FUNCTION public.break_off() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
              IF nextval('public.commits') <= {times} THEN
                RAISE EXCEPTION 'broken off' USING ERRCODE = '{sqlstate}';
              END IF;
              RETURN NULL;
            END $$;
            CREATE CONSTRAINT TRIGGER break_off AFTER INSERT OR UPDATE ON {table}
              DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.break_off();
            """
        )
        try:
            yield lambda: superuser.fetchval("SELECT last_value FROM public.commits")
        finally:
            await superuser.execute(
                f"DROP TRIGGER break_off ON {table}; DROP FUNCTION public.break_off(); DROP SEQUENCE public.commits"
            )

    return breaking


@pytest.fixture
async def caller(make):
    return actor(Permission.PROJECTS_WRITE, Permission.PROJECTS_READ, user=await make.user())


async def count(database, model) -> int:
    async with database.reads.session() as session:
        return await session.scalar(select(func.count()).select_from(model))


async def name_of(database, row) -> tuple[str, int]:
    async with database.reads.session() as session:
        project = await session.get_one(ProjectRow, row.id)
        return project.name, project.version


async def test_two_mutations_in_a_deadlock_are_both_kept(graphql, database, make, caller, superuser):
    """A session of the test holds the second row and wants the first; the mutation does it the other way round."""
    row = await make.project(name="Before")
    await superuser.execute(
        """
        CREATE FUNCTION public.lock_it() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NULL; END $$;
        CREATE TRIGGER lock_it AFTER UPDATE ON projects FOR EACH ROW EXECUTE FUNCTION public.lock_it();
        """
    )
    try:
        async with superuser.transaction():
            await superuser.execute("SET LOCAL deadlock_timeout = '60s'")  # the mutation is the one that is broken off
            await superuser.execute("SELECT pg_advisory_xact_lock(4711)")
            mutation = asyncio.create_task(graphql(caller, UPDATE, input={"id": str(row.id), "name": "Mine"}))
            await _until_someone_waits(superuser)
            await superuser.execute("UPDATE projects SET code = 'THEIRS' WHERE id = $1", row.id)
    finally:
        answer = await mutation
        await superuser.execute("DROP TRIGGER lock_it ON projects; DROP FUNCTION public.lock_it()")
    assert answer["projectUpdate"] == {"project": {"name": "Mine", "version": row.version + 1}, "problems": []}
    assert await superuser.fetchval("SELECT code FROM projects WHERE id = $1", row.id) == "THEIRS"
    assert await actions(database) == ["project.updated"]


async def _until_someone_waits(connection: asyncpg.Connection) -> None:
    for _ in range(200):
        if await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("nobody waits")


@pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
async def test_a_write_that_is_broken_off_is_run_anew_and_leaves_one_trace(
    graphql, database, make, caller, broken_off, sqlstate
):
    row = await make.project(name="Before")
    async with broken_off("projects", 2, sqlstate) as commits:
        answer = await graphql(caller, UPDATE, input={"id": str(row.id), "name": "After"})
        assert await commits() == 3
    assert answer["projectUpdate"] == {"project": {"name": "After", "version": row.version + 1}, "problems": []}
    assert await actions(database) == ["project.updated"]


async def test_what_is_run_anew_is_told_once(graphql, database, make, bus, broken_off):
    arguments = await EXAMPLES["apiTokenRevoke"](await World.build(make, database))
    document = "mutation ($input: ApiTokenRevokeInput!) { apiTokenRevoke(input: $input) { problems { code } } }"
    async with bus.subscribe(AccessChanged) as events, broken_off("audit_logs", 2):
        await graphql(admin(await make.user()), document, **arguments)
        await asyncio.wait_for(events.get(), 5)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(events.get(), 0.3)


async def test_after_four_tries_it_is_a_503_that_says_when_to_send_it_again(
    graphql, database, make, caller, broken_off
):
    row = await make.project(name="Before")
    async with broken_off("projects", 99) as commits:
        (error,) = await graphql(caller, UPDATE, input={"id": str(row.id), "name": "After"}, errors=True)
        assert await commits() == TRIES == 4
    extensions = error["extensions"]
    assert (extensions["code"], extensions["status"], extensions["retryAfter"]) == ("TRY_AGAIN", 503, 1)
    assert await name_of(database, row) == ("Before", row.version)
    assert await count(database, AuditLogRow) == 0


@pytest.mark.parametrize("by", ["input", "header"])
async def test_under_a_key_the_key_s_transaction_is_the_one_that_is_run_anew(
    schema, database, settings, bus, caller, broken_off, by
):
    wanted = {"code": "ONE", "name": "Once"} | ({"idempotencyKey": "k1"} if by == "input" else {})

    async def send() -> Any:
        key = "k1" if by == "header" else None
        context = Context(database=database, settings=settings, bus=bus, caller=caller, idempotency_key=key)
        return await schema.execute(CREATE, variable_values={"input": wanted}, context_value=context)

    async with broken_off("projects", 2) as commits:
        first, again = await send(), await send()
        assert await commits() == 3
    assert first.errors is None
    assert first.data == again.data == {"projectCreate": {"project": {"name": "Once", "version": 1}, "problems": []}}
    assert [await count(database, each) for each in (ProjectRow, IdempotencyKeyRow, AuditLogRow)] == [1, 1, 1]


async def test_what_a_person_must_correct_is_not_tried_again(graphql, make, caller, database):
    await make.project(code="ONE")
    answer = await graphql(caller, CREATE, input={"code": "ONE", "name": "Once"})
    assert answer["projectCreate"]["problems"] == [{"code": "DUPLICATE"}]


async def test_a_commit_of_which_nobody_knows_is_not_tried_again(graphql, database, make, caller, superuser):
    """The backend is ended while it is at the COMMIT."""
    row = await make.project(name="Before")
    await superuser.execute(
        """
        CREATE SEQUENCE public.commits;
        GRANT USAGE ON SEQUENCE public.commits TO PUBLIC;
        CREATE FUNCTION public.dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM nextval('public.commits'); PERFORM pg_sleep(60); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER dawdle AFTER UPDATE ON projects
          DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.dawdle();
        """
    )
    try:
        mutation = asyncio.create_task(graphql(caller, UPDATE, input={"id": str(row.id), "name": "After"}, errors=True))
        ended = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE query LIKE 'COMMIT%' AND state = 'active'"  # idle ones of the pool show what they did last
        )
        while not await superuser.fetchval(ended):  # noqa: ASYNC110 — PostgreSQL has no event for it
            await asyncio.sleep(0.02)
        (error,) = await mutation
        assert await superuser.fetchval("SELECT last_value FROM public.commits") == 1
    finally:
        await superuser.execute(
            "DROP TRIGGER dawdle ON projects; DROP FUNCTION public.dawdle(); DROP SEQUENCE public.commits"
        )
    assert (error["extensions"]["code"], error["extensions"]["status"]) == ("OUTCOME_UNKNOWN", 503)
    assert await name_of(database, row) == ("Before", row.version)


WRITES = [name for name in build_schema()._schema.mutation_type.fields if name in EXAMPLES and name != "passwordChange"]
"""passwordChange needs somebody who signed in: below"""


@pytest.mark.parametrize("name", WRITES)
async def test_each_mutation_does_the_same_when_it_is_run_anew(graphql, database, make, broken_off, name):
    """No service keeps something of the first time, or changes its input."""
    arguments = await EXAMPLES[name](await World.build(make, database))
    kind = f"{name[0].upper()}{name[1:]}Input"
    document = f"mutation ($input: {kind}!) {{ {name}(input: $input) {{ problems {{ code }} warnings {{ code }} }} }}"
    caller = admin(await make.user())
    before = await count(database, AuditLogRow)
    async with broken_off("audit_logs", 1) as commits:
        answer = await graphql(caller, document, **arguments)
        audited = await commits() - 1
    assert answer[name]["problems"] == []
    assert audited > 0
    assert await count(database, AuditLogRow) - before == audited


async def test_signing_in_refreshing_and_logging_out_are_run_anew(database, settings, make, broken_off):
    await person(make)
    async with broken_off("refresh_tokens", 2) as commits:
        session = await sessions.login(database, settings, "ada@example.test", PASSWORD, HERE)
        assert await commits() == 3
    async with broken_off("refresh_tokens", 2):
        fresh = await sessions.refresh(database, settings, session.refresh_token, HERE)
    async with broken_off("refresh_tokens", 2):
        await sessions.logout(database, HERE, fresh.refresh_token)
    assert await count(database, RefreshTokenRow) == 2
    assert await actions(database) == ["session.started", "session.ended"]


async def test_a_change_of_password_is_run_anew(database, settings, make, broken_off):
    ada = await person(make)
    caller = Actor(ada.id, session_id=new_id(), origin=HERE)
    async with broken_off("users", 2) as commits:
        await change_password(database, settings, caller, PASSWORD, "Cap-au-nord-2031")
        assert await commits() == 3
    assert await actions(database) == ["password.changed"]
    await sessions.login(database, settings, "ada@example.test", "Cap-au-nord-2031", HERE)


async def test_a_refresh_that_is_broken_off_four_times_leaves_the_token_usable(database, settings, make, broken_off):
    await person(make)
    session = await sessions.login(database, settings, "ada@example.test", PASSWORD, HERE)
    async with broken_off("refresh_tokens", 99):
        with pytest.raises(TryAgain):
            await sessions.refresh(database, settings, session.refresh_token, HERE)
    assert (await sessions.refresh(database, settings, session.refresh_token, HERE)).user.email == "ada@example.test"


async def test_a_job_is_run_anew(database, settings, broken_off):
    async with broken_off("sync_runs", 2) as commits:
        await jobs.sync_payfit({"database": database, "settings": settings})
        assert await commits() == 3
    assert await count(database, SyncRunRow) == 1
