"""Whose plan a call may change."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from server.actor import Permission
from server.database import Transaction
from server.errors import Problem, Refused, problem
from server.users import repository as users
from server.users.models import UserRow


async def reach(tx: Transaction, permission: Permission, user_id: UUID, *path: str | int) -> UserRow:
    """The person, whom the caller may change. Raises UNKNOWN_ID or OUT_OF_SCOPE at `path`."""
    row = {row.id: row for row in await users.by_ids(tx.session, [user_id])}.get(user_id)
    if found := unreachable(tx, permission, row, *path):
        raise Refused([found])
    assert row is not None
    return row


def unreachable(tx: Transaction, permission: Permission, row: UserRow | None, *path: str | int) -> Problem | None:
    """Why the caller may not change this person's plan, if so."""
    if row is None or row.is_service:
        return problem("UNKNOWN_ID", "There is nobody with this id who can be planned.", *path)
    if not tx.actor.reaches_user(permission, row.id, row.business_unit_id):
        return problem("OUT_OF_SCOPE", "This person is not of your business unit: ask their manager.", *path)
    return None


def full_name(row: UserRow) -> str:
    return f"{row.first_name} {row.last_name}".strip()


async def names(tx: Transaction, user_ids: Iterable[UUID]) -> dict[UUID, str]:
    return {row.id: full_name(row) for row in await users.by_ids(tx.session, list(user_ids))}
