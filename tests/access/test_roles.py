"""Roles: the shipped ones, a company's own, who may hand them out, and the last admin."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from server.access import role_repository
from server.access.models import ApiTokenRow, InvitationRow, RefreshTokenRow, RoleRow, UserRoleRow
from server.access.permissions import NARROWABLE, PERMISSION_TEXTS
from server.access.roles import SHIPPED_ROLES, write_shipped_roles
from server.access.service import accounts, roles
from server.actor import Actor, Permission, Scope, system_actor
from server.database import Database
from server.errors import Refused
from server.events import AccessChanged, Bus
from server.ids import new_id
from server.users.models import UserRow, UserStatus
from tests.conftest import Execute
from tests.factories import Factory, actor, admin, moment

SET = """mutation ($input: UserSetRolesInput!) { userSetRoles(input: $input) {
  user { version roles { name } } problems { code errors { path code } } } }"""
CREATE = """mutation ($input: RoleCreateInput!) { roleCreate(input: $input) {
  role { id name description shipped version permissions { permission scope } }
  problems { code errors { path code } } } }"""
UPDATE = CREATE.replace("Create", "Update")
DEACTIVATE = """mutation ($input: UserDeactivateInput!) { userDeactivate(input: $input) {
  user { status isActive version } problems { code errors { path code } } } }"""
REACTIVATE = DEACTIVATE.replace("Deactivate", "Reactivate")

ROLE = {name: str(role_repository.shipped_role_id(name)) for name in SHIPPED_ROLES}


async def give(make: Factory, user: UserRow, *names: str) -> UserRow:
    for name in names:
        await make.add(UserRoleRow(user_id=user.id, role_id=role_repository.shipped_role_id(name)))
    return user


async def administrator(make: Factory, **values: Any) -> UserRow:
    return await give(make, await make.user(password_hash="x", **values), "admin")


async def one(database: Database, statement: str, **values: Any) -> Any:
    async with database.reads.session() as session:
        return (await session.execute(text(statement), values)).scalar_one()


async def audit(database: Database, action: str) -> list[dict[str, Any]]:
    async with database.reads.session() as session:
        rows = await session.execute(
            text("SELECT metadata FROM audit_logs WHERE action = :action ORDER BY id"), {"action": action}
        )
        return list(rows.scalars())


class TestShipped:
    def table(self, role: str) -> dict[str, str]:
        return {permission.value: scope.name for permission, scope in SHIPPED_ROLES[role].grants.items()}

    READS_PLANS = dict.fromkeys(
        ["absences:read", "contracts:read", "planning:read", "projects:read", "settings:read", "users:read"], "ALL"
    )
    READS_LOAD = dict.fromkeys(["planning:read", "projects:read", "settings:read", "users:read"], "ALL")

    def test_are_these_seven(self) -> None:
        assert list(SHIPPED_ROLES) == ["admin", "planner", "manager", "member", "analyst", "hr", "integration"]

    def test_admin_holds_everything_everywhere(self) -> None:
        assert self.table("admin") == {permission.value: "ALL" for permission in Permission}

    def test_planner_changes_all_plans_projects_and_months_and_starts_syncs(self) -> None:
        writes = ["planning:write", "assignments:write", "projects:write", "months:close", "sync:read", "sync:write"]
        assert self.table("planner") == {**self.READS_PLANS, **dict.fromkeys(writes, "ALL")}

    def test_manager_changes_what_is_of_the_own_unit(self) -> None:
        writes = ["planning:write", "assignments:write", "absences:write", "projects:write"]
        assert self.table("manager") == {**self.READS_PLANS, **dict.fromkeys(writes, "UNIT")}

    def test_member_changes_the_own_cells(self) -> None:
        assert self.table("member") == {**self.READS_LOAD, "planning:write": "OWN"}

    def test_analyst_exports_and_sees_all_but_personal_data(self) -> None:
        more = ["roles:read", "sync:read", "data:export"]
        assert self.table("analyst") == {**self.READS_PLANS, **dict.fromkeys(more, "ALL")}

    def test_hr_changes_contracts_absences_capacities_and_mappings(self) -> None:
        more = ["absences:read-type", "contracts:write", "absences:write", "capacities:write"]
        mappings = ["mappings:read", "mappings:write"]
        assert self.table("hr") == {**self.READS_PLANS, **dict.fromkeys([*more, *mappings], "ALL")}

    def test_integration_has_nothing_of_its_own(self) -> None:
        assert self.table("integration") == {}

    def test_narrow_only_what_can_be_narrowed(self) -> None:
        for role in SHIPPED_ROLES.values():
            narrow = {permission for permission, scope in role.grants.items() if scope is not Scope.ALL}
            assert narrow <= NARROWABLE

    async def test_are_in_the_database_as_in_code(self, database: Database, graphql: Execute) -> None:
        query = "{ roles { total items { id name shipped description permissions { permission scope } } } }"
        page = (await graphql(actor(Permission.ROLES_READ), query))["roles"]
        assert page["total"] == 7
        assert page["items"] == [
            {
                "id": ROLE[name],
                "name": name,
                "shipped": True,
                "description": SHIPPED_ROLES[name].description,
                "permissions": [
                    {"permission": permission.name, "scope": SHIPPED_ROLES[name].grants[permission].name}
                    for permission in sorted(SHIPPED_ROLES[name].grants)
                ],
            }
            for name in sorted(SHIPPED_ROLES)
        ]

    async def test_writing_them_again_changes_nothing(self, database: Database) -> None:
        everything = """SELECT json_build_array(
          (SELECT json_agg(r ORDER BY id) FROM roles r), (SELECT json_agg(p ORDER BY id) FROM permissions p),
          (SELECT json_agg(g ORDER BY role_id, permission_id) FROM role_permissions g))::text"""
        before = await one(database, everything)
        async with database.transaction(system_actor("test")) as tx:
            await write_shipped_roles(tx)
        assert await one(database, everything) == before

    async def test_writing_them_heals_what_differs_and_keeps_a_companys_own(
        self, database: Database, make: Factory
    ) -> None:
        custom = await make.add(RoleRow(name="Custom"))
        async with database.transaction(system_actor("test")) as tx:
            for statement in (
                "INSERT INTO permissions (id, code, description) VALUES (gen_random_uuid(), 'gone:read', '')",
                "INSERT INTO role_permissions SELECT roles.id, permissions.id, 3 FROM roles, permissions"
                " WHERE roles.name IN ('member', 'Custom') AND code IN ('gone:read', 'users:write')",
                "DELETE FROM role_permissions WHERE role_id = (SELECT id FROM roles WHERE name = 'planner')",
                "UPDATE role_permissions SET scope = 3 WHERE scope = 2",
                "UPDATE roles SET description = 'Changed' WHERE name = 'hr'",
            ):
                await tx.session.execute(text(statement))
        async with database.transaction(system_actor("test")) as tx:
            await write_shipped_roles(tx)
        async with database.reads.session() as session:
            ids = [role_repository.shipped_role_id(name) for name in SHIPPED_ROLES]
            rows = await role_repository.grants(session, ids)
            held = {(row.role_id, row.code): row.scope for row in rows}
            own = await role_repository.grants(session, [custom.id])
        assert held == {
            (role_repository.shipped_role_id(name), permission.value): scope
            for name, role in SHIPPED_ROLES.items()
            for permission, scope in role.grants.items()
        }
        assert [(row.code, row.scope) for row in own] == [("users:write", 3)]
        assert await one(database, "SELECT count(*) FROM permissions") == len(Permission)
        assert await one(database, "SELECT description FROM roles WHERE name = 'hr'") == SHIPPED_ROLES["hr"].description

    async def test_cannot_be_changed(self, make: Factory, graphql: Execute) -> None:
        boss = await make.user()
        payload = (await graphql(admin(boss), UPDATE, input={"id": ROLE["member"], "name": "Guest"}))["roleUpdate"]
        assert payload["problems"] == [{"code": "READ_ONLY", "errors": [{"path": ["id"], "code": "READ_ONLY"}]}]


async def test_roles_come_in_the_order_that_is_asked_for(make: Factory, graphql: Execute) -> None:
    await make.add(RoleRow(name="Beta", description=""))
    await make.add(RoleRow(name="aaa", description=""))

    async def names(arguments: str) -> list[str]:
        data = await graphql(actor(Permission.ROLES_READ), f"{{ roles({arguments}) {{ items {{ name }} }} }}")
        return [item["name"] for item in data["roles"]["items"]]

    shipped = sorted(SHIPPED_ROLES)
    assert await names("page: 1") == await names("orderBy: NAME") == sorted([*shipped, "aaa", "Beta"], key=str.lower)
    assert await names("orderBy: SHIPPED") == [*shipped, "aaa", "Beta"]


async def test_every_permission_is_listed_with_its_code_and_meaning(graphql: Execute, database: Database) -> None:
    query = "{ permissions { permission code description narrowable } }"
    listed = (await graphql(actor(Permission.ROLES_READ), query))["permissions"]
    assert listed == [
        {
            "permission": permission.name,
            "code": permission.value,
            "description": PERMISSION_TEXTS[permission],
            "narrowable": permission in NARROWABLE,
        }
        for permission in sorted(Permission)
    ]


class TestOwn:
    DRAFT: dict[str, Any] = {  # noqa: RUF012
        "name": " Project office ",
        "description": "Keeps projects",
        "permissions": [{"permission": "PROJECTS_WRITE", "scope": "UNIT"}, {"permission": "PROJECTS_READ"}],
    }

    async def test_is_created_with_what_it_grants(self, database: Database, make: Factory, graphql: Execute) -> None:
        boss = await make.user()
        role = (await graphql(admin(boss), CREATE, input=self.DRAFT))["roleCreate"]["role"]
        assert role.pop("id")
        grants = [
            {"permission": "PROJECTS_READ", "scope": "ALL"},
            {"permission": "PROJECTS_WRITE", "scope": "UNIT"},
        ]
        facts = {"name": "Project office", "description": "Keeps projects", "shipped": False, "version": 1}
        assert role == {**facts, "permissions": grants}
        codes = {"projects:read": "ALL", "projects:write": "UNIT"}
        assert await audit(database, "role.created") == [
            {"after": {"name": "Project office", "description": "Keeps projects", "permissions": codes}}
        ]

    async def test_is_changed_and_everyone_is_told(
        self, database: Database, bus: Bus, make: Factory, graphql: Execute
    ) -> None:
        boss = await make.user()
        role = (await graphql(admin(boss), CREATE, input=self.DRAFT))["roleCreate"]["role"]
        async with bus.subscribe(AccessChanged) as events:
            change = {
                "id": role["id"],
                "name": "PMO",
                "permissions": [{"permission": "PROJECTS_WRITE"}],
                "expectedVersion": 1,
            }
            changed = (await graphql(admin(boss), UPDATE, input=change))["roleUpdate"]
            assert await asyncio.wait_for(events.get(), 2) == AccessChanged(None)
        assert changed["problems"] == []
        assert (changed["role"]["name"], changed["role"]["version"]) == ("PMO", 2)
        assert changed["role"]["permissions"] == [{"permission": "PROJECTS_WRITE", "scope": "ALL"}]
        assert await audit(database, "role.updated") == [
            {
                "before": {
                    "name": "Project office",
                    "permissions": {"projects:read": "ALL", "projects:write": "UNIT"},
                },
                "after": {"name": "PMO", "permissions": {"projects:write": "ALL"}},
            }
        ]

    async def test_keeps_its_grants_when_only_its_name_changes(self, make: Factory, graphql: Execute) -> None:
        boss = await make.user()
        role = (await graphql(admin(boss), CREATE, input=self.DRAFT))["roleCreate"]["role"]
        changed = (await graphql(admin(boss), UPDATE, input={"id": role["id"], "name": "PMO"}))["roleUpdate"]
        assert changed["role"]["permissions"] == role["permissions"]

    async def test_can_lose_all_its_grants(self, make: Factory, graphql: Execute) -> None:
        boss = await make.user()
        role = (await graphql(admin(boss), CREATE, input=self.DRAFT))["roleCreate"]["role"]
        changed = (await graphql(admin(boss), UPDATE, input={"id": role["id"], "permissions": []}))["roleUpdate"]
        assert (changed["role"]["permissions"], changed["role"]["version"]) == ([], 2)

    @pytest.mark.parametrize(
        ("change", "errors"),
        [
            ({"name": " "}, [(["name"], "INVALID_NAME")]),
            (
                {"name": "x" * 81, "description": "\0"},
                [(["name"], "INVALID_NAME"), (["description"], "INVALID_DESCRIPTION")],
            ),
            (
                {"permissions": [{"permission": "USERS_READ"}, {"permission": "USERS_READ"}]},
                [(["permissions", "1", "permission"], "DUPLICATE")],
            ),
            (
                {"permissions": [{"permission": "PLANNING_READ", "scope": "UNIT"}]},
                [(["permissions", "0", "scope"], "SCOPE_NOT_SUPPORTED")],
            ),
        ],
    )
    async def test_refuses_bad_facts(
        self, database: Database, make: Factory, graphql: Execute, change: dict[str, Any], errors: list[Any]
    ) -> None:
        boss = await make.user()
        payload = (await graphql(admin(boss), CREATE, input={**self.DRAFT, **change}))["roleCreate"]
        assert [(error["path"], error["code"]) for error in payload["problems"][0]["errors"]] == errors
        assert await one(database, "SELECT count(*) FROM roles") == 7

    async def test_refuses_a_taken_name_a_stale_version_and_an_unknown_id(
        self, make: Factory, graphql: Execute
    ) -> None:
        boss = await make.user()
        role = (await graphql(admin(boss), CREATE, input=self.DRAFT))["roleCreate"]["role"]
        taken = (await graphql(admin(boss), CREATE, input={"name": "ADMIN"}))["roleCreate"]
        assert taken["problems"] == [{"code": "DUPLICATE", "errors": [{"path": ["name"], "code": "DUPLICATE"}]}]
        for change, code in (
            ({"id": role["id"], "name": "HR"}, "DUPLICATE"),
            ({"id": role["id"], "name": "PMO", "expectedVersion": 9}, "VERSION_CONFLICT"),
            ({"id": str(new_id()), "name": "PMO"}, "UNKNOWN_ID"),
            ({"id": role["id"], "permissions": None}, "INVALID_INPUT"),
        ):
            payload = (await graphql(admin(boss), UPDATE, input=change))["roleUpdate"]
            assert [problem["code"] for problem in payload["problems"]] == [code]

    async def test_is_for_callers_who_reach_the_whole_company(self, make: Factory, graphql: Execute) -> None:
        unit = await make.unit()
        lead = await make.user(business_unit_id=unit.id)
        caller = actor(*Permission, user=lead, scope=Scope.UNIT)
        payload = (await graphql(caller, CREATE, input={"name": "Mine"}))["roleCreate"]
        assert [problem["code"] for problem in payload["problems"]] == ["OUT_OF_SCOPE"]


class TestNobodyHandsOutWhatTheyLack:
    async def test_in_a_new_role(self, database: Database, make: Factory, graphql: Execute) -> None:
        officer = actor(Permission.ROLES_WRITE, Permission.PROJECTS_READ, user=await make.user())
        payload = (await graphql(officer, CREATE, input=TestOwn.DRAFT))["roleCreate"]
        assert payload["problems"] == [
            {"code": "PERMISSION_NOT_HELD", "errors": [{"path": ["permissions"], "code": "PERMISSION_NOT_HELD"}]}
        ]
        assert await one(database, "SELECT count(*) FROM roles") == 7

    @pytest.mark.parametrize("wanted", [[], [{"permission": "PLANNING_WRITE", "scope": "ALL"}]])
    async def test_by_narrowing_or_widening_a_role(
        self, make: Factory, graphql: Execute, wanted: list[dict[str, str]]
    ) -> None:
        draft = {"name": "Team", "permissions": [{"permission": "PLANNING_WRITE", "scope": "UNIT"}]}
        role = (await graphql(admin(await make.user()), CREATE, input=draft))["roleCreate"]["role"]
        grants = {Permission.ROLES_WRITE: Scope.ALL, Permission.PLANNING_WRITE: Scope.OWN}
        officer = Actor((await make.user()).id, grants)
        payload = (
            await graphql(
                officer,
                UPDATE.replace("permissions { permission scope }", ""),
                input={"id": role["id"], "permissions": wanted},
            )
        )["roleUpdate"]
        assert [problem["code"] for problem in payload["problems"]] == ["PERMISSION_NOT_HELD"]

    @pytest.mark.parametrize(
        ("scope", "codes"), [(Scope.OWN, ["PERMISSION_NOT_HELD"]), (Scope.UNIT, []), (Scope.ALL, [])]
    )
    async def test_by_giving_a_role_with_a_wider_scope(
        self, database: Database, make: Factory, graphql: Execute, scope: Scope, codes: list[str]
    ) -> None:
        officer, person = await make.user(), await make.user()
        grants = dict.fromkeys(Permission, Scope.ALL)
        grants |= dict.fromkeys(SHIPPED_ROLES["manager"].grants.keys() & NARROWABLE, scope)
        wanted = {"userId": str(person.id), "roleIds": [ROLE["manager"]]}
        payload = (await graphql(Actor(officer.id, grants), SET, input=wanted))["userSetRoles"]
        assert [problem["code"] for problem in payload["problems"]] == codes
        assert await one(database, "SELECT count(*) FROM user_roles") == (0 if codes else 1)

    async def test_by_taking_a_role_away(self, database: Database, make: Factory, graphql: Execute) -> None:
        officer = actor(Permission.ROLES_WRITE, user=await make.user())
        person = await give(make, await make.user(), "hr")
        payload = (await graphql(officer, SET, input={"userId": str(person.id), "roleIds": []}))["userSetRoles"]
        assert [problem["code"] for problem in payload["problems"]] == ["PERMISSION_NOT_HELD"]
        assert await one(database, "SELECT count(*) FROM user_roles") == 1

    async def test_by_letting_somebody_in_again(self, database: Database, make: Factory, graphql: Execute) -> None:
        officer = actor(Permission.USERS_WRITE, user=await make.user())
        person = await give(make, await make.user(status=UserStatus.DEACTIVATED, is_active=False), "hr")
        payload = (await graphql(officer, REACTIVATE, input={"id": str(person.id)}))["userReactivate"]
        assert [problem["code"] for problem in payload["problems"]] == ["PERMISSION_NOT_HELD"]


class TestHolders:
    async def test_hold_what_was_set_and_nothing_else(
        self, database: Database, bus: Bus, make: Factory, graphql: Execute
    ) -> None:
        boss = await make.user()
        person = await give(make, await make.user(), "member", "analyst")
        wanted = {"userId": str(person.id), "roleIds": [ROLE["member"], ROLE["hr"], ROLE["hr"]], "expectedVersion": 1}
        async with bus.subscribe(AccessChanged) as events:
            payload = (await graphql(admin(boss), SET, input=wanted))["userSetRoles"]
            assert await asyncio.wait_for(events.get(), 2) == AccessChanged(person.id)
        assert payload == {"user": {"version": 2, "roles": [{"name": "hr"}, {"name": "member"}]}, "problems": []}
        assert await audit(database, "user.roles_set") == [
            {"before": {"roles": ["analyst", "member"]}, "after": {"roles": ["hr", "member"]}}
        ]
        by = "SELECT granted_by_id FROM user_roles JOIN roles ON roles.id = role_id WHERE name = 'hr'"
        assert await one(database, by) == boss.id

    async def test_setting_what_is_held_changes_nothing(
        self, database: Database, make: Factory, graphql: Execute
    ) -> None:
        person = await give(make, await make.user(), "member")
        wanted = {"userId": str(person.id), "roleIds": [ROLE["member"]]}
        payload = (await graphql(admin(await make.user()), SET, input=wanted))["userSetRoles"]
        assert payload["user"]["version"] == 1
        assert await audit(database, "user.roles_set") == []

    async def test_are_refused_unknown_roles_too_many_and_a_stale_version(
        self, make: Factory, graphql: Execute
    ) -> None:
        boss, person = await make.user(), await make.user(version=3)
        for change, path, code in (
            ({"roleIds": [ROLE["hr"], str(new_id())]}, ["roleIds", "1"], "UNKNOWN_ID"),
            ({"roleIds": [ROLE["hr"]] * 51}, ["roleIds"], "TOO_MANY"),
            ({"roleIds": [], "expectedVersion": 2}, ["expectedVersion"], "VERSION_CONFLICT"),
            ({"roleIds": [], "userId": str(new_id())}, ["userId"], "UNKNOWN_ID"),
        ):
            payload = (await graphql(admin(boss), SET, input={"userId": str(person.id), **change}))["userSetRoles"]
            assert [error for each in payload["problems"] for error in each["errors"]] == [{"path": path, "code": code}]

    async def test_of_another_unit_are_out_of_reach(self, database: Database, make: Factory, graphql: Execute) -> None:
        own, other = await make.unit(), await make.unit()
        lead = await make.user(business_unit_id=own.id)
        grants = {**dict.fromkeys(Permission, Scope.ALL), Permission.ROLES_WRITE: Scope.UNIT}
        caller = Actor(lead.id, grants, business_unit_id=own.id)
        for unit, codes in ((own, []), (other, ["OUT_OF_SCOPE"])):
            person = await make.user(business_unit_id=unit.id)
            wanted = {"userId": str(person.id), "roleIds": [ROLE["member"]]}
            payload = (await graphql(caller, SET, input=wanted))["userSetRoles"]
            assert [problem["code"] for problem in payload["problems"]] == codes
        assert await one(database, "SELECT count(*) FROM user_roles") == 1

    async def test_are_found_by_role_by_who_may_see_roles(self, make: Factory, graphql: Execute) -> None:
        query = "query ($ids: [UUID!]) { users(filter: {roleIds: $ids}) { total items { id } } }"
        person = await give(make, await make.user(), "hr", "member")
        await give(make, await make.user(), "member")
        seeing = actor(Permission.USERS_READ, Permission.ROLES_READ)
        page = (await graphql(seeing, query, ids=[ROLE["hr"], ROLE["admin"]]))["users"]
        assert page == {"total": 1, "items": [{"id": str(person.id)}]}
        errors = await graphql(actor(Permission.USERS_READ), query, ids=[ROLE["hr"]], errors=True)
        assert [error["extensions"]["code"] for error in errors] == ["FORBIDDEN"]

    async def test_see_their_own_roles_without_a_permission_for_it(self, make: Factory, graphql: Execute) -> None:
        person = await give(make, await make.user(), "member")
        query = "query ($id: UUID!) { user(id: $id) { roles { name } } }"
        own = await graphql(actor(Permission.USERS_READ, user=person), query, id=str(person.id))
        assert own["user"]["roles"] == [{"name": "member"}]


class TestDeactivation:
    async def test_ends_sessions_and_invitations_and_is_told(
        self, database: Database, bus: Bus, make: Factory, graphql: Execute
    ) -> None:
        boss, person = await make.user(), await make.user(password_hash="x")
        later = moment("2100-01-01")
        for token in ("one", "two"):
            row = RefreshTokenRow(user_id=person.id, family_id=new_id(), token_hash=token, expires_at=later)
            await make.add(row)
        await make.add(InvitationRow(user_id=person.id, token_hash="three", expires_at=later))
        async with bus.subscribe(AccessChanged) as events:
            payload = (await graphql(admin(boss), DEACTIVATE, input={"id": str(person.id)}))["userDeactivate"]
            assert await asyncio.wait_for(events.get(), 2) == AccessChanged(person.id)
        assert payload == {"user": {"status": "DEACTIVATED", "isActive": False, "version": 2}, "problems": []}
        assert await one(database, "SELECT count(*) FROM refresh_tokens WHERE revoked_at IS NULL") == 0
        assert await one(database, "SELECT count(*) FROM invitations") == 0
        assert await audit(database, "user.deactivated") == [
            {
                "before": {"status": "ACTIVE", "is_active": True},
                "after": {"status": "DEACTIVATED", "is_active": False},
                "sessions_ended": 2,
            }
        ]

    async def test_can_be_undone(self, database: Database, bus: Bus, make: Factory, graphql: Execute) -> None:
        boss, person = await make.user(), await make.user()
        await graphql(admin(boss), DEACTIVATE, input={"id": str(person.id)})
        async with bus.subscribe(AccessChanged) as events:
            payload = (await graphql(admin(boss), REACTIVATE, input={"id": str(person.id)}))["userReactivate"]
            assert await asyncio.wait_for(events.get(), 2) == AccessChanged(person.id)
        assert payload == {"user": {"status": "ACTIVE", "isActive": True, "version": 3}, "problems": []}
        assert len(await audit(database, "user.reactivated")) == 1

    async def test_of_somebody_deactivated_changes_nothing(
        self, database: Database, make: Factory, graphql: Execute
    ) -> None:
        boss, person = await make.user(), await make.user(status=UserStatus.DEACTIVATED, is_active=False)
        payload = (await graphql(admin(boss), DEACTIVATE, input={"id": str(person.id)}))["userDeactivate"]
        assert (payload["user"]["version"], payload["problems"]) == (1, [])
        assert await audit(database, "user.deactivated") == []

    async def test_of_a_superuser_is_for_superusers(self, make: Factory, graphql: Execute) -> None:
        boss, root = await administrator(make), await make.user(is_superuser=True, password_hash="x")
        refused = (await graphql(admin(boss), DEACTIVATE, input={"id": str(root.id)}))["userDeactivate"]
        assert [problem["code"] for problem in refused["problems"]] == ["OUT_OF_SCOPE"]
        done = await graphql(Actor(root.id, is_superuser=True), DEACTIVATE, input={"id": str(root.id)})
        assert done["userDeactivate"]["problems"] == []

    async def test_knows_its_version_and_scope(self, make: Factory, graphql: Execute) -> None:
        own, other = await make.unit(), await make.unit()
        lead = await make.user(business_unit_id=own.id)
        person = await make.user(business_unit_id=other.id)
        caller = actor(Permission.USERS_WRITE, user=lead, scope=Scope.UNIT)
        for mutation, name in ((DEACTIVATE, "userDeactivate"), (REACTIVATE, "userReactivate")):
            out = (await graphql(caller, mutation, input={"id": str(person.id)}))[name]
            assert [problem["code"] for problem in out["problems"]] == ["OUT_OF_SCOPE"]
            stale = {"id": str(person.id), "expectedVersion": 7}
            conflict = (await graphql(admin(lead), mutation, input=stale))[name]
            assert [problem["code"] for problem in conflict["problems"]] == ["VERSION_CONFLICT"]


class TestTheLastAdmin:
    """Somebody who holds every right, is active, and can sign in, always remains."""

    async def test_cannot_be_deactivated(self, database: Database, make: Factory, graphql: Execute) -> None:
        last = await administrator(make)
        # None of these could administer in their place.
        await give(make, await make.user(), "admin")  # has no password
        await administrator(make, status=UserStatus.INVITED)
        await administrator(make, status=UserStatus.DEACTIVATED, is_active=False)
        await administrator(make, is_service=True)
        payload = (await graphql(admin(last), DEACTIVATE, input={"id": str(last.id)}))["userDeactivate"]
        assert payload["problems"] == [{"code": "LAST_ADMIN", "errors": [{"path": ["id"], "code": "LAST_ADMIN"}]}]
        assert await one(database, "SELECT is_active FROM users WHERE id = :id", id=last.id) is True
        assert await audit(database, "user.deactivated") == []

    async def test_cannot_lose_the_role(self, database: Database, make: Factory, graphql: Execute) -> None:
        last = await administrator(make)
        wanted = {"userId": str(last.id), "roleIds": [ROLE["member"]]}
        payload = (await graphql(admin(last), SET, input=wanted))["userSetRoles"]
        assert [problem["code"] for problem in payload["problems"]] == ["LAST_ADMIN"]
        assert await one(database, "SELECT role_id FROM user_roles") == role_repository.shipped_role_id("admin")

    async def test_is_not_the_last_beside_another_admin_or_a_superuser(self, make: Factory, graphql: Execute) -> None:
        first, second = await administrator(make), await administrator(make)
        payload = (await graphql(admin(first), DEACTIVATE, input={"id": str(first.id)}))["userDeactivate"]
        assert payload["problems"] == []
        await make.user(is_superuser=True, password_hash="x")
        wanted = {"userId": str(second.id), "roleIds": []}
        payload = (await graphql(admin(second), SET, input=wanted))["userSetRoles"]
        assert payload["problems"] == []

    @pytest.mark.parametrize("second_by", ["deactivation", "role"])
    async def test_remains_when_two_callers_remove_the_last_two_at_once(
        self, database: Database, make: Factory, second_by: str
    ) -> None:
        one_, two = await administrator(make), await administrator(make)
        arrived = asyncio.Barrier(2)

        async def remove(victim: UserRow, by: UserRow, how: str) -> str:
            try:
                async with database.transaction(admin(by)) as tx:
                    await arrived.wait()
                    if how == "role":
                        await roles.set_user_roles(tx, victim.id, [], None)
                    else:
                        await accounts.deactivate(tx, victim.id, None)
                    await asyncio.sleep(0.05)
                return "removed"
            except Refused as refused:
                return refused.problems[0].code

        outcomes = await asyncio.gather(remove(one_, two, "deactivation"), remove(two, one_, second_by))
        assert sorted(outcomes) == ["LAST_ADMIN", "removed"]
        async with database.reads.session() as session:
            assert await role_repository.has_administrator(session)


async def test_a_token_can_hand_out_no_more_than_its_scopes(make: Factory, graphql: Execute) -> None:
    """An API token acts with its scopes as grants, whatever its maker holds."""
    tool = await make.user(is_service=True, email=None)
    token = await make.add(
        ApiTokenRow(
            user_id=tool.id,
            name="t",
            token_hash="h",
            hint="pdc_",
            scopes=["roles:write"],
            expires_at=moment("2100-01-01"),
        )
    )
    person = await make.user()
    caller = actor(Permission.ROLES_WRITE, user=tool, token_id=token.id)
    wanted = {"userId": str(person.id), "roleIds": [ROLE["admin"]]}
    payload = (await graphql(caller, SET.replace("roles { name }", ""), input=wanted))["userSetRoles"]
    assert [problem["code"] for problem in payload["problems"]] == ["PERMISSION_NOT_HELD"]


async def test_roles_take_the_same_number_of_statements_whatever_their_number(
    database: Database, make: Factory, graphql: Execute, statements: Any
) -> None:
    query = "{ roles(size: 200) { total items { name permissions { permission scope } } } }"
    counts = []
    for wanted in (10, 190):
        async with database.transaction(Actor(None)) as tx:
            await tx.session.execute(
                text(
                    "WITH made AS (INSERT INTO roles (id, name) SELECT gen_random_uuid(), gen_random_uuid()"
                    " FROM generate_series(1, :wanted) RETURNING id)"
                    " INSERT INTO role_permissions SELECT made.id, permissions.id, 3 FROM made, permissions"
                ),
                {"wanted": wanted},
            )
        statements.clear()
        items = (await graphql(actor(Permission.ROLES_READ), query))["roles"]["items"]
        assert len(items) == min(7 + 10 + (190 if wanted > 10 else 0), 200)
        counts.append(len(statements))
    assert counts == [3, 3]


class TestPeopleWhoMayDoMore:
    """Whoever sets another's e-mail could sign in as them, and whoever shuts them out takes their rights away."""

    @pytest.mark.parametrize(
        "document",
        [
            'mutation ($id: UUID!) { userUpdate(input: {id: $id, email: "mine@example.test"}) { problems { code } } }',
            "mutation ($id: UUID!) { userDeactivate(input: {id: $id}) { problems { code } } }",
        ],
    )
    async def test_are_out_of_reach_for_people_who_may_less(self, graphql, make, database, document):
        planner = await make.user()
        await make.add(UserRoleRow(user_id=planner.id, role_id=role_repository.shipped_role_id("planner")))
        caller = actor(Permission.USERS_WRITE, user=await make.user())
        [payload] = (await graphql(caller, document, id=str(planner.id))).values()
        assert payload["problems"] == [{"code": "PERMISSION_NOT_HELD"}]
        assert await one(database, f"SELECT email FROM users WHERE is_active AND id = '{planner.id}'") == planner.email
