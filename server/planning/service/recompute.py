"""Brings stored capacities and expected load up to date with what they are computed from."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from server.actor import Actor
from server.database import Database, Transaction
from server.events import PlanningChanged
from server.ids import cell_id, month_id
from server.planning.domain.capacity import AbsencePeriod, ContractTerm, Half, MonthCapacity
from server.planning.domain.load import AssignmentSpan
from server.planning.domain.months import last_day, month_of, months_between
from server.planning.domain.numbers import NO_DAYS
from server.planning.models import AbsenceStatus, CompanySettingsRow
from server.planning.repository import months as closing
from server.planning.repository import recomputation as repository
from server.planning.repository import settings as company
from server.planning.repository.recomputation import ComputedCapacity, ExpectedLoad
from server.planning.service.calendar import company_calendar
from server.planning.service.figures import MonthFigures, Person, Rules, figures

MAX_MONTHS_AT_ONCE = 5_000
"""(person, month)s that a writing transaction recomputes itself; a job does what is more"""
MAX_LISTED = 500
"""changed ids that an event names; more of them mean "read again" """
USERS_PER_CHUNK = 100
JOB = "recompute_marked"


@dataclass(frozen=True, slots=True)
class Recomputed:
    """What changed. `months` are the open months that were looked at; `deferred`: a job will change them."""

    user_ids: tuple[UUID, ...] = ()
    months: tuple[date, ...] = ()
    month_ids: tuple[UUID, ...] = ()
    cell_ids: tuple[UUID, ...] = ()
    deferred: bool = False


@dataclass(frozen=True, slots=True)
class Changes:
    """The rows whose stored figures are not those computed now, beside what is stored (None: there is no row)."""

    capacities: list[tuple[ComputedCapacity, MonthCapacity | None]]
    expected: list[tuple[ExpectedLoad, Decimal | None]]


async def recompute(tx: Transaction, user_ids: Collection[UUID] | None, first: date, last: date) -> Recomputed:
    """Recomputes the open months of these people (None: of everybody) from the month of `first` to that of `last`.

    In the caller's transaction, after what the caller changed; months outside the company's horizon are left out.
    Statements are constant in number. Changes for one person wait for each other here; versions never rise.
    """
    await closing.share_lock(tx.session)
    settings = await company.current(tx.session)
    months = await open_months(tx.session, settings, first, last)
    if user_ids is None:
        user_ids = await repository.everybody(tx.session)
    if not months or not user_ids:
        return Recomputed()
    users = await repository.lock_users(tx.session, user_ids)
    if len(users) * len(months) > MAX_MONTHS_AT_ONCE:
        return await _defer(tx, users, months)
    return await _store(tx, settings, users, months)


async def recompute_marked(database: Database, actor: Actor) -> int:
    """Recomputes the people who have marked rows, a chunk and a transaction at a time; how many they were.

    Running it again, or twice at once, does no harm: it looks for marks, so a lost job is made good by the next one.
    """
    done = 0
    while True:
        async with database.transaction(actor) as tx:
            await closing.share_lock(tx.session)
            settings = await company.current(tx.session)
            users = await repository.marked_users(tx.session, USERS_PER_CHUNK)
            if not users:
                return done
            await repository.lock_users(tx.session, users)
            # The whole horizon, because a mark says that a person's figures are stale and not since when.
            months = await open_months(tx.session, settings, settings.horizon_start, settings.horizon_end)
            await _store(tx, settings, users, months)
            await repository.unmark(tx.session, users)
            done += len(users)


async def find_changes(
    session: AsyncSession, settings: CompanySettingsRow, users: Sequence[UUID], months: Sequence[date]
) -> Changes:
    """Computes the figures of these people's months and compares them with those stored. Changes nothing."""
    first, end = months[0], last_day(months[-1])
    rules = Rules(
        await company_calendar(session, settings, first, end),
        frozenset(settings.non_reducing_absence_types),
        None if settings.predictable_leave_types is None else frozenset(settings.predictable_leave_types),
    )
    people = await read_people(session, users, first, end)
    # By what a row is about rather than by its id, which would be hashed from that for every row that is right.
    capacities = {(row.user_id, row.month): row for row in await repository.capacities(session, users, first, end)}
    for row in capacities.values():
        if row.override is not None:
            people[row.user_id].overrides[row.month] = row.override
    stored = await repository.expected(session, users, first, end)
    cells = {(row.user_id, row.month, row.project_id): row for row in stored if row.month in months}
    changes = Changes([], [])
    for user_id, person in people.items():
        for month in figures(rules, person, months):
            _compare(user_id, month, capacities, cells, changes)
    for row in cells.values():
        changes.expected.append((ExpectedLoad(row.id, row.user_id, row.project_id, row.month, NO_DAYS), row.expected))
    return changes


def _compare(
    user_id: UUID,
    now: MonthFigures,
    capacities: Mapping[tuple[UUID, date], Any],
    cells: dict[tuple[UUID, date, UUID], Any],
    changes: Changes,
) -> None:
    """Adds what differs; takes the cells that are still expected out of `cells`, so that the others remain."""
    row, figures = capacities.get((user_id, now.month)), now.capacity
    before = MonthCapacity(row.computed, row.tentative, row.working_days, row.leave) if row else None
    if before != figures:
        row_id = month_id(user_id, now.month)
        changes.capacities.append((ComputedCapacity(row_id, user_id, now.month, *astuple(figures)), before))
    for project_id, days in now.expected.items():
        found = cells.pop((user_id, now.month, project_id), None)
        if found is None or found.expected != days:
            cell = ExpectedLoad(cell_id(user_id, project_id, now.month), user_id, project_id, now.month, days)
            changes.expected.append((cell, found.expected if found else None))


async def open_months(session: AsyncSession, settings: CompanySettingsRow, first: date, last: date) -> tuple[date, ...]:
    first, last = max(month_of(first), settings.horizon_start), min(month_of(last), settings.horizon_end)
    if last < first:
        return ()
    closed = await repository.closed_months(session, first, last)
    return tuple(month for month in months_between(first, last) if month not in closed)


async def read_people(session: AsyncSession, users: Sequence[UUID], first: date, last: date) -> dict[UUID, Person]:
    people = {user_id: Person() for user_id in users}
    for row in await repository.contracts(session, users, first, last):
        pattern = None if row.weekday_pattern is None else tuple(row.weekday_pattern)
        people[row.user_id].contracts.append(ContractTerm(row.start_date, row.end_date, row.fte, pattern))
    for row in await repository.absences(session, users, first, last):
        period = AbsencePeriod(
            row.id,
            row.start_date,
            Half(row.start_half),
            row.end_date,
            Half(row.end_half),
            row.type,
            row.status is AbsenceStatus.PENDING,
        )
        people[row.user_id].absences.append(period)
    for row in await repository.assignments(session, users, first, last):
        span = AssignmentSpan(row.id, row.project_id, row.rate, row.start_date, row.end_date)
        people[row.user_id].assignments.append(span)
    return people


async def _store(
    tx: Transaction, settings: CompanySettingsRow, users: Sequence[UUID], months: Sequence[date]
) -> Recomputed:
    if not months:
        return Recomputed(tuple(users))
    changes = await find_changes(tx.session, settings, users, months)
    if changes.capacities:
        await repository.store_capacities(tx.session, [row for row, _ in changes.capacities])
    if changes.expected:
        await repository.store_expected(tx.session, [row for row, _ in changes.expected])
    touched = sorted({(row.month, row.user_id) for row in _changed(changes)})
    month_ids = tuple(month_id(user_id, month) for month, user_id in touched)
    cell_ids = tuple(row.id for row, _ in changes.expected)
    if touched:
        tx.publish(_event(touched, month_ids, cell_ids))
    return Recomputed(tuple(users), tuple(months), month_ids, cell_ids)


def _changed(changes: Changes) -> Iterator[ComputedCapacity | ExpectedLoad]:
    yield from (row for row, _ in changes.capacities)
    yield from (row for row, _ in changes.expected)


def _event(
    touched: Sequence[tuple[date, UUID]], month_ids: tuple[UUID, ...], cell_ids: tuple[UUID, ...]
) -> PlanningChanged:
    first, last = touched[0][0], touched[-1][0]
    if len(month_ids) + len(cell_ids) > MAX_LISTED:
        return PlanningChanged(first, last, resync=True)
    users = tuple(sorted({user_id for _, user_id in touched}))
    return PlanningChanged(first, last, users, cell_ids, month_ids)


async def _defer(tx: Transaction, users: Sequence[UUID], months: Sequence[date]) -> Recomputed:
    await repository.mark(tx.session, users)
    tx.publish(PlanningChanged(months[0], months[-1], resync=True))
    tx.enqueue(JOB)
    return Recomputed(tuple(users), tuple(months), deferred=True)
