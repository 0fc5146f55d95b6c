"""People who can sign in, with roles: what the tests of signing in start from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, text

from server.access.models import PermissionRow, RolePermissionRow, RoleRow, UserRoleRow
from server.access.service.passwords import CONTEXT
from server.actor import Actor, Origin, Permission, Scope
from server.audit.models import AuditLogRow
from server.database import Database
from server.users.models import UserRow
from tests.factories import Factory

PASSWORD = "Rose-des-vents-84"
PASSWORD_HASH = CONTEXT.hash(PASSWORD)
HERE = Origin(address="192.0.2.10", user_agent="test")


def origin(address: str) -> Origin:
    return Origin(address=address, user_agent="test")


async def person(make: Factory, **values: Any) -> UserRow:
    """An active person with the password PASSWORD."""
    return await make.user(**{"email": "ada@example.test", "password_hash": PASSWORD_HASH, **values})


async def give(database: Database, user: UserRow, grants: Mapping[Permission, Scope], name: str = "Tested") -> RoleRow:
    """A role of the company's own with these grants, held by the user."""
    async with database.transaction(Actor(None)) as tx:
        role = RoleRow(name=name)
        tx.session.add(role)
        await tx.session.flush()
        for permission, scope in grants.items():
            row = await tx.session.scalar(select(PermissionRow).where(PermissionRow.code == permission.value))
            if row is None:
                row = PermissionRow(code=permission.value, description="")
                tx.session.add(row)
                await tx.session.flush()
            tx.session.add(RolePermissionRow(role_id=role.id, permission_id=row.id, scope=int(scope)))
        tx.session.add(UserRoleRow(user_id=user.id, role_id=role.id))
    return role


async def read_user(database: Database, user: UserRow) -> UserRow:
    async with database.reads.session() as session:
        return await session.get_one(UserRow, user.id)


async def audited(database: Database) -> list[AuditLogRow]:
    """The audit log, the oldest first."""
    async with database.reads.session() as session:
        return list(await session.scalars(select(AuditLogRow).order_by(AuditLogRow.id)))


async def actions(database: Database) -> list[str]:
    return [row.action for row in await audited(database)]


async def run(database: Database, statement: str, **values: Any) -> None:
    """Plain SQL, to put the database into a state that would take time to reach."""
    async with database.transaction(Actor(None)) as tx:
        await tx.session.execute(text(statement), values)


async def let_pass(database: Database, seconds: int) -> None:
    """As if the failed sign-ins so far had happened so much earlier."""
    await run(
        database,
        "UPDATE sign_in_failures SET last_failure_at = last_failure_at - make_interval(secs => :seconds),"
        " refused_at = refused_at - make_interval(secs => :seconds)",
        seconds=seconds,
    )


async def just_now(database: Database) -> None:
    """As if the failures so far had happened this instant, however slow this machine is."""
    await run(database, "UPDATE sign_in_failures SET last_failure_at = now()")
