"""Named ways in which what the providers hold differs from the company that both were filled with.

Each takes a company and gives back one that differs in one respect, always at the same persons and projects, so that a
test or a demonstration knows what a sync has to find. They apply to any company of at least 16 people (`users[n]` being
the same person as `collaborators[n]`) and 4 projects.
"""

from collections import ChainMap
from collections.abc import Callable, Collection, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, TypeVar, cast

from clients.simulator.company import Absence, Collaborator, Company, Contract, Declaration, Project, Task, User
from clients.simulator.sample import WORKING_DAY

Item = TypeVar("Item")
LEAST_PEOPLE, LEAST_PROJECTS = 16, 4


@dataclass(frozen=True)
class Difference:
    """One sentence on what differs, and the function that makes it so on a given day."""

    description: str
    apply: Callable[[Company, date], Company]


def with_differences(company: Company, today: date, names: Collection[str] | None = None) -> Company:
    """The company with these differences (all of them without `names`), each applied once, in the table's order."""
    if unknown := set(names or ()) - set(DIFFERENCES):
        raise ValueError(f"No difference is called {', '.join(sorted(unknown))}; there are {', '.join(DIFFERENCES)}.")
    if len(company.collaborators) < LEAST_PEOPLE or len(company.users) < LEAST_PEOPLE:
        raise ValueError(f"Differences need a company of at least {LEAST_PEOPLE} people in both providers.")
    if len(company.projects) < LEAST_PROJECTS:
        raise ValueError(f"Differences need a company of at least {LEAST_PROJECTS} projects.")
    for name, difference in DIFFERENCES.items():
        if names is None or name in names:
            company = difference.apply(company, today)
    return company


def _changed(items: Sequence[Item], index: int, **fields: Any) -> tuple[Item, ...]:
    return (*items[:index], replace(cast(Any, items[index]), **fields), *items[index + 1 :])


def _person(company: Company, index: int, **fields: Any) -> Company:
    return replace(company, collaborators=_changed(company.collaborators, index, **fields))


def _user(company: Company, index: int, **fields: Any) -> Company:
    return replace(company, users=_changed(company.users, index, **fields))


def _project(company: Company, index: int, **fields: Any) -> Company:
    return replace(company, projects=_changed(company.projects, index, **fields))


def _present_contract(company: Company, person: int) -> int:
    """The index of the person's last contract."""
    owner = company.collaborators[person].id
    return max(
        (index for index, contract in enumerate(company.contracts) if contract.collaborator_id == owner),
        key=lambda index: company.contracts[index].start_date,
    )


def _contract(company: Company, person: int, **fields: Any) -> Company:
    return replace(company, contracts=_changed(company.contracts, _present_contract(company, person), **fields))


def _absence(company: Company, rank: int, change: Callable[[Absence], Absence]) -> Company:
    """The company with its `rank`-th approved absence (from 0) changed."""
    approved = [index for index, absence in enumerate(company.absences) if absence.status == "approved"]
    if len(approved) <= rank:
        raise ValueError(f"This difference needs {rank + 1} approved absences.")
    index = approved[rank]
    changed = change(company.absences[index])
    return replace(company, absences=(*company.absences[:index], changed, *company.absences[index + 1 :]))


def _with_absence(company: Company, person: int, start: date, **fields: str) -> Company:
    contract = company.contracts[_present_contract(company, person)]
    absence = Absence(id=f"added-{fields['type']}", contract_id=contract.id, start_date=start, end_date=start, **fields)
    return replace(company, absences=(*company.absences, absence))


def _with_declarations(company: Company, user_id: str, *added: Declaration) -> Company:
    """The user's declarations replaced by theirs and these; nobody else's are made or held for it."""
    layers: ChainMap[str, Sequence[Declaration]] = ChainMap(
        {user_id: (*company.declarations.get(user_id, ()), *added)},
        cast("MutableMapping[str, Sequence[Declaration]]", company.declarations),
    )
    return replace(company, declarations=layers)


def _married_name(company: Company, _today: date) -> Company:
    return _person(company, 2, last_name=f"Martin-{company.collaborators[2].last_name}")


def _other_email(company: Company, _today: date) -> Company:
    return _user(company, 3, email="quelqu.un@ailleurs.test")


def _no_professional_email(company: Company, _today: date) -> Company:
    return _person(company, 4, email=None)


def _plain_name(company: Company, _today: date) -> Company:
    person = company.collaborators[5]
    return _user(company, 5, email=None, name=f"{person.last_name.upper()}  {person.first_name.lower()}")


def _part_time_now(company: Company, _today: date) -> Company:
    return _contract(company, 6, full_time_equivalent=Decimal("0.5"), standard_weekly_hours=Decimal("17.5"))


def _contract_ended(company: Company, today: date) -> Company:
    ended = today - timedelta(days=30)
    return _contract(_person(company, 7, termination_date=ended), 7, end_date=ended)


def _disabled_user(company: Company, _today: date) -> Company:
    return _user(company, 8, is_disabled=True)


def _moved_absence(company: Company, _today: date) -> Company:
    week = timedelta(days=7)
    return _absence(
        company, 0, lambda one: replace(one, start_date=one.start_date + week, end_date=one.end_date + week)
    )


def _half_day_absence(company: Company, _today: date) -> Company:
    first_morning = {"start_moment": "beginning-of-day", "end_moment": "middle-of-day"}
    return _absence(company, 1, lambda one: replace(one, end_date=one.start_date, **cast(Any, first_morning)))


def _cancelled_absence(company: Company, _today: date) -> Company:
    return _absence(company, 2, lambda one: replace(one, status="cancelled"))


def _monday_after(day: date) -> date:
    return day + timedelta(days=7 - day.weekday())


def _requested_absence(company: Company, today: date) -> Company:
    return _with_absence(
        company, 9, _monday_after(today + timedelta(days=21)), type="fr_conges_payes", status="pending_approval"
    )


def _telework(company: Company, today: date) -> Company:
    return _with_absence(company, 10, _monday_after(today), type="fr_teletravail")


def _renamed_project(company: Company, _today: date) -> Company:
    return _project(company, 0, name=f"{company.projects[0].name} (lot 2)")


def _finished_project(company: Company, _today: date) -> Company:
    return _project(company, 1, status="done")


def _new_project(company: Company, _today: date) -> Company:
    project = Project(id="added-project", name="Projet nouveau", code="NEW")
    task = Task(id="added-task", project_id=project.id, name="Cadrage")
    return replace(company, projects=(*company.projects, project), tasks=(*company.tasks, task))


def _late_declaration(company: Company, today: date) -> Company:
    user, task = company.users[11].id, company.tasks[0].id
    day = _monday_after(today - timedelta(days=52))
    return _with_declarations(company, user, Declaration("added-late-declaration", user, task, day, WORKING_DAY))


def _new_hire(company: Company, today: date) -> Company:
    email = "victoire.nouvelle@exemple.test"
    person = Collaborator("added-collaborator", "Victoire", "Nouvelle", email, team_name="Conseil")
    contract = Contract("added-contract", person.id, today + timedelta(days=30), job_name="Consultante")
    user = User("added-user", "Victoire Nouvelle", email)
    return replace(
        company,
        collaborators=(*company.collaborators, person),
        contracts=(*company.contracts, contract),
        users=(*company.users, user),
    )


def _only_in_gryzzly(company: Company, today: date) -> Company:
    user = User("added-freelancer", "Indira Libre", "indira@libre.test", role="external")
    day = _monday_after(today) - timedelta(days=10)  # the Friday before this week
    declaration = Declaration("added-freelance-day", user.id, company.tasks[0].id, day, WORKING_DAY)
    return _with_declarations(replace(company, users=(*company.users, user)), user.id, declaration)


def _only_in_payfit(company: Company, _today: date) -> Company:
    return replace(company, users=(*company.users[:1], *company.users[2:]))


def _missing_in_payfit(company: Company, _today: date) -> Company:
    gone = company.collaborators[12].id
    contracts = {contract.id for contract in company.contracts if contract.collaborator_id == gone}
    return replace(
        company,
        collaborators=tuple(one for one in company.collaborators if one.id != gone),
        contracts=tuple(one for one in company.contracts if one.id not in contracts),
        absences=tuple(one for one in company.absences if one.contract_id not in contracts),
    )


# The two that take people away stand last, so that the others find everybody at their place.
DIFFERENCES: Mapping[str, Difference] = {
    "married-name": Difference("Person 2 has another last name in PayFit than in Gryzzly.", _married_name),
    "other-email": Difference("Person 3 has an address in Gryzzly that PayFit does not know.", _other_email),
    "no-professional-email": Difference("Person 4 has only a personal address in PayFit.", _no_professional_email),
    "plain-name": Difference("Person 5 is 'LAST  first' in Gryzzly, without an address.", _plain_name),
    "part-time-now": Difference("Person 6 works half time now.", _part_time_now),
    "contract-ended": Difference("Person 7 left 30 days ago.", _contract_ended),
    "disabled-user": Difference("Person 8 is disabled in Gryzzly.", _disabled_user),
    "moved-absence": Difference("The first approved absence is a week later.", _moved_absence),
    "half-day-absence": Difference("The second approved absence is only its first morning.", _half_day_absence),
    "cancelled-absence": Difference("The third approved absence is cancelled.", _cancelled_absence),
    "requested-absence": Difference("Person 9 asks for a Monday in a month, not approved yet.", _requested_absence),
    "telework": Difference("Person 10 teleworks next Monday: an absence that takes no capacity.", _telework),
    "renamed-project": Difference("Project 0 has another name.", _renamed_project),
    "finished-project": Difference("Project 1 is done.", _finished_project),
    "new-project": Difference("Gryzzly has a project, with a task, that nobody else knows.", _new_project),
    "late-declaration": Difference("Person 11 declared 7 h more on a Monday 45 to 51 days ago.", _late_declaration),
    "new-hire": Difference("A person in both providers starts in 30 days.", _new_hire),
    "only-in-gryzzly": Difference("A freelancer declares time and has no contract.", _only_in_gryzzly),
    "only-in-payfit": Difference("Person 1 is not in Gryzzly.", _only_in_payfit),
    "missing-in-payfit": Difference("Person 12, with contracts and absences, is not in PayFit.", _missing_in_payfit),
}
