"""A company in metropolitan France whose plan covers 2025 to 2027."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import select, text

from server.actor import system_actor
from server.audit.models import AuditLogRow
from server.planning.models import CompanySettingsRow
from server.planning.service.recompute import recompute
from tests.planning.stored import SYSTEM


@pytest.fixture
async def company(database):
    async with database.transaction(system_actor("test")) as tx:
        await tx.session.execute(text("DELETE FROM company_settings"))
        tx.session.add(CompanySettingsRow(horizon_start=date(2025, 1, 1), horizon_end=date(2027, 12, 1)))


@pytest.fixture
def planned(company, make, database):
    """`user = await planned()`: a full-timer since 2025 whose capacities are computed."""

    async def make_user(*, contract=True, **values):
        user = await make.user(**values)
        if contract:
            await make.contract(user, **(contract if isinstance(contract, dict) else {}))
        async with database.transaction(SYSTEM) as tx:
            await recompute(tx, [user.id], date(2025, 1, 1), date(2027, 12, 1))
        return user

    return make_user


@pytest.fixture
def audited(database):
    """`await audited("assignment")`: the rows of the audit log about this kind of thing, the oldest first."""

    async def rows(resource_type):
        async with database.reads.session() as session:
            statement = select(AuditLogRow).where(AuditLogRow.resource_type == resource_type).order_by(AuditLogRow.id)
            return (await session.scalars(statement)).all()

    return rows
