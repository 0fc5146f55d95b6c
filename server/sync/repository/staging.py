"""Sentences about staged records and about why records were refused or left out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from server.columns import is_any
from server.ids import new_id
from server.sync.models import SyncKind, SyncRefusalRow, SyncStagingRow

MAX_REFUSALS = 1_000
"""per run and kind that are kept one by one; the counts tell how many there were"""

_S, _F = SyncStagingRow, SyncRefusalRow


@dataclass(frozen=True, slots=True)
class Refused:
    kind: SyncKind
    external_id: str | None
    code: str
    reason: str
    records: int = 1


# A record that comes twice, because the list shifted while it was read, counts once: the later one.
_PUT = text(
    "INSERT INTO sync_staging (run_id, kind, external_id, data) SELECT :run_id, :kind, id, CAST(data AS jsonb)"
    " FROM unnest(CAST(:ids AS text[]), CAST(:data AS text[])) AS new (id, data) ORDER BY id"
    " ON CONFLICT (run_id, kind, external_id) DO UPDATE SET data = excluded.data"
)


async def put(session: AsyncSession, run_id: UUID, kind: SyncKind, records: Mapping[str, Mapping[str, Any]]) -> None:
    if records:
        data = [orjson.dumps(facts).decode() for facts in records.values()]
        await session.execute(_PUT, {"run_id": run_id, "kind": kind.value, "ids": list(records), "data": data})


async def external_ids(session: AsyncSession, run_id: UUID, kind: SyncKind) -> Sequence[str]:
    """In an order that stays the same from one attempt to the next."""
    statement = select(_S.external_id).where(_S.run_id == run_id, _S.kind == kind)
    return (await session.scalars(statement.order_by(_S.external_id.collate("C")))).all()


async def records(session: AsyncSession, run_id: UUID, kind: SyncKind) -> Sequence[Any]:
    """(external_id, data) of every record of a kind: for kinds of which a company has some thousands."""
    statement = select(_S.external_id, _S.data).where(_S.run_id == run_id, _S.kind == kind)
    return (await session.execute(statement.order_by(_S.external_id.collate("C")))).all()


async def count(session: AsyncSession, run_id: UUID, kind: SyncKind) -> int:
    statement = select(func.count()).select_from(_S).where(_S.run_id == run_id, _S.kind == kind)
    return int((await session.scalars(statement)).one())


async def refuse(session: AsyncSession, run_id: UUID, refused: Collection[Refused]) -> None:
    """Keeps the reasons of the first thousand of a kind. A page that is staged again refuses nothing twice."""
    by_kind: dict[SyncKind, list[Refused]] = {}
    for one in refused:
        by_kind.setdefault(one.kind, []).append(one)
    for kind, ones in by_kind.items():
        statement = select(func.count()).select_from(_F).where(_F.run_id == run_id, _F.kind == kind)
        room = MAX_REFUSALS - int((await session.scalars(statement)).one())
        session.add_all(
            SyncRefusalRow(
                id=new_id(),
                run_id=run_id,
                kind=kind,
                external_id=one.external_id,
                code=one.code,
                reason=one.reason,
                records=one.records,
            )
            for one in ones[: max(room, 0)]
        )
    await session.flush()


async def refusals_of(session: AsyncSession, run_ids: Collection[UUID], first: int) -> Sequence[SyncRefusalRow]:
    """The first refusals of each run, in the order in which they came."""
    rank = func.row_number().over(partition_by=_F.run_id, order_by=_F.id).label("rank")
    numbered = select(_F.id, rank).where(is_any(_F.run_id, run_ids)).subquery()
    statement = select(_F).join(numbered, numbered.c.id == _F.id).where(numbered.c.rank <= first)
    return (await session.scalars(statement.order_by(_F.run_id, _F.id))).all()


async def refused_ids(session: AsyncSession, run_id: UUID, kind: SyncKind) -> Sequence[str | None]:
    """Whose records were read and could not be used; None stands for one without an id."""
    statement = select(_F.external_id).where(_F.run_id == run_id, _F.kind == kind)
    return (await session.scalars(statement)).all()
