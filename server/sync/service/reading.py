"""Reading a provider's lists page by page into staging: no transaction is open while a page is awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

from clients.gryzzly import Gryzzly
from clients.pages import Page
from clients.payfit import AbsenceStatus, PayFit
from server.actor import Actor
from server.database import Database
from server.events import SyncChanged
from server.sync.models import Provider, SyncKind, SyncRunRow
from server.sync.repository import runs, staging
from server.sync.repository.staging import Refused
from server.sync.service.records import Nonsense, external_id, facts

USER_SKIPPED = "USER_SKIPPED"
LIST_CHANGED = "LIST_CHANGED"
APPLYING = "APPLYING"
_READING_SHARE = Decimal(90)
"""percent of a run that reading is shown as"""

Counts = dict[str, dict[str, int]]
COUNTED = ("read", "created", "updated", "removed", "skipped", "refused")


class LeaseLost(Exception):
    """Somebody else took the run away, or asked to cancel it: nothing may be written any more."""


@dataclass
class Position:
    """Where reading stands; kept with the run, so that it can go on after the last staged page."""

    done: list[str] = field(default_factory=list)
    token: str | None = None
    seen: int = 0
    """records of the list, or of the part of it that `total` counts"""
    total: int | None = None
    read: int = 0
    shifted: list[str] = field(default_factory=list)
    """lists whose count changed while they were read: what is missing from them may exist"""


class Lister(Protocol):
    def __call__(self, ids: Sequence[str], run: SyncRunRow, token: str | None) -> AsyncIterator[Page[Any]]: ...


@dataclass(frozen=True, slots=True)
class List:
    """One list of a provider. `of`: the staged kind whose ids it is asked for."""

    kind: SyncKind
    pages: Lister
    of: SyncKind | None = None

    @property
    def phase(self) -> str:
        return f"READING_{self.kind.value}S" if self.kind is not SyncKind.PERSON else "READING_PEOPLE"


def payfit_lists(client: PayFit) -> tuple[List, ...]:
    return (
        List(SyncKind.PERSON, lambda ids, run, token: client.collaborators(token=token)),  # noqa: ARG005
        List(SyncKind.CONTRACT, lambda ids, run, token: client.contracts(token=token)),  # noqa: ARG005
        List(
            SyncKind.ABSENCE,
            # All of them: one that was declined or cancelled since has to go, and the list is whole in one reading.
            lambda ids, run, token: client.absences(  # noqa: ARG005
                run.first_day, run.last_day, status=AbsenceStatus.ALL, token=token
            ),
        ),
    )


def gryzzly_lists(client: Gryzzly) -> tuple[List, ...]:
    return (
        List(SyncKind.PERSON, lambda ids, run, token: client.users(token=token)),  # noqa: ARG005
        List(SyncKind.PROJECT, lambda ids, run, token: client.projects(token=token)),  # noqa: ARG005
        List(SyncKind.TASK, lambda ids, run, token: client.tasks(ids, token=token), SyncKind.PROJECT),  # noqa: ARG005
        List(
            SyncKind.DECLARATION,
            lambda ids, run, token: client.declarations(ids, run.first_day, run.last_day, token=token),
            SyncKind.PERSON,
        ),
    )


LISTS: dict[Provider, Callable[[Any], tuple[List, ...]]] = {
    Provider.PAYFIT: payfit_lists,
    Provider.GRYZZLY: gryzzly_lists,
}


class Reader:
    """One run's reading, under its lease."""

    def __init__(self, database: Database, actor: Actor, run: SyncRunRow, lease: UUID) -> None:
        self._database, self._actor, self.run, self.lease = database, actor, run, lease
        self.position = Position(**run.position)
        self.counts: Counts = {kind: dict(counts) for kind, counts in run.counts.items()}

    async def read(self, lists: Sequence[List]) -> None:
        for number, one in enumerate(lists):
            if one.kind.value in self.position.done:
                continue
            ids = await self._ids(one)
            async for page in one.pages(ids, self.run, self.position.token):
                share = self._share(number, len(lists), page)
                await self._stage(one, page, share, last=page.next_token is None)
            if one.kind.value not in self.position.done:  # asked for no ids: nothing to read
                await self._stage(one, Page(()), Decimal(number + 1) / len(lists), last=True)

    async def _ids(self, one: List) -> Sequence[str]:
        if one.of is None:
            return ()
        async with self._database.reads.session() as session:
            return await staging.external_ids(session, self.run.id, one.of)

    def _share(self, number: int, lists: int, page: Page[Any]) -> Decimal:
        records = len(page.items) + len(page.refused)
        part = Decimal(0) if not page.total else min(Decimal(1), Decimal(self.position.seen + records) / page.total)
        return (number + part) / lists

    async def _stage(self, one: List, page: Page[Any], share: Decimal, *, last: bool) -> None:
        kept, refused = _sorted_out(one.kind, page)
        self._advance(one.kind.value, page, len(refused), last=last)
        async with self._database.transaction(self._actor) as tx:
            going_on = await runs.write(
                tx.session,
                self.run.id,
                self.lease,
                phase=one.phase,
                progress=round(min(share, Decimal(1)) * _READING_SHARE, 2),
                counts=self.counts,
                position=asdict(self.position),
            )
            if not going_on:
                raise LeaseLost
            await staging.put(tx.session, self.run.id, one.kind, kept)
            await staging.refuse(tx.session, self.run.id, refused)
            tx.publish(SyncChanged(self.run.id, self.run.provider.value))

    def _advance(self, kind: str, page: Page[Any], refused: int, *, last: bool) -> None:
        at, records = self.position, len(page.items) + len(page.refused)
        if at.seen and page.total != at.total and kind not in at.shifted:
            at.shifted.append(kind)
        at.seen, at.total, at.token = at.seen + records, page.total, page.next_token
        if page.total is not None and at.seen >= page.total:
            at.seen = 0  # the list of some ids is read; that of the next ones has a count of its own
        counts = self.counts.setdefault(kind, dict.fromkeys(COUNTED, 0))
        counts["read"] += records
        counts["refused"] += refused - len(page.skipped)
        counts["skipped"] += len(page.skipped)
        if last:
            at.done.append(kind)
            at.token, at.seen, at.total = None, 0, None


def _sorted_out(kind: SyncKind, page: Page[Any]) -> tuple[dict[str, dict[str, Any]], list[Refused]]:
    """What to stage and what to refuse; a skipped user stands among the refusals, and is no refused record."""
    kept: dict[str, dict[str, Any]] = {}
    refused = [Refused(kind, one.external_id, "MALFORMED", one.reason) for one in page.refused]
    for record in page.items:
        try:
            kept[external_id(record)] = facts(record)
        except Nonsense as nonsense:
            refused.append(Refused(kind, _shown_id(record), nonsense.code, nonsense.reason))
    for user in page.skipped:
        reason = "Gryzzly does not answer for this user (404), as for disabled ones: what was declared stays as it is."
        refused.append(Refused(kind, user, USER_SKIPPED, reason, records=0))
    return kept, refused


def _shown_id(record: Any) -> str:
    return external_id(record).replace("\0", "")[:200]
