"""What a provider's contract makes of the dated contracts kept here: it serves only the present rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

_ONE_DAY = timedelta(days=1)
OVERLAP = "CONTRACT_OVERLAP"


@dataclass(frozen=True, slots=True)
class Served:
    """A contract as the provider tells it now."""

    external_id: str
    start: date
    end: date | None
    fte: Decimal


@dataclass(frozen=True, slots=True)
class Held:
    """A contract as it is kept here. `id` None: a new one; `typed`: by a person, not from the provider."""

    id: UUID | None
    start: date
    end: date | None
    fte: Decimal
    external_id: str | None
    typed: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """`before` None: to be added."""

    before: Held | None
    after: Held


@dataclass(frozen=True, slots=True)
class Outcome:
    changes: tuple[Change, ...] = ()
    refusal: tuple[str, str] | None = None
    """(code, what to do)"""


def follow(served: Served, held: Sequence[Held], change_day: date) -> Outcome:
    """What to change for `served` among the person's contracts `held`.

    Another rate holds from `change_day` on: what lies before keeps the rate that it had, since the provider does not
    tell when the rate changed. A contract typed here with the same start is taken over; any other overlap is refused.
    """
    if served.end is not None and served.end < served.start:
        return Outcome(refusal=("DATES_REVERSED", "The contract ends before it starts: correct it in PayFit."))
    current = next((one for one in held if one.external_id == served.external_id), None)
    if current is None:
        current = next((one for one in held if one.typed and one.start == served.start), None)
    pieces = f"{served.external_id}@"
    is_piece = any(one.external_id is not None and one.external_id.startswith(pieces) for one in held)
    changes = _changes(served, current, is_piece, change_day)
    if clash := _clash(changes, held):
        return Outcome(refusal=(OVERLAP, _advice(clash)))
    return Outcome(changes)


def _changes(served: Served, current: Held | None, is_piece: bool, change_day: date) -> tuple[Change, ...]:
    if current is None:
        return (Change(None, Held(None, served.start, served.end, served.fte, served.external_id)),)
    # Once the rate has changed, the provider's start is that of the first piece, not of the present one.
    start = current.start if is_piece else served.start
    if served.end is not None and served.end < start:
        return ()  # it ended before the rate that is kept for it: the past stays as it was
    new = replace(current, start=start, end=served.end, external_id=served.external_id, typed=False)
    ended = served.end is not None and served.end < change_day
    if served.fte == current.fte or ended:
        return () if new == current else (Change(current, new),)
    if start >= change_day:
        return (Change(current, replace(new, fte=served.fte)),)
    past = replace(new, end=change_day - _ONE_DAY, external_id=piece_id(served.external_id, start))
    return Change(current, past), Change(None, Held(None, change_day, served.end, served.fte, served.external_id))


def piece_id(external_id: str, start: date) -> str:
    """Under which the past of a contract is kept once its rate has changed."""
    return f"{external_id}@{start.isoformat()}"


def _clash(changes: Sequence[Change], held: Sequence[Held]) -> Held | None:
    replaced = {change.before.id for change in changes if change.before}
    others = [one for one in held if one.id not in replaced]
    return next((one for one in others for change in changes if _overlap(one, change.after)), None)


def _overlap(one: Held, other: Held) -> bool:
    return (other.end is None or one.start <= other.end) and (one.end is None or other.start <= one.end)


def _advice(clash: Held) -> str:
    until = f"to {clash.end}" if clash.end else "on"
    owner = "entered here: end or delete it" if clash.typed else "in PayFit too: correct one of them there"
    return f"Another contract of this person runs from {clash.start} {until}. It is {owner}."
