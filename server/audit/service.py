"""Reading the audit log, and noting reads that are sensitive themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

from server.actor import Actor
from server.audit import repository
from server.audit.models import AuditLogRow
from server.audit.repository import AuditFilter
from server.database import Database


async def record_read(database: Database, actor: Actor, what: str, **metadata: Any) -> None:
    """Notes that the actor read `what`: "audit_log", "absence_types", "mappings", an export ... in a transaction of
    its own, before the answer is sent."""
    async with database.transaction(actor) as tx:
        await tx.audit(f"{what}.read", what, **metadata)


async def newest(
    database: Database, actor: Actor, wanted: AuditFilter, *, before: UUID | None, first: int
) -> Sequence[AuditLogRow]:
    """The `first` newest entries that fit, older than `before`, and one more when there is one: a page that goes on.

    The read is noted after them, so it does not show itself.
    """
    async with database.reads.session() as session:
        rows = await repository.newest(session, wanted, before=before, limit=first + 1)
    asked = {name: value for name, value in asdict(wanted).items() if value is not None}
    await record_read(database, actor, "audit_log", filter=asked, entries=min(len(rows), first))
    return rows
