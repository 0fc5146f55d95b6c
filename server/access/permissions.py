"""What each permission allows, in words, and which of them can be narrowed to a part of the rows."""

from __future__ import annotations

from server.actor import Permission

PERMISSION_TEXTS = {
    Permission.USERS_READ: "See people: names, status, business unit.",
    Permission.USERS_READ_PERSONAL: "See people's e-mail addresses and last sign-ins.",
    Permission.USERS_WRITE: "Create, change, invite and deactivate people.",
    Permission.ROLES_READ: "See roles, permissions and who holds them.",
    Permission.ROLES_WRITE: "Create and change roles, and give them to people.",
    Permission.BUSINESS_UNITS_WRITE: "Create and change business units.",
    Permission.PROJECTS_READ: "See projects.",
    Permission.PROJECTS_WRITE: "Create, change and delete projects.",
    Permission.PLANNING_READ: "See the plan: capacity, load, assignments, utilisation, availability.",
    Permission.PLANNING_WRITE: "State load in cells.",
    Permission.ASSIGNMENTS_WRITE: "Create, change, split and delete assignments.",
    Permission.CAPACITIES_WRITE: "Override capacities.",
    Permission.CONTRACTS_READ: "See contracts.",
    Permission.CONTRACTS_WRITE: "Set contracts.",
    Permission.ABSENCES_READ: "See absences, without their type.",
    Permission.ABSENCES_READ_TYPE: "See the types of absences, which may be health data.",
    Permission.ABSENCES_WRITE: "Create and delete absences.",
    Permission.MONTHS_CLOSE: "Close and reopen months.",
    Permission.SETTINGS_READ: "See the company's settings and calendar.",
    Permission.SETTINGS_WRITE: "Change the company's settings and calendar.",
    Permission.TOKENS_WRITE: "Create and revoke API tokens.",
    Permission.MAPPINGS_READ: "See which people match which external records.",
    Permission.MAPPINGS_WRITE: "Match people with external records.",
    Permission.SYNC_READ: "See syncs, their refusals and conflicts.",
    Permission.SYNC_WRITE: "Start and cancel syncs, and resolve conflicts.",
    Permission.AUDIT_READ: "See the audit log.",
    Permission.AUDIT_READ_METADATA: "See before and after in the audit log.",
    Permission.DATA_EXPORT: "Export data in bulk.",
}

NARROWABLE = frozenset(
    {
        Permission.USERS_WRITE,
        Permission.ROLES_WRITE,
        Permission.BUSINESS_UNITS_WRITE,
        Permission.PROJECTS_WRITE,
        Permission.PLANNING_WRITE,
        Permission.ASSIGNMENTS_WRITE,
        Permission.CAPACITIES_WRITE,
        Permission.CONTRACTS_WRITE,
        Permission.ABSENCES_WRITE,
    }
)
"""Those whose services look at the scope. Reading is never narrowed, so a narrow scope there would promise too much."""
