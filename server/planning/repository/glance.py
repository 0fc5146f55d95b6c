"""The grid at a glance: the figures that most screens ask of it, put together by PostgreSQL person by person."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from itertools import islice, repeat
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Date, Text, and_, bindparam, cast, func, literal_column, select, true
from sqlalchemy.dialects.postgresql import aggregate_order_by

from server.columns import ids_given, is_any_of
from server.ids import month_id
from server.light_rows import Light, LightConnection, LightRow
from server.planning.domain import load as rules
from server.planning.domain.months import format_month
from server.planning.domain.numbers import NO_DAYS
from server.planning.models import CapacityRow, ForecastRow
from server.planning.repository.cells import HAS_VALUE
from server.planning.repository.grid import EFFECTIVE_CAPACITY, EFFECTIVE_DAYS

_C, _F = CapacityRow, ForecastRow


class GlanceCell(LightRow):
    """A cell with the days that count, as text, and nothing of how they came about."""

    __slots__ = ()
    id: str
    days: str
    project_id: str
    user_id: UUID
    user_row = None
    project_row = None


class GlanceMonth(LightRow):
    """A person's month with its figures, as text, and nothing of how they came about."""

    __slots__ = ()
    user_id: UUID
    month: str
    capacity: str
    load: str
    cells: list[GlanceCell]

    @property
    def id(self) -> UUID:
        return month_id(self.user_id, date.fromisoformat(f"{self.month}-01"))

    @property
    def availability(self) -> Decimal:
        return rules.availability(Decimal(self.capacity), Decimal(self.load))

    @property
    def utilisation(self) -> Decimal | None:
        return rules.utilisation(Decimal(self.load), Decimal(self.capacity))

    @property
    def overallocated(self) -> bool:
        return rules.is_overallocated(Decimal(self.load), Decimal(self.capacity))


_months = bindparam("months", type_=ARRAY(Date))
_person = func.unnest(ids_given("users")).table_valued("id", with_ordinality="place", name="person").render_derived()
_month = func.unnest(_months).table_valued("day", name="month").render_derived()


def _wanted(row: Any) -> Any:
    within = row.month.between(bindparam("first", type_=Date), bindparam("last", type_=Date))
    return and_(is_any_of(row.user_id, "users"), within)


def _listed(value: Any, order: Any) -> Any:
    """The values of a group as one text: no number and no id has a comma in it."""
    return func.string_agg(cast(value, Text), aggregate_order_by(literal_column("','"), order))


_cells = (
    select(_F.user_id, _F.month, _F.id, _F.project_id, EFFECTIVE_DAYS.label("days"))
    .where(_wanted(_F), HAS_VALUE)
    .subquery("cells")
)
_loads = (
    select(
        _cells.c.user_id,
        _cells.c.month,
        func.sum(_cells.c.days).label("load"),
        func.count().label("count"),
        _listed(func.concat_ws(",", _cells.c.id, _cells.c.days, _cells.c.project_id), _cells.c.project_id).label(
            "cells"
        ),
    )
    .group_by(_cells.c.user_id, _cells.c.month)
    .subquery("loads")
)
_capacities = (
    select(_C.user_id, _C.month, EFFECTIVE_CAPACITY.label("capacity")).where(_wanted(_C)).subquery("capacities_of")
)


def _of_it(each: Any) -> Any:
    return and_(each.c.user_id == _person.c.id, each.c.month == _month.c.day)


# One statement and so one snapshot, as the whole picture in grid.py. A record a person, with what their months hold in
# four texts: docs/decisions/0017-nothing-for-the-collector.md has what the other ways took.
_GLANCE: Light[Any] = Light(
    select(
        _listed(func.coalesce(_capacities.c.capacity, NO_DAYS), _month.c.day),
        _listed(func.coalesce(_loads.c.load, NO_DAYS), _month.c.day),
        _listed(func.coalesce(_loads.c.count, 0), _month.c.day),
        _listed(_loads.c.cells, _month.c.day),
    )
    .select_from(
        _person.join(_month, true()).outerjoin(_capacities, _of_it(_capacities)).outerjoin(_loads, _of_it(_loads))
    )
    .group_by(_person.c.place)
    .order_by(_person.c.place)
)


async def glance(
    connection: LightConnection, user_ids: Sequence[UUID], months: Sequence[date]
) -> list[list[GlanceMonth]]:
    """Of each person each of these months; the months are in order."""
    people = await _GLANCE.rows(connection, users=user_ids, months=months, first=months[0], last=months[-1])
    names = list(map(format_month, months))
    found: list[list[GlanceMonth]] = []
    for user_id, (capacities, loads, counts, texts) in zip(user_ids, people, strict=True):
        text = iter(texts.split(",") if texts else ())
        cells = map(GlanceCell, zip(text, text, text, repeat(user_id)))
        of = [list(islice(cells, int(count))) for count in counts.split(",")]
        found.append(list(map(GlanceMonth, zip(repeat(user_id), names, capacities.split(","), loads.split(","), of))))
    return found
