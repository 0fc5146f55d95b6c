"""Every dataloader on one page, each built by one of two helpers; a loader lives for one request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any
from uuid import UUID

from aiodataloader import DataLoader
from sqlalchemy.ext.asyncio import AsyncSession

from server.database import Reads
from server.observability import LOADER_BATCHES, LOADER_KEYS
from server.projects import repository as projects
from server.projects.models import ProjectRow
from server.users import repository as users
from server.users.models import BusinessUnitRow, UserRow

Fetch = Callable[[AsyncSession, Sequence[Any]], Awaitable[Sequence[Any]]]


def by_key(reads: Reads, fetch: Fetch, key: Callable[[Any], Any]) -> DataLoader[Any, Any]:
    """key -> its row or None; one statement per batch. `fetch(session, keys)` returns rows in any order."""

    async def batch(keys: list[Any]) -> list[Any]:
        async with reads.session() as session:
            found = {key(row): row for row in await fetch(session, keys)}
        return [found.get(wanted) for wanted in keys]

    return DataLoader(batch)


def grouped_by(reads: Reads, fetch: Fetch, key: Callable[[Any], Any]) -> DataLoader[Any, list[Any]]:
    """key -> its rows in the order of `fetch`, possibly none; one statement per batch."""

    async def batch(keys: list[Any]) -> list[list[Any]]:
        groups: dict[Any, list[Any]] = {wanted: [] for wanted in keys}
        async with reads.session() as session:
            for row in await fetch(session, keys):
                groups[key(row)].append(row)
        return [groups[wanted] for wanted in keys]

    return DataLoader(batch)


def _counted(
    label: str, batch: Callable[[list[Any]], Awaitable[list[Any]]]
) -> Callable[[list[Any]], Awaitable[list[Any]]]:
    async def counted(keys: list[Any]) -> list[Any]:
        LOADER_BATCHES.labels(label).inc()
        LOADER_KEYS.labels(label).inc(len(keys))
        return await batch(keys)

    return counted


class Loaders:
    """Made when first used, since a DataLoader needs a running loop; loaders with arguments are kept per arguments."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._made: dict[Hashable, DataLoader[Any, Any]] = {}

    def _once(self, name: Hashable, make: Callable[[], DataLoader[Any, Any]]) -> DataLoader[Any, Any]:
        if name not in self._made:
            loader = make()
            loader.batch_load_fn = _counted(name if isinstance(name, str) else str(name[0]), loader.batch_load_fn)  # type: ignore[index]
            self._made[name] = loader
        return self._made[name]

    @property
    def user(self) -> DataLoader[UUID, UserRow | None]:
        return self._once("user", lambda: by_key(self._reads, users.by_ids, key=lambda row: row.id))

    @property
    def business_unit(self) -> DataLoader[UUID, BusinessUnitRow | None]:
        return self._once("business_unit", lambda: by_key(self._reads, users.units_by_ids, key=lambda row: row.id))

    @property
    def project(self) -> DataLoader[UUID, ProjectRow | None]:
        return self._once("project", lambda: by_key(self._reads, projects.by_ids, key=lambda row: row.id))
