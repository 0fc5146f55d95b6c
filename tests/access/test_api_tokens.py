"""API tokens: made, limited, revoked."""

from __future__ import annotations

from datetime import timedelta

import pytest

from server.access import service as access
from server.access.service import opaque
from server.actor import Actor, Permission, Scope
from server.database import Database
from server.errors import Refused
from server.ids import new_id
from server.users.models import UserStatus
from tests.access.people import actions, audited, read_user
from tests.factories import Factory, actor, admin

READ = [Permission.PLANNING_READ, Permission.USERS_READ]


async def refusal(awaited: object) -> list[tuple[str, list[tuple[tuple[str, ...], str]]]]:
    with pytest.raises(Refused) as caught:
        await awaited  # type: ignore[misc]
    return [(p.code, [(error.path, error.code) for error in p.errors]) for p in caught.value.problems]


async def create(database: Database, caller: Actor, *values: object) -> tuple[object, str]:
    async with database.transaction(caller) as tx:
        return await access.create_api_token(tx, *values)  # type: ignore[arg-type]


async def test_a_token_is_shown_once_and_stored_as_a_hash(database: Database, make: Factory) -> None:
    boss = await make.user()
    async with database.transaction(admin(boss)) as tx:
        row, secret = await access.create_api_token(tx, " Power BI ", READ, 30)
    assert secret.startswith("pdc_")
    assert (row.name, row.hint, row.token_hash) == ("Power BI", secret[:10], opaque.hashed(secret))
    assert row.scopes == ["planning:read", "users:read"]
    assert abs(row.expires_at - row.created_at - timedelta(days=30)) < timedelta(minutes=1)
    assert row.created_by_id == boss.id
    async with database.reads.session() as session:
        user = await session.get_one(type(boss), row.user_id)
    assert (user.is_service, user.email, user.last_name, user.status) == (True, None, "Power BI", UserStatus.ACTIVE)
    assert await actions(database) == ["user.created", "api_token.created"]
    assert all(secret not in str(entry.details) for entry in await audited(database))


async def test_nobody_grants_a_permission_they_lack_for_all(database: Database, make: Factory) -> None:
    caller = Actor(
        (await make.user()).id,
        {Permission.TOKENS_WRITE: Scope.ALL, Permission.PLANNING_READ: Scope.ALL, Permission.USERS_READ: Scope.UNIT},
    )
    await create(database, caller, "narrow", [Permission.PLANNING_READ], 30)
    for lacked in (Permission.USERS_READ, Permission.ROLES_WRITE):
        assert await refusal(create(database, caller, "wide", [Permission.PLANNING_READ, lacked], 30)) == [
            ("PERMISSION_NOT_HELD", [(("scopes", "1"), "PERMISSION_NOT_HELD")])
        ]
    assert (await actions(database)).count("api_token.created") == 1


async def test_everything_wrong_with_a_token_is_said_at_once(database: Database, make: Factory) -> None:
    boss = admin(await make.user())
    assert await refusal(create(database, boss, " ", [], 0)) == [
        (
            "INVALID_INPUT",
            [(("name",), "INVALID_NAME"), (("scopes",), "SCOPES_MISSING"), (("days",), "INVALID_DAYS")],
        )
    ]
    for name, days, path in (("x" * 101, 1, "name"), ("a\0b", 1, "name"), ("ok", 367, "days"), ("ok", -1, "days")):
        [(code, errors)] = await refusal(create(database, boss, name, READ, days))
        assert (code, [error[0] for error in errors]) == ("INVALID_INPUT", [(path,)])
    assert await actions(database) == []


async def test_a_token_acts_for_service_users_only(database: Database, make: Factory) -> None:
    boss = admin(await make.user())
    person, tool = await make.user(), await make.user(is_service=True, email=None)
    gone = await make.user(is_service=True, status=UserStatus.DEACTIVATED, is_active=False)
    for user in (person, gone):
        assert await refusal(create(database, boss, "x", READ, 1, user.id)) == [
            ("INVALID_INPUT", [(("serviceUserId",), "NOT_A_SERVICE_USER")])
        ]
    assert await refusal(create(database, boss, "x", READ, 1, new_id())) == [
        ("UNKNOWN_ID", [(("serviceUserId",), "UNKNOWN_ID")])
    ]
    row, _ = await create(database, boss, "x", READ, 1, tool.id)
    assert row.user_id == tool.id  # type: ignore[attr-defined]


async def test_a_unit_s_own_administrator_makes_and_revokes_tokens_within_the_unit(
    database: Database, make: Factory
) -> None:
    mine, theirs = await make.unit(), await make.unit()
    boss = await make.user(business_unit_id=mine.id)
    caller = Actor(
        boss.id, {Permission.TOKENS_WRITE: Scope.UNIT, Permission.PLANNING_READ: Scope.ALL}, business_unit_id=mine.id
    )
    own_tool = await make.user(is_service=True, business_unit_id=mine.id)
    other_tool = await make.user(is_service=True, business_unit_id=theirs.id)
    await create(database, caller, "x", [Permission.PLANNING_READ], 1, own_tool.id)
    assert await refusal(create(database, caller, "x", [Permission.PLANNING_READ], 1, other_tool.id)) == [
        ("OUT_OF_SCOPE", [(("serviceUserId",), "OUT_OF_SCOPE")])
    ]
    other, _ = await create(database, admin(await make.user()), "x", READ, 1, other_tool.id)

    async def revoke() -> None:
        async with database.transaction(caller) as tx:
            await access.revoke_api_token(tx, other.id)  # type: ignore[attr-defined]

    assert await refusal(revoke()) == [("OUT_OF_SCOPE", [(("id",), "OUT_OF_SCOPE")])]


async def test_revoking_is_audited_once(database: Database, make: Factory) -> None:
    boss = await make.user()
    row, _ = await create(database, admin(boss), "x", READ, 1)
    for _ in range(2):
        async with database.transaction(actor(Permission.TOKENS_WRITE, user=boss)) as tx:
            revoked = await access.revoke_api_token(tx, row.id)  # type: ignore[attr-defined]
        assert revoked.revoked_at is not None
    assert (await actions(database)).count("api_token.revoked") == 1
    assert (await read_user(database, boss)).is_active

    async def unknown() -> None:
        async with database.transaction(admin(boss)) as tx:
            await access.revoke_api_token(tx, new_id())

    assert await refusal(unknown()) == [("UNKNOWN_ID", [(("id",), "UNKNOWN_ID")])]
