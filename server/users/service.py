"""What people with the right do to others' own facts. Sign-in, roles and deactivation are in server/access."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from server.actor import Permission
from server.changes import apply, broken_constraint, check_version, duplicate, refuse_violations
from server.database import Transaction
from server.errors import refuse
from server.events import AccessChanged
from server.users import domain, repository
from server.users.models import UserRow, UserStatus

EMAIL_INDEX = "uq_users_email"


@dataclass(frozen=True, slots=True)
class UserDraft:
    first_name: str
    last_name: str
    email: str | None = None
    business_unit_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class UserChange:
    """`values` holds the columns to set; those left out stay as they are."""

    id: UUID
    values: Mapping[str, Any] = field(default_factory=dict)
    expected_version: int | None = None


async def create(tx: Transaction, draft: UserDraft) -> UserRow:
    """A person who can be planned. Without roles they may do nothing; an invitation lets them sign in."""
    row = UserRow(
        first_name=draft.first_name.strip(),
        last_name=draft.last_name.strip(),
        email=draft.email.strip() if draft.email is not None else None,
        business_unit_id=draft.business_unit_id,
        status=UserStatus.ACTIVE,
        is_active=True,
    )
    refuse_violations(list(domain.check_person(row.first_name, row.last_name, row.email)))
    await _check_unit(tx, row.business_unit_id)
    tx.session.add(row)
    await _flush(tx, row)
    await tx.audit("user.created", "user", row.id, after=_facts(row))
    return row


async def update(tx: Transaction, change: UserChange) -> UserRow:
    row = await for_change(tx, Permission.USERS_WRITE, change.id, change.expected_version)
    values = {name: value.strip() if isinstance(value, str) else value for name, value in change.values.items()}
    wanted = {**_facts(row), **values}
    violations = list(domain.check_person(wanted["first_name"], wanted["last_name"], wanted["email"]))
    if wanted["email"] is None and row.password_hash is not None:
        violations.append(("email", "EMAIL_NEEDED", "Keep an e-mail address: this person signs in with it."))
    refuse_violations(violations)
    if wanted["business_unit_id"] != row.business_unit_id:
        await _check_unit(tx, wanted["business_unit_id"])
    before, after = apply(row, values)
    if after:
        await _flush(tx, row)
        await tx.audit("user.updated", "user", row.id, before=before, after=after)
    if "business_unit_id" in after:
        tx.publish(AccessChanged(row.id))  # rights that reach the own unit now reach another
    return row


async def for_change(
    tx: Transaction, permission: Permission, user_id: UUID, expected_version: int | None, field_name: str = "id"
) -> UserRow:
    """The user, locked, for a caller who may change them and knows their present version."""
    row = await repository.by_id_for_update(tx.session, user_id)
    if row is None:
        raise refuse("UNKNOWN_ID", "There is no user with this id.", field_name)
    if not tx.actor.reaches_user(permission, row.id, row.business_unit_id):
        raise refuse("OUT_OF_SCOPE", "You may change people of your own business unit only.", field_name)
    if row.is_superuser and not tx.actor.is_superuser:
        raise refuse("OUT_OF_SCOPE", "Only a superuser may change a superuser.", field_name)
    check_version(row, expected_version)
    return row


async def _check_unit(tx: Transaction, business_unit_id: UUID | None) -> None:
    if business_unit_id is not None and await repository.unit_by_id(tx.session, business_unit_id) is None:
        raise refuse("UNKNOWN_ID", "There is no business unit with this id.", "businessUnitId")
    if not tx.actor.reaches_unit(Permission.USERS_WRITE, business_unit_id):
        raise refuse("OUT_OF_SCOPE", "You may put people into your own business unit only.", "businessUnitId")


async def _flush(tx: Transaction, row: UserRow) -> None:
    email = row.email or ""  # after a failed flush the row cannot be read
    try:
        await tx.session.flush()
    except IntegrityError as error:
        if broken_constraint(error) == EMAIL_INDEX:
            raise duplicate("user", "email", email) from error
        raise


def _facts(row: UserRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("first_name", "last_name", "email", "business_unit_id")}
