"""Who is calling and what they may do: the Actor and the Permission enum. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from uuid import UUID


class Permission(StrEnum):
    """What can be allowed, as `resource:action`."""

    USERS_READ = "users:read"
    USERS_READ_PERSONAL = "users:read-personal"
    USERS_WRITE = "users:write"
    ROLES_READ = "roles:read"
    ROLES_WRITE = "roles:write"
    BUSINESS_UNITS_WRITE = "business-units:write"
    PROJECTS_READ = "projects:read"
    PROJECTS_WRITE = "projects:write"
    PLANNING_READ = "planning:read"
    PLANNING_WRITE = "planning:write"
    ASSIGNMENTS_WRITE = "assignments:write"
    CAPACITIES_WRITE = "capacities:write"
    CONTRACTS_READ = "contracts:read"
    CONTRACTS_WRITE = "contracts:write"
    ABSENCES_READ = "absences:read"
    ABSENCES_READ_TYPE = "absences:read-type"
    ABSENCES_WRITE = "absences:write"
    MONTHS_CLOSE = "months:close"
    SETTINGS_READ = "settings:read"
    SETTINGS_WRITE = "settings:write"
    TOKENS_WRITE = "tokens:write"
    MAPPINGS_READ = "mappings:read"
    MAPPINGS_WRITE = "mappings:write"
    SYNC_READ = "sync:read"
    SYNC_WRITE = "sync:write"
    AUDIT_READ = "audit:read"
    AUDIT_READ_METADATA = "audit:read-metadata"
    DATA_EXPORT = "data:export"


class Scope(IntEnum):
    """On whose rows a permission acts; a wider scope contains the narrower ones."""

    OWN = 1
    """the caller's own row: their cells"""
    UNIT = 2
    """users and projects of the caller's business unit"""
    ALL = 3


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a call came from, for the audit log."""

    address: str | None = None
    user_agent: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Actor:
    """A signed-in person, a tool with an API token, or the system itself (`user_id` None).

    `grants` is what the database allowed when the request came in (cached for 5 s at most).
    """

    user_id: UUID | None
    grants: Mapping[Permission, Scope] = field(default_factory=dict)
    business_unit_id: UUID | None = None
    is_superuser: bool = False
    session_id: UUID | None = None
    token_id: UUID | None = None
    must_change_password: bool = False
    expires_at: float | None = None
    """when the token ends (seconds since the epoch): a socket closes then"""
    origin: Origin = Origin()

    def scope(self, permission: Permission) -> Scope | None:
        if self.is_superuser:
            return Scope.ALL
        return self.grants.get(permission)

    def can(self, permission: Permission) -> bool:
        return self.scope(permission) is not None

    def reaches_user(self, permission: Permission, user_id: UUID, business_unit_id: UUID | None) -> bool:
        """Whether `permission` covers this user's rows."""
        match self.scope(permission):
            case Scope.ALL:
                return True
            case Scope.UNIT:
                return business_unit_id is not None and business_unit_id == self.business_unit_id
            case Scope.OWN:
                return user_id == self.user_id
            case _:
                return False

    def reaches_unit(self, permission: Permission, business_unit_id: UUID | None) -> bool:
        """Whether `permission` covers what belongs to this business unit (projects)."""
        match self.scope(permission):
            case Scope.ALL:
                return True
            case Scope.UNIT:
                return business_unit_id is not None and business_unit_id == self.business_unit_id
            case _:
                return False


def system_actor(reason: str) -> Actor:
    """The server itself: migrations, seeds and jobs. `reason` stands in the audit log in place of an address."""
    return Actor(user_id=None, is_superuser=True, origin=Origin(user_agent=f"plancharge {reason}"))
