"""Keys under which a write is done once: whose they are, how long they are kept, and what is never kept."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select, text

from server.access.models import IdempotencyKeyRow
from server.actor import Actor, system_actor
from server.errors import Refused
from server.idempotency import attempt, purge


async def run(database, caller, *, mutation="projectCreate", key="k1", request="body", answer=b"first"):
    """One call: the stored answer, or None and `answer` is stored."""
    async with database.transaction(caller) as tx:
        tried = await attempt(tx, mutation, key, {"request": request})
        if tried.answer is None:
            await tried.store(answer)
        return tried.answer


async def kept(database):
    async with database.reads.session() as session:
        return len((await session.scalars(select(IdempotencyKeyRow.id))).all())


@pytest.fixture
async def caller(make):
    return Actor((await make.user()).id)


async def test_the_second_call_gets_the_answer_of_the_first(database, caller):
    assert await run(database, caller) is None
    assert await run(database, caller, answer=b"second") == b"first"


async def test_the_order_of_the_requests_members_does_not_matter(database, caller):
    assert await run(database, caller, request={"a": 1, "b": 2}) is None
    assert await run(database, caller, request={"b": 2, "a": 1}) == b"first"


async def test_another_request_under_the_key_is_refused(database, caller):
    await run(database, caller)
    with pytest.raises(Refused) as refused:
        await run(database, caller, request="another")
    assert [p.code for p in refused.value.problems] == ["IDEMPOTENCY_KEY_REUSED"]


async def test_a_key_belongs_to_one_caller_and_one_mutation(database, make, caller):
    other = Actor((await make.user()).id)
    await run(database, caller)
    assert await run(database, other, request="another") is None
    assert await run(database, caller, mutation="projectUpdate", request="another") is None


async def test_what_fails_is_not_kept(database, caller):
    async def fail():
        async with database.transaction(caller) as tx:
            await (await attempt(tx, "projectCreate", "k1", {})).store(b"answer")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await kept(database) == 0
    assert await run(database, caller, request="another") is None


async def test_two_at_once_run_one_after_the_other(database, caller):
    async with database.transaction(caller) as tx:
        tried = await attempt(tx, "projectCreate", "k1", {"request": "body"})
        second = asyncio.create_task(run(database, caller, answer=b"second"))
        await asyncio.sleep(0.2)
        assert not second.done()
        await tried.store(b"first")
    assert await second == b"first"


async def test_a_key_is_free_again_after_24_hours(database, caller):
    await run(database, caller)
    await age(database, "23 hours 59 minutes")
    assert await run(database, caller) == b"first"
    await age(database, "24 hours")
    assert await run(database, caller, request="another", answer=b"second") is None
    assert await run(database, caller, request="another") == b"second"
    assert await kept(database) == 1


async def test_purging_removes_what_is_no_longer_kept(database, caller):
    await run(database, caller, key="old")
    await age(database, "25 hours")
    await run(database, caller, key="new")
    async with database.transaction(system_actor("test")) as tx:
        assert await purge(tx) == 1
    assert await kept(database) == 1


async def age(database, by):
    async with database.transaction(system_actor("test")) as tx:
        await tx.session.execute(text(f"UPDATE idempotency_keys SET created_at = now() - interval '{by}'"))
