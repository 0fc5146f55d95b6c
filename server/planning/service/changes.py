"""Who is told what when the plan changes: events narrowed to a range and a filter, bursts taken together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any
from uuid import UUID

from server.actor import Actor, Permission
from server.database import Reads
from server.events import Bus, Lost, PlanningChanged
from server.ids import month_id
from server.planning.domain.months import months_between
from server.planning.repository import cells, grid
from server.planning.repository.grid import PlanningFilter
from server.planning.service.grid import check_range

BURST_SECONDS = 0.1
"""events that follow within this time become one; short enough to feel immediate"""


class ChangeKind(StrEnum):
    CHANGED = "CHANGED"
    RESYNC = "RESYNC"


@dataclass(frozen=True, slots=True)
class PlanningChange:
    """The ids to read again, or with RESYNC: read everything that is shown again."""

    kind: ChangeKind
    cell_ids: tuple[UUID, ...] = ()
    month_ids: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class Watch:
    """What a subscriber shows. `wanted` None: everybody."""

    first: date
    last: date
    wanted: PlanningFilter | None

    @property
    def people(self) -> PlanningFilter | None:
        """The part of the filter that a change of the plan cannot change.

        Someone whom a change takes out of the over-allocated ones is still shown until the subscriber is told.
        """
        asked = self.wanted
        if asked is None or (asked.user_ids is None and asked.business_unit_ids is None and not asked.search):
            return None
        return PlanningFilter(asked.user_ids, asked.business_unit_ids, search=asked.search, include_left=True)


RESYNC = PlanningChange(ChangeKind.RESYNC)


async def changes(
    bus: Bus, reads: Reads, watch: Watch, actor: Callable[[], Actor]
) -> AsyncGenerator[PlanningChange, None]:
    """A RESYNC at the start, after overflow and after a lost connection to the bus; in between, what changed.

    Ends when the token does, or the permission. `actor` gives the caller as they are now; nothing of the database is
    held between two changes.
    """
    async with reads.session() as session:
        await check_range(session, watch.first, watch.last)
    async with bus.subscribe(PlanningChanged) as queue:
        yield RESYNC  # only now: whatever the subscriber reads from here on, a later change will be told
        while (events := await _burst(queue, actor().expires_at)) is not None:
            if not actor().can(Permission.PLANNING_READ):
                return
            change = await _narrowed(reads, watch, events)
            if change is not None:
                yield change


async def _burst(queue: asyncio.Queue[Any], expires_at: float | None) -> list[Any] | None:
    """The next events, all that come within BURST_SECONDS of the first; None when the token ends before."""
    left = None if expires_at is None else expires_at - time.time()
    try:
        async with asyncio.timeout(left):  # wait_for of Python 3.11 forgets that it was cancelled when an event comes
            events = [await queue.get()]
    except TimeoutError:
        return None
    await asyncio.sleep(BURST_SECONDS)
    while not queue.empty():
        events.append(queue.get_nowait())
    return events


async def _narrowed(reads: Reads, watch: Watch, events: list[Any]) -> PlanningChange | None:
    """What of the events concerns the subscriber: None when nothing does."""
    if any(isinstance(event, Lost) for event in events):
        return RESYNC
    near: list[PlanningChanged] = [e for e in events if e.first_month <= watch.last and watch.first <= e.last_month]
    if not near:
        return None
    if any(event.resync for event in near):
        return RESYNC
    cell_ids = {each for event in near for each in event.cell_ids}
    month_ids = {each for event in near for each in event.month_ids}
    first, last = min(event.first_month for event in near), max(event.last_month for event in near)
    if watch.people is not None or first < watch.first or last > watch.last:
        user_ids = {each for event in near for each in event.user_ids}
        months = months_between(max(first, watch.first), min(last, watch.last))
        cell_ids, month_ids = await _shown(reads, watch, user_ids, months, cell_ids, month_ids)
    if not cell_ids and not month_ids:
        return None
    return PlanningChange(ChangeKind.CHANGED, tuple(sorted(cell_ids)), tuple(sorted(month_ids)))


async def _shown(
    reads: Reads,
    watch: Watch,
    user_ids: set[UUID],
    months: Sequence[date],
    cell_ids: set[UUID],
    month_ids: set[UUID],
) -> tuple[set[UUID], set[UUID]]:
    """Those of the ids that the subscriber shows, by a short read."""
    async with reads.session() as session:
        if watch.people is not None:
            user_ids = set(await grid.people_among(session, sorted(user_ids), watch.people, watch.first, watch.last))
        rows = await cells.by_ids(session, sorted(cell_ids))
    # A month's id follows from its person and its date, so that nothing needs to be read for it.
    candidates = {month_id(user_id, month) for user_id in user_ids for month in months}
    return {row.id for row in rows if row.user_id in user_ids and row.month in months}, month_ids & candidates
