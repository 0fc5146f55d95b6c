"""Every dataloader on one page, each built by one of two helpers; a loader lives for one request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date
from functools import partial
from operator import attrgetter
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from execution import BatchLoader
from server.access import role_repository as roles
from server.access.models import RoleRow
from server.database import Reads
from server.ids import as_uuid
from server.observability import LOADER_BATCHES, LOADER_KEYS
from server.planning.models import AssignmentRow
from server.planning.repository import assignments, cells
from server.planning.repository.assignments import Period
from server.planning.repository.cells import CellRow, ProjectTotals
from server.planning.service import grid
from server.planning.service.grid import CapacityKey, CapacityLines, MonthRow
from server.projects import repository as projects
from server.projects.models import ProjectRow
from server.sync.models import SyncRefusalRow
from server.sync.repository import staging
from server.users import repository as users
from server.users.models import BusinessUnitRow, UserRow

Open = Callable[[], AbstractAsyncContextManager[Any]]
"""a session of reads, or a light connection"""
Fetch = Callable[[Any, Sequence[Any]], Awaitable[Sequence[Any]]]
Of = Callable[[Any], Any]


def _text_of(name: str, *, brief: bool = False) -> Of:
    """Of an id that is a UUID in most rows and its text in brief ones: see server/light_rows.py."""
    return attrgetter(name) if brief else lambda row: str(getattr(row, name))


def _itself(key: Any) -> Any:
    return key


def by_key(source: Open, fetch: Fetch, of_row: Of, of_key: Of = _itself) -> BatchLoader[Any, Any]:
    """key -> its row or None, where `of_row(row)` equals `of_key(key)`; one statement per batch.

    `fetch(source, keys)` returns rows in any order.
    """

    async def batch(keys: list[Any]) -> list[Any]:
        async with source() as opened:
            found = {of_row(row): row for row in await fetch(opened, keys)}
        return [found.get(of_key(wanted)) for wanted in keys]

    return BatchLoader(batch)


def by_id(source: Open, fetch: Fetch, *, brief: bool = False) -> BatchLoader[UUID | str, Any]:
    """id -> its row or None. An id may be its text, which the driver takes too and brief rows have."""
    return by_key(source, fetch, _text_of("id", brief=brief), str)


def grouped_by(source: Open, fetch: Fetch, of_row: Of, of_key: Of = _itself) -> BatchLoader[Any, list[Any]]:
    """key -> its rows, as `by_key` tells them, in the order of `fetch` and possibly none; one statement per batch."""

    async def batch(keys: list[Any]) -> list[list[Any]]:
        groups: dict[Any, list[Any]] = {of_key(wanted): [] for wanted in keys}
        async with source() as opened:
            for row in await fetch(opened, keys):
                groups[of_row(row)].append(row)
        return [groups[of_key(wanted)] for wanted in keys]  # two keys may be one: an id and its text

    return BatchLoader(batch)


def _counted(
    label: str, batch: Callable[[list[Any]], Awaitable[Sequence[Any]]]
) -> Callable[[list[Any]], Awaitable[Sequence[Any]]]:
    async def counted(keys: list[Any]) -> Sequence[Any]:
        LOADER_BATCHES.labels(label).inc()
        LOADER_KEYS.labels(label).inc(len(keys))
        return await batch(keys)

    return counted


def _label(name: Hashable) -> str:
    """A loader with arguments is counted under its own name, whatever they are."""
    return str(name[0] if isinstance(name, tuple) else name)


class Loaders:
    """Each made when first used; loaders with arguments are kept per arguments."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._made: dict[Hashable, BatchLoader[Any, Any]] = {}

    def _once(self, name: Hashable, make: Callable[[], BatchLoader[Any, Any]]) -> BatchLoader[Any, Any]:
        if name not in self._made:
            loader = make()
            loader.fetch = _counted(_label(name), loader.fetch)
            self._made[name] = loader
        return self._made[name]

    @property
    def user(self) -> BatchLoader[UUID, UserRow | None]:
        return self._once("user", lambda: by_id(self._reads.light, users.light_by_ids))

    @property
    def brief_user(self) -> BatchLoader[UUID, UserRow | None]:
        """For whoever asks of a person nothing but users.BRIEF."""
        return self._once("brief_user", lambda: by_id(self._reads.light, users.brief_by_ids, brief=True))

    @property
    def business_unit(self) -> BatchLoader[UUID, BusinessUnitRow | None]:
        return self._once("business_unit", lambda: by_id(self._reads.light, users.light_units_by_ids))

    @property
    def user_roles(self) -> BatchLoader[UUID, list[Row[UUID, RoleRow]]]:
        """user -> (user_id, RoleRow) of the roles held."""
        return self._once(
            "user_roles", lambda: grouped_by(self._reads.session, roles.of_users, _text_of("user_id"), str)
        )

    @property
    def role_grants(self) -> BatchLoader[UUID, list[Row[UUID, str, int]]]:
        """role -> (role_id, code, scope) of what it grants."""
        return self._once("role_grants", lambda: grouped_by(self._reads.session, roles.grants, lambda row: row.role_id))

    @property
    def project(self) -> BatchLoader[UUID, ProjectRow | None]:
        return self._once("project", lambda: by_id(self._reads.light, projects.light_by_ids))

    @property
    def brief_project(self) -> BatchLoader[UUID, ProjectRow | None]:
        """For whoever asks of a project nothing but projects.BRIEF."""
        return self._once("brief_project", lambda: by_id(self._reads.light, projects.brief_by_ids, brief=True))

    @property
    def capacity_lines(self) -> BatchLoader[CapacityKey, CapacityLines]:
        return self._once(
            "capacity_lines", lambda: by_key(self._reads.session, grid.capacity_lines, lambda row: row.key)
        )

    @property
    def project_cells(self) -> BatchLoader[tuple[UUID, date], list[CellRow]]:
        """(project, month) -> its cells."""
        key: Callable[[CellRow], Any] = lambda row: (row.project_id, row.month)  # noqa: E731
        return self._once("project_cells", lambda: grouped_by(self._reads.session, cells.of_projects, key))

    def user_months(self, first: date, last: date) -> BatchLoader[UUID, list[MonthRow]]:
        """person -> every month of the range."""
        fetch = partial(grid.months_of_users, first=first, last=last)
        name = ("user_months", first, last)
        return self._once(name, lambda: grouped_by(self._reads.light, fetch, _text_of("user_id"), str))

    def project_months(self, first: date, last: date) -> BatchLoader[UUID, list[ProjectTotals]]:
        """project -> every month of the range."""

        async def fetch(session: Any, keys: Sequence[UUID | str]) -> list[ProjectTotals]:
            return await grid.months_of_projects(session, list(dict.fromkeys(map(as_uuid, keys))), first, last)

        name = ("project_months", first, last)
        return self._once(name, lambda: grouped_by(self._reads.session, fetch, _text_of("project_id"), str))

    def assignments_of_user(self, period: Period, *, brief: bool = False) -> BatchLoader[UUID, list[AssignmentRow]]:
        """person -> their assignments that reach into the period; with assignments.BRIEF alone if `brief`."""
        fetch = partial(assignments.of_users, period=period, brief=brief)
        name, of_row = ("assignments_of_user", period, brief), _text_of("user_id", brief=brief)
        return self._once(name, lambda: grouped_by(self._reads.light, fetch, of_row, str))

    def assignments_of_project(self, period: Period, *, brief: bool = False) -> BatchLoader[UUID, list[AssignmentRow]]:
        """project -> the assignments to it that reach into the period; with assignments.BRIEF alone if `brief`."""
        fetch = partial(assignments.of_projects, period=period, brief=brief)
        name, of_row = ("assignments_of_project", period, brief), _text_of("project_id", brief=brief)
        return self._once(name, lambda: grouped_by(self._reads.light, fetch, of_row, str))

    def sync_refusals(self, first: int) -> BatchLoader[UUID, list[SyncRefusalRow]]:
        """run -> its first refusals."""
        fetch, name = partial(staging.refusals_of, first=first), ("sync_refusals", first)
        return self._once(name, lambda: grouped_by(self._reads.session, fetch, lambda row: row.run_id))
