"""Whose rows a caller may read: the condition that every listing of rows about people carries."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ColumnElement, false, select, true
from sqlalchemy.orm import InstrumentedAttribute

from server.actor import Actor, Permission, Scope
from server.users.models import UserRow


def visible(actor: Actor, permission: Permission, user_id: InstrumentedAttribute[UUID]) -> ColumnElement[bool]:
    """Rows of everybody, of the caller's business unit or of the caller, as the permission's scope says."""
    match actor.scope(permission):
        case Scope.ALL:
            return true()
        case Scope.UNIT if actor.business_unit_id is not None:
            return user_id.in_(select(UserRow.id).where(UserRow.business_unit_id == actor.business_unit_id))
        case Scope.OWN if actor.user_id is not None:
            return user_id == actor.user_id
        case _:
            return false()
