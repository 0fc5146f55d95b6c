"""One-time links, and the first administrator."""

from __future__ import annotations

import asyncio

import pytest

from server.access import service as access
from server.actor import Actor, Permission, Scope
from server.database import Database
from server.errors import Refused, Unauthenticated
from server.ids import new_id
from server.settings import Settings
from server.users.models import UserRow, UserStatus
from tests.access.people import HERE, PASSWORD, PASSWORD_HASH, actions, give, person, read_user, run
from tests.factories import Factory, actor, admin


async def invited(make: Factory, **values: object) -> UserRow:
    return await make.user(**{"email": "ada@example.test", "status": UserStatus.INVITED, **values})


async def link(database: Database, settings: Settings, caller: Actor, user: UserRow) -> access.Invitation:
    async with database.transaction(caller) as tx:
        return await access.invite(tx, settings, user.id)


async def codes(awaited: object) -> list[tuple[str, list[tuple[tuple[str, ...], str]]]]:
    with pytest.raises(Refused) as caught:
        await awaited  # type: ignore[misc]
    return [(p.code, [(error.path, error.code) for error in p.errors]) for p in caught.value.problems]


async def test_an_invited_person_sets_a_password_and_becomes_active(
    database: Database, settings: Settings, make: Factory
) -> None:
    user, boss = await invited(make), await make.user()
    made = await link(database, settings, admin(boss), user)
    assert made.link == f"http://127.0.0.1:8200/#invitation={made.token}"
    accepted = await access.accept_invitation(database, settings, made.token, PASSWORD, HERE)
    assert (accepted.status, accepted.version) == (UserStatus.ACTIVE, user.version + 1)
    await access.login(database, settings, "ada@example.test", PASSWORD, HERE)
    assert await actions(database) == ["user.invited", "invitation.accepted", "session.started"]


async def test_a_link_works_once_even_at_the_same_instant(
    database: Database, settings: Settings, make: Factory
) -> None:
    made = await link(database, settings, admin(await make.user()), await invited(make))
    results = await asyncio.gather(
        *(access.accept_invitation(database, settings, made.token, PASSWORD + str(n), HERE) for n in range(4)),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["Refused", "Refused", "Refused", "UserRow"]


async def test_a_refused_password_does_not_use_the_link_up(
    database: Database, settings: Settings, make: Factory
) -> None:
    made = await link(database, settings, admin(await make.user()), await invited(make))
    refusal = await codes(access.accept_invitation(database, settings, made.token, "Short-7", HERE))
    assert refusal == [("INVALID_INPUT", [(("password",), "PASSWORD_TOO_SHORT")])]
    await access.accept_invitation(database, settings, made.token, PASSWORD, HERE)


async def test_expired_replaced_and_unknown_links_are_refused(
    database: Database, settings: Settings, make: Factory
) -> None:
    user, boss = await invited(make), admin(await make.user())
    replaced = await link(database, settings, boss, user)
    expired = await link(database, settings, boss, user)
    await run(database, "UPDATE invitations SET expires_at = now()")
    for token in (replaced.token, expired.token, "unknown", "", "\ud800"):
        refusal = await codes(access.accept_invitation(database, settings, token, PASSWORD, HERE))
        assert refusal == [("LINK_NOT_VALID", [(("token",), "LINK_NOT_VALID")])]
    assert (await read_user(database, user)).password_hash is None


async def test_who_was_deactivated_meanwhile_cannot_accept(
    database: Database, settings: Settings, make: Factory
) -> None:
    user = await invited(make)
    made = await link(database, settings, admin(await make.user()), user)
    await run(database, "UPDATE users SET status = 'DEACTIVATED', is_active = false WHERE id = :id", id=user.id)
    assert await codes(access.accept_invitation(database, settings, made.token, PASSWORD, HERE)) == [
        ("LINK_NOT_VALID", [(("token",), "LINK_NOT_VALID")])
    ]


async def test_a_link_for_a_forgotten_password_ends_the_sessions(
    database: Database, settings: Settings, make: Factory
) -> None:
    user = await person(make)
    session = await access.login(database, settings, "ada@example.test", PASSWORD, HERE)
    made = await link(database, settings, admin(await make.user()), user)
    await access.accept_invitation(database, settings, made.token, "Vent-de-travers-19", HERE)
    with pytest.raises(Unauthenticated):
        await access.refresh(database, settings, session.refresh_token, HERE)


async def test_nobody_makes_a_link_for_someone_who_may_do_more(
    database: Database, settings: Settings, make: Factory
) -> None:
    unit = await make.unit()
    caller = actor(Permission.USERS_WRITE, Permission.PLANNING_READ, user=await make.user(), scope=Scope.ALL)
    more = await make.user(business_unit_id=unit.id)
    await give(database, more, {Permission.ROLES_WRITE: Scope.ALL}, "More")
    equal = await make.user()
    await give(database, equal, {Permission.PLANNING_READ: Scope.ALL}, "Equal")
    superuser = await make.user(is_superuser=True)
    held = [("PERMISSION_NOT_HELD", [(("userId",), "PERMISSION_NOT_HELD")])]
    assert await codes(link(database, settings, caller, more)) == held
    assert await codes(link(database, settings, caller, superuser)) == held
    narrow = actor(
        Permission.USERS_WRITE, Permission.ROLES_WRITE, user=await make.user(business_unit_id=unit.id), scope=Scope.UNIT
    )
    assert await codes(link(database, settings, narrow, more)) == held
    await link(database, settings, caller, equal)


async def test_whom_a_link_cannot_be_made_for(database: Database, settings: Settings, make: Factory) -> None:
    boss = await make.user()
    service, nameless = await make.user(is_service=True), await make.user(email=None)
    left = await make.user(status=UserStatus.LEFT, is_active=False)
    for user in (service, nameless, left):
        assert await codes(link(database, settings, admin(boss), user)) == [
            ("INVALID_INPUT", [(("userId",), "CANNOT_SIGN_IN")])
        ]
    ghost = UserRow(id=new_id())
    assert await codes(link(database, settings, admin(boss), ghost)) == [("UNKNOWN_ID", [(("userId",), "UNKNOWN_ID")])]
    manager = actor(Permission.USERS_WRITE, user=boss, scope=Scope.UNIT)
    stranger = await make.user(business_unit_id=(await make.unit()).id)
    assert await codes(link(database, settings, manager, stranger)) == [
        ("OUT_OF_SCOPE", [(("userId",), "OUT_OF_SCOPE")])
    ]
    assert await actions(database) == []


async def test_the_first_admin_must_change_the_password(database: Database, settings: Settings) -> None:
    async with database.transaction(Actor(None)) as tx:
        user = await access.create_admin(tx, settings, "root@example.test", "Grace", "Hopper", PASSWORD)
    assert (user.is_superuser, user.must_change_password, user.status) == (True, True, UserStatus.ACTIVE)
    session = await access.login(database, settings, "root@example.test", PASSWORD, HERE)
    assert session.user.must_change_password


async def test_a_refused_admin_is_not_created(database: Database, settings: Settings, make: Factory) -> None:
    existing = await person(make)

    async def create(email: str, last_name: str, password: str) -> None:
        async with database.transaction(Actor(None)) as tx:
            await access.create_admin(tx, settings, email, "Grace", last_name, password)

    assert await codes(create("nowhere", " ", "Short-7")) == [
        (
            "INVALID_INPUT",
            [(("email",), "INVALID_EMAIL"), (("lastName",), "INVALID_NAME"), (("password",), "PASSWORD_TOO_SHORT")],
        )
    ]
    assert await codes(create("ADA@example.test", "Hopper", PASSWORD)) == [("DUPLICATE", [(("email",), "DUPLICATE")])]
    assert (await read_user(database, existing)).password_hash == PASSWORD_HASH


async def test_an_active_person_without_a_password_is_invited_until_the_link_is_used(
    database: Database, settings: Settings, make: Factory
) -> None:
    user = await invited(make, status=UserStatus.ACTIVE)
    made = await link(database, settings, admin(await make.user()), user)
    waiting = await read_user(database, user)
    assert (waiting.status, waiting.is_active, waiting.version) == (UserStatus.INVITED, True, user.version + 1)
    await access.accept_invitation(database, settings, made.token, PASSWORD, HERE)
    assert (await read_user(database, user)).status == UserStatus.ACTIVE


async def test_a_person_who_forgot_the_password_stays_active(
    database: Database, settings: Settings, make: Factory
) -> None:
    user = await person(make)
    await link(database, settings, admin(await make.user()), user)
    assert (await read_user(database, user)).status == UserStatus.ACTIVE
