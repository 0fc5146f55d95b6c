"""The shipped roles as one table, and writing them into the database.

Who may do what is docs/guides/access.md's table in code; companies add roles of their own through the API.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from server.access import role_repository
from server.access.permissions import PERMISSION_TEXTS
from server.access.repository import ADMIN_ROLE, INTEGRATION_ROLE
from server.actor import Permission, Scope
from server.database import Transaction
from server.events import AccessChanged

P = Permission


@dataclass(frozen=True, slots=True)
class Role:
    description: str
    grants: Mapping[Permission, Scope] = field(default_factory=dict)


def _at(scope: Scope, *permissions: Permission) -> dict[Permission, Scope]:
    return dict.fromkeys(permissions, scope)


_LOAD = _at(Scope.ALL, P.USERS_READ, P.PROJECTS_READ, P.PLANNING_READ, P.SETTINGS_READ)
"""everyone's load: what a plan without people, projects and a calendar would not say"""

_PLANS = {**_LOAD, **_at(Scope.ALL, P.CONTRACTS_READ, P.ABSENCES_READ)}
"""all plans: also what capacities are made of"""

SHIPPED_ROLES: dict[str, Role] = {
    ADMIN_ROLE: Role("Sees and changes everything.", _at(Scope.ALL, *Permission)),
    "planner": Role(
        "Sees all plans; changes all plans and projects, closes months, and starts syncs.",
        {
            **_PLANS,
            **_at(Scope.ALL, P.PLANNING_WRITE, P.ASSIGNMENTS_WRITE, P.PROJECTS_WRITE, P.MONTHS_CLOSE),
            **_at(Scope.ALL, P.SYNC_READ, P.SYNC_WRITE),
        },
    ),
    "manager": Role(
        "Sees all plans; changes cells, assignments and absences of the own business unit's people, on any project, "
        "and the own unit's projects.",
        {
            **_PLANS,
            **_at(Scope.UNIT, P.PLANNING_WRITE, P.ASSIGNMENTS_WRITE, P.ABSENCES_WRITE, P.PROJECTS_WRITE),
        },
    ),
    "member": Role("Sees everyone's load; changes the own cells.", {**_LOAD, **_at(Scope.OWN, P.PLANNING_WRITE)}),
    "analyst": Role(
        "Sees all but personal data, and may export it; changes nothing.",
        # The audit log and mappings name addresses and people's records elsewhere: personal data, so not here.
        {**_PLANS, **_at(Scope.ALL, P.ROLES_READ, P.SYNC_READ, P.DATA_EXPORT)},
    ),
    "hr": Role(
        "Sees all plans and the types of absences; changes contracts, absences, capacities and mappings.",
        {
            **_PLANS,
            **_at(Scope.ALL, P.ABSENCES_READ_TYPE, P.MAPPINGS_READ),
            **_at(Scope.ALL, P.CONTRACTS_WRITE, P.ABSENCES_WRITE, P.CAPACITIES_WRITE, P.MAPPINGS_WRITE),
        },
    ),
    INTEGRATION_ROLE: Role("For tools' service users: sees and changes what the API token's scopes say."),
}


async def write_shipped_roles(tx: Transaction) -> None:
    """Makes permissions and shipped roles what this version says; running it again changes nothing."""
    await role_repository.write_permissions(tx.session, PERMISSION_TEXTS)
    for name, role in SHIPPED_ROLES.items():
        role_id = await role_repository.write_role(tx.session, name, role.description)
        await role_repository.set_grants(tx.session, role_id, role.grants)
    tx.publish(AccessChanged())
