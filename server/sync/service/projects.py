"""Which project of ours one of Gryzzly's is, and what its facts make of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from server.ids import new_id
from server.projects.models import ProjectRow, ProjectStatus
from server.sync.domain.ownership import settle
from server.sync.models import ConflictResource, ExternalProjectRow, SyncKind
from server.sync.repository import conflicts, staging
from server.sync.repository import projects as repository
from server.sync.repository.conflicts import Differing
from server.sync.repository.projects import Link
from server.sync.repository.staging import Refused
from server.sync.service.apply import Application

DELETED = "PROJECT_DELETED"
OVER = (ProjectStatus.DONE, ProjectStatus.CANCELLED)
DONE, ACTIVE = "DONE", "ACTIVE"


async def follow_projects(application: Application) -> None:
    """Links by what was linked, then by code, then by name; the others become new projects."""
    session = application.tx.session
    ours = await repository.ours(session)
    linked = await repository.linked(session)
    search = _Search(ours, linked)
    links: list[Link] = []
    differing: list[Differing] = []
    for external_id, data in await staging.records(session, application.run.id, SyncKind.PROJECT):
        project = search.find(external_id, data)
        if project is not None and project.deleted_at is not None:
            reason = "This project was deleted here: what is declared on it lands, and its facts are not followed."
            await application.refuse([Refused(SyncKind.PROJECT, external_id, DELETED, reason)], skipped=True)
            continue
        if project is None:
            project = _new(external_id, data, search)
            session.add(project)
            application.count(SyncKind.PROJECT, created=1)
        else:
            known = linked.get(external_id)
            found, changed = _follow(project, data, known.given if known else None)
            differing += found
            application.count(SyncKind.PROJECT, updated=int(changed or known is None))
        links.append(Link.of(external_id, project.id, _facts(data)))
    await session.flush()
    await repository.link(session, links)
    await conflicts.put(session, application.run.provider, ConflictResource.PROJECT, application.run.id, differing)


def _facts(data: Mapping[str, Any]) -> dict[str, str | None]:
    """In our words. Gryzzly knows active and done only."""
    return {"name": data["name"], "status": {True: DONE, False: ACTIVE, None: None}[data["done"]]}


def _follow(
    project: ProjectRow, data: Mapping[str, Any], given: Mapping[str, str | None] | None
) -> tuple[list[Differing], bool]:
    # A planned project, or one on hold, is an active one for Gryzzly; a cancelled one is a done one.
    ours = {"name": project.name, "status": DONE if project.status in OVER else ACTIVE}
    settlement = settle(ours, given, _facts(data))
    if "name" in settlement.take:
        project.name = settlement.take["name"]
    if "status" in settlement.take:
        project.status = ProjectStatus(settlement.take["status"])
    if settlement.take:
        project.version += 1
    shown = {"name": project.name, "status": project.status.value}
    differing = [Differing(project.id, name, shown[name], theirs) for name, (_, theirs) in settlement.conflicts.items()]
    return differing, bool(settlement.take)


def _new(external_id: str, data: Mapping[str, Any], search: _Search) -> ProjectRow:
    project = ProjectRow(
        id=new_id(),
        code=search.free_code(data["code"], external_id),
        name=data["name"],
        status=ProjectStatus.DONE if data["done"] else ProjectStatus.ACTIVE,
        productive=True,
        version=1,
    )
    search.add(project)
    return project


class _Search:
    """Ours by id, code and name; one that is somebody's already is found by its link only."""

    def __init__(self, ours: Sequence[ProjectRow], linked: Mapping[str, ExternalProjectRow]) -> None:
        self._linked = {external_id: row.project_id for external_id, row in linked.items()}
        self._by_id: dict[UUID, ProjectRow] = {project.id: project for project in ours}
        self._taken = set(self._linked.values())
        present = [project for project in ours if project.deleted_at is None]
        self._codes = {project.code.lower(): project for project in present}
        self._names: dict[str, list[ProjectRow]] = {}
        for project in present:
            self._names.setdefault(project.name.lower(), []).append(project)

    def find(self, external_id: str, data: Mapping[str, Any]) -> ProjectRow | None:
        if external_id in self._linked:
            return self._by_id[self._linked[external_id]]
        if data["code"]:
            found = self._codes.get(data["code"].lower())
        else:  # by name only where there is no code to go by, and nobody else of that name
            same = self._names.get(data["name"].lower(), [])
            found = same[0] if len(same) == 1 else None
        if found is None or found.id in self._taken:
            return None
        self._taken.add(found.id)
        return found

    def free_code(self, wanted: str | None, external_id: str) -> str:
        for code in (wanted, f"GZ-{external_id[:12]}", f"GZ-{external_id}"[:40], f"GZ-{new_id()}"[:40]):
            if code and code.strip() and code.lower() not in self._codes:
                return code.strip()
        raise AssertionError("an id of ours is free")

    def add(self, project: ProjectRow) -> None:
        self._codes[project.code.lower()] = project
        self._taken.add(project.id)
