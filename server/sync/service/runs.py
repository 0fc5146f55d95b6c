"""Starting and cancelling syncs, and healing what nobody works on any more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from server.actor import Permission
from server.changes import broken_constraint
from server.database import Transaction
from server.errors import refuse
from server.events import SyncChanged
from server.planning.domain.months import last_day, month_of
from server.settings import Settings
from server.sync.models import Provider, SyncRunRow, SyncState, SyncTrigger
from server.sync.repository import runs as repository

ONE_ACTIVE = "uq_sync_runs_active"
JOB = "run_sync"


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. A worker that died is noticed within `lease` and the time between two rounds of `upkeep` (15 s)."""

    beat: float = 2.0
    lease: float = 30.0
    queue: float = 45.0
    """after which a due run that nobody picked up is lost"""
    retries: tuple[float, ...] = (30.0, 120.0, 600.0)
    """how long a run waits before each new try once its provider does not answer"""


TIMING = Timing()


def is_configured(settings: Settings, provider: Provider) -> bool:
    if provider is Provider.PAYFIT:
        return settings.payfit_use_mock or settings.payfit_api_key is not None
    return settings.gryzzly_use_mock or settings.gryzzly_api_key is not None


def window(settings: Settings, provider: Provider, today: date) -> tuple[date, date]:
    """The days whose absences or declarations are read, both included."""
    if provider is Provider.PAYFIT:
        return today - timedelta(days=settings.payfit_days_back), today + timedelta(days=settings.payfit_days_ahead)
    return month_of(today) - timedelta(days=settings.gryzzly_days_back), last_day(month_of(today))


async def start(
    tx: Transaction, settings: Settings, provider: Provider, today: date, trigger: SyncTrigger = SyncTrigger.PERSON
) -> SyncRunRow:
    """A queued run. Raises SYNC_RUNNING with the run under way, or NOT_CONFIGURED."""
    if not tx.actor.can(Permission.SYNC_WRITE):
        raise refuse("OUT_OF_SCOPE", "Starting a sync needs the permission SYNC_WRITE.")
    if not is_configured(settings, provider):
        name = provider.value
        raise refuse("NOT_CONFIGURED", f"Set {name}_API_KEY, or {name}_USE_MOCK=true to try it out.", "provider")
    await lose_abandoned(tx)
    if (running := await repository.active(tx.session, provider)) is not None:
        raise _running(running)
    row = repository.new(provider, trigger, window(settings, provider, today), tx.actor.user_id)
    try:
        async with tx.session.begin_nested():
            tx.session.add(row)
    except IntegrityError as error:
        if broken_constraint(error) != ONE_ACTIVE:
            raise
        raise _running(await repository.active(tx.session, provider)) from error
    await tx.audit("sync.started", "sync_run", row.id, provider=provider.value, trigger=trigger.value)
    tx.publish(SyncChanged(row.id, provider.value))
    tx.enqueue(JOB, str(row.id))
    return row


def _running(row: SyncRunRow | None) -> Exception:
    detail = "A sync of this provider is under way: wait for its end, or cancel it first."
    return refuse("SYNC_RUNNING", detail, "provider", current=row)


async def cancel(tx: Transaction, run_id: UUID) -> SyncRunRow:
    """A queued run is cancelled at once, a running one by its worker within some seconds. An ended one stays."""
    if not tx.actor.can(Permission.SYNC_WRITE):
        raise refuse("OUT_OF_SCOPE", "Cancelling a sync needs the permission SYNC_WRITE.")
    row = await repository.locked(tx.session, run_id)
    if row is None:
        raise refuse("UNKNOWN_ID", "There is no sync run with this id.", "id")
    if row.state not in (SyncState.QUEUED, SyncState.RUNNING):
        raise refuse("SYNC_ENDED", f"This run has ended already: {row.state.value}.", "id", current=row)
    now = await repository.database_time(tx.session)
    if row.cancel_requested_at is None:
        row.cancel_requested_at = now
        await tx.audit("sync.cancelled", "sync_run", row.id, provider=row.provider.value)
    if row.state is SyncState.QUEUED:
        row.state, row.finished_at = SyncState.CANCELLED, now
        row.cause, row.message = "cancelled", "Cancelled before it began; nothing was changed."
        await repository.clear_staging(tx.session, row.id)
    await tx.session.flush()
    tx.publish(SyncChanged(row.id, row.provider.value))
    return row


async def lose_abandoned(tx: Transaction, timing: Timing = TIMING) -> list[UUID]:
    """Marks LOST what nobody works on; the next run begins anew."""
    lost = await repository.lose_abandoned(tx.session, timing.lease, timing.queue)
    for run in lost:
        await repository.clear_staging(tx.session, run.id)
        await tx.audit("sync.lost", "sync_run", run.id, provider=run.provider)
        tx.publish(SyncChanged(run.id, run.provider))
    return [run.id for run in lost]


async def upkeep(tx: Transaction, timing: Timing = TIMING) -> list[UUID]:
    """What the worker does every 15 s: loses abandoned runs, and enqueues due ones, whose job may have been lost."""
    await lose_abandoned(tx, timing)
    due = await repository.due(tx.session)
    for run_id in due:
        tx.enqueue(JOB, str(run_id))
    return list(due)


KEPT_DAYS = 365


async def forget_old(tx: Transaction) -> None:
    """Runs and refusals older than a year go; what they brought over stays."""
    await repository.forget_old(tx.session, KEPT_DAYS)
