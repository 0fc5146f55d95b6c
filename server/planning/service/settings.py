"""The company's settings, its calendar and its horizon."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from server.actor import Permission, Scope
from server.changes import apply, check_version
from server.database import Transaction
from server.errors import FieldError, invalid, refuse
from server.planning.domain.calendar import DayKind
from server.planning.domain.months import add_months, format_month, month_of, months_between
from server.planning.holidays import UnknownPlace, check_place
from server.planning.models import CalendarDayRow, CompanySettingsRow
from server.planning.repository import calendar
from server.planning.repository import months as closing
from server.planning.repository import settings as repository
from server.planning.service.calendar import company_calendar
from server.planning.service.recompute import recompute
from server.search import storable

STEPS = (Decimal("0.5"), Decimal("0.25"), Decimal("0.1"))
MAX_HORIZON_MONTHS = 240
MAX_DAYS_AT_ONCE = 400

FACTS = (
    "country",
    "subdivision",
    "step",
    "seconds_per_day",
    "non_reducing_absence_types",
    "predictable_leave_types",
    "horizon_start",
    "horizon_end",
)


@dataclass(frozen=True, slots=True)
class CalendarDay:
    """`label` says why a day is not worked, or why one is that would not be."""

    day: date
    kind: DayKind
    label: str | None


async def ensure_settings(tx: Transaction, today: date) -> CompanySettingsRow:
    """The settings; where there are none yet, with a horizon from January of last year to December in two years."""
    start, end = date(today.year - 1, 1, 1), date(today.year + 2, 12, 1)
    await repository.insert_missing(tx.session, start, end)
    return await repository.current(tx.session)


async def extend_horizon(tx: Transaction, today: date) -> bool:
    """Keeps two years ahead of `today`, and computes the months that this adds; whether there were any."""
    await closing.exclusive_lock(tx.session)
    row = await repository.locked(tx.session)
    end = date(today.year + 2, 12, 1)
    if row.horizon_end >= end:
        return False
    first, row.horizon_end = add_months(month_of(row.horizon_end), 1), end
    await tx.session.flush()
    await tx.audit("settings.horizon-extended", "settings", after={"horizon_end": end})
    await recompute(tx, None, first, end)
    return True


@dataclass(frozen=True, slots=True)
class DayDecision:
    """The company's own decision on a day: a bridge is not worked, the journée de solidarité on a holiday is."""

    day: date
    worked: bool
    label: str


@dataclass(frozen=True, slots=True)
class SettingsChange:
    """`values` holds the columns to set; days to decide and decisions to take back come beside them."""

    values: Mapping[str, Any] = field(default_factory=dict)
    set_days: Sequence[DayDecision] = ()
    remove_days: Sequence[date] = ()
    expected_version: int | None = None


async def update(tx: Transaction, change: SettingsChange) -> CompanySettingsRow:
    """Changes the rules and recomputes everybody's open months by them, at once or by a job."""
    if tx.actor.scope(Permission.SETTINGS_WRITE) is not Scope.ALL:
        raise refuse("OUT_OF_SCOPE", "The rules hold for the whole company: your role is limited to a part of it.")
    # Exclusive, so that no write under way goes on by the old rules after everybody was marked for the new ones.
    await closing.exclusive_lock(tx.session)
    row = await repository.locked(tx.session)
    check_version(row, change.expected_version)
    values = {name: _clean(value) for name, value in change.values.items()}
    wanted = {**_facts(row), **values}
    errors = [*_violations(row, wanted), *_day_errors(change)]
    if errors:
        raise invalid(errors)
    days_before = {each.day: each for each in await calendar.by_days(tx.session, _days(change))}
    days_changed = await _store_days(tx, change, days_before)
    before, after = apply(row, values)
    if not after and not days_changed:
        return row
    if not after:
        row.version += 1
    await tx.session.flush()
    if "seconds_per_day" in after:
        await repository.derive_actuals(tx.session, row.seconds_per_day)
    await tx.audit("settings.updated", "settings", before=before, after=after, days=days_changed)
    await recompute(tx, None, row.horizon_start, row.horizon_end)
    return row


async def _store_days(
    tx: Transaction, change: SettingsChange, before: Mapping[date, CalendarDayRow]
) -> list[dict[str, Any]]:
    """What changed, for the audit."""
    changed: list[dict[str, Any]] = []
    for each in change.set_days:
        old = before.get(each.day)
        label = each.label.strip()
        if old is None or (old.worked, old.label) != (each.worked, label):
            await calendar.put(tx.session, each.day, each.worked, label)
            changed.append({"day": each.day, "worked": each.worked, "label": label})
    removed = [day for day in change.remove_days if day in before]
    if removed:
        await calendar.remove(tx.session, removed)
        changed += [{"day": day, "removed": True} for day in removed]
    return changed


def _violations(row: CompanySettingsRow, wanted: Mapping[str, Any]) -> Iterator[FieldError]:
    try:
        check_place(wanted["country"], wanted["subdivision"])
    except UnknownPlace as error:
        yield FieldError((error.field,), f"UNKNOWN_{error.field.upper()}", str(error))
    if wanted["step"] is not None and wanted["step"] not in STEPS:
        yield FieldError(("step",), "INVALID_STEP", "The step is 0.5, 0.25 or 0.1; null leaves people free.")
    if not 3_600 <= wanted["seconds_per_day"] <= 86_400:
        message = "A day has 3600 to 86400 seconds: 25200 for seven hours."
        yield FieldError(("secondsPerDay",), "INVALID_SECONDS_PER_DAY", message)
    for name, path in (
        ("non_reducing_absence_types", "nonReducingAbsenceTypes"),
        ("predictable_leave_types", "predictableLeaveTypes"),
    ):
        if any(not kind or len(kind) > 100 or not storable(kind) for kind in wanted[name] or ()):
            message = "Name each absence type in 1 to 100 characters, none of them NUL or half a character."
            yield FieldError((path,), "INVALID_TYPE", message)
    yield from _horizon_errors(row, wanted["horizon_start"], wanted["horizon_end"])


def _horizon_errors(row: CompanySettingsRow, start: date, end: date) -> Iterator[FieldError]:
    """It only grows: months that it left would keep figures that nothing brings up to date."""
    if start > row.horizon_start:
        message = f"The horizon starts in {format_month(row.horizon_start)} and can only start earlier."
        yield FieldError(("horizonStart",), "HORIZON_SHRINKS", message)
    if end < row.horizon_end:
        message = f"The horizon ends in {format_month(row.horizon_end)} and can only end later."
        yield FieldError(("horizonEnd",), "HORIZON_SHRINKS", message)
    if start <= end and len(months_between(start, end)) > MAX_HORIZON_MONTHS:
        message = f"A plan covers at most {MAX_HORIZON_MONTHS} months: choose a nearer end."
        yield FieldError(("horizonEnd",), "HORIZON_TOO_LONG", message)


def _day_errors(change: SettingsChange) -> Iterator[FieldError]:
    for n, each in enumerate(change.set_days):
        label = each.label.strip()
        if not label or len(label) > 100 or not label.isprintable():
            message = "Say in 1 to 100 characters why this day differs."
            yield FieldError(("setCalendarDays", str(n), "label"), "INVALID_LABEL", message)
        if each.worked and each.day.weekday() >= 5:
            message = f"{each.day} is a {each.day:%A}: weekends are never worked."
            yield FieldError(("setCalendarDays", str(n), "day"), "WEEKEND", message)
    twice = [day for day, times in Counter(_days(change)).items() if times > 1]
    if twice:
        message = f"Name each day once: {', '.join(map(str, sorted(twice)))} comes up more than once."
        yield FieldError(("setCalendarDays",), "DUPLICATE_DAY", message)
    if len(_days(change)) > MAX_DAYS_AT_ONCE:
        message = f"Change at most {MAX_DAYS_AT_ONCE} days at a time."
        yield FieldError(("setCalendarDays",), "TOO_MANY_DAYS", message)


def _days(change: SettingsChange) -> list[date]:
    return [*(each.day for each in change.set_days), *change.remove_days]


def _clean(value: Any) -> Any:
    """Lists of types without blanks around them and without repetitions, texts trimmed."""
    if isinstance(value, list):
        return list(dict.fromkeys(kind.strip() for kind in value))
    return value.strip() if isinstance(value, str) else value


def _facts(row: CompanySettingsRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in FACTS}


async def days(session: AsyncSession, first: date, last: date) -> list[CalendarDay]:
    """Every day of the range, and why it is worked or not."""
    company = await company_calendar(session, await repository.current(session), first, last)
    dates = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return [CalendarDay(day, company.kind(day), company.label(day)) for day in dates]
