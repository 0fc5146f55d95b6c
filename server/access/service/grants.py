"""Nobody grants a permission they lack: what a caller would hand out, compared with what they hold."""

from __future__ import annotations

from collections.abc import Mapping

from server.actor import Actor, Permission, Scope

_CODES = frozenset(permission.value for permission in Permission)


def known(grants: Mapping[str, int]) -> dict[Permission, Scope]:
    """As the database has them, without codes that this version does not know."""
    return {Permission(code): Scope(scope) for code, scope in grants.items() if code in _CODES}


def lacking(actor: Actor, grants: Mapping[Permission, Scope]) -> list[Permission]:
    """The permissions among `grants` that the actor does not hold as widely."""
    held = {permission: actor.scope(permission) for permission in grants}
    return [permission for permission, scope in grants.items() if (held[permission] or 0) < scope]
