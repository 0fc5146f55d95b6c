"""What is kept of each record that a provider's client yields, and which readable records still make no sense here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from clients.gryzzly import Declaration, Project, Task, User
from clients.payfit import Absence, AbsenceStatus, Collaborator, Contract, HalfDay, Moment

_ONE_DAY = timedelta(days=1)
_MAX_ABSENCE_DAYS = 1_100
_DAY_SECONDS = 86_400
_NAME_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Nonsense(Exception):
    """A record that was read and cannot be used; the reason names fields and never their content."""

    code: str
    reason: str


def _collaborator(one: Collaborator) -> dict[str, Any]:
    return {
        "first_name": _text(one.first_name),
        "last_name": _text(one.last_name) or _nameless(),
        "email": _address(one.professional_email),
    }


def _contract(one: Contract) -> dict[str, Any]:
    fte = one.full_time_equivalent
    if fte is None and one.is_full_time:
        fte = Decimal(1)
    if not fte:
        raise Nonsense("NO_RATE", "fullTimeEquivalent is missing or 0: give the contract a rate in PayFit.")
    return {"person": one.collaborator_id, "start": one.start_date, "end": one.end_date, "fte": str(round(fte, 4))}


def _absence(one: Absence) -> dict[str, Any]:
    start, start_half = _first_half(one.start_date)
    end, end_half = _last_half(one.end_date)
    if (start, start_half == "AFTERNOON") > (end, end_half == "AFTERNOON"):
        raise Nonsense("EMPTY_PERIOD", "startDate and endDate leave no half day between them.")
    if end - start >= timedelta(days=_MAX_ABSENCE_DAYS):
        raise Nonsense("TOO_LONG", f"It takes {_MAX_ABSENCE_DAYS} days or more: check its dates in PayFit.")
    return {
        "contract": one.contract_id,
        "type": _text(one.type) or "unknown",
        "status": _STATUSES[one.status],
        "start": start,
        "start_half": start_half,
        "end": end,
        "end_half": end_half,
    }


_STATUSES = {
    AbsenceStatus.APPROVED: "APPROVED",
    AbsenceStatus.PENDING_CANCELLATION: "APPROVED",  # until somebody agrees to the cancellation
    AbsenceStatus.PENDING_APPROVAL: "PENDING",
    AbsenceStatus.DECLINED: None,
    AbsenceStatus.CANCELLED: None,
    AbsenceStatus.ALL: None,
}


def _first_half(at: HalfDay) -> tuple[Any, str]:
    if at.moment is Moment.END_OF_DAY:
        return at.date + _ONE_DAY, "MORNING"
    return at.date, "AFTERNOON" if at.moment is Moment.MIDDLE_OF_DAY else "MORNING"


def _last_half(at: HalfDay) -> tuple[Any, str]:
    if at.moment is Moment.BEGINNING_OF_DAY:
        return at.date - _ONE_DAY, "AFTERNOON"
    return at.date, "MORNING" if at.moment is Moment.MIDDLE_OF_DAY else "AFTERNOON"


def _user(one: User) -> dict[str, Any]:
    return {"first_name": "", "last_name": _text(one.name) or _nameless(), "email": _address(one.email)}


def _project(one: Project) -> dict[str, Any]:
    name = _text(one.name) or _nameless()
    done = {"done": True, "active": False}.get(one.status or "")
    return {"name": name, "code": _text(one.code or "")[:40].strip() or None, "done": done}


def _task(one: Task) -> dict[str, Any]:
    done = one.completed_at
    if done is not None and not isinstance(done, datetime):
        done = datetime(done.year, done.month, done.day, tzinfo=UTC)
    elif done is not None and done.tzinfo is None:
        done = done.replace(tzinfo=UTC)
    return {"project": one.project_id, "parent": one.parent_id, "name": _text(one.name) or "—", "completed_at": done}


def _declaration(one: Declaration) -> dict[str, Any]:
    if one.seconds > _DAY_SECONDS:
        raise Nonsense("TOO_LONG", "duration is more than a day: correct it in Gryzzly.")
    return {"user": one.user_id, "task": one.task_id, "day": one.date, "seconds": one.seconds}


def _text(value: str) -> str:
    """On one line, without control characters: PostgreSQL refuses some, and people cannot see the others."""
    return " ".join("".join(one if one.isprintable() else " " for one in value).split())[:_NAME_LENGTH]


def _address(value: str | None) -> str | None:
    address = (value or "").strip()
    name, _, domain = address.partition("@")
    fits = name and domain and "@" not in domain and len(address) <= 254 and address.isascii()
    return address if fits and address.isprintable() and " " not in address else None


def _nameless() -> str:
    raise Nonsense("NO_NAME", "The name is blank.")


_FACTS: dict[type, Callable[[Any], dict[str, Any]]] = {
    Collaborator: _collaborator,
    Contract: _contract,
    Absence: _absence,
    User: _user,
    Project: _project,
    Task: _task,
    Declaration: _declaration,
}


def external_id(record: Any) -> str:
    return str(record.contract_id if isinstance(record, Contract) else record.id)


def facts(record: Any) -> dict[str, Any]:
    """Only what the plan needs of the record. Raises Nonsense where it cannot be used."""
    if "\0" in external_id(record):
        raise Nonsense("BAD_ID", "The id holds a character that cannot be stored.")
    return _FACTS[type(record)](record)
