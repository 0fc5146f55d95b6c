"""The grid at a glance: the figures that most screens ask of it, read with half of the columns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Date, Text, and_, bindparam, cast, func, null, select, union_all

from server.columns import is_any_of
from server.light_rows import Light, LightConnection
from server.planning.domain.numbers import NO_DAYS
from server.planning.models import CapacityRow, ForecastRow
from server.planning.repository.cells import HAS_VALUE
from server.planning.repository.grid import EFFECTIVE_CAPACITY, EFFECTIVE_DAYS

_C, _F = CapacityRow, ForecastRow


class _Columns(NamedTuple):
    user_id: UUID
    since: int
    project_id: UUID
    id: str
    days: str
    load: str | None


class GlanceCell(_Columns):
    """A cell with the days that count, as text, and nothing of how they came about."""

    __slots__ = ()
    user_row = None
    project_row = None


class Glance(NamedTuple):
    """A person's month: capacity and load as text, and the cells."""

    capacity: str
    load: str
    cells: list[GlanceCell]


_first, _last = bindparam("first", type_=Date), bindparam("last", type_=Date)


def _wanted(row: Any) -> Any:
    return and_(is_any_of(row.user_id, "users"), row.month.between(_first, _last))


_loads = (
    select(_F.user_id, _F.month, func.sum(EFFECTIVE_DAYS).label("load"))
    .where(_wanted(_F), HAS_VALUE)
    .group_by(_F.user_id, _F.month)
    .subquery("loads")
)
_capacities = (
    select(_C.user_id, _C.month, EFFECTIVE_CAPACITY.label("capacity")).where(_wanted(_C)).subquery("capacities_of")
)
_user = func.coalesce(_capacities.c.user_id, _loads.c.user_id)
_month = func.coalesce(_capacities.c.month, _loads.c.month)

_same = and_(_capacities.c.user_id == _loads.c.user_id, _capacities.c.month == _loads.c.month)

# One statement and so one snapshot, as the whole picture in grid.py. Months are days since the first one, which cost
# a fraction of dates. A month's own figures have no project, so they come after its cells.
_GLANCE = Light(
    union_all(
        select(
            _F.user_id.label("user_id"),
            (_F.month - _first).label("since"),
            _F.project_id.label("project_id"),
            cast(_F.id, Text),
            cast(EFFECTIVE_DAYS, Text),
            cast(null(), Text),
        ).where(_wanted(_F), HAS_VALUE),
        select(
            _user,
            _month - _first,
            cast(null(), _F.project_id.type),
            cast(null(), Text),
            cast(func.coalesce(_capacities.c.capacity, NO_DAYS), Text),
            cast(_loads.c.load, Text),
        ).select_from(_capacities.join(_loads, _same, full=True)),
    ).order_by("user_id", "since", "project_id"),
    GlanceCell,
)


async def glance(
    connection: LightConnection, user_ids: Sequence[UUID], first: date, last: date
) -> dict[tuple[UUID, date], Glance]:
    """What these people's months hold; a month without a row holds nothing."""
    months = [first + timedelta(days) for days in range((last - first).days + 1)]
    found: dict[tuple[UUID, date], Glance] = {}
    cells: list[GlanceCell] = []
    row: Any
    for row in await _GLANCE.rows(connection, users=user_ids, first=first, last=last):
        if row[2] is not None:
            cells.append(row)
            continue
        found[row[0], months[row[1]]] = Glance(row[4], row[5] or "0.00", cells)
        cells = []
    return found
