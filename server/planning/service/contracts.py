"""What people do to contracts, and what their ends make of the people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.exc import IntegrityError

from server.access import role_repository
from server.access.service.accounts import refuse_without_administrator
from server.actor import Permission
from server.changes import apply, broken_constraint, check_version, refuse_violations
from server.database import Transaction
from server.errors import Problem, Refused, refuse
from server.events import AccessChanged
from server.planning.models import ContractRow, RecordSource
from server.planning.repository import contracts as repository
from server.planning.repository import months as closing
from server.planning.repository import recomputation
from server.planning.service import warnings
from server.planning.service.people import reach
from server.planning.service.recompute import recompute
from server.users.models import UserRow, UserStatus

log = structlog.get_logger(__name__)

ONE_AT_A_TIME = "ex_contracts_one_at_a_time"
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ContractDraft:
    """All facts of a contract. `id` None adds one; `end_previous` ends an open-ended one the day before it starts."""

    user_id: UUID
    start_date: date
    end_date: date | None = None
    fte: Decimal | None = None
    weekday_pattern: Sequence[Decimal] | None = None
    id: UUID | None = None
    expected_version: int | None = None
    end_previous: bool = False


async def set_contract(tx: Transaction, draft: ContractDraft, today: date) -> tuple[ContractRow, list[Problem]]:
    """Adds or changes a contract, with warnings. `today` decides whether the person has left or come back by it."""
    refuse_violations(_violations(draft))
    if draft.end_date is not None and draft.end_date < today:
        await role_repository.lock_administrators(tx.session)
    await closing.share_lock(tx.session)
    await recomputation.lock_users(tx.session, [draft.user_id])
    user = await reach(tx, Permission.CONTRACTS_WRITE, draft.user_id, "userId")
    row = await _existing(tx, draft)
    ended = await _make_room(tx, draft)
    row, before = await _store(tx, draft, row)
    facts = _facts(row)
    if before != facts:
        await tx.audit("contract.set", "contract", row.id, before=before, after=facts, user_id=user.id, ended=ended)
    await _follow_contracts(tx, user, today)
    starts = [row.start_date, *([before["start_date"]] if before else []), *([row.start_date] if ended else [])]
    ends = [row.end_date, *([before["end_date"]] if before else []), *([None] if ended else [])]
    start, end = min(starts), None if None in ends else max(end for end in ends if end)
    done = await recompute(tx, [user.id], start, end or date.max)
    notes = await warnings.closed_months(tx, start, end, "startDate")
    return row, notes + await warnings.overallocations(tx, [user.id], done.months, "userId")


async def mark_leavers(tx: Transaction, today: date) -> list[UUID]:
    """Signs off everyone whose last contract ended before `today`; for the daily job.

    While nobody else can administer, administrators stay: better a leaver who can sign in than a locked house.
    """
    await role_repository.lock_administrators(tx.session)
    leavers = list(await repository.lock_leavers(tx.session, today))
    administrators = await role_repository.administrators(tx.session)
    if administrators and administrators <= set(leavers):
        log.warning("last_administrators_have_left", count=len(administrators))
        leavers = [user_id for user_id in leavers if user_id not in administrators]
    if leavers:
        await repository.mark_leavers(tx.session, leavers)
        await tx.audit("users.left", "user", users=leavers)
        for user_id in leavers:
            tx.publish(AccessChanged(user_id))
    return leavers


def _violations(draft: ContractDraft) -> list[tuple[str, str, str]]:
    found = []
    if draft.end_date is not None and draft.end_date < draft.start_date:
        message = f"The end ({draft.end_date}) lies before the start ({draft.start_date}): swap them."
        found.append(("endDate", "DATES_REVERSED", message))
    pattern, fte = draft.weekday_pattern, draft.fte
    if (pattern is None) == (fte is None):
        found.append(("fte", "FTE_OR_PATTERN", "Give either the full-time equivalent or the weekday pattern."))
    elif fte is not None and not (0 < fte <= 1 and _fits(fte, 4)):
        message = (
            "Give a full-time equivalent above 0, at most 1, with at most four decimals: 0.8 for four days a week."
        )
        found.append(("fte", "INVALID_FTE", message))
    elif pattern is not None:
        fits = len(pattern) == 5 and all(0 <= share <= 1 and _fits(share, 2) for share in pattern)
        if not fits or not any(pattern):
            message = "Give five shares, Monday to Friday, each from 0 to 1 with at most two decimals, and not all 0."
            found.append(("weekdayPattern", "INVALID_PATTERN", message))
    return found


def _fits(number: Decimal, places: int) -> bool:
    return number == round(number, places)


async def _existing(tx: Transaction, draft: ContractDraft) -> ContractRow | None:
    if draft.id is None:
        return None
    row = await repository.locked(tx.session, draft.id)
    if row is None or row.user_id != draft.user_id:
        raise refuse("UNKNOWN_ID", "This person has no contract with this id.", "id")
    if row.source is not RecordSource.MANUAL:
        raise refuse("MANAGED_ELSEWHERE", "This contract comes from PayFit: change it there.", "id")
    check_version(row, draft.expected_version)
    return row


async def _make_room(tx: Transaction, draft: ContractDraft) -> UUID | None:
    """Ends the open-ended contract before this one where that was asked for; refuses any other overlap."""
    ended = None
    for other in await repository.of_user(tx.session, draft.user_id):
        apart = (draft.end_date is not None and draft.end_date < other.start_date) or (
            other.end_date is not None and other.end_date < draft.start_date
        )
        if other.id == draft.id or apart:
            continue
        ends = draft.end_previous and other.end_date is None and other.start_date < draft.start_date
        if not ends or other.source is not RecordSource.MANUAL:
            raise _overlap(other)
        other.end_date = draft.start_date - _ONE_DAY
        other.version += 1
        ended = other.id
        await tx.session.flush()  # before the new row: the unit of work would insert first, into the old one's days
    return ended


def _overlap(other: ContractRow) -> Refused:
    until = f"to {other.end_date}" if other.end_date else "on, without an end"
    advice = "End it first, or choose other dates." if other.end_date else "Give it an end, or ask for endPrevious."
    detail = f"Contract {other.id} already runs from {other.start_date} {until}. {advice}"
    return refuse("CONTRACT_OVERLAP", detail, "startDate")


async def _store(
    tx: Transaction, draft: ContractDraft, row: ContractRow | None
) -> tuple[ContractRow, dict[str, Any] | None]:
    """The row as it is then, and the facts before, None for a new one."""
    pattern = None if draft.weekday_pattern is None else [round(share, 2) for share in draft.weekday_pattern]
    values = {
        "start_date": draft.start_date,
        "end_date": draft.end_date,
        "fte": round(sum(pattern, Decimal(0)) / 5 if pattern else draft.fte or Decimal(0), 4),
        "weekday_pattern": pattern,
    }
    before = None
    if row is None:
        row = ContractRow(user_id=draft.user_id, source=RecordSource.MANUAL, **values)
        tx.session.add(row)
    else:
        before = _facts(row)
        apply(row, values)
    try:
        await tx.session.flush()
    except IntegrityError as error:
        if broken_constraint(error) == ONE_AT_A_TIME:
            detail = "Another contract of this person covers some of these days: choose other dates."
            raise refuse("CONTRACT_OVERLAP", detail, "startDate") from error
        raise
    return row, before


async def _follow_contracts(tx: Transaction, user: UserRow, today: date) -> None:
    """LEFT once every contract lies in the past, ACTIVE again when one does not: a mistyped end can be corrected.

    DEACTIVATED is an administrator's decision, and stays.
    """
    contracts = await repository.of_user(tx.session, user.id)
    left = all(row.end_date is not None and row.end_date < today for row in contracts)
    if left == (user.status is UserStatus.LEFT) or user.status is UserStatus.DEACTIVATED:
        return
    administered = left and await role_repository.is_administrator(tx.session, user.id)
    before = user.status
    user.status = UserStatus.LEFT if left else UserStatus.ACTIVE
    user.is_active = not left
    user.version += 1
    await tx.session.flush()
    if administered:
        await refuse_without_administrator(tx, "endDate")
    await tx.audit(
        "user.left" if left else "user.returned",
        "user",
        user.id,
        before={"status": before},
        after={"status": user.status},
    )
    tx.publish(AccessChanged(user.id))


def _facts(row: ContractRow) -> dict[str, Any]:
    names = ("start_date", "end_date", "fte", "weekday_pattern")
    return {name: getattr(row, name) for name in names}
