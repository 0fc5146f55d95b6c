"""Projects through the API: what is created, changed and deleted, what is refused, and what is left behind."""

from __future__ import annotations

import asyncio
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from server.actor import Actor, Permission, Scope
from server.database import Database
from server.errors import Refused
from server.ids import new_id
from server.planning.models import AssignmentRow
from server.projects import service
from server.projects.models import ProjectRow, ProjectStatus
from tests.conftest import Execute
from tests.factories import Factory, actor, admin, moment

FIELDS = """project { id code name status startDate endDate productive version archivedAt deletedAt
  businessUnit { id } }"""
CREATE = f"""mutation ($input: ProjectCreateInput!) {{ projectCreate(input: $input) {{
  {FIELDS} problems {{ code errors {{ path code }} }} }} }}"""
UPDATE = CREATE.replace("Create", "Update")
DELETE = CREATE.replace("Create", "Delete").replace("problems {", "warnings { code } problems {")
LIST = """query ($filter: ProjectFilter, $orderBy: ProjectOrder! = CODE, $page: Int! = 1, $size: Int! = 50) {
  projects(filter: $filter, orderBy: $orderBy, page: $page, size: $size) { total items { code deletedAt } } }"""


async def audit(database: Database) -> list[tuple[str, str, dict[str, Any]]]:
    async with database.reads.session() as session:
        rows = await session.execute(text("SELECT action, resource_id::text, metadata FROM audit_logs ORDER BY id"))
        return [(row.action, row.resource_id, row.metadata) for row in rows]


async def read(database: Database, project: ProjectRow) -> ProjectRow:
    async with database.reads.session() as session:
        return await session.get_one(ProjectRow, project.id)


async def codes(graphql: Execute, **variables: Any) -> list[str]:
    page = (await graphql(actor(Permission.PROJECTS_READ), LIST, **variables))["projects"]
    assert page["total"] == len(page["items"])
    return [item["code"] for item in page["items"]]


class TestCreate:
    async def test_trims_and_answers_the_whole_project(
        self, database: Database, make: Factory, graphql: Execute
    ) -> None:
        boss, unit = await make.user(), await make.unit()
        draft = {"code": " P1 ", "name": " Apollo ", "startDate": "2026-01-05", "businessUnitId": str(unit.id)}
        payload = (await graphql(admin(boss), CREATE, input=draft))["projectCreate"]
        assert payload["problems"] == []
        project = payload["project"]
        new = project.pop("id")
        assert project == {
            "code": "P1",
            "name": "Apollo",
            "status": "PLANNED",
            "startDate": "2026-01-05",
            "endDate": None,
            "productive": True,
            "version": 1,
            "archivedAt": None,
            "deletedAt": None,
            "businessUnit": {"id": str(unit.id)},
        }
        ((action, resource, metadata),) = await audit(database)
        assert (action, resource) == ("project.created", new)
        assert metadata["after"]["code"] == "P1"

    @pytest.mark.parametrize(
        ("draft", "errors"),
        [
            ({"code": " ", "name": ""}, [(["code"], "INVALID_CODE"), (["name"], "INVALID_NAME")]),
            ({"code": "C" * 41, "name": "N" * 201}, [(["code"], "INVALID_CODE"), (["name"], "INVALID_NAME")]),
            ({"code": "\0", "name": "\ud800"}, [(["code"], "INVALID_CODE"), (["name"], "INVALID_NAME")]),
            (
                {"code": "C", "name": "N", "startDate": "2026-02-01", "endDate": "2026-01-31"},
                [(["endDate"], "DATES_REVERSED")],
            ),
        ],
    )
    async def test_names_all_that_is_wrong_and_writes_nothing(
        self, database: Database, make: Factory, graphql: Execute, draft: dict[str, str], errors: list[Any]
    ) -> None:
        payload = (await graphql(admin(await make.user()), CREATE, input=draft))["projectCreate"]
        assert payload["project"] is None
        assert [problem["code"] for problem in payload["problems"]] == ["INVALID_INPUT"]
        assert [(error["path"], error["code"]) for error in payload["problems"][0]["errors"]] == errors
        assert await codes(graphql) == []
        assert await audit(database) == []

    async def test_refuses_a_taken_code_without_regard_to_case(self, make: Factory, graphql: Execute) -> None:
        await make.project(code="Élan")
        payload = (await graphql(admin(await make.user()), CREATE, input={"code": "élan", "name": "N"}))[
            "projectCreate"
        ]
        assert payload["problems"] == [{"code": "DUPLICATE", "errors": [{"path": ["code"], "code": "DUPLICATE"}]}]

    async def test_may_take_the_code_of_a_deleted_project(self, make: Factory, graphql: Execute) -> None:
        await make.project(code="P1", deleted_at=moment("2026-01-01"))
        payload = (await graphql(admin(await make.user()), CREATE, input={"code": "P1", "name": "N"}))["projectCreate"]
        assert payload["problems"] == []

    async def test_refuses_an_unknown_unit(self, make: Factory, graphql: Execute) -> None:
        draft = {"code": "P1", "name": "N", "businessUnitId": str(new_id())}
        payload = (await graphql(admin(await make.user()), CREATE, input=draft))["projectCreate"]
        assert payload["problems"] == [
            {"code": "UNKNOWN_ID", "errors": [{"path": ["businessUnitId"], "code": "UNKNOWN_ID"}]}
        ]

    async def test_gives_one_of_two_simultaneous_callers_the_code(self, database: Database, make: Factory) -> None:
        boss = await make.user()
        arrived = asyncio.Barrier(2)

        async def create(code: str) -> str:
            try:
                async with database.transaction(admin(boss)) as tx:
                    await arrived.wait()
                    await service.create(tx, service.ProjectDraft(code, "Name"))
                    await asyncio.sleep(0.05)
                return "created"
            except Refused as refused:
                return refused.problems[0].code

        assert sorted(await asyncio.gather(create("P1"), create("p1"))) == ["DUPLICATE", "created"]


class TestUpdate:
    async def test_changes_what_is_given_and_clears_with_null(
        self, database: Database, make: Factory, graphql: Execute
    ) -> None:
        project = await make.project(code="P1", name="Old", start_date=date(2026, 1, 1))
        change = {"id": str(project.id), "name": "New", "startDate": None, "expectedVersion": 1}
        payload = (await graphql(admin(await make.user()), UPDATE, input=change))["projectUpdate"]
        assert payload["problems"] == []
        shown = payload["project"]
        assert (shown["code"], shown["name"], shown["startDate"], shown["version"]) == ("P1", "New", None, 2)
        assert await audit(database) == [
            (
                "project.updated",
                str(project.id),
                {
                    "before": {"name": "Old", "start_date": "2026-01-01"},
                    "after": {"name": "New", "start_date": None},
                },
            )
        ]

    async def test_that_changes_nothing_keeps_the_version(
        self, database: Database, make: Factory, graphql: Execute
    ) -> None:
        project = await make.project(name="Same")
        change = {"id": str(project.id), "name": " Same "}
        payload = (await graphql(admin(await make.user()), UPDATE, input=change))["projectUpdate"]
        assert payload["project"]["version"] == 1
        assert await audit(database) == []

    async def test_of_a_stale_version_shows_the_project_as_it_stands(self, make: Factory, graphql: Execute) -> None:
        project = await make.project(name="Now", version=3)
        change = {"id": str(project.id), "name": "Other", "expectedVersion": 2}
        payload = (await graphql(admin(await make.user()), UPDATE, input=change))["projectUpdate"]
        assert [problem["code"] for problem in payload["problems"]] == ["VERSION_CONFLICT"]
        assert (payload["project"]["name"], payload["project"]["version"]) == ("Now", 3)

    @pytest.mark.parametrize(
        ("change", "code", "path"),
        [
            ({"code": "TAKEN"}, "DUPLICATE", ["code"]),
            ({"endDate": "2025-12-31"}, "DATES_REVERSED", ["endDate"]),
            ({"name": None}, "NULL_NOT_ALLOWED", ["name"]),
            ({"status": None}, "NULL_NOT_ALLOWED", ["status"]),
            ({"id": str(new_id()), "name": "N"}, "UNKNOWN_ID", ["id"]),
            ({"businessUnitId": str(new_id())}, "UNKNOWN_ID", ["businessUnitId"]),
        ],
    )
    async def test_refuses_what_is_wrong_and_changes_nothing(
        self, database: Database, make: Factory, graphql: Execute, change: dict[str, Any], code: str, path: list[str]
    ) -> None:
        await make.project(code="taken")
        project = await make.project(code="P1", start_date=date(2026, 1, 1))
        payload = (await graphql(admin(await make.user()), UPDATE, input={"id": str(project.id), **change}))[
            "projectUpdate"
        ]
        assert [error for each in payload["problems"] for error in each["errors"]] == [{"path": path, "code": code}]
        row = await read(database, project)
        assert (row.code, row.version, row.end_date) == ("P1", 1, None)
        assert await audit(database) == []

    async def test_of_a_deleted_project_is_an_unknown_id(self, make: Factory, graphql: Execute) -> None:
        project = await make.project(deleted_at=moment("2026-01-01"))
        change = {"id": str(project.id), "name": "N"}
        payload = (await graphql(admin(await make.user()), UPDATE, input=change))["projectUpdate"]
        assert [problem["code"] for problem in payload["problems"]] == ["UNKNOWN_ID"]

    async def test_of_two_at_once_with_the_same_version_one_succeeds(self, database: Database, make: Factory) -> None:
        boss, project = await make.user(), await make.project()
        arrived = asyncio.Barrier(2)

        async def rename(name: str) -> str:
            try:
                async with database.transaction(admin(boss)) as tx:
                    await arrived.wait()
                    await service.update(tx, service.ProjectChange(project.id, {"name": name}, 1))
                    await asyncio.sleep(0.05)
                return "renamed"
            except Refused as refused:
                return refused.problems[0].code

        assert sorted(await asyncio.gather(rename("One"), rename("Two"))) == ["VERSION_CONFLICT", "renamed"]
        assert (await read(database, project)).version == 2


class TestScope:
    """PROJECTS_WRITE for the own business unit."""

    async def test_reaches_the_units_projects_only(self, database: Database, make: Factory, graphql: Execute) -> None:
        own, other = await make.unit(), await make.unit()
        caller = actor(Permission.PROJECTS_WRITE, user=await make.user(business_unit_id=own.id), scope=Scope.UNIT)
        for unit, expected in ((own.id, []), (other.id, ["OUT_OF_SCOPE"]), (None, ["OUT_OF_SCOPE"])):
            project = await make.project(business_unit_id=unit)
            changed = (await graphql(caller, UPDATE, input={"id": str(project.id), "name": "N"}))["projectUpdate"]
            assert [problem["code"] for problem in changed["problems"]] == expected
            deleted = (await graphql(caller, DELETE, input={"id": str(project.id)}))["projectDelete"]
            assert [problem["code"] for problem in deleted["problems"]] == expected
            assert ((await read(database, project)).deleted_at is None) == bool(expected)
            draft = {"code": project.code + "x", "name": "N", "businessUnitId": str(unit) if unit else None}
            created = (await graphql(caller, CREATE, input=draft))["projectCreate"]
            assert [problem["code"] for problem in created["problems"]] == expected

    async def test_gives_no_project_away(self, make: Factory, graphql: Execute) -> None:
        own, other = await make.unit(), await make.unit()
        caller = actor(Permission.PROJECTS_WRITE, user=await make.user(business_unit_id=own.id), scope=Scope.UNIT)
        project = await make.project(business_unit_id=own.id)
        for target in (str(other.id), None):
            change = {"id": str(project.id), "businessUnitId": target}
            payload = (await graphql(caller, UPDATE, input=change))["projectUpdate"]
            assert payload["problems"] == [
                {"code": "OUT_OF_SCOPE", "errors": [{"path": ["businessUnitId"], "code": "OUT_OF_SCOPE"}]}
            ]


class TestDelete:
    async def test_hides_the_project_and_ends_its_assignments(
        self, database: Database, make: Factory, graphql: Execute
    ) -> None:
        boss, project = await make.user(), await make.project(code="P1")
        await make.contract(boss)
        assignment = await make.assignment(boss, project, start_date=date(2026, 3, 1), end_date=date(2026, 3, 31))
        payload = (await graphql(admin(boss), DELETE, input={"id": str(project.id)}))["projectDelete"]
        assert (payload["problems"], payload["warnings"]) == ([], [])
        assert payload["project"]["deletedAt"] is not None
        assert payload["project"]["version"] == 2
        assert await codes(graphql) == []
        async with database.reads.session() as session:
            ended = await session.get_one(AssignmentRow, assignment.id)
            expected = await session.execute(text("SELECT coalesce(sum(expected), 0) FROM forecasts"))
            assert (ended.version, ended.deleted_at is not None) == (2, True)
            assert expected.scalar_one() == Decimal(0)
        assert ("project.deleted", str(project.id)) in [(action, on) for action, on, _ in await audit(database)]

    @pytest.mark.parametrize("load", [{"stated": "2.00"}, {"actual": "1.50"}])
    async def test_archives_a_project_with_load(
        self, database: Database, make: Factory, graphql: Execute, load: dict[str, str]
    ) -> None:
        boss, project = await make.user(), await make.project(code="P1")
        await make.cell(boss, project, date(2026, 3, 1), **load)
        payload = (await graphql(admin(boss), DELETE, input={"id": str(project.id)}))["projectDelete"]
        assert [warning["code"] for warning in payload["warnings"]] == ["ARCHIVED"]
        assert payload["project"]["deletedAt"] is None
        assert payload["project"]["archivedAt"] is not None
        assert await codes(graphql) == ["P1"]
        assert not (await read(database, project)).takes_load
        async with database.reads.session() as session:
            assert (await session.execute(text("SELECT count(*) FROM forecasts"))).scalar_one() == 1

    async def test_refuses_a_stale_version_and_a_project_that_is_gone(self, make: Factory, graphql: Execute) -> None:
        boss, project = await make.user(), await make.project(version=2)
        stale = {"id": str(project.id), "expectedVersion": 1}
        payload = (await graphql(admin(boss), DELETE, input=stale))["projectDelete"]
        assert [problem["code"] for problem in payload["problems"]] == ["VERSION_CONFLICT"]
        assert payload["project"]["version"] == 2
        await graphql(admin(boss), DELETE, input={"id": str(project.id)})
        payload = (await graphql(admin(boss), DELETE, input={"id": str(project.id)}))["projectDelete"]
        assert [problem["code"] for problem in payload["problems"]] == ["UNKNOWN_ID"]


class TestOne:
    QUERY = "query ($id: UUID, $code: String) { project(id: $id, code: $code) { code } }"

    async def test_is_found_by_id_or_by_code_in_any_case(self, make: Factory, graphql: Execute) -> None:
        project = await make.project(code="Élan")
        reader = actor(Permission.PROJECTS_READ)
        for variables in ({"id": str(project.id)}, {"code": "élan"}, {"code": " ÉLAN "}):
            assert await graphql(reader, self.QUERY, **variables) == {"project": {"code": "Élan"}}

    @pytest.mark.parametrize(
        ("variables", "code"),
        [
            ({}, "BAD_REQUEST"),
            ({"id": str(new_id()), "code": "P1"}, "BAD_REQUEST"),
            ({"id": str(new_id())}, "NOT_FOUND"),
            ({"code": "P2"}, "NOT_FOUND"),
            ({"code": ""}, "NOT_FOUND"),
            ({"code": "\0"}, "NOT_FOUND"),
        ],
    )
    async def test_is_an_error_when_there_is_none(
        self, make: Factory, graphql: Execute, variables: dict[str, str], code: str
    ) -> None:
        await make.project(code="P1")
        errors = await graphql(actor(Permission.PROJECTS_READ), self.QUERY, errors=True, **variables)
        assert [error["extensions"]["code"] for error in errors] == [code]

    async def test_is_not_found_once_deleted(self, make: Factory, graphql: Execute) -> None:
        await make.project(code="P1", deleted_at=moment("2026-01-01"))
        errors = await graphql(actor(Permission.PROJECTS_READ), self.QUERY, code="P1", errors=True)
        assert [error["extensions"]["code"] for error in errors] == ["NOT_FOUND"]


class TestList:
    async def test_is_ordered_as_asked(self, make: Factory, graphql: Execute) -> None:
        await make.project(code="b", name="Zeta", start_date=date(2026, 2, 1))
        await make.project(code="A", name="eta")
        await make.project(code="C", name="Alpha", start_date=date(2026, 1, 1))
        assert await codes(graphql) == ["A", "b", "C"]
        assert await codes(graphql, orderBy="NAME") == ["C", "A", "b"]
        assert await codes(graphql, orderBy="START_DATE") == ["C", "b", "A"]
        assert await codes(graphql, orderBy="UPDATED_AT") == ["b", "A", "C"]

    async def test_is_filtered_by_all_that_is_given(self, make: Factory, graphql: Execute) -> None:
        unit = await make.unit()
        first = await make.project(code="P1", name="Apollo", status=ProjectStatus.DONE, business_unit_id=unit.id)
        await make.project(code="P2", name="Gemini", start_date=date(2026, 2, 1), end_date=date(2026, 2, 28))
        await make.project(code="P3", name="Old", archived_at=moment("2026-01-01"))
        await make.project(code="P4", name="Gone", deleted_at=moment("2026-01-01"))
        for wanted, found in (
            ({"ids": [str(first.id)]}, ["P1"]),
            ({"ids": []}, []),
            ({"statuses": ["DONE", "CANCELLED"]}, ["P1"]),
            ({"businessUnitIds": [str(unit.id)]}, ["P1"]),
            ({"search": "gem"}, ["P2"]),
            ({"search": "p3"}, ["P3"]),
            ({"search": "%"}, []),
            ({"search": "\0"}, []),
            ({"activeOn": "2026-02-28"}, ["P1", "P2", "P3"]),
            ({"activeOn": "2026-03-01"}, ["P1", "P3"]),
            ({"archived": True}, ["P3"]),
            ({"archived": False}, ["P1", "P2"]),
            ({"archived": False, "search": "old"}, []),
        ):
            assert await codes(graphql, filter=wanted) == found

    async def test_comes_in_pages(self, make: Factory, graphql: Execute) -> None:
        for number in range(5):
            await make.project(code=f"P{number}")
        page = (await graphql(actor(Permission.PROJECTS_READ), LIST, page=2, size=2))["projects"]
        assert (page["total"], [item["code"] for item in page["items"]]) == (5, ["P2", "P3"])

    @pytest.mark.parametrize(("page", "size"), [(0, 50), (1, 0), (1, 201), (201, 50)])
    async def test_refuses_pages_out_of_bounds(
        self, graphql: Execute, database: Database, page: int, size: int
    ) -> None:
        errors = await graphql(actor(Permission.PROJECTS_READ), LIST, page=page, size=size, errors=True)
        assert [error["extensions"]["code"] for error in errors] == ["BAD_REQUEST"]

    async def test_read_incrementally_shows_what_changed_and_what_was_deleted(
        self, make: Factory, graphql: Execute
    ) -> None:
        query = """query ($filter: ProjectFilter) {
          projects(filter: $filter) { nextUpdatedAfter items { code deletedAt } } }"""
        boss = await make.user()
        await make.project(code="P1")
        second = await make.project(code="P2")
        first_read = (await graphql(admin(boss), query))["projects"]
        await graphql(admin(boss), DELETE, input={"id": str(second.id)})
        await make.project(code="P3")
        again = (await graphql(admin(boss), query, filter={"updatedAfter": first_read["nextUpdatedAfter"]}))["projects"]
        assert [(item["code"], item["deletedAt"] is not None) for item in again["items"]] == [
            ("P2", True),
            ("P3", False),
        ]

    async def test_misses_no_write_that_was_open_while_it_was_read(
        self, database: Database, make: Factory, graphql: Execute
    ) -> None:
        query = "query ($filter: ProjectFilter) { projects(filter: $filter) { nextUpdatedAfter items { code } } }"
        reader = actor(Permission.PROJECTS_READ)
        async with database.transaction(admin(await make.user())) as tx:
            await service.create(tx, service.ProjectDraft("LATE", "Committed after the read"))
            during = (await graphql(reader, query))["projects"]
            assert during["items"] == []
        after = (await graphql(reader, query, filter={"updatedAfter": during["nextUpdatedAfter"]}))["projects"]
        assert after["items"] == [{"code": "LATE"}]

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("{ projects(size: 200) { total nextUpdatedAfter items { code businessUnit { code } } } }", 4),
            (
                """{ projects(size: 200) { total items {
                  months(from: "2026-01", to: "2026-02") { load } assignments { user { lastName } } } } }""",
                6,
            ),
        ],
    )
    async def test_takes_the_same_number_of_statements_whatever_its_length(
        self, database: Database, make: Factory, graphql: Execute, statements: Any, query: str, expected: int
    ) -> None:
        units, person = [await make.unit() for _ in range(10)], await make.user()
        days = {"rate": Decimal(1), "start_date": date(2026, 1, 1), "end_date": date(2026, 1, 31)}
        counts, made = [], 0
        for wanted in (10, 300):
            async with database.transaction(Actor(None)) as tx:
                for number in range(made, wanted):
                    unit = units[number % 10].id
                    row = ProjectRow(code=f"P{number}", name="N", status=ProjectStatus.ACTIVE, business_unit_id=unit)
                    tx.session.add(row)
                    await tx.session.flush()
                    tx.session.add(AssignmentRow(user_id=person.id, project_id=row.id, **days))
            made = wanted
            statements.clear()
            reader = actor(Permission.PROJECTS_READ, Permission.PLANNING_READ)
            page = (await graphql(reader, query))["projects"]
            assert (page["total"], len(page["items"])) == (wanted, min(wanted, 200))
            counts.append(len(statements))
        assert counts == [expected, expected]
