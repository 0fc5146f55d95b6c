"""API tokens: a tool's credential, shown once, limited to its scopes, expiring, revocable."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from server.access import repository
from server.access.models import ApiTokenRow, UserRoleRow
from server.access.repository import ApiTokenOrder
from server.access.service import opaque
from server.access.service.grants import lacking
from server.actor import Permission, Scope
from server.database import Reads, Transaction
from server.errors import FieldError, Problem, Refused, invalid, problem, refuse
from server.events import AccessChanged
from server.users.models import UserRow, UserStatus

PREFIX = "pdc_"
"""Lets secret scanners, and our own authentication, tell what it is."""

MAX_DAYS = 366
MAX_NAME = 100
_HINT_LENGTH = len(PREFIX) + 6


async def create(
    tx: Transaction, name: str, scopes: Sequence[Permission], days: int, service_user_id: UUID | None = None
) -> tuple[ApiTokenRow, str]:
    """The row, and the secret that nobody sees again. Makes a service user when none is given."""
    name = name.strip()
    _check(name, scopes, days)
    beyond = lacking(tx.actor, dict.fromkeys(scopes, Scope.ALL))
    if beyond:
        raise Refused([_not_held(scopes, beyond)])
    user = await _service_user(tx, name, service_user_id)
    secret = opaque.new_token(PREFIX)
    row = ApiTokenRow(
        user_id=user.id,
        name=name,
        token_hash=opaque.hashed(secret),
        hint=secret[:_HINT_LENGTH],
        scopes=sorted({scope.value for scope in scopes}),
        created_by_id=tx.actor.user_id,
        expires_at=datetime.now(UTC) + timedelta(days=days),
    )
    tx.session.add(row)
    await tx.session.flush()
    await tx.session.refresh(row)
    after = {"name": name, "scopes": row.scopes, "expires_at": row.expires_at, "user_id": user.id}
    await tx.audit("api_token.created", "api_token", row.id, after=after)
    return row, secret


def _check(name: str, scopes: Sequence[Permission], days: int) -> None:
    errors = []
    if not name or len(name) > MAX_NAME or not name.isprintable():
        errors.append(FieldError(("name",), "INVALID_NAME", f"Give a name of 1 to {MAX_NAME} characters."))
    if not scopes:
        errors.append(FieldError(("scopes",), "SCOPES_MISSING", "Name at least one permission."))
    if not 1 <= days <= MAX_DAYS:
        errors.append(FieldError(("days",), "INVALID_DAYS", f"Let it live for 1 to {MAX_DAYS} days."))
    if errors:
        raise invalid(errors)


def _not_held(scopes: Sequence[Permission], beyond: Sequence[Permission]) -> Problem:
    names = ", ".join(permission.name for permission in beyond)
    detail = f"Leave out {names}: a token gets only what you hold yourself, for everyone's data."
    first = next(index for index, scope in enumerate(scopes) if scope in beyond)
    return problem("PERMISSION_NOT_HELD", detail, "scopes", first)


async def _service_user(tx: Transaction, name: str, user_id: UUID | None) -> UserRow:
    if user_id is None:
        user = UserRow(first_name="", last_name=name, status=UserStatus.ACTIVE, is_active=True, is_service=True)
        tx.session.add(user)
        await tx.session.flush()
        role = await repository.shipped_role(tx.session, repository.INTEGRATION_ROLE)
        if role is not None:
            tx.session.add(UserRoleRow(user_id=user.id, role_id=role.id, granted_by_id=tx.actor.user_id))
        await tx.audit("user.created", "user", user.id, after={"last_name": name, "is_service": True})
        return user
    found = await repository.lock_user(tx.session, user_id)
    if found is None:
        raise refuse("UNKNOWN_ID", "There is no user with this id.", "serviceUserId")
    if not found.is_service or not found.is_active:
        error = FieldError(("serviceUserId",), "NOT_A_SERVICE_USER", "Name an active service user, not a person.")
        raise invalid([error])
    if not tx.actor.reaches_user(Permission.TOKENS_WRITE, found.id, found.business_unit_id):
        raise refuse("OUT_OF_SCOPE", "You may not make tokens for this service user.", "serviceUserId")
    return found


async def revoke(tx: Transaction, token_id: UUID) -> ApiTokenRow:
    """Ends it for good, within 5 s everywhere. Revoking again changes nothing."""
    row = await repository.api_token(tx.session, token_id)
    if row is None:
        raise refuse("UNKNOWN_ID", "There is no API token with this id.", "id")
    user = await tx.session.get_one(UserRow, row.user_id)
    if not tx.actor.reaches_user(Permission.TOKENS_WRITE, user.id, user.business_unit_id):
        raise refuse("OUT_OF_SCOPE", "You may not revoke this service user's tokens.", "id")
    if row.revoked_at is None:
        row.revoked_at = datetime.now(UTC)
        await tx.audit("api_token.revoked", "api_token", row.id, before={"name": row.name})
        tx.publish(AccessChanged(row.user_id))
    return row


async def page(
    tx: Transaction,
    *,
    user_ids: Sequence[UUID] | None,
    usable: bool | None,
    order: ApiTokenOrder,
    offset: int,
    limit: int,
) -> Sequence[ApiTokenRow]:
    """Reading them is audited, hence a transaction."""
    await tx.audit("api_tokens.read", "api_token")
    return await repository.api_tokens(
        tx.session, user_ids=user_ids, usable=usable, order=order, offset=offset, limit=limit
    )


async def count(reads: Reads, *, user_ids: Sequence[UUID] | None, usable: bool | None) -> int:
    async with reads.session() as session:
        return await repository.count_api_tokens(session, user_ids=user_ids, usable=usable)
