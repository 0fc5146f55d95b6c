"""Sentences about runs and their leases. What a worker writes names its lease, so that a lost one writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.columns import is_any
from server.sync.models import ACTIVE, Provider, SyncRunRow, SyncStagingRow, SyncState, SyncTrigger

_R = SyncRunRow
_FRESH = {"populate_existing": True}


@dataclass(frozen=True, slots=True)
class RunFilter:
    """All that is given must hold; lists mean any of."""

    ids: Sequence[UUID] | None = None
    providers: Sequence[Provider] | None = None
    states: Sequence[SyncState] | None = None


async def by_id(session: AsyncSession, run_id: UUID) -> SyncRunRow | None:
    return (await session.scalars(select(_R).where(_R.id == run_id), execution_options=_FRESH)).one_or_none()


async def locked(session: AsyncSession, run_id: UUID) -> SyncRunRow | None:
    statement = select(_R).where(_R.id == run_id).with_for_update()
    return (await session.scalars(statement, execution_options=_FRESH)).one_or_none()


async def active(session: AsyncSession, provider: Provider) -> SyncRunRow | None:
    statement = select(_R).where(_R.provider == provider, is_any(_R.state, ACTIVE))
    return (await session.scalars(statement, execution_options=_FRESH)).one_or_none()


async def newest(session: AsyncSession, provider: Provider) -> SyncRunRow | None:
    statement = select(_R).where(_R.provider == provider).order_by(_R.id.desc()).limit(1)
    return (await session.scalars(statement, execution_options=_FRESH)).one_or_none()


async def page(session: AsyncSession, wanted: RunFilter, offset: int, limit: int) -> Sequence[SyncRunRow]:
    """The newest first."""
    statement = select(_R).where(*_conditions(wanted)).order_by(_R.id.desc()).offset(offset).limit(limit)
    return (await session.scalars(statement)).all()


async def count(session: AsyncSession, wanted: RunFilter) -> int:
    return int((await session.scalars(select(func.count()).select_from(_R).where(*_conditions(wanted)))).one())


def _conditions(wanted: RunFilter) -> list[Any]:
    lists = ((_R.id, wanted.ids), (_R.provider, wanted.providers), (_R.state, wanted.states))
    return [is_any(column, values) for column, values in lists if values is not None]


async def due(session: AsyncSession) -> Sequence[UUID]:
    statement = select(_R.id).where(_R.state == SyncState.QUEUED, _R.due_at <= func.now()).order_by(_R.id)
    return (await session.scalars(statement)).all()


_CLAIM = text(
    "UPDATE sync_runs SET state = 'RUNNING', lease = :lease, heartbeat_at = now(), attempts = attempts + 1,"
    " started_at = coalesce(started_at, now()), cause = NULL, message = NULL"
    " WHERE id = :id AND state = 'QUEUED' AND due_at <= now() RETURNING id"
)


async def claim(session: AsyncSession, run_id: UUID, lease: UUID) -> bool:
    """Whether the run is ours: of two workers one gets it."""
    return (await session.execute(_CLAIM, {"id": run_id, "lease": lease})).first() is not None


_BEAT = text(
    "UPDATE sync_runs SET heartbeat_at = now() WHERE id = :id AND lease = :lease"
    " RETURNING cancel_requested_at IS NOT NULL"
)


async def beat(session: AsyncSession, run_id: UUID, lease: UUID) -> bool | None:
    """Renews the lease; whether somebody asked to cancel, or None when the lease does not hold any more."""
    return (await session.execute(_BEAT, {"id": run_id, "lease": lease})).scalar_one_or_none()


async def write(session: AsyncSession, run_id: UUID, held: UUID, **values: Any) -> bool:
    """Sets these columns under the lease; False when it was lost or a cancellation was asked for."""
    statement = (
        update(_R)
        .where(_R.id == run_id, _R.lease == held, _R.cancel_requested_at.is_(None))
        .values(heartbeat_at=func.now(), **values)
        .returning(_R.id)
        .execution_options(synchronize_session=False)
    )
    return (await session.execute(statement)).first() is not None


async def leave(session: AsyncSession, run_id: UUID, lease: UUID, state: SyncState, **values: Any) -> bool:
    """Ends the work on a run without its result: failed, cancelled, or queued to go on. False: the lease was lost."""
    ended = {"finished_at": func.now()} if state not in ACTIVE else {}
    statement = (
        update(_R)
        .where(_R.id == run_id, _R.lease == lease)
        .values(state=state, lease=None, **ended, **values)
        .returning(_R.id)
        .execution_options(synchronize_session=False)
    )
    return (await session.execute(statement)).first() is not None


_ABANDONED = (
    "((state = 'RUNNING' AND heartbeat_at < now() - make_interval(secs => :lease_seconds))"
    " OR (state = 'QUEUED' AND greatest(due_at, created_at) < now() - make_interval(secs => :queue_seconds)))"
)
_LOSE = text(
    "UPDATE sync_runs SET state = 'LOST', lease = NULL, finished_at = now(), cause = 'lost', message = CASE state"  # noqa: S608 - own constants only; values are bound  # nosec B608
    " WHEN 'QUEUED' THEN 'No worker picked the run up: check that one is running, then start the sync again.'"
    " ELSE 'The worker of this run ended or lost the database; nothing of it was applied. Start the sync again.' END"
    f" WHERE id IN (SELECT id FROM sync_runs WHERE {_ABANDONED}"
    " ORDER BY id FOR UPDATE SKIP LOCKED) RETURNING id, provider"
)
_IS_ABANDONED = text(f"SELECT EXISTS (SELECT FROM sync_runs WHERE id = :id AND {_ABANDONED})")  # noqa: S608 - own constants only; values are bound  # nosec B608


async def lose_abandoned(session: AsyncSession, lease_seconds: float, queue_seconds: float) -> Sequence[Any]:
    """Marks LOST what nobody works on; (id, provider) of each."""
    bounds = {"lease_seconds": lease_seconds, "queue_seconds": queue_seconds}
    return (await session.execute(_LOSE, bounds)).all()


async def is_abandoned(session: AsyncSession, run_id: UUID, lease_seconds: float, queue_seconds: float) -> bool:
    bounds = {"id": run_id, "lease_seconds": lease_seconds, "queue_seconds": queue_seconds}
    return bool((await session.execute(_IS_ABANDONED, bounds)).scalar_one())


async def clear_staging(session: AsyncSession, run_id: UUID) -> None:
    await session.execute(delete(SyncStagingRow).where(SyncStagingRow.run_id == run_id))


_FORGET = text("DELETE FROM sync_runs WHERE finished_at < now() - make_interval(days => :days)")


async def forget_old(session: AsyncSession, days: int) -> None:
    await session.execute(_FORGET, {"days": days})


# An incident is a provider and a cause, until the next success. Of two workers one opens it.
_OPEN_INCIDENT = text(
    "UPDATE sync_runs AS r SET notified_at = now() WHERE r.id IN (SELECT f.id FROM sync_runs f"
    " WHERE f.state IN ('FAILED', 'LOST') AND f.trigger = 'SCHEDULE' AND f.notified_at IS NULL"
    " AND f.finished_at > now() - interval '1 day'"
    " AND NOT EXISTS (SELECT FROM sync_runs s WHERE s.provider = f.provider AND s.id > f.id AND s.state = 'SUCCEEDED')"
    " AND NOT EXISTS (SELECT FROM sync_runs o WHERE o.provider = f.provider AND o.cause = f.cause"
    "  AND o.notified_at IS NOT NULL AND o.id <> f.id AND NOT EXISTS (SELECT FROM sync_runs s"
    "   WHERE s.provider = o.provider AND s.id > o.id AND s.state = 'SUCCEEDED'))"
    " ORDER BY f.id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING r.id"
)


async def open_incident(session: AsyncSession) -> SyncRunRow | None:
    """A failed scheduled run whose incident nobody was told of yet, marked as told."""
    run_id = (await session.execute(_OPEN_INCIDENT)).scalar_one_or_none()
    return None if run_id is None else await by_id(session, run_id)


async def reopen_incident(session: AsyncSession, run_id: UUID) -> None:
    """The mail did not leave: the next round tries again."""
    await session.execute(
        update(_R).where(_R.id == run_id).values(notified_at=None).execution_options(synchronize_session=False)
    )


def new(provider: Provider, trigger: SyncTrigger, window: tuple[Any, Any], started_by_id: UUID | None) -> SyncRunRow:
    return SyncRunRow(
        provider=provider,
        state=SyncState.QUEUED,
        trigger=trigger,
        started_by_id=started_by_id,
        first_day=window[0],
        last_day=window[1],
        progress=Decimal(0),
    )


def after(seconds: float) -> ColumnElement[datetime]:
    """That long from now, by PostgreSQL's clock."""
    return func.now() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)


async def database_time(session: AsyncSession) -> datetime:
    return (await session.execute(text("SELECT now()"))).scalar_one()  # type: ignore[no-any-return]
