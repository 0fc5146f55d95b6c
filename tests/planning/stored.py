"""What the tables hold, as plain text that a test can compare."""

from __future__ import annotations

from sqlalchemy import select, text

from server.actor import system_actor
from server.planning.models import CapacityRow, ForecastRow

SYSTEM = system_actor("test")


async def capacities(database, user, column="computed", year=2026):
    """{"2026-01": "21.00", ...}"""
    statement = select(CapacityRow).where(CapacityRow.user_id == user.id).order_by(CapacityRow.month)
    async with database.reads.session() as session:
        rows = await session.scalars(statement)
        return {f"{row.month:%Y-%m}": str(getattr(row, column)) for row in rows if row.month.year == year}


async def expected(database, user, project=None, year=2026):
    """{"2026-01": "10.50", ...} of the rows there are, zeros included; of one project, or of the only one."""
    statement = select(ForecastRow).where(ForecastRow.user_id == user.id).order_by(ForecastRow.month)
    if project is not None:
        statement = statement.where(ForecastRow.project_id == project.id)
    async with database.reads.session() as session:
        rows = await session.scalars(statement)
        return {f"{row.month:%Y-%m}": str(row.expected) for row in rows if row.month.year == year}


async def everything(database):
    """Every row of the plan, to see that nothing changed."""
    found = {}
    async with database.reads.session() as session:
        for table in ("contracts", "absences", "assignments", "capacities", "forecasts", "calendar_days", "users"):
            rows = await session.execute(text(f"SELECT * FROM {table} ORDER BY 1"))
            found[table] = [tuple(row) for row in rows]
        found["settings"] = [tuple(row) for row in await session.execute(text("SELECT * FROM company_settings"))]
    return found
