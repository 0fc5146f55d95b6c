"""Changes of people that concern who can sign in. Someone who can administer always remains."""

from __future__ import annotations

from uuid import UUID

from server.access import repository, role_repository
from server.access.service import sessions
from server.access.service.grants import known, lacking
from server.actor import Permission
from server.changes import apply
from server.database import Transaction
from server.errors import refuse
from server.events import AccessChanged
from server.users import service as users
from server.users.models import UserRow, UserStatus


async def deactivate(tx: Transaction, user_id: UUID, expected_version: int | None) -> UserRow:
    """No sign-in, no API token, no invitation from now on; sessions end, and history stays."""
    await role_repository.lock_administrators(tx.session)
    row = await users.for_change(tx, Permission.USERS_WRITE, user_id, expected_version)
    await _refuse_the_mightier(tx, row.id)
    administered = await role_repository.is_administrator(tx.session, row.id)
    before, after = apply(row, {"status": UserStatus.DEACTIVATED, "is_active": False})
    if not after:
        return row
    await tx.session.flush()
    if administered:
        await refuse_without_administrator(tx, "id")
    await repository.withdraw_invitations(tx.session, row.id)
    ended = await sessions.end_all(tx, row.id)
    await tx.audit("user.deactivated", "user", row.id, before=before, after=after, sessions_ended=ended)
    return row


async def update(tx: Transaction, change: users.UserChange) -> UserRow:
    """People sign in by their e-mail: whoever sets another's could become them, so must hold what they hold."""
    if "email" in change.values and change.id != tx.actor.user_id:
        await _refuse_the_mightier(tx, change.id)
    return await users.update(tx, change)


async def _refuse_the_mightier(tx: Transaction, user_id: UUID) -> None:
    if lacking(tx.actor, known(await repository.grants_of(tx.session, user_id))):
        raise refuse("PERMISSION_NOT_HELD", "This person may do more than you: ask someone who may as much.", "id")


async def reactivate(tx: Transaction, user_id: UUID, expected_version: int | None) -> UserRow:
    """Password, roles and API tokens are as they were, so the caller must hold what the person gets back."""
    row = await users.for_change(tx, Permission.USERS_WRITE, user_id, expected_version)
    if row.is_active:
        return row
    await _refuse_the_mightier(tx, row.id)
    before, after = apply(row, {"status": UserStatus.ACTIVE, "is_active": True})
    await tx.session.flush()
    await tx.audit("user.reactivated", "user", row.id, before=before, after=after)
    tx.publish(AccessChanged(row.id))
    return row


async def refuse_without_administrator(tx: Transaction, field: str) -> None:
    """After a change under role_repository.lock_administrators: raises when nobody is left who can administer."""
    if not await role_repository.has_administrator(tx.session):
        raise refuse("LAST_ADMIN", "This is the last admin who can sign in: make somebody else an admin first.", field)
