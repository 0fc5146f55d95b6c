"""Guessing is slowed down, the same for accounts that do not exist, and nobody is locked out for good."""

from __future__ import annotations

import asyncio

import pytest

from server.access import service as access
from server.database import Database
from server.errors import Throttled, Unauthenticated
from server.settings import Settings
from tests.access.people import HERE, PASSWORD, actions, audited, just_now, let_pass, origin, person, run
from tests.factories import Factory


async def guess(database: Database, settings: Settings, username: str, address: str, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(Unauthenticated):
            await access.login(database, settings, username, "wrong", origin(address))


async def refused(database: Database, settings: Settings, username: str, address: str) -> int | None:
    await just_now(database)
    with pytest.raises(Throttled) as caught:
        await access.login(database, settings, username, PASSWORD, origin(address))
    assert caught.value.detail == "Too many failed attempts to sign in: wait before the next one."
    return caught.value.retry_after


@pytest.mark.parametrize("username", ["ada@example.test", "nobody@example.test"])
async def test_after_five_failures_the_next_tries_wait_longer_and_longer(
    database: Database, settings: Settings, make: Factory, username: str
) -> None:
    await person(make)
    await guess(database, settings, username, "192.0.2.10", times=5)
    assert await refused(database, settings, username.upper(), "192.0.2.10") == 1
    await let_pass(database, 1)
    await guess(database, settings, username, "192.0.2.10")
    assert await refused(database, settings, username, "192.0.2.10") == 2
    await let_pass(database, 2)
    await guess(database, settings, username, "192.0.2.10")
    assert await refused(database, settings, username, "192.0.2.10") == 4


async def test_the_delay_never_exceeds_fifteen_minutes(database: Database, settings: Settings, make: Factory) -> None:
    await person(make)
    await guess(database, settings, "ada@example.test", "192.0.2.10", times=5)
    waits = []
    for _ in range(13):
        waits.append(await refused(database, settings, "ada@example.test", "192.0.2.10"))
        await let_pass(database, waits[-1] or 0)
        await guess(database, settings, "ada@example.test", "192.0.2.10")
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]
    await let_pass(database, 900)
    await access.login(database, settings, "ada@example.test", PASSWORD, HERE)


async def test_a_success_clears_the_count(database: Database, settings: Settings, make: Factory) -> None:
    await person(make)
    for _ in range(3):
        await guess(database, settings, "ada@example.test", "192.0.2.10", times=4)
        await access.login(database, settings, "ada@example.test", PASSWORD, HERE)


async def test_a_stranger_does_not_lock_the_owner_out(database: Database, settings: Settings, make: Factory) -> None:
    await person(make)
    await access.login(database, settings, "ada@example.test", PASSWORD, HERE)
    for number in range(40):
        await guess(database, settings, "ada@example.test", f"198.51.100.{number}")
        if number >= 9:
            assert 1 <= (await refused(database, settings, "ada@example.test", "203.0.113.5") or 0) <= 5
            await let_pass(database, 5)
    await guess(database, settings, "ada@example.test", "198.51.100.99")
    assert await refused(database, settings, "ada@example.test", "203.0.113.5") == 5  # a new place waits seconds
    await access.login(database, settings, "ada@example.test", PASSWORD, HERE)  # the usual place does not


async def test_the_owner_s_own_place_is_not_spared_its_own_failures(
    database: Database, settings: Settings, make: Factory
) -> None:
    await person(make)
    await access.login(database, settings, "ada@example.test", PASSWORD, HERE)
    for number in range(20):
        await guess(database, settings, "ada@example.test", f"198.51.100.{number}")
        await let_pass(database, 5 if number >= 9 else 0)
    await guess(database, settings, "ada@example.test", "192.0.2.10", times=5)
    assert await refused(database, settings, "ada@example.test", "192.0.2.10") == 1


async def test_a_name_that_no_database_could_hold_is_slowed_down_too(database: Database, settings: Settings) -> None:
    for number in range(10):
        await guess(database, settings, "\0\ud800", f"198.51.100.{number}")
    assert await refused(database, settings, "\0\ud800", "203.0.113.5") == 1


async def test_one_address_trying_everyone_is_slowed_down(
    database: Database, settings: Settings, make: Factory
) -> None:
    await person(make)
    for number in range(20):
        await guess(database, settings, f"user{number}@example.test", "198.51.100.1")
    assert await refused(database, settings, "ada@example.test", "198.51.100.1") == 1
    await access.login(database, settings, "ada@example.test", PASSWORD, HERE)


async def test_a_success_does_not_clear_the_address(database: Database, settings: Settings, make: Factory) -> None:
    await person(make)
    for number in range(19):
        await guess(database, settings, f"user{number}@example.test", "192.0.2.10")
    await access.login(database, settings, "ada@example.test", PASSWORD, HERE)
    await guess(database, settings, "user19@example.test", "192.0.2.10")
    assert await refused(database, settings, "ada@example.test", "192.0.2.10") == 1


async def test_typing_mistakes_spread_over_the_day_do_not_add_up(
    database: Database, settings: Settings, make: Factory
) -> None:
    for number in range(30):
        await guess(database, settings, f"user{number}@example.test", "192.0.2.10")
        await let_pass(database, 60)


async def test_of_thirty_guesses_at_the_same_instant_one_is_tried(
    database: Database, settings: Settings, make: Factory
) -> None:
    await person(make)
    await guess(database, settings, "ada@example.test", "192.0.2.10")
    await run(
        database, "UPDATE sign_in_failures SET failures = 11, last_failure_at = now() - interval '65 s' WHERE kind = 3"
    )
    results = await asyncio.gather(
        *(access.login(database, settings, "ada@example.test", f"wrong{n}", HERE) for n in range(30)),
        return_exceptions=True,
    )
    assert [type(result) for result in results].count(Unauthenticated) == 1
    assert [type(result) for result in results].count(Throttled) == 29


async def test_sign_ins_at_the_same_instant_do_not_refuse_each_other(
    database: Database, settings: Settings, make: Factory
) -> None:
    await person(make)
    results = await asyncio.gather(
        *(access.login(database, settings, "ada@example.test", PASSWORD, HERE) for _ in range(20))
    )
    assert len({result.refresh_token for result in results}) == 20


async def test_of_each_delay_only_the_first_refusal_is_audited(
    database: Database, settings: Settings, make: Factory
) -> None:
    await person(make)
    await guess(database, settings, "ada@example.test", "192.0.2.10", times=5)
    await just_now(database)
    for _ in range(3):
        with pytest.raises(Throttled):
            await access.login(database, settings, "ada@example.test", PASSWORD, HERE)
    assert await actions(database) == ["session.refused"] * 5 + ["session.throttled"]
    assert (await audited(database))[-1].details == {"by": "pair", "failures": 5, "retry_after": 1}


async def test_a_refused_try_does_not_lengthen_the_delay(database: Database, settings: Settings, make: Factory) -> None:
    await person(make)
    await guess(database, settings, "ada@example.test", "192.0.2.10", times=5)
    for _ in range(10):
        assert await refused(database, settings, "ada@example.test", "192.0.2.10") == 1
