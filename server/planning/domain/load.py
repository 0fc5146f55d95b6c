"""What people have to do: expected load from assignments, stated over expected, utilisation and over-allocation."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from server.planning.domain.capacity import DayCapacities
from server.planning.domain.explanation import CapacityLine, CapacityLineKind
from server.planning.domain.numbers import to_days, to_ratio

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class AssignmentSpan:
    """An assignment of one user: `rate` percent of the capacity of each day from `start` to `end`, both included."""

    id: UUID
    project_id: UUID
    rate: Decimal
    start: date
    end: date


@dataclass(frozen=True, slots=True)
class ProjectLoad:
    """The effective days of one project in a person's month."""

    project_id: UUID
    project_name: str
    days: Decimal


def expected_load(capacities: DayCapacities, spans: Iterable[AssignmentSpan]) -> dict[UUID, Decimal]:
    """Σ rate × capacity in the days of overlap, by project, rounded once; projects that come to 0 are left out.

    Several spans on one project add up. All spans belong to the user whose capacities these are.
    """
    weighted: dict[UUID, Decimal] = {}
    for span in spans:
        share = capacities.share_within(span.start, span.end)
        if share:
            weighted[span.project_id] = weighted.get(span.project_id, _ZERO) + span.rate * share / 100
    expected = {project_id: to_days(capacities.scaled(share)) for project_id, share in weighted.items()}
    return {project_id: days for project_id, days in expected.items() if days}


def effective(stated: Decimal | None, expected: Decimal) -> Decimal:
    """What is stated wins, 0 included."""
    return expected if stated is None else stated


def utilisation(load: Decimal, capacity: Decimal) -> Decimal | None:
    """Load / capacity, with four places; None where there is no capacity to use."""
    return to_ratio(load / capacity) if capacity else None


def is_overallocated(load: Decimal, capacity: Decimal) -> bool:
    return load > capacity


def availability(capacity: Decimal, load: Decimal) -> Decimal:
    """Capacity − load; negative where over-allocated."""
    return capacity - load


def contributors(loads: Iterable[ProjectLoad], capacity: Decimal) -> tuple[CapacityLine, ...]:
    """One LOAD line per project, largest first; where they exceed the capacity, a last line with the MISSING days."""
    contributing = sorted((p for p in loads if p.days), key=lambda p: (-p.days, p.project_name, p.project_id))
    lines = [CapacityLine(CapacityLineKind.LOAD, p.project_name, p.days, p.project_id) for p in contributing]
    missing = -availability(capacity, sum((p.days for p in contributing), _ZERO))
    if missing > 0:
        lines.append(CapacityLine(CapacityLineKind.MISSING, f"Missing: {to_days(missing)} days", to_days(missing)))
    return tuple(lines)
