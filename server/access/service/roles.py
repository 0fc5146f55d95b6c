"""A company's own roles, and who holds which role. Nobody hands out or takes away what they do not hold themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from server.access import role_repository
from server.access.models import RoleRow
from server.access.permissions import NARROWABLE
from server.access.service.accounts import refuse_without_administrator
from server.access.service.grants import known, lacking
from server.actor import Permission, Scope
from server.changes import apply, broken_constraint, check_version, duplicate
from server.database import Transaction
from server.errors import FieldError, invalid, refuse
from server.events import AccessChanged
from server.search import storable
from server.users import service as users
from server.users.models import UserRow

NAME_INDEX = "uq_roles_name"
NAME_LENGTH = 80
DESCRIPTION_LENGTH = 500
MAX_ROLES = 50

Grants = Sequence[tuple[Permission, Scope]]


@dataclass(frozen=True, slots=True)
class RoleChange:
    """`values` holds the columns to set; `grants` None leaves them as they are."""

    id: UUID
    values: Mapping[str, str]
    grants: Grants | None = None
    expected_version: int | None = None


async def create(tx: Transaction, name: str, description: str, grants: Grants) -> RoleRow:
    _check_reach(tx)
    row = RoleRow(name=name.strip(), description=description.strip())
    _check(row.name, row.description, grants)
    _check_held(tx, dict(grants), "permissions")
    tx.session.add(row)
    await _flush(tx, row.name)
    await role_repository.set_grants(tx.session, row.id, dict(grants))
    after = {"name": row.name, "description": row.description, "permissions": _codes(dict(grants))}
    await tx.audit("role.created", "role", row.id, after=after)
    return row


async def update(tx: Transaction, change: RoleChange) -> RoleRow:
    _check_reach(tx)
    row = await role_repository.by_id_for_update(tx.session, change.id)
    if row is None:
        raise refuse("UNKNOWN_ID", "There is no role with this id.", "id")
    if row.shipped:
        raise refuse("READ_ONLY", "Shipped roles cannot be changed: create a role of your own instead.", "id")
    check_version(row, change.expected_version)
    values = {name: value.strip() for name, value in change.values.items()}
    wanted = {"name": row.name, "description": row.description, **values}
    _check(wanted["name"], wanted["description"], change.grants or ())
    before, after = apply(row, values)
    if after:
        await _flush(tx, wanted["name"])
    if change.grants is not None:
        await _regrant(tx, row, dict(change.grants), before, after)
    if after:
        await tx.audit("role.updated", "role", row.id, before=before, after=after)
    return row


async def _regrant(
    tx: Transaction, row: RoleRow, wanted: dict[Permission, Scope], before: dict[str, Any], after: dict[str, Any]
) -> None:
    """Replaces what the role grants, and notes it in `before` and `after`."""
    held = known({code: scope for _, code, scope in await role_repository.grants(tx.session, [row.id])})
    if held == wanted:
        return
    for grants in (wanted, held):  # widening and narrowing alike
        other = held if grants is wanted else wanted
        _check_held(tx, {p: scope for p, scope in grants.items() if other.get(p) != scope}, "permissions")
    if not after:
        row.version += 1
    before["permissions"], after["permissions"] = _codes(held), _codes(wanted)
    await tx.session.flush()
    await role_repository.set_grants(tx.session, row.id, wanted)
    tx.publish(AccessChanged())


async def set_user_roles(
    tx: Transaction, user_id: UUID, role_ids: Sequence[UUID], expected_version: int | None
) -> UserRow:
    """Makes these the user's roles, and no others."""
    if len(role_ids) > MAX_ROLES:
        raise invalid([FieldError(("roleIds",), "TOO_MANY", f"Give at most {MAX_ROLES} roles.")])
    await role_repository.lock_administrators(tx.session)
    row = await users.for_change(tx, Permission.ROLES_WRITE, user_id, expected_version, "userId")
    wanted = {role.id: role for role in await role_repository.by_ids(tx.session, role_ids)}
    for index, role_id in enumerate(role_ids):
        if role_id not in wanted:
            raise refuse("UNKNOWN_ID", "There is no role with this id.", "roleIds", index)
    held = {pair.RoleRow.id: pair.RoleRow for pair in await role_repository.of_users(tx.session, [row.id])}
    changed = wanted.keys() ^ held.keys()
    if not changed:
        return row
    for _, code, scope in await role_repository.grants(tx.session, sorted(changed)):
        _check_held(tx, known({code: scope}), "roleIds")
    administered = await role_repository.is_administrator(tx.session, row.id)
    await role_repository.set_user_roles(
        tx.session,
        row.id,
        add=wanted.keys() - held.keys(),
        remove=held.keys() - wanted.keys(),
        by=tx.actor.user_id,
    )
    if administered:
        await refuse_without_administrator(tx, "roleIds")
    row.version += 1
    await tx.session.flush()
    await tx.audit("user.roles_set", "user", row.id, before={"roles": _names(held)}, after={"roles": _names(wanted)})
    tx.publish(AccessChanged(row.id))
    return row


def _check_reach(tx: Transaction) -> None:
    if not tx.actor.reaches_unit(Permission.ROLES_WRITE, None):
        raise refuse("OUT_OF_SCOPE", "Roles concern the whole company: you may only give them to your own people.")


def _check_held(tx: Transaction, grants: Mapping[Permission, Scope], field: str) -> None:
    beyond = lacking(tx.actor, grants)
    if beyond:
        names = ", ".join(sorted(permission.value for permission in beyond))
        detail = f"You do not hold {names} as widely yourself, so you can neither give nor take it."
        raise refuse("PERMISSION_NOT_HELD", detail, field)


def _check(name: str, description: str, grants: Grants) -> None:
    errors = []
    if not name or len(name) > NAME_LENGTH or not name.isprintable():
        message = f"Give the role a name of 1 to {NAME_LENGTH} printable characters."
        errors.append(FieldError(("name",), "INVALID_NAME", message))
    if len(description) > DESCRIPTION_LENGTH or not storable(description):
        message = f"Describe the role in at most {DESCRIPTION_LENGTH} characters."
        errors.append(FieldError(("description",), "INVALID_DESCRIPTION", message))
    seen = set()
    for index, (permission, scope) in enumerate(grants):
        path = ("permissions", str(index))
        if permission in seen:
            message = f"{permission.name} is here twice: keep one."
            errors.append(FieldError((*path, "permission"), "DUPLICATE", message))
        if scope is not Scope.ALL and permission not in NARROWABLE:
            message = f"{permission.name} cannot be narrowed: grant it at the scope ALL, or not at all."
            errors.append(FieldError((*path, "scope"), "SCOPE_NOT_SUPPORTED", message))
        seen.add(permission)
    if errors:
        raise invalid(errors)


async def _flush(tx: Transaction, name: str) -> None:
    try:
        await tx.session.flush()
    except IntegrityError as error:
        if broken_constraint(error) == NAME_INDEX:
            raise duplicate("role", "name", name) from error
        raise


def _codes(grants: Mapping[Permission, Scope]) -> dict[str, str]:
    return {permission.value: scope.name for permission, scope in sorted(grants.items())}


def _names(roles: Mapping[UUID, RoleRow]) -> list[str]:
    return sorted(role.name for role in roles.values())
