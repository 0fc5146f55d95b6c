"""Signing in, refreshing, replays, signing out."""

from __future__ import annotations

import asyncio

import bcrypt
import pytest
from sqlalchemy import text

from server.access import service as access
from server.access.service import access_tokens, opaque, passwords
from server.actor import Actor
from server.database import Database
from server.errors import Unauthenticated
from server.settings import Settings
from server.users.models import UserStatus
from tests.access.people import HERE, PASSWORD, actions, audited, person, read_user, run
from tests.factories import Factory


async def test_a_sign_in_gives_tokens_and_is_noted(database: Database, settings: Settings, make: Factory) -> None:
    user = await person(make)
    session = await access.login(database, settings, " ADA@example.test ", PASSWORD, HERE)
    claims = access_tokens.read(settings, session.access_token)
    assert (claims.user_id, session.user.id, session.expires_in) == (user.id, user.id, 1800)
    assert session.refresh_expires_in == 7 * 24 * 3600
    assert (await read_user(database, user)).last_login_at is not None
    [entry] = await audited(database)
    assert (entry.action, entry.actor_id, str(entry.address)) == ("session.started", user.id, "192.0.2.10")


async def test_tokens_are_stored_as_hashes_only(database: Database, settings: Settings, make: Factory) -> None:
    await person(make)
    session = await access.login(database, settings, "ada@example.test", PASSWORD, HERE)
    async with database.reads.session() as reads:
        [row] = (await reads.execute(text("SELECT token_hash, t::text AS whole FROM refresh_tokens t"))).all()
    assert row.token_hash == opaque.hashed(session.refresh_token)
    assert session.refresh_token not in row.whole


@pytest.mark.parametrize(
    ("username", "password", "reason"),
    [
        ("ada@example.test", "Rose-des-vents-85", "wrong_password"),
        ("ada@example.test", "", "wrong_password"),
        ("ada@example.test", "\0\ud800" * 50, "wrong_password"),
        ("nobody@example.test", PASSWORD, "unknown_user"),
        ("", PASSWORD, "unknown_user"),
        ("a\0da@example.test", PASSWORD, "unknown_user"),
        ("\ud800", PASSWORD, "unknown_user"),
        ("x" * 100_000, PASSWORD, "unknown_user"),
    ],
)
async def test_wrong_credentials_say_the_same_and_are_audited_without_the_typed_name(
    database: Database, settings: Settings, make: Factory, username: str, password: str, reason: str
) -> None:
    user = await person(make)
    with pytest.raises(Unauthenticated) as caught:
        await access.login(database, settings, username, password, HERE)
    assert caught.value.detail == "The user name or the password is wrong, or this account cannot sign in."
    [entry] = await audited(database)
    assert (entry.action, entry.actor_id, entry.details) == ("session.refused", None, {"reason": reason})
    assert entry.resource_id == (user.id if reason == "wrong_password" else None)


async def test_an_unknown_user_costs_the_same_verification(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[str] = []
    verify = passwords.CONTEXT.verify

    def recording(secret: str, password_hash: str) -> bool:
        verified.append(password_hash)
        return verify(secret, password_hash)

    monkeypatch.setattr(passwords.CONTEXT, "verify", recording)
    with pytest.raises(Unauthenticated):
        await access.login(database, settings, "nobody@example.test", PASSWORD, HERE)
    assert verified == [passwords.NOBODYS_HASH]


def test_nobodys_hash_costs_what_a_new_hash_costs() -> None:
    assert not passwords.CONTEXT.needs_update(passwords.NOBODYS_HASH)


@pytest.mark.parametrize(
    "values",
    [
        {"status": UserStatus.LEFT, "is_active": False},
        {"status": UserStatus.DEACTIVATED, "is_active": False},
        {"status": UserStatus.INVITED},
        {"is_service": True},
    ],
)
async def test_who_left_or_never_accepted_cannot_sign_in(
    database: Database, settings: Settings, make: Factory, values: dict[str, object]
) -> None:
    await person(make, **values)
    with pytest.raises(Unauthenticated) as caught:
        await access.login(database, settings, "ada@example.test", PASSWORD, HERE)
    assert caught.value.detail == "The user name or the password is wrong, or this account cannot sign in."
    [entry] = await audited(database)
    assert (entry.action, entry.details) == ("session.refused", {"reason": "cannot_sign_in"})


async def test_a_person_without_a_password_cannot_sign_in(
    database: Database, settings: Settings, make: Factory
) -> None:
    await person(make, password_hash=None)
    with pytest.raises(Unauthenticated):
        await access.login(database, settings, "ada@example.test", "", HERE)


@pytest.mark.parametrize("prefix", ["2a", "2b", "2y"])
async def test_bcrypt_is_accepted_and_upgraded_at_sign_in(
    database: Database, settings: Settings, make: Factory, prefix: str
) -> None:
    old = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode().replace("$2b$", f"${prefix}$")
    user = await person(make, password_hash=old)
    await access.login(database, settings, "ada@example.test", PASSWORD, HERE)
    new = (await read_user(database, user)).password_hash
    assert new is not None
    assert new.startswith("$argon2id$")
    await access.login(database, settings, "ada@example.test", PASSWORD, HERE)
    assert (await read_user(database, user)).password_hash == new


async def test_a_long_bcrypt_password_works_as_it_did_and_counts_whole_afterwards(
    database: Database, settings: Settings, make: Factory
) -> None:
    long = "long-Password-" * 8
    await person(make, password_hash=bcrypt.hashpw(long.encode()[:72], bcrypt.gensalt(4)).decode())
    await access.login(database, settings, "ada@example.test", long, HERE)
    with pytest.raises(Unauthenticated):
        await access.login(database, settings, "ada@example.test", long[:80], HERE)


async def test_refreshing_rotates_the_token_within_the_session(
    database: Database, settings: Settings, make: Factory
) -> None:
    await person(make)
    first = await access.login(database, settings, "ada@example.test", PASSWORD, HERE)
    second = await access.refresh(database, settings, first.refresh_token, HERE)
    third = await access.refresh(database, settings, second.refresh_token, HERE)
    assert len({first.refresh_token, second.refresh_token, third.refresh_token}) == 3
    sessions = {access_tokens.read(settings, s.access_token).session_id for s in (first, second, third)}
    assert len(sessions) == 1


async def test_a_replay_ends_the_whole_session_and_is_audited(
    database: Database, settings: Settings, make: Factory
) -> None:
    user = await person(make)
    first = await access.login(database, settings, "ada@example.test", PASSWORD, HERE)
    other = await access.login(database, settings, "ada@example.test", PASSWORD, HERE)
    second = await access.refresh(database, settings, first.refresh_token, HERE)
    with pytest.raises(Unauthenticated, match="ended"):
        await access.refresh(database, settings, first.refresh_token, HERE)
    with pytest.raises(Unauthenticated, match="ended"):
        await access.refresh(database, settings, second.refresh_token, HERE)
    assert await actions(database) == ["session.started", "session.started", "session.replayed"]
    entry = (await audited(database))[-1]
    assert (entry.resource_id, entry.details["ended"]) == (user.id, 1)
    await access.refresh(database, settings, other.refresh_token, HERE)  # another session of the same person goes on


async def test_of_eight_refreshes_at_the_same_instant_one_succeeds(
    database: Database, settings: Settings, make: Factory
) -> None:
    await person(make)
    for _ in range(5):
        token = (await access.login(database, settings, "ada@example.test", PASSWORD, HERE)).refresh_token
        results = await asyncio.gather(
            *(access.refresh(database, settings, token, HERE) for _ in range(8)), return_exceptions=True
        )
        won = [result for result in results if isinstance(result, access.Session)]
        assert len(won) == 1
        assert [type(result) for result in results if result not in won] == [Unauthenticated] * 7
        with pytest.raises(Unauthenticated):  # the others were replays: what the winner got is over too
            await access.refresh(database, settings, won[0].refresh_token, HERE)
    assert (await actions(database)).count("session.replayed") == 5


async def test_a_logout_at_the_instant_of_a_refresh_leaves_no_session(
    database: Database, settings: Settings, make: Factory
) -> None:
    await person(make)
    for _ in range(10):
        token = (await access.login(database, settings, "ada@example.test", PASSWORD, HERE)).refresh_token
        refreshed, _ = await asyncio.gather(
            access.refresh(database, settings, token, HERE),
            access.logout(database, HERE, token),
            return_exceptions=True,
        )
        if isinstance(refreshed, access.Session):
            with pytest.raises(Unauthenticated):
                await access.refresh(database, settings, refreshed.refresh_token, HERE)


async def test_unknown_expired_and_foreign_tokens_do_not_refresh(
    database: Database, settings: Settings, make: Factory
) -> None:
    await person(make)
    session = await access.login(database, settings, "ada@example.test", PASSWORD, HERE)
    for token in ("", "x", "\ud800", session.access_token):
        with pytest.raises(Unauthenticated):
            await access.refresh(database, settings, token, HERE)
    await run(database, "UPDATE refresh_tokens SET created_at = now() - interval '8 days', expires_at = now()")
    with pytest.raises(Unauthenticated):
        await access.refresh(database, settings, session.refresh_token, HERE)
    assert await actions(database) == ["session.started"]


async def test_a_deactivated_person_does_not_refresh(database: Database, settings: Settings, make: Factory) -> None:
    await person(make)
    session = await access.login(database, settings, "ada@example.test", PASSWORD, HERE)
    await run(database, "UPDATE users SET status = 'DEACTIVATED', is_active = false")
    with pytest.raises(Unauthenticated):
        await access.refresh(database, settings, session.refresh_token, HERE)


async def test_logout_ends_this_session_once(database: Database, settings: Settings, make: Factory) -> None:
    await person(make)
    session = await access.login(database, settings, "ada@example.test", PASSWORD, HERE)
    other = await access.login(database, settings, "ada@example.test", PASSWORD, HERE)
    await access.logout(database, HERE, session.refresh_token)
    await access.logout(database, HERE, session.refresh_token)
    await access.logout(database, HERE, "unknown")
    with pytest.raises(Unauthenticated):
        await access.refresh(database, settings, session.refresh_token, HERE)
    await access.refresh(database, settings, other.refresh_token, HERE)
    assert (await actions(database)).count("session.ended") == 1


async def test_ending_all_sessions_of_a_person(database: Database, settings: Settings, make: Factory) -> None:
    user = await person(make)
    tokens = [(await access.login(database, settings, "ada@example.test", PASSWORD, HERE)).refresh_token for _ in "ab"]
    async with database.transaction(Actor(None)) as tx:
        assert await access.end_all(tx, user.id) == 2
    for token in tokens:
        with pytest.raises(Unauthenticated):
            await access.refresh(database, settings, token, HERE)


async def test_what_expired_a_month_ago_is_deleted(database: Database, settings: Settings, make: Factory) -> None:
    await person(make)
    await access.login(database, settings, "ada@example.test", PASSWORD, HERE)
    kept = await access.login(database, settings, "ada@example.test", PASSWORD, HERE)
    await run(
        database,
        "UPDATE refresh_tokens SET created_at = now() - interval '40 days', expires_at = now() - interval '31 days'"
        " WHERE token_hash <> :kept",
        kept=opaque.hashed(kept.refresh_token),
    )
    async with database.transaction(Actor(None)) as tx:
        assert await access.forget_expired(tx) == 1
    await access.refresh(database, settings, kept.refresh_token, HERE)
