"""The planning grid: people by months with capacity, load and cells, and why a month is as it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from server.database import Reads
from server.errors import BadRequest
from server.ids import as_uuid, month_id
from server.light_rows import LightConnection, Source
from server.planning.domain import load as rules
from server.planning.domain.explanation import CapacityLine, CapacityLineKind, explain_capacity
from server.planning.domain.load import ProjectLoad
from server.planning.domain.months import format_month, last_day, months_between
from server.planning.domain.numbers import NO_DAYS
from server.planning.repository import cells
from server.planning.repository import grid as repository
from server.planning.repository import settings as company
from server.planning.repository.cells import CellRow, ProjectTotals
from server.planning.repository.glance import GlanceMonth
from server.planning.repository.glance import glance as read_glance
from server.planning.repository.grid import CapacityFacts, Picture, PlanningFilter
from server.planning.service.calendar import company_calendar
from server.planning.service.recompute import read_people
from server.users.models import UserRow

MAX_MONTHS = 60

Key = tuple[UUID, date]


@dataclass(slots=True)
class MonthRow:
    """A person's month as the grid shows it. `explanation` stands where it was read in the month's own transaction."""

    user_id: UUID
    month: date
    capacity: Decimal
    override: Decimal | None
    tentative: Decimal
    capacity_version: int
    recomputing: bool
    closed: bool
    cells: list[CellRow]
    load: Decimal
    lines: tuple[CapacityLine, ...] | None = field(default=None, compare=False)

    @property
    def id(self) -> UUID:
        return month_id(self.user_id, self.month)

    @property
    def availability(self) -> Decimal:
        return rules.availability(self.capacity, self.load)

    @property
    def utilisation(self) -> Decimal | None:
        return rules.utilisation(self.load, self.capacity)

    @property
    def overallocated(self) -> bool:
        return rules.is_overallocated(self.load, self.capacity)


CapacityKey = tuple[UUID, date, Decimal | None]
"""person, month, override"""


@dataclass(frozen=True, slots=True)
class CapacityLines:
    """How one month's capacity comes about."""

    key: CapacityKey
    lines: tuple[CapacityLine, ...]


@dataclass(frozen=True, slots=True)
class PlanRow:
    user: UserRow
    months: Sequence[MonthRow | GlanceMonth]


_NO_CAPACITY = CapacityFacts(NO_DAYS, None, NO_DAYS, recomputing=False, version=0)


def month_row(picture: Picture, key: Key) -> MonthRow:
    """The month as the picture has it; without a capacity row it has no capacity."""
    user_id, month = key
    capacity = picture.capacities.get(key, _NO_CAPACITY)
    held = picture.cells.get(key, [])
    return MonthRow(
        user_id=user_id,
        month=month,
        capacity=capacity.computed if capacity.override is None else capacity.override,
        override=capacity.override,
        tentative=capacity.tentative,
        capacity_version=capacity.version,
        recomputing=capacity.recomputing or any(cell.recomputing for cell in held),
        closed=month in picture.closed,
        cells=held,
        load=sum([cell.days for cell in held], NO_DAYS),
    )


async def check_range(source: Source, first: date, last: date) -> tuple[date, ...]:
    """The months of a range that the plan covers. Raises BadRequest saying which range to ask for."""
    return check_months(first, last, *await company.horizon(source))


def check_order(first: date, last: date) -> None:
    if last < first:
        raise BadRequest(f"`from` ({format_month(first)}) is after `to` ({format_month(last)}): exchange them.")


def check_months(first: date, last: date, horizon_start: date, horizon_end: date) -> tuple[date, ...]:
    check_order(first, last)
    months = months_between(first, last)
    if len(months) > MAX_MONTHS:
        raise BadRequest(f"{len(months)} months are too many: ask for at most {MAX_MONTHS} at once.")
    if first < horizon_start or last > horizon_end:
        plan = f"{format_month(horizon_start)} to {format_month(horizon_end)}"
        raise BadRequest(f"The plan covers {plan}: {format_month(first)} to {format_month(last)} is not within it.")
    return months


async def page(
    reads: Reads, wanted: PlanningFilter, first: date, last: date, offset: int, limit: int, *, brief: bool = False
) -> list[PlanRow]:
    """People by name, each with every month of the range."""
    async with reads.light() as connection:
        months = await check_range(connection, first, last)
        people = await repository.people(connection, wanted, first, last, offset, limit, brief=brief)
        ids = [as_uuid(user.id) for user in people]
        picture = await repository.picture(connection, ids, first, last)
    return [
        PlanRow(user, [month_row(picture, (user_id, month)) for month in months])
        for user_id, user in zip(ids, people, strict=True)
    ]


async def glance(
    reads: Reads, wanted: PlanningFilter, first: date, last: date, offset: int, limit: int, *, brief: bool = False
) -> list[PlanRow]:
    """`page` for callers who ask for nothing but what GlanceMonth and GlanceCell have."""
    async with reads.light() as connection:
        months = await check_range(connection, first, last)
        people = await repository.people(connection, wanted, first, last, offset, limit, brief=brief)
        found = await read_glance(connection, [user.id for user in people], months)
    return list(map(PlanRow, people, found))


async def count(reads: Reads, wanted: PlanningFilter, first: date, last: date) -> int:
    async with reads.session() as session:
        return await repository.count_people(session, wanted, first, last)


async def months_of_users(
    connection: LightConnection, user_ids: Sequence[UUID], first: date, last: date
) -> list[MonthRow]:
    """Every month of the range of each of these people, in order."""
    months = await check_range(connection, first, last)
    picture = await repository.picture(connection, user_ids, first, last)
    return [month_row(picture, (user_id, month)) for user_id in user_ids for month in months]


async def months_of_projects(
    session: AsyncSession, project_ids: Sequence[UUID], first: date, last: date
) -> list[ProjectTotals]:
    """Every month of the range of each of these projects, in order."""
    months = await check_range(session, first, last)
    found = {(t.project_id, t.month): t for t in await cells.project_totals(session, project_ids, first, last)}
    return [
        found.get((project_id, month)) or ProjectTotals(project_id, month, NO_DAYS, NO_DAYS, None, None)
        for project_id in project_ids
        for month in months
    ]


async def months(session: AsyncSession, keys: Iterable[Key]) -> list[MonthRow]:
    """These months, by month and person."""
    keys = sorted(set(keys), key=lambda key: (key[1], key[0]))
    picture = await repository.picture_of(session, keys)
    return [month_row(picture, key) for key in keys]


async def months_by_ids(session: AsyncSession, ids: Sequence[UUID]) -> list[MonthRow]:
    """These months in the order of the ids; unknown ids are left out."""
    rows = {row.id: row for row in await months(session, await repository.keys_of_months(session, ids))}
    return [rows[wanted] for wanted in dict.fromkeys(ids) if wanted in rows]


async def capacity_lines(session: AsyncSession, keys: Sequence[CapacityKey]) -> list[CapacityLines]:
    """How the capacity of each of these months comes about, from today's contracts, absences and calendar."""
    users = list({key[0] for key in keys})
    first, last = min(key[1] for key in keys), last_day(max(key[1] for key in keys))
    settings = await company.current(session)
    calendar = await company_calendar(session, settings, first, last)
    people = await read_people(session, users, first, last)
    non_reducing = frozenset(settings.non_reducing_absence_types)
    return [
        CapacityLines(
            (user_id, month, override),
            explain_capacity(
                calendar, month, people[user_id].contracts, people[user_id].absences, non_reducing, override
            ),
        )
        for user_id, month, override in keys
    ]


_OF_CONTRACTS = {CapacityLineKind.PART_TIME: "Part time", CapacityLineKind.NO_CONTRACT: "Days without a contract"}


def explanation(row: MonthRow, lines: CapacityLines, names: Mapping[UUID, str]) -> tuple[CapacityLine, ...]:
    """The capacity's lines, then each contributor to the load, then the missing days. `names` are the projects'.

    The lines come from today's contracts, absences and calendar. A closed month keeps the capacity that it had, so a
    line says by how much it differs: the lines add up all the same.
    """
    stale = row.capacity - sum((line.days for line in lines.lines), NO_DAYS)
    if stale:
        since = "since the month was closed" if row.closed else "and is still being worked in"
        label = f"Contracts, absences or the calendar changed {since}"
        lines = CapacityLines(lines.key, (*lines.lines, CapacityLine(CapacityLineKind.STALE, label, stale)))
    loads = [ProjectLoad(cell.project_id, names[cell.project_id], cell.days) for cell in row.cells]
    return (*lines.lines, *rules.contributors(loads, row.capacity))


def without_particulars(lines: Sequence[CapacityLine], *, absences: bool, contracts: bool) -> tuple[CapacityLine, ...]:
    """The lines for a caller who may read absences or contracts or not. The days stay, so that they add up; the dates
    of the one and the weekdays of the other go."""
    kept: list[CapacityLine] = []
    off = [line.days for line in lines if line.kind is CapacityLineKind.ABSENCE]
    for line in lines:
        if line.kind is CapacityLineKind.ABSENCE and not absences:
            if off:
                kept.append(CapacityLine(line.kind, "Absences", sum(off, NO_DAYS)))
                off = []
        elif line.kind is CapacityLineKind.PENDING_ABSENCE and not absences:
            continue
        elif line.kind in _OF_CONTRACTS and not contracts:
            kept.append(CapacityLine(line.kind, _OF_CONTRACTS[line.kind], line.days))
        else:
            kept.append(line)
    return tuple(kept)


async def explain(session: AsyncSession, rows: Sequence[MonthRow], names: Mapping[UUID, str]) -> None:
    """Puts the explanations into the rows: for an answer that must come from one transaction."""
    if rows:
        found = await capacity_lines(session, [(row.user_id, row.month, row.override) for row in rows])
        for row, lines in zip(rows, found, strict=True):
            row.lines = explanation(row, lines, names)
