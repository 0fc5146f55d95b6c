"""Closing and reopening months for the whole company."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from server.actor import Permission, Scope
from server.database import Reads, Transaction
from server.errors import Refused, refuse
from server.events import PlanningChanged
from server.planning.domain.closing import check_closable, check_reopenable
from server.planning.domain.months import format_month
from server.planning.domain.violations import Violation, ViolationCode
from server.planning.models import ClosedMonthRow
from server.planning.repository import months as repository
from server.planning.repository import settings as company
from server.planning.service import grid
from server.planning.service.recompute import recompute
from server.planning.service.violations import as_problem


async def close(tx: Transaction, month: date, today: date) -> ClosedMonthRow:
    """Freezes the month. Waits for the writes under way; `today` is the company's."""
    _check_scope(tx)
    await repository.exclusive_lock(tx.session)
    closed = await repository.closed_among(tx.session, [month])
    _refuse(check_closable(month, closed, today) or await _outside_horizon(tx, month))
    if await repository.is_recomputing(tx.session):
        detail = f"A large change is still being worked into {format_month(month)}: close it in some minutes."
        raise refuse("RECOMPUTING", detail, "month")
    row = await repository.close(tx.session, month, tx.actor.user_id)
    await tx.audit("month.closed", "month", month=format_month(month))
    _tell(tx, month)
    return row


async def reopen(tx: Transaction, month: date) -> None:
    """Lets the month change again, and brings it up to date with what changed while it was closed."""
    _check_scope(tx)
    await repository.exclusive_lock(tx.session)
    _refuse(check_reopenable(month, await repository.closed_among(tx.session, [month])))
    await repository.reopen(tx.session, month)
    await recompute(tx, None, month, month)
    await tx.audit("month.reopened", "month", month=format_month(month))
    _tell(tx, month)


async def closed_between(reads: Reads, first: date, last: date) -> Sequence[ClosedMonthRow]:
    grid.check_order(first, last)
    async with reads.session() as session:
        return await repository.closed_between(session, first, last)


def _check_scope(tx: Transaction) -> None:
    if tx.actor.scope(Permission.MONTHS_CLOSE) is not Scope.ALL:
        raise refuse("OUT_OF_SCOPE", "Months are closed for the whole company: your role is limited to a part of it.")


async def _outside_horizon(tx: Transaction, month: date) -> Violation | None:
    settings = await company.current(tx.session)
    if settings.horizon_start <= month <= settings.horizon_end:
        return None
    plan = f"{format_month(settings.horizon_start)} to {format_month(settings.horizon_end)}"
    message = f"{format_month(month)} is not part of the plan, which covers {plan}."
    return Violation(ViolationCode.OUTSIDE_HORIZON, message, "month")


def _refuse(violation: Violation | None) -> None:
    if violation is not None:
        raise Refused([as_problem(violation)])


def _tell(tx: Transaction, month: date) -> None:
    """Everybody's month has changed its state: too many rows to name."""
    tx.publish(PlanningChanged(month, month, resync=True))
