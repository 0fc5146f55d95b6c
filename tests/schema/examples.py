"""An example call of every guarded field: what tests/schema/test_guards.py tries as different callers.

A new root field needs an entry in EXAMPLES, and a new guarded field of another type one in NESTED. Mutations are about
people and projects of the world's unit, so that a caller who reaches only another unit is out of scope; the call must
succeed for a caller who holds the field's permission and nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from server.access.models import ApiTokenRow, RoleRow, UserRoleRow
from server.access.role_repository import shipped_role_id
from server.actor import Actor, Permission
from server.database import Database
from server.projects.models import ProjectRow
from server.sync.models import (
    ConflictResource,
    ExternalPersonRow,
    PersonState,
    Provider,
    SyncConflictRow,
    SyncRunRow,
    SyncState,
    SyncTrigger,
)
from server.users.models import BusinessUnitRow, UserRow, UserStatus
from tests.factories import Factory, moment

FROM, TO, DAY = "2026-01", "2026-03", "2026-03-02"


@dataclass
class World:
    """A small company: a unit with a person, who has a contract, and a project."""

    make: Factory
    database: Database
    unit: BusinessUnitRow
    person: UserRow
    project: ProjectRow

    @classmethod
    async def build(cls, make: Factory, database: Database) -> World:
        unit = await make.unit()
        person = await make.user(business_unit_id=unit.id)
        await make.contract(person)
        return cls(make, database, unit, person, await make.project(business_unit_id=unit.id))

    async def service_user(self) -> UserRow:
        return await self.make.user(email=None, is_service=True, business_unit_id=self.unit.id)

    async def token(self) -> ApiTokenRow:
        user = await self.service_user()
        facts = {"name": "Tool", "token_hash": "x", "hint": "pdc_x", "scopes": ["users:read"]}
        return await self.make.add(ApiTokenRow(user_id=user.id, expires_at=moment("2100-01-01"), **facts))


Arguments = dict[str, Any]
Example = Callable[[World], Awaitable[Arguments]]
EXAMPLES: dict[str, Example] = {}


def example(function: Example) -> Example:
    """Registers arguments under the field that the function is named for, in camel case."""
    first, *others = function.__name__.split("_")
    EXAMPLES[first + "".join(part.capitalize() for part in others)] = function
    return function


def plain(*names: str, **arguments: Any) -> None:
    """Fields that every world answers with the same arguments."""

    async def arguments_of(_: World) -> Arguments:
        return arguments

    for name in names:
        EXAMPLES[name] = arguments_of


plain("users", "businessUnits", "roles", "permissions", "me", "apiTokens", "projects", "auditLog")
plain("forecasts", "assignments", "capacities", "contracts", "absences", "settings")
plain("planning", "closedMonths", "planningChanged", **{"from": FROM, "to": TO})
plain("utilisation", **{"from": FROM, "to": TO, "groupBy": "USER"})
plain("availability", **{"from": FROM, "to": TO, "days": "1.00"})
plain("calendar", **{"from": "2026-01-01", "to": "2026-01-31"})
plain("planningMonths", "planningCells", ids=[])
plain("passwordChange", input={"currentPassword": "x", "newPassword": "y"})
plain("userMappings", "externalPeople", "syncRuns", "syncConflicts")


@example
async def user(world: World) -> Arguments:
    return {"id": str(world.person.id)}


@example
async def project(world: World) -> Arguments:
    return {"id": str(world.project.id)}


# --- people and access ---


@example
async def user_create(world: World) -> Arguments:
    return {"input": {"firstName": "New", "lastName": "Person", "businessUnitId": str(world.unit.id)}}


@example
async def user_update(world: World) -> Arguments:
    return {"input": {"id": str(world.person.id), "lastName": "Renamed"}}


@example
async def user_deactivate(world: World) -> Arguments:
    return {"input": {"id": str(world.person.id)}}


@example
async def user_reactivate(world: World) -> Arguments:
    out = await world.make.user(status=UserStatus.DEACTIVATED, is_active=False, business_unit_id=world.unit.id)
    return {"input": {"id": str(out.id)}}


@example
async def user_invite(world: World) -> Arguments:
    return {"input": {"userId": str(world.person.id)}}


@example
async def user_set_roles(world: World) -> Arguments:
    role = await world.make.add(RoleRow(name="Grants nothing"))
    return {"input": {"userId": str(world.person.id), "roleIds": [str(role.id)]}}


@example
async def role_create(_: World) -> Arguments:
    return {"input": {"name": "Office", "permissions": [{"permission": "ROLES_WRITE"}]}}


@example
async def role_update(world: World) -> Arguments:
    role = await world.make.add(RoleRow(name="Office"))
    return {"input": {"id": str(role.id), "name": "Renamed"}}


@example
async def business_unit_create(_: World) -> Arguments:
    return {"input": {"code": "NEW", "name": "New unit"}}


@example
async def business_unit_update(world: World) -> Arguments:
    return {"input": {"id": str(world.unit.id), "name": "Renamed"}}


@example
async def api_token_create(_: World) -> Arguments:
    return {"input": {"name": "Tool", "scopes": ["TOKENS_WRITE"]}}


@example
async def api_token_revoke(world: World) -> Arguments:
    return {"input": {"id": str((await world.token()).id)}}


# --- projects and the plan ---


@example
async def project_create(world: World) -> Arguments:
    return {"input": {"code": "NEW", "name": "New project", "businessUnitId": str(world.unit.id)}}


@example
async def project_update(world: World) -> Arguments:
    return {"input": {"id": str(world.project.id), "name": "Renamed"}}


@example
async def project_delete(world: World) -> Arguments:
    return {"input": {"id": str(world.project.id)}}


@example
async def forecasts_write(world: World) -> Arguments:
    cell = {"userId": str(world.person.id), "projectId": str(world.project.id), "month": TO, "days": "2.00"}
    return {"input": {"cells": [cell]}}


@example
async def assignment_create(world: World) -> Arguments:
    who = {"userId": str(world.person.id), "projectId": str(world.project.id)}
    return {"input": {**who, "rate": "50.00", "startDate": DAY, "endDate": "2026-03-31"}}


async def _assignment(world: World) -> str:
    return str((await world.make.assignment(world.person, world.project)).id)


@example
async def assignment_update(world: World) -> Arguments:
    return {"input": {"id": await _assignment(world), "rate": "20.00"}}


@example
async def assignment_delete(world: World) -> Arguments:
    return {"input": {"id": await _assignment(world)}}


@example
async def assignment_split(world: World) -> Arguments:
    return {"input": {"id": await _assignment(world), "at": DAY}}


@example
async def capacities_write(world: World) -> Arguments:
    return {"input": {"capacities": [{"userId": str(world.person.id), "month": TO, "override": "10.00"}]}}


@example
async def contract_set(world: World) -> Arguments:
    newcomer = await world.make.user(business_unit_id=world.unit.id)
    return {"input": {"userId": str(newcomer.id), "startDate": DAY, "fte": "1"}}


@example
async def absence_create(world: World) -> Arguments:
    days = {"startDate": DAY, "endDate": DAY}
    return {"input": {"userId": str(world.person.id), "type": "fr_conges_payes", **days}}


@example
async def absence_delete(world: World) -> Arguments:
    absence = await world.make.absence(world.person, date.fromisoformat(DAY), date.fromisoformat(DAY))
    return {"input": {"id": str(absence.id)}}


@example
async def month_close(_: World) -> Arguments:
    return {"input": {"month": FROM}}


@example
async def month_reopen(world: World) -> Arguments:
    await world.make.closed(date(2026, 1, 1))
    return {"input": {"month": FROM}}


@example
async def settings_update(_: World) -> Arguments:
    return {"input": {"secondsPerDay": 27000}}


# --- syncs ---

plain("syncStart", input={"provider": "PAYFIT"})
plain("syncStatus", provider="PAYFIT")


async def _sync_run(world: World, state: SyncState) -> SyncRunRow:
    facts = {"first_day": date(2026, 1, 1), "last_day": date(2026, 1, 31), "trigger": SyncTrigger.PERSON}
    return await world.make.add(SyncRunRow(provider=Provider.PAYFIT, state=state, **facts))


@example
async def sync_run(world: World) -> Arguments:
    return {"id": str((await _sync_run(world, SyncState.FAILED)).id)}


@example
async def sync_cancel(world: World) -> Arguments:
    return {"input": {"id": str((await _sync_run(world, SyncState.QUEUED)).id)}}


@example
async def sync_conflict_resolve(world: World) -> Arguments:
    about = {"resource": ConflictResource.USER, "resource_id": world.person.id, "field": "last_name"}
    conflict = SyncConflictRow(provider=Provider.PAYFIT, local_value="Ours", external_value="Theirs", **about)
    return {"input": {"id": str((await world.make.add(conflict)).id), "resolution": "KEEP"}}


@example
async def user_mapping_set(world: World) -> Arguments:
    return {"input": {"userId": str(world.person.id), "gryzzlyUserId": "u1"}}


@example
async def user_mapping_confirm(world: World) -> Arguments:
    facts = {"first_name": "", "last_name": "Ada", "state": PersonState.UNMATCHED}
    person = await world.make.add(ExternalPersonRow(provider=Provider.GRYZZLY, external_id="u1", **facts))
    return {"input": {"externalPersonId": str(person.id), "userId": str(world.person.id)}}


# --- guarded fields of other types ---


@dataclass(frozen=True)
class Nested:
    """How a caller with `needs` reaches the field: its value is at `path`, and not null for who may see it."""

    document: str
    needs: tuple[Permission, ...]
    path: tuple[str | int, ...]
    prepare: Callable[[World], Awaitable[Arguments]]


async def _person(world: World) -> Arguments:
    async with world.database.transaction(Actor(None)) as tx:
        row = await tx.session.get_one(UserRow, world.person.id)
        row.last_login_at = moment("2026-01-01")
    await _assignment(world)
    await world.make.add(UserRoleRow(user_id=world.person.id, role_id=shipped_role_id("member")))
    return {"id": str(world.person.id)}


async def _absence(world: World) -> Arguments:
    await world.make.absence(world.person, date.fromisoformat(DAY), date.fromisoformat(DAY))
    return {}


async def _entry(world: World) -> Arguments:
    async with world.database.transaction(Actor(world.person.id)) as tx:
        await tx.audit("thing.done", "thing", after={"name": "B"})
    return {}


def _of_user(field: str) -> Nested:
    document = f"query ($id: UUID!) {{ user(id: $id) {{ {field} }} }}"
    return Nested(document, (Permission.USERS_READ,), ("user", field.split("(")[0].split()[0]), _person)


async def _project(world: World) -> Arguments:
    await _assignment(world)
    return {"id": str(world.project.id)}


def _of_project(field: str) -> Nested:
    document = f"query ($id: UUID!) {{ project(id: $id) {{ {field} }} }}"
    return Nested(document, (Permission.PROJECTS_READ,), ("project", field.split("(")[0].split()[0]), _project)


NESTED: dict[tuple[str, str], Nested] = {
    ("User", "email"): _of_user("email"),
    ("User", "lastLoginAt"): _of_user("lastLoginAt"),
    ("User", "roles"): _of_user("roles { name }"),
    ("User", "months"): _of_user('months(from: "2026-03", to: "2026-03") { load }'),
    ("User", "assignments"): _of_user("assignments { rate }"),
    ("Project", "months"): _of_project('months(from: "2026-03", to: "2026-03") { load }'),
    ("Project", "assignments"): _of_project("assignments { rate }"),
    ("Absence", "type"): Nested(
        "{ absences { items { type } } }", (Permission.ABSENCES_READ,), ("absences", "items", 0, "type"), _absence
    ),
    ("AuditEntry", "metadata"): Nested(
        "{ auditLog { edges { node { metadata } } } }",
        (Permission.AUDIT_READ,),
        ("auditLog", "edges", 0, "node", "metadata"),
        _entry,
    ),
}
