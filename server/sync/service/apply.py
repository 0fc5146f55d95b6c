"""The one transaction in which a run's staged records become the plan's, under the run's lease."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import date

from sqlalchemy import func, text

from server.actor import Actor
from server.database import Database, Transaction
from server.events import SyncChanged
from server.planning.repository import months as closing
from server.sync.models import SyncKind, SyncRunRow, SyncState
from server.sync.repository import runs, staging
from server.sync.repository.staging import MAX_REFUSALS, Refused
from server.sync.service.reading import APPLYING, LIST_CHANGED, Counts, LeaseLost, Position, Reader

# Half a million rows take longer than a request may; the transaction as a whole is bounded by the job's time-out.
_PATIENCE = text("SET LOCAL statement_timeout = '15min'")


@dataclass
class Application:
    """What a provider's `apply` works with: the transaction, the run, and the counts that it fills in."""

    tx: Transaction
    run: SyncRunRow
    position: Position
    counts: Counts
    today: date

    def count(self, kind: SyncKind, **numbers: int) -> None:
        counts = self.counts.setdefault(kind.value, {})
        for name, number in numbers.items():
            counts[name] = counts.get(name, 0) + number

    async def refuse(self, refused: list[Refused], *, skipped: bool = False) -> None:
        """Explains records that do not land: refused ones, or such as wait for a person (skipped)."""
        for one in refused:
            self.count(one.kind, **{"skipped" if skipped else "refused": one.records})
        await staging.refuse(self.tx.session, self.run.id, refused)

    async def read_whole(self, kind: SyncKind) -> bool:
        """Whether what is missing from the list is missing at the provider: the only case in which it is removed."""
        refused = await staging.refused_ids(self.tx.session, self.run.id, kind)
        if kind.value not in self.position.shifted and None not in refused and len(refused) < MAX_REFUSALS:
            return True
        reason = "The list changed, or had unreadable records, while it was read: nothing was removed this time."
        await staging.refuse(self.tx.session, self.run.id, [Refused(kind, None, LIST_CHANGED, reason, records=0)])
        return False


Change = Callable[[Application], Awaitable[None]]


async def apply(database: Database, actor: Actor, reader: Reader, change: Change, today: date) -> None:
    """All of it or nothing. Raises LeaseLost when the run is no longer ours or somebody asked to cancel it."""
    run, lease = reader.run, reader.lease
    async with database.transaction(actor) as tx:
        if not await runs.write(tx.session, run.id, lease, phase=APPLYING, position=asdict(reader.position)):
            raise LeaseLost
        tx.publish(SyncChanged(run.id, run.provider.value))
    async with database.transaction(actor) as tx:
        await tx.session.execute(_PATIENCE)
        await closing.share_lock(tx.session)
        # A second try at applying counts anew.
        counts = {kind: dict(numbers) for kind, numbers in reader.counts.items()}
        application = Application(tx, run, reader.position, counts, today)
        await change(application)
        await runs.clear_staging(tx.session, run.id)
        # The lease is checked last, by the write that ends the run: whoever lost it meanwhile rolls all of this back.
        succeeded = await runs.write(
            tx.session,
            run.id,
            lease,
            state=SyncState.SUCCEEDED,
            lease=None,
            phase=None,
            progress=100,
            counts=application.counts,
            position={},
            finished_at=func.clock_timestamp(),
            cause=None,
            message=None,
        )
        if not succeeded:
            raise LeaseLost
        await tx.audit("sync.succeeded", "sync_run", run.id, counts=application.counts)
        tx.publish(SyncChanged(run.id, run.provider.value))
