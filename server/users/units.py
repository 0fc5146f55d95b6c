"""What people with the right do to business units."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from server.actor import Permission
from server.changes import apply, broken_constraint, check_version, duplicate, refuse_violations
from server.database import Transaction
from server.errors import refuse
from server.users import domain, repository
from server.users.models import BusinessUnitRow

CODE_INDEX = "uq_business_units_code"


async def create(tx: Transaction, code: str, name: str) -> BusinessUnitRow:
    if not tx.actor.reaches_unit(Permission.BUSINESS_UNITS_WRITE, None):
        raise refuse("OUT_OF_SCOPE", "You may change your own business unit only, not create another.")
    row = BusinessUnitRow(code=code.strip(), name=name.strip())
    refuse_violations(list(domain.check_unit(row.code, row.name)))
    tx.session.add(row)
    await _flush(tx, row)
    await tx.audit("business_unit.created", "business_unit", row.id, after={"code": row.code, "name": row.name})
    return row


async def update(
    tx: Transaction, unit_id: UUID, values: Mapping[str, str], expected_version: int | None
) -> BusinessUnitRow:
    row = await repository.unit_by_id_for_update(tx.session, unit_id)
    if row is None:
        raise refuse("UNKNOWN_ID", "There is no business unit with this id.", "id")
    if not tx.actor.reaches_unit(Permission.BUSINESS_UNITS_WRITE, row.id):
        raise refuse("OUT_OF_SCOPE", "You may change your own business unit only.", "id")
    check_version(row, expected_version)
    wanted = {"code": row.code, "name": row.name, **{field: value.strip() for field, value in values.items()}}
    refuse_violations(list(domain.check_unit(wanted["code"], wanted["name"])))
    before, after = apply(row, wanted)
    if after:
        await _flush(tx, row)
        await tx.audit("business_unit.updated", "business_unit", row.id, before=before, after=after)
    return row


async def _flush(tx: Transaction, row: BusinessUnitRow) -> None:
    code = row.code  # after a failed flush the row cannot be read
    try:
        await tx.session.flush()
    except IntegrityError as error:
        if broken_constraint(error) == CODE_INDEX:
            raise duplicate("business unit", "code", code) from error
        raise
