"""Changing one's own password."""

from __future__ import annotations

import unicodedata

import pytest

from server.access import service as access
from server.access.service import access_tokens, passwords
from server.actor import Actor
from server.database import Database
from server.errors import Refused, Throttled, Unauthenticated
from server.settings import Settings
from server.users.models import UserRow
from tests.access.people import HERE, PASSWORD, PASSWORD_HASH, actions, just_now, person, read_user
from tests.factories import Factory

NEW = "Vent-de-travers-19"


async def signed_in(database: Database, settings: Settings, user: UserRow) -> tuple[Actor, access.Session]:
    session = await access.login(database, settings, user.email or "", PASSWORD, HERE)
    family = access_tokens.read(settings, session.access_token).session_id
    return Actor(user.id, session_id=family, origin=HERE), session


async def test_a_changed_password_works_and_ends_the_other_sessions(
    database: Database, settings: Settings, make: Factory
) -> None:
    user = await person(make, must_change_password=True)
    _, elsewhere = await signed_in(database, settings, user)
    actor, here = await signed_in(database, settings, user)
    changed = await access.change_password(database, settings, actor, PASSWORD, NEW)
    assert changed.must_change_password is False
    await access.refresh(database, settings, here.refresh_token, HERE)
    with pytest.raises(Unauthenticated):
        await access.refresh(database, settings, elsewhere.refresh_token, HERE)
    with pytest.raises(Unauthenticated):
        await access.login(database, settings, "ada@example.test", PASSWORD, HERE)
    await access.login(database, settings, "ada@example.test", NEW, HERE)
    assert "password.changed" in await actions(database)


@pytest.mark.parametrize(
    ("current", "new", "expected"),
    [
        ("wrong", NEW, [(("currentPassword",), "PASSWORD_WRONG")]),
        (PASSWORD, PASSWORD, [(("newPassword",), "PASSWORD_UNCHANGED")]),
        (
            PASSWORD,
            "ada-7-deux",
            [(("newPassword",), "PASSWORD_TOO_SHORT"), (("newPassword",), "PASSWORD_CONTAINS_NAME")],
        ),
    ],
)
async def test_a_refused_change_says_why_and_changes_nothing(
    database: Database,
    settings: Settings,
    make: Factory,
    current: str,
    new: str,
    expected: list[tuple[tuple[str, ...], str]],
) -> None:
    user = await person(make)
    actor, _ = await signed_in(database, settings, user)
    with pytest.raises(Refused) as caught:
        await access.change_password(database, settings, actor, current, new)
    [problem] = caught.value.problems
    assert [(error.path, error.code) for error in problem.errors] == expected
    assert problem.code == "INVALID_INPUT"
    assert (await read_user(database, user)).password_hash == PASSWORD_HASH


async def test_guessing_the_current_password_is_slowed_down_like_signing_in(
    database: Database, settings: Settings, make: Factory
) -> None:
    actor, _ = await signed_in(database, settings, await person(make))
    for _ in range(5):
        with pytest.raises(Refused):
            await access.change_password(database, settings, actor, "wrong", NEW)
    await just_now(database)
    with pytest.raises(Throttled):
        await access.change_password(database, settings, actor, PASSWORD, NEW)
    assert (await actions(database)).count("password.refused") == 5


async def test_an_api_token_changes_no_password(database: Database, settings: Settings, make: Factory) -> None:
    user = await person(make)
    with pytest.raises(Unauthenticated):
        await access.change_password(database, settings, Actor(user.id, token_id=user.id), PASSWORD, NEW)


async def test_an_accent_counts_the_same_however_a_keyboard_composes_it() -> None:
    password = "Été à l'océan 7"
    stored = await passwords.hashed(unicodedata.normalize("NFD", password))
    assert (await passwords.verify(unicodedata.normalize("NFC", password), stored)).matches


async def test_a_stored_text_that_is_no_hash_matches_nothing() -> None:
    assert not (await passwords.verify("anything", "not-a-hash")).matches
