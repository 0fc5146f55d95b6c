"""A small company made up from a seed: the same arguments give the same people, absences, projects and declarations."""

import random
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from clients.simulator.company import Absence, Collaborator, Company, Contract, Declaration, Project, Task, User

# fmt: off
FIRST_NAMES = (
    "Aïcha", "Amélie", "Antoine", "Aurélien", "Baptiste", "Camille", "Céline", "Chloé", "Clément", "Damien", "Élodie",
    "Émile", "Fatou", "François", "Gaëlle", "Hélène", "Hugo", "Inès", "Jérôme", "Joël", "Karim", "Léa", "Loïc", "Lucie",
    "Maëlys", "Mathéo", "Naïma", "Noémie", "Olivier", "Pauline", "Raphaël", "Rémi", "Sébastien", "Solène", "Théo",
    "Valérie", "Xavier", "Yanis", "Zoé",
)
LAST_NAMES = (
    "Aubert", "Bénard", "Bertrand", "Blanc", "Bonnet", "Bouchet", "Caron", "Chevalier", "Colin", "Da Silva", "Delaunay",
    "Dupré", "Fabre", "Faure", "Fontaine", "Garnier", "Gérard", "Giraud", "Guérin", "Haddad", "Hubert", "Jacquet",
    "Lacroix", "Lefèvre", "Lemaître", "Le Goff", "Marchand", "Mercier", "Meunier", "Nguyen", "Noël", "Perrin",
    "Picard", "Renaud", "Roche", "Rousseau", "Schmitt", "Traoré", "Vasseur", "Vidal",
)
# fmt: on
TEAMS = ("Conseil", "Data", "Design", "Infrastructure", "Produit", "Qualité")
TASK_NAMES = ("Cadrage", "Réalisation", "Recette")
LEAVE = ("fr_conges_payes", "fr_rtt", "fr_maladie_ordinaire", "fr_teletravail")
KINDS = (
    "company",
    "collaborator",
    "contract",
    "former contract",
    "absence",
    "user",
    "customer",
    "project",
    "root task",
    "task",
    "declaration",
)
WORKING_DAY = 25_200  # seconds: 7 h


def sample_company(seed: int, people: int, projects: int, today: date, *, declared_days: int = 40) -> Company:
    """`people` in both providers under the same names and addresses, each with one declaration per working day.

    `declared_days` counts the working days before `today`, so that there are people × declared_days declarations, made
    only when they are asked for. Every 7th person works part time and every 11th had an earlier contract, half of them
    one that ended over a year ago, which PayFit hides.
    """
    dice = random.Random(seed)  # noqa: S311 - a company that can be made again, not a secret  # nosec B311
    staff = [_collaborator(seed, number) for number in range(people)]
    contracts = [contract for number, one in enumerate(staff) for contract in _contracts(seed, number, one, today)]
    running = [contract for contract in contracts if contract.end_date is None]
    absences = [absence for number, one in enumerate(running) for absence in _absences(seed, number, one, today, dice)]
    users = [_user(seed, number, one) for number, one in enumerate(staff)]
    works = [_project(seed, number) for number in range(projects)]
    tasks = [task for number, project in enumerate(works) for task in _tasks(seed, number, project, today)]
    return Company(
        id=_id(seed, "company", 0),
        name="Société d'exemple",
        collaborators=staff,
        contracts=contracts,
        absences=absences,
        users=users,
        projects=works,
        tasks=tasks,
        declarations=DeclarationsOnDemand(
            seed,
            {user.id: number for number, user in enumerate(users)},
            tuple(task.id for task in tasks if task.parent_id is not None),
            tuple(_working_days_before(today, declared_days)),
        ),
    )


def _user(seed: int, number: int, one: Collaborator) -> User:
    role = "admin" if number == 0 else "member"
    return User(id=_id(seed, "user", number), name=f"{one.first_name} {one.last_name}", email=one.email, role=role)


def _project(seed: int, number: int) -> Project:
    return Project(
        id=_id(seed, "project", number),
        name=f"Projet {number + 1:03}",
        code=f"P{number + 1:03}",
        customer_id=_id(seed, "customer", number // 3),
        status="done" if number % 10 == 9 else "active",
    )


@dataclass(frozen=True)
class DeclarationsOnDemand(Mapping[str, Sequence[Declaration]]):
    """Each user's declarations, made when they are asked for and not kept."""

    seed: int
    numbers: Mapping[str, int]
    task_ids: Sequence[str]
    days: Sequence[date]

    def __getitem__(self, user_id: str) -> Sequence[Declaration]:
        number = self.numbers[user_id]
        if not self.task_ids:
            return ()
        return [
            Declaration(
                id=_id(self.seed, "declaration", number * 10_000 + day.toordinal() % 10_000),
                user_id=user_id,
                task_id=self.task_ids[(number + index // 5) % len(self.task_ids)],
                date=day,
                seconds=WORKING_DAY if (number + index) % 6 else WORKING_DAY // 2,
            )
            for index, day in enumerate(self.days)
        ]

    def __iter__(self) -> Iterator[str]:
        return iter(self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)


def _collaborator(seed: int, number: int) -> Collaborator:
    first = FIRST_NAMES[number % len(FIRST_NAMES)]
    last = LAST_NAMES[(number // len(FIRST_NAMES) + number * 7) % len(LAST_NAMES)]
    address = f"{_plain(first)}.{_plain(last)}.{number}"
    return Collaborator(
        id=_id(seed, "collaborator", number),
        first_name=first,
        last_name=last,
        email=f"{address}@exemple.test",
        personal_email=f"{address}@maison.test",
        matricule=f"M{number + 1:05}",
        manager_id=_id(seed, "collaborator", number // 8) if number else None,
        team_name=TEAMS[number % len(TEAMS)],
    )


def _contracts(seed: int, number: int, person: Collaborator, today: date) -> Iterator[Contract]:
    start = today - timedelta(days=200 + number % 7 * 150)
    part_time = number % 7 == 3
    if number % 11 == 5:
        ended = today - timedelta(days=100 if number % 2 else 400)
        yield Contract(
            id=_id(seed, "former contract", number),
            collaborator_id=person.id,
            start_date=ended - timedelta(days=300),
            end_date=ended,
            job_name="Stagiaire",
        )
        start = max(start, ended + timedelta(days=1))
    yield Contract(
        id=_id(seed, "contract", number),
        collaborator_id=person.id,
        start_date=start,
        job_name="Consultant",
        full_time_equivalent=Decimal("0.8") if part_time else Decimal(1),
        standard_weekly_hours=Decimal(28) if part_time else Decimal(35),
        working_time_modality="forfait_jours" if number % 5 == 0 else "standard",
    )


def _absences(seed: int, number: int, contract: Contract, today: date, dice: random.Random) -> Iterator[Absence]:
    """Four in the window that a sync reads: one each about 60 days ago, in 30, in 120 and in 210 days."""
    for index, offset in enumerate((-60, 30, 120, 210)):
        monday = today + timedelta(days=offset + dice.randrange(-14, 15))
        monday -= timedelta(days=monday.weekday())
        half = (number + index) % 4 == 3
        yield Absence(
            id=_id(seed, "absence", number * 4 + index),
            contract_id=contract.id,
            type=LEAVE[(number + index) % len(LEAVE)],
            start_date=monday,
            end_date=monday if half else monday + timedelta(days=dice.randrange(5)),
            start_moment="middle-of-day" if half else "beginning-of-day",
            status=("approved", "approved", "pending_approval", "approved", "cancelled")[(number * 4 + index) % 5],
        )


def _tasks(seed: int, number: int, project: Project, today: date) -> Iterator[Task]:
    root = _id(seed, "root task", number)
    yield Task(id=root, project_id=project.id, name=project.name)
    done = datetime.combine(today - timedelta(days=10), time(17, 30), UTC) if project.status == "done" else None
    for index, name in enumerate(TASK_NAMES):
        yield Task(
            id=_id(seed, "task", number * len(TASK_NAMES) + index),
            project_id=project.id,
            name=name,
            parent_id=root,
            completed_at=done,
        )


def _working_days_before(today: date, count: int) -> list[date]:
    days: list[date] = []
    day = today
    while len(days) < count:
        day -= timedelta(days=1)
        if day.weekday() < 5:
            days.append(day)
    return days[::-1]


def _id(seed: int, kind: str, number: int) -> str:
    """A UUID's text from its parts: cheap enough to make half a million, and the same in every process."""
    return f"{seed & 0xFFFFFFFF:08x}-{KINDS.index(kind):04x}-8000-8000-{number:012x}"


def _plain(name: str) -> str:
    """ "Le Goff" and "Gaëlle" as an address writes them: legoff, gaelle."""
    letters = unicodedata.normalize("NFKD", name).casefold()
    return "".join(letter for letter in letters if letter.isascii() and letter.isalpha())
