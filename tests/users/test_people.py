"""People and business units through the API: who may do what, what is refused, and what is left behind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from server.actor import Actor, Permission, Scope
from server.database import Database
from server.errors import Refused
from server.events import AccessChanged, Bus
from server.ids import new_id
from server.users import service
from server.users.models import UserRow, UserStatus
from tests.conftest import Execute
from tests.factories import Factory, actor, admin

CREATE = """mutation ($input: UserCreateInput!) { userCreate(input: $input) {
  user { id firstName lastName email status isActive isService version businessUnit { id } }
  problems { code errors { path code } } } }"""
UPDATE = """mutation ($input: UserUpdateInput!) { userUpdate(input: $input) {
  user { firstName lastName email version businessUnit { id } } problems { code errors { path code } } } }"""


BOTH_NAMES = [(["firstName"], "INVALID_NAME"), (["lastName"], "INVALID_NAME")]


async def audit(database: Database) -> list[tuple[str, str, dict[str, Any]]]:
    async with database.reads.session() as session:
        rows = await session.execute(text("SELECT action, resource_id::text, metadata FROM audit_logs ORDER BY id"))
        return [(row.action, row.resource_id, row.metadata) for row in rows]


async def user_count(database: Database) -> int:
    async with database.reads.session() as session:
        return int((await session.execute(text("SELECT count(*) FROM users"))).scalar_one())


async def test_a_new_person_is_active_without_roles_and_trimmed(
    database: Database, make: Factory, graphql: Execute
) -> None:
    boss, unit = await make.user(), await make.unit()
    draft = {
        "firstName": " Ada ",
        "lastName": "Lovelace ",
        "email": " Ada@Example.Test",
        "businessUnitId": str(unit.id),
    }
    payload = (await graphql(admin(boss), CREATE, input=draft))["userCreate"]
    assert payload["problems"] == []
    user = payload["user"]
    new = user.pop("id")
    assert user == {
        "firstName": "Ada",
        "lastName": "Lovelace",
        "email": "Ada@Example.Test",
        "status": "ACTIVE",
        "isActive": True,
        "isService": False,
        "version": 1,
        "businessUnit": {"id": str(unit.id)},
    }
    assert await audit(database) == [
        (
            "user.created",
            new,
            {
                "after": {
                    "first_name": "Ada",
                    "last_name": "Lovelace",
                    "email": "Ada@Example.Test",
                    "business_unit_id": str(unit.id),
                }
            },
        )
    ]


@pytest.mark.parametrize(
    ("draft", "errors"),
    [
        ({"firstName": "Ada", "lastName": " "}, [(["lastName"], "INVALID_NAME")]),
        (
            {"firstName": "A" * 101, "lastName": "B" * 101},
            [(["firstName"], "INVALID_NAME"), (["lastName"], "INVALID_NAME")],
        ),
        (
            {"firstName": "A\0da", "lastName": "L\ud800"},
            [(["firstName"], "INVALID_NAME"), (["lastName"], "INVALID_NAME")],
        ),
        ({"firstName": "", "lastName": "L", "email": ""}, [(["email"], "INVALID_EMAIL")]),
        ({"firstName": "", "lastName": "L", "email": "ada"}, [(["email"], "INVALID_EMAIL")]),
        ({"firstName": "", "lastName": "L", "email": "a da@example.test"}, [(["email"], "INVALID_EMAIL")]),
        ({"firstName": "", "lastName": "L", "email": f"{'a' * 250}@example.test"}, [(["email"], "INVALID_EMAIL")]),
    ],
)
async def test_bad_facts_are_all_named_and_change_nothing(
    database: Database, make: Factory, graphql: Execute, draft: dict[str, str], errors: list[Any]
) -> None:
    boss = await make.user()
    payload = (await graphql(admin(boss), CREATE, input=draft))["userCreate"]
    assert payload["user"] is None
    assert [problem["code"] for problem in payload["problems"]] == ["INVALID_INPUT"]
    assert [(error["path"], error["code"]) for error in payload["problems"][0]["errors"]] == errors
    assert await user_count(database) == 1
    assert await audit(database) == []


async def test_an_unknown_business_unit_is_a_problem(database: Database, make: Factory, graphql: Execute) -> None:
    boss = await make.user()
    draft = {"firstName": "Ada", "lastName": "L", "businessUnitId": str(new_id())}
    payload = (await graphql(admin(boss), CREATE, input=draft))["userCreate"]
    assert payload["problems"] == [
        {"code": "UNKNOWN_ID", "errors": [{"path": ["businessUnitId"], "code": "UNKNOWN_ID"}]}
    ]
    assert await user_count(database) == 1


async def test_an_email_is_unique_without_regard_to_case(database: Database, make: Factory, graphql: Execute) -> None:
    boss = await make.user(email="ada@example.test")
    draft = {"firstName": "Ada", "lastName": "L", "email": "ADA@example.test"}
    payload = (await graphql(admin(boss), CREATE, input=draft))["userCreate"]
    assert payload["problems"] == [{"code": "DUPLICATE", "errors": [{"path": ["email"], "code": "DUPLICATE"}]}]
    assert await user_count(database) == 1


async def test_changing_to_a_taken_email_is_a_problem_and_changes_nothing(
    database: Database, make: Factory, graphql: Execute
) -> None:
    boss, other = await make.user(email="ada@example.test"), await make.user(email="bob@example.test")
    change = {"id": str(other.id), "email": "Ada@Example.test", "lastName": "Taken"}
    payload = (await graphql(admin(boss), UPDATE, input=change))["userUpdate"]
    assert [problem["code"] for problem in payload["problems"]] == ["DUPLICATE"]
    async with database.reads.session() as session:
        row = await session.get(UserRow, other.id)
        assert row is not None
        assert (row.email, row.last_name, row.version) == ("bob@example.test", other.last_name, 1)


async def test_of_two_callers_who_take_one_email_at_once_one_gets_it(database: Database, make: Factory) -> None:
    boss = await make.user()
    arrived = asyncio.Barrier(2)

    async def create(name: str) -> str:
        try:
            async with database.transaction(admin(boss)) as tx:
                await arrived.wait()
                await service.create(tx, service.UserDraft("", name, "same@example.test"))
                await asyncio.sleep(0.05)
            return "created"
        except Refused as refused:
            return refused.problems[0].code

    assert sorted(await asyncio.gather(create("One"), create("Two"))) == ["DUPLICATE", "created"]


async def test_an_update_changes_what_is_given_and_audits_only_that(
    database: Database, make: Factory, graphql: Execute
) -> None:
    boss = await make.user()
    unit = await make.unit()
    person = await make.user(first_name="Ada", last_name="Byron", business_unit_id=unit.id)
    change = {"id": str(person.id), "lastName": "Lovelace", "businessUnitId": None, "expectedVersion": 1}
    payload = (await graphql(admin(boss), UPDATE, input=change))["userUpdate"]
    assert payload == {
        "user": {
            "firstName": "Ada",
            "lastName": "Lovelace",
            "email": person.email,
            "version": 2,
            "businessUnit": None,
        },
        "problems": [],
    }
    assert await audit(database) == [
        (
            "user.updated",
            str(person.id),
            {
                "before": {"last_name": "Byron", "business_unit_id": str(unit.id)},
                "after": {"last_name": "Lovelace", "business_unit_id": None},
            },
        )
    ]


async def test_an_update_that_changes_nothing_keeps_the_version_and_audits_nothing(
    database: Database, make: Factory, graphql: Execute
) -> None:
    boss = await make.user(first_name="Ada")
    payload = (await graphql(admin(boss), UPDATE, input={"id": str(boss.id), "firstName": "Ada"}))["userUpdate"]
    assert payload["user"]["version"] == 1
    assert await audit(database) == []


async def test_a_stale_version_is_a_conflict_that_shows_the_person_as_they_stand(
    make: Factory, graphql: Execute
) -> None:
    boss = await make.user(last_name="Now", version=4)
    change = {"id": str(boss.id), "lastName": "Other", "expectedVersion": 3}
    payload = (await graphql(admin(boss), UPDATE, input=change))["userUpdate"]
    assert [problem["code"] for problem in payload["problems"]] == ["VERSION_CONFLICT"]
    assert (payload["user"]["lastName"], payload["user"]["version"]) == ("Now", 4)


async def test_names_cannot_be_cleared_but_an_email_can(make: Factory, graphql: Execute) -> None:
    boss, person = await make.user(), await make.user()
    payload = (await graphql(admin(boss), UPDATE, input={"id": str(person.id), "lastName": None}))["userUpdate"]
    assert payload["problems"][0]["errors"] == [{"path": ["lastName"], "code": "NULL_NOT_ALLOWED"}]
    payload = (await graphql(admin(boss), UPDATE, input={"id": str(person.id), "email": None}))["userUpdate"]
    assert (payload["user"]["email"], payload["problems"]) == (None, [])


async def test_who_signs_in_keeps_an_email(make: Factory, graphql: Execute) -> None:
    boss, person = await make.user(), await make.user(password_hash="x")
    payload = (await graphql(admin(boss), UPDATE, input={"id": str(person.id), "email": None}))["userUpdate"]
    assert payload["problems"][0]["errors"] == [{"path": ["email"], "code": "EMAIL_NEEDED"}]


async def test_an_unknown_person_is_a_problem_in_a_mutation_and_an_error_in_a_query(
    make: Factory, graphql: Execute
) -> None:
    boss = await make.user()
    unknown = str(new_id())
    payload = (await graphql(admin(boss), UPDATE, input={"id": unknown, "lastName": "X"}))["userUpdate"]
    assert payload["problems"] == [{"code": "UNKNOWN_ID", "errors": [{"path": ["id"], "code": "UNKNOWN_ID"}]}]
    errors = await graphql(admin(boss), "query ($id: UUID!) { user(id: $id) { id } }", id=unknown, errors=True)
    assert [error["extensions"]["code"] for error in errors] == ["NOT_FOUND"]


async def test_only_a_superuser_changes_a_superuser(make: Factory, graphql: Execute) -> None:
    boss, root = await make.user(), await make.user(is_superuser=True)
    change = {"id": str(root.id), "lastName": "Taken over"}
    payload = (await graphql(admin(boss), UPDATE, input=change))["userUpdate"]
    assert [problem["code"] for problem in payload["problems"]] == ["OUT_OF_SCOPE"]
    payload = (await graphql(Actor(root.id, is_superuser=True), UPDATE, input=change))["userUpdate"]
    assert payload["user"]["lastName"] == "Taken over"


class TestScope:
    """USERS_WRITE for the own business unit."""

    async def test_reaches_people_of_the_unit_only(self, make: Factory, graphql: Execute) -> None:
        own, other = await make.unit(), await make.unit()
        lead = await make.user(business_unit_id=own.id)
        caller = actor(Permission.USERS_WRITE, user=lead, scope=Scope.UNIT)
        for unit, codes in ((own.id, []), (other.id, ["OUT_OF_SCOPE"]), (None, ["OUT_OF_SCOPE"])):
            person = await make.user(business_unit_id=unit)
            change = {"id": str(person.id), "firstName": "New"}
            payload = (await graphql(caller, UPDATE.replace("email ", ""), input=change))["userUpdate"]
            assert [problem["code"] for problem in payload["problems"]] == codes

    @pytest.mark.parametrize("target", ["other", None])
    async def test_moves_nobody_out_of_the_unit(self, make: Factory, graphql: Execute, target: str | None) -> None:
        own, other = await make.unit(), await make.unit()
        lead = await make.user(business_unit_id=own.id)
        person = await make.user(business_unit_id=own.id)
        caller = actor(Permission.USERS_WRITE, user=lead, scope=Scope.UNIT)
        change = {"id": str(person.id), "businessUnitId": str(other.id) if target else None}
        payload = (await graphql(caller, UPDATE, input=change))["userUpdate"]
        assert payload["problems"] == [
            {"code": "OUT_OF_SCOPE", "errors": [{"path": ["businessUnitId"], "code": "OUT_OF_SCOPE"}]}
        ]

    async def test_adds_people_to_the_unit_only(self, database: Database, make: Factory, graphql: Execute) -> None:
        own, other = await make.unit(), await make.unit()
        lead = await make.user(business_unit_id=own.id)
        caller = actor(Permission.USERS_WRITE, user=lead, scope=Scope.UNIT)
        for unit, codes in ((str(own.id), []), (str(other.id), ["OUT_OF_SCOPE"]), (None, ["OUT_OF_SCOPE"])):
            draft = {"firstName": "", "lastName": "New", "businessUnitId": unit}
            payload = (await graphql(caller, CREATE.replace("email ", ""), input=draft))["userCreate"]
            assert [problem["code"] for problem in payload["problems"]] == codes
        assert await user_count(database) == 2


async def test_moving_to_another_unit_is_told_to_who_caches_rights(bus: Bus, make: Factory, graphql: Execute) -> None:
    boss, person, unit = await make.user(), await make.user(), await make.unit()
    async with bus.subscribe(AccessChanged) as events:
        await graphql(admin(boss), UPDATE, input={"id": str(person.id), "firstName": "Renamed"})
        await graphql(admin(boss), UPDATE, input={"id": str(person.id), "businessUnitId": str(unit.id)})
        assert await asyncio.wait_for(events.get(), 2) == AccessChanged(person.id)
        assert events.empty()


class TestLists:
    QUERY = """query ($filter: UserFilter, $orderBy: UserOrder! = NAME, $page: Int! = 1, $size: Int! = 50) {
      users(filter: $filter, orderBy: $orderBy, page: $page, size: $size) { total items { id lastName } } }"""

    async def names(self, graphql: Execute, caller: Actor, **variables: Any) -> list[str]:
        page = (await graphql(caller, self.QUERY, **variables))["users"]
        assert page["total"] == len(page["items"])
        return [item["lastName"] for item in page["items"]]

    async def test_are_ordered_by_name_without_regard_to_case(self, make: Factory, graphql: Execute) -> None:
        for first, last in (("Zoe", "adams"), ("Bob", "Adams"), ("Eve", "Brown")):
            await make.user(first_name=first, last_name=last)
        assert await self.names(graphql, actor(Permission.USERS_READ)) == ["Adams", "adams", "Brown"]

    async def test_are_filtered_by_all_that_is_given(self, make: Factory, graphql: Execute) -> None:
        unit = await make.unit()
        ada = await make.user(first_name="Ada", last_name="Lovelace", business_unit_id=unit.id)
        await make.user(first_name="Bob", last_name="Left", status=UserStatus.LEFT, is_active=False)
        await make.user(first_name="Cat", last_name="Love", business_unit_id=unit.id)
        caller = actor(Permission.USERS_READ)
        assert await self.names(graphql, caller, filter={"ids": [str(ada.id)]}) == ["Lovelace"]
        assert await self.names(graphql, caller, filter={"statuses": ["LEFT"]}) == ["Left"]
        assert await self.names(graphql, caller, filter={"businessUnitIds": [str(unit.id)]}) == ["Love", "Lovelace"]
        assert await self.names(graphql, caller, filter={"search": "ada love"}) == ["Lovelace"]
        assert await self.names(graphql, caller, filter={"search": "LOVELACE ADA"}) == ["Lovelace"]
        assert await self.names(graphql, caller, filter={"search": "ov", "statuses": ["LEFT"]}) == []
        assert await self.names(graphql, caller, filter={"ids": []}) == []

    @pytest.mark.parametrize("search", ["%", "_", "\\", "\0", "\ud800"])
    async def test_take_what_is_searched_for_literally(self, make: Factory, graphql: Execute, search: str) -> None:
        await make.user()
        assert await self.names(graphql, actor(Permission.USERS_READ), filter={"search": search}) == []

    async def test_find_an_email_only_for_who_may_see_it(self, make: Factory, graphql: Execute) -> None:
        await make.user(last_name="Lovelace", email="countess@example.test")
        wanted = {"search": "countess"}
        assert await self.names(graphql, actor(Permission.USERS_READ), filter=wanted) == []
        seeing = actor(Permission.USERS_READ, Permission.USERS_READ_PERSONAL)
        assert await self.names(graphql, seeing, filter=wanted) == ["Lovelace"]

    async def test_leave_tools_out_unless_asked(self, make: Factory, graphql: Execute) -> None:
        await make.user(last_name="Person")
        await make.user(last_name="Robot", email=None, is_service=True)
        caller = actor(Permission.USERS_READ)
        assert await self.names(graphql, caller) == ["Person"]
        assert await self.names(graphql, caller, filter={"includeService": True}) == ["Person", "Robot"]

    async def test_are_cut_into_pages(self, make: Factory, graphql: Execute) -> None:
        for letter in "ABC":
            await make.user(last_name=letter)
        caller = actor(Permission.USERS_READ)
        page = (await graphql(caller, self.QUERY, page=2, size=2))["users"]
        assert (page["total"], [item["lastName"] for item in page["items"]]) == (3, ["C"])

    @pytest.mark.parametrize(("page", "size"), [(0, 50), (-1, 50), (1, 0), (1, 201), (51, 200)])
    async def test_refuse_pages_out_of_bounds(self, graphql: Execute, database: Database, page: int, size: int) -> None:
        errors = await graphql(actor(Permission.USERS_READ), self.QUERY, page=page, size=size, errors=True)
        assert [error["extensions"]["code"] for error in errors] == ["BAD_REQUEST"]

    async def test_can_be_read_incrementally(self, make: Factory, graphql: Execute) -> None:
        query = """query ($filter: UserFilter) { users(filter: $filter) { nextUpdatedAfter items { lastName } } }"""
        boss = await make.user(last_name="Boss")
        caller = admin(boss)
        first = (await graphql(caller, query))["users"]
        assert [item["lastName"] for item in first["items"]] == ["Boss"]
        later = await make.user(last_name="Later")
        await graphql(caller, UPDATE, input={"id": str(boss.id), "lastName": "Changed"})
        second = (await graphql(caller, query, filter={"updatedAfter": first["nextUpdatedAfter"]}))["users"]
        assert [item["lastName"] for item in second["items"]] == [later.last_name, "Changed"]


class TestBusinessUnits:
    CREATE = """mutation ($input: BusinessUnitCreateInput!) { businessUnitCreate(input: $input) {
      businessUnit { id code name version } problems { code errors { path code } } } }"""
    UPDATE = """mutation ($input: BusinessUnitUpdateInput!) { businessUnitUpdate(input: $input) {
      businessUnit { code name version } problems { code errors { path code } } } }"""
    LIST = """query ($filter: BusinessUnitFilter, $orderBy: BusinessUnitOrder! = CODE) {
      businessUnits(filter: $filter, orderBy: $orderBy) { total items { code } } }"""

    async def test_are_created_and_changed(self, database: Database, make: Factory, graphql: Execute) -> None:
        caller = admin(await make.user())
        created = (await graphql(caller, self.CREATE, input={"code": " FIN ", "name": "Finance"}))["businessUnitCreate"]
        unit = created["businessUnit"]
        assert (unit["code"], unit["name"], unit["version"], created["problems"]) == ("FIN", "Finance", 1, [])
        change = {"id": unit["id"], "name": "Money", "expectedVersion": 1}
        changed = (await graphql(caller, self.UPDATE, input=change))["businessUnitUpdate"]
        assert changed["businessUnit"] == {"code": "FIN", "name": "Money", "version": 2}
        assert await audit(database) == [
            ("business_unit.created", unit["id"], {"after": {"code": "FIN", "name": "Finance"}}),
            ("business_unit.updated", unit["id"], {"before": {"name": "Finance"}, "after": {"name": "Money"}}),
        ]

    async def test_have_codes_of_their_own(self, make: Factory, graphql: Execute) -> None:
        caller = admin(await make.user())
        await make.unit(code="FIN")
        other = await make.unit(code="OPS")
        created = (await graphql(caller, self.CREATE, input={"code": "fin", "name": "F"}))["businessUnitCreate"]
        assert created["problems"] == [{"code": "DUPLICATE", "errors": [{"path": ["code"], "code": "DUPLICATE"}]}]
        change = {"id": str(other.id), "code": "Fin"}
        changed = (await graphql(caller, self.UPDATE, input=change))["businessUnitUpdate"]
        assert changed["problems"] == [{"code": "DUPLICATE", "errors": [{"path": ["code"], "code": "DUPLICATE"}]}]

    async def test_refuse_bad_facts_a_stale_version_and_an_unknown_id(self, make: Factory, graphql: Execute) -> None:
        caller = admin(await make.user())
        unit = await make.unit(version=2)
        created = (await graphql(caller, self.CREATE, input={"code": "", "name": "\n"}))["businessUnitCreate"]
        assert created["problems"][0]["errors"] == [
            {"path": ["code"], "code": "INVALID_CODE"},
            {"path": ["name"], "code": "INVALID_NAME"},
        ]
        for change, code in (
            ({"id": str(unit.id), "name": "X", "expectedVersion": 1}, "VERSION_CONFLICT"),
            ({"id": str(new_id()), "name": "X"}, "UNKNOWN_ID"),
            ({"id": str(unit.id), "code": None}, "INVALID_INPUT"),
        ):
            changed = (await graphql(caller, self.UPDATE, input=change))["businessUnitUpdate"]
            assert [problem["code"] for problem in changed["problems"]] == [code]

    async def test_can_be_changed_by_their_own_people_only(self, make: Factory, graphql: Execute) -> None:
        own, other = await make.unit(), await make.unit()
        lead = await make.user(business_unit_id=own.id)
        caller = actor(Permission.BUSINESS_UNITS_WRITE, user=lead, scope=Scope.UNIT)
        for unit, codes in ((own, []), (other, ["OUT_OF_SCOPE"])):
            changed = await graphql(caller, self.UPDATE, input={"id": str(unit.id), "name": "New"})
            assert [problem["code"] for problem in changed["businessUnitUpdate"]["problems"]] == codes
        created = (await graphql(caller, self.CREATE, input={"code": "X", "name": "X"}))["businessUnitCreate"]
        assert [problem["code"] for problem in created["problems"]] == ["OUT_OF_SCOPE"]

    async def test_are_listed_found_and_ordered(self, make: Factory, graphql: Execute) -> None:
        await make.unit(code="b", name="Alpha")
        second = await make.unit(code="A", name="Beta")
        caller = actor(Permission.USERS_READ)

        async def codes(**variables: Any) -> list[str]:
            page = (await graphql(caller, self.LIST, **variables))["businessUnits"]
            assert page["total"] == len(page["items"])
            return [item["code"] for item in page["items"]]

        assert await codes() == ["A", "b"]
        assert await codes(orderBy="NAME") == ["b", "A"]
        assert await codes(filter={"search": "ALPH"}) == ["b"]
        assert await codes(filter={"ids": [str(second.id)]}) == ["A"]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("{ users(size: 200) { total nextUpdatedAfter items { id firstName email lastLoginAt } } }", "users"),
        (
            "{ users(size: 200) { items { id roles { name permissions { permission } } businessUnit { code } } } }",
            "users",
        ),
        (
            """{ users(size: 200) { items {
              months(from: "2026-01", to: "2026-02") { load cells { days } } assignments { project { code } } } } }""",
            "users",
        ),
        ("{ businessUnits(size: 200) { total items { id name } } }", "businessUnits"),
    ],
)
async def test_lists_take_the_same_number_of_statements_whatever_their_length(
    make: Factory, database: Database, graphql: Execute, statements: Any, query: str, first: str
) -> None:
    boss, project = await make.user(), await make.project()

    async def people(wanted: int) -> None:
        async with database.transaction(Actor(None)) as tx:
            await tx.session.execute(
                text(
                    "INSERT INTO business_units (id, code, name) SELECT gen_random_uuid(), 'U' || n || :wanted, 'Unit'"
                    " FROM generate_series(1, :wanted) AS n"
                ),
                {"wanted": wanted},
            )
            await tx.session.execute(
                text(
                    "INSERT INTO users (id, first_name, last_name, status, is_active, business_unit_id)"
                    " SELECT gen_random_uuid(), 'A', code, 'ACTIVE', true, id FROM business_units"
                )
            )
            await tx.session.execute(
                text(
                    "INSERT INTO user_roles (user_id, role_id) SELECT users.id, roles.id FROM users, roles"
                    " WHERE roles.name IN ('member', 'hr') ON CONFLICT DO NOTHING"
                )
            )

            await tx.session.execute(
                text(
                    "INSERT INTO assignments (id, user_id, project_id, rate, start_date, end_date) SELECT"
                    " gen_random_uuid(), id, :project, 5, '2026-01-01', '2026-01-31' FROM users ON CONFLICT DO NOTHING"
                ),
                {"project": project.id},
            )

    counts = []
    for wanted in (10, 300):
        await people(wanted)
        statements.clear()
        data = await graphql(admin(boss), query)
        assert len(data[first]["items"]) >= min(wanted, 200)
        counts.append(len(statements))
    assert counts[0] == counts[1]
    assert counts[0] <= 8
