"""The company that the simulators serve: what PayFit and Gryzzly each hold of it, as plain data that goes through JSON.

Not the clients' own records: a simulator that shared them would agree with every mistake in them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True)
class Collaborator:
    """A person in PayFit; `email` is the professional address, which PayFit may not know."""

    id: str
    first_name: str
    last_name: str
    email: str | None = None
    personal_email: str | None = None
    matricule: str | None = None
    manager_id: str | None = None
    team_name: str | None = None
    termination_date: date | None = None


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract in PayFit; a full-time equivalent of 1 is full time."""

    id: str
    collaborator_id: str
    start_date: date
    end_date: date | None = None
    job_name: str | None = None
    full_time_equivalent: Decimal = Decimal(1)
    standard_weekly_hours: Decimal = Decimal(35)
    working_time_modality: str = "standard"


@dataclass(frozen=True, slots=True)
class Absence:
    """An absence in PayFit; moments are beginning-of-day, middle-of-day and end-of-day."""

    id: str
    contract_id: str
    type: str
    start_date: date
    end_date: date
    start_moment: str = "beginning-of-day"
    end_moment: str = "end-of-day"
    status: str = "approved"


@dataclass(frozen=True, slots=True)
class User:
    """A person in Gryzzly."""

    id: str
    name: str
    email: str | None = None
    is_disabled: bool = False
    role: str = "member"


@dataclass(frozen=True, slots=True)
class Project:
    """A project in Gryzzly."""

    id: str
    name: str
    code: str | None = None
    customer_id: str | None = None
    status: str = "active"


@dataclass(frozen=True, slots=True)
class Task:
    """A task in Gryzzly."""

    id: str
    project_id: str
    name: str
    parent_id: str | None = None
    completed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Declaration:
    """Declared time in Gryzzly, in seconds."""

    id: str
    user_id: str
    task_id: str
    date: date
    seconds: int
    description: str | None = None


@dataclass(frozen=True)
class Company:
    """Everything both providers hold.

    `declarations` maps a user's id to that user's declarations by date. It may be a mapping that makes them when it is
    asked, so that half a million need not be held; lists of people, contracts and absences are held.
    """

    id: str
    name: str
    collaborators: Sequence[Collaborator] = ()
    contracts: Sequence[Contract] = ()
    absences: Sequence[Absence] = ()
    users: Sequence[User] = ()
    projects: Sequence[Project] = ()
    tasks: Sequence[Task] = ()
    declarations: Mapping[str, Sequence[Declaration]] = field(default_factory=dict)


COMPANY = TypeAdapter(Company)


def company_to_json(company: Company) -> dict[str, Any]:
    """The whole company as JSON values; declarations made on demand are made and listed."""
    held = {user: tuple(declarations) for user, declarations in company.declarations.items()}
    document: dict[str, Any] = COMPANY.dump_python(replace(company, declarations=held), mode="json")
    return document


def company_from_json(document: Mapping[str, Any]) -> Company:
    """What `company_to_json`, or another program, wrote in that structure; pydantic's ValidationError if it is not."""
    return COMPANY.validate_python(document)
