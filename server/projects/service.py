"""What people do to projects. Deleting one is in server/planning/service/projects.py: it concerns the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from server.actor import Permission
from server.changes import apply, broken_constraint, check_version, duplicate, refuse_violations
from server.database import Transaction
from server.errors import refuse
from server.projects import domain, repository
from server.projects.models import ProjectRow, ProjectStatus
from server.users import repository as users

CODE_INDEX = "uq_projects_code"


@dataclass(frozen=True, slots=True)
class ProjectDraft:
    code: str
    name: str
    status: ProjectStatus = ProjectStatus.PLANNED
    start_date: date | None = None
    end_date: date | None = None
    business_unit_id: UUID | None = None
    productive: bool = True


@dataclass(frozen=True, slots=True)
class ProjectChange:
    """`values` holds the columns to set; those left out stay as they are."""

    id: UUID
    values: Mapping[str, Any] = field(default_factory=dict)
    expected_version: int | None = None


async def create(tx: Transaction, draft: ProjectDraft) -> ProjectRow:
    row = ProjectRow(
        code=draft.code.strip(),
        name=draft.name.strip(),
        status=draft.status,
        start_date=draft.start_date,
        end_date=draft.end_date,
        business_unit_id=draft.business_unit_id,
        productive=draft.productive,
    )
    refuse_violations(list(domain.check(row.code, row.name, row.start_date, row.end_date)))
    await _check_unit(tx, row.business_unit_id)
    tx.session.add(row)
    await _flush(tx, row)
    await tx.audit("project.created", "project", row.id, after=_facts(row))
    return row


async def update(tx: Transaction, change: ProjectChange) -> ProjectRow:
    row = await for_change(tx, change.id, change.expected_version)
    values = {name: value.strip() if isinstance(value, str) else value for name, value in change.values.items()}
    wanted = {**_facts(row), **values}
    refuse_violations(list(domain.check(wanted["code"], wanted["name"], wanted["start_date"], wanted["end_date"])))
    if wanted["business_unit_id"] != row.business_unit_id:
        await _check_unit(tx, wanted["business_unit_id"])
    before, after = apply(row, values)
    if after:
        await _flush(tx, row)
        await tx.audit("project.updated", "project", row.id, before=before, after=after)
    return row


async def for_change(tx: Transaction, project_id: UUID, expected_version: int | None) -> ProjectRow:
    """The project, locked, for a caller who may change it and knows its present version."""
    row = await repository.by_id(tx.session, project_id, for_update=True)
    if row is None:
        raise refuse("UNKNOWN_ID", "There is no project with this id; it may have been deleted.", "id")
    if not tx.actor.reaches_unit(Permission.PROJECTS_WRITE, row.business_unit_id):
        raise refuse("OUT_OF_SCOPE", "You may change projects of your own business unit only.", "id")
    check_version(row, expected_version)
    return row


async def _check_unit(tx: Transaction, business_unit_id: UUID | None) -> None:
    if business_unit_id is not None and await users.unit_by_id(tx.session, business_unit_id) is None:
        raise refuse("UNKNOWN_ID", "There is no business unit with this id.", "businessUnitId")
    if not tx.actor.reaches_unit(Permission.PROJECTS_WRITE, business_unit_id):
        raise refuse("OUT_OF_SCOPE", "You may give projects to your own business unit only.", "businessUnitId")


async def _flush(tx: Transaction, row: ProjectRow) -> None:
    code = row.code  # after a failed flush the row cannot be read
    try:
        await tx.session.flush()
    except IntegrityError as error:
        if broken_constraint(error) == CODE_INDEX:
            raise duplicate("project", "code", code) from error
        raise


def _facts(row: ProjectRow) -> dict[str, Any]:
    names = ("code", "name", "status", "start_date", "end_date", "business_unit_id", "productive")
    return {name: getattr(row, name) for name in names}
