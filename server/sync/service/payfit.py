"""What PayFit's staged people, contracts and absences make of ours."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import groupby
from uuid import UUID

from server.planning.domain.months import add_months, month_of
from server.planning.repository import months as closing
from server.planning.repository import recomputation
from server.planning.service.contracts import mark_leavers
from server.planning.service.recompute import recompute
from server.sync.domain.contracts import Change, Held, Served, follow
from server.sync.models import SyncKind
from server.sync.repository import absences, contracts
from server.sync.repository.staging import Refused
from server.sync.service import people
from server.sync.service.apply import Application

NOT_MAPPED = "PERSON_NOT_MAPPED"
UNKNOWN_CONTRACT = "UNKNOWN_CONTRACT"
PEOPLE_PER_CHUNK = 1_000

Touched = dict[UUID, tuple[date, date]]
"""user -> first and last day whose figures may change"""


async def apply(application: Application) -> None:
    await people.link(application)
    await people.follow_facts(application)
    touched: Touched = {}
    await _contracts(application, touched)
    await _absences(application, touched)
    tx = application.tx
    await contracts.bring_back(tx.session, list(touched), application.today)
    await mark_leavers(tx, application.today)
    if touched:
        first, last = min(first for first, _ in touched.values()), max(last for _, last in touched.values())
        await recompute(tx, list(touched), first, last)


async def _contracts(application: Application, touched: Touched) -> None:
    session, run_id = application.tx.session, application.run.id
    reason = "This person's contracts wait until somebody says who that is here."
    waiting = await contracts.unmapped(session, run_id)
    await application.refuse(
        [Refused(SyncKind.CONTRACT, row.person, NOT_MAPPED, reason, row.records) for row in waiting], skipped=True
    )
    for row in await contracts.remove_misplaced(session, run_id):
        _touch(touched, row.user_id, row.start_date, date.max)
    rows = await contracts.changed(session, run_id)
    users = sorted({row.user_id for row in rows})
    await recomputation.lock_users(session, users)
    change_day = await _change_day(application)
    by_user = {user_id: list(ones) for user_id, ones in groupby(rows, key=lambda row: row.user_id)}
    for start in range(0, len(users), PEOPLE_PER_CHUNK):
        chunk = users[start : start + PEOPLE_PER_CHUNK]
        held = await contracts.held(session, chunk)
        decided: list[tuple[UUID, Change]] = []
        for user_id in chunk:
            served = [Served(row.external_id, row.start, row.end_, row.fte) for row in by_user[user_id]]
            changes, refused = _decide(served, held[user_id], change_day)
            decided += [(user_id, change) for change in changes]
            await application.refuse(refused)
        await contracts.write(session, decided)
        _note(application, touched, decided)


def _decide(served: Sequence[Served], held: list[Held], change_day: date) -> tuple[list[Change], list[Refused]]:
    """The changes in an order that never overlaps; one that waits for room is tried again after the others."""
    changes: list[Change] = []
    waiting, refused = list(served), list[Refused]()
    while waiting:
        again, refused = [], []
        for one in waiting:
            outcome = follow(one, held, change_day)
            if outcome.refusal:
                again.append(one)
                refused.append(Refused(SyncKind.CONTRACT, one.external_id, *outcome.refusal))
            for change in outcome.changes:
                held = [*(other for other in held if other is not change.before), change.after]
                changes.append(change)
        if len(again) == len(waiting):
            break
        waiting = again
    return changes, refused


def _note(application: Application, touched: Touched, decided: Sequence[tuple[UUID, Change]]) -> None:
    for user_id, change in decided:
        before, after = change.before, change.after
        application.count(SyncKind.CONTRACT, **{"created" if before is None else "updated": 1})
        if before is None or (before.start, before.end, before.fte) != (after.start, after.end, after.fte):
            _touch(touched, user_id, min(after.start, before.start if before else after.start), date.max)


async def _change_day(application: Application) -> date:
    """From when on a changed rate holds: the first day of this month, or of the first one after it that is open."""
    month = month_of(application.today)
    closed = {row.month for row in await closing.closed_between(application.tx.session, month, date.max)}
    while month in closed:
        month = add_months(month, 1)
    return month


async def _absences(application: Application, touched: Touched) -> None:
    session, run = application.tx.session, application.run
    adopted = await absences.adopt(session, run.id)
    reason = "Its contract belongs to nobody who is mapped, or PayFit does not list it any more."
    waiting = [
        Refused(SyncKind.ABSENCE, row.contract, UNKNOWN_CONTRACT, reason, row.records)
        for row in await absences.unowned(session, run.id)
    ]
    whole = await application.read_whole(SyncKind.ABSENCE)
    put = await absences.put(session, run.id)
    removed = await absences.remove(session, run.id, run.first_day, run.last_day, whole=whole)
    for row in (*put, *removed):
        _touch(touched, row.user_id, row.first, row.last)
    application.count(
        SyncKind.ABSENCE,
        created=sum(row.created for row in put),
        updated=adopted + sum(row.updated for row in put),
        removed=len(removed),
    )
    await application.refuse(waiting, skipped=True)


def _touch(touched: Touched, user_id: UUID, first: date, last: date) -> None:
    known = touched.get(user_id, (first, last))
    touched[user_id] = min(first, known[0]), max(last, known[1])
