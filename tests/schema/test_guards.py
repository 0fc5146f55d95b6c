"""Nothing is bare: walks the schema, and tries every guarded field as callers who may and may not use it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any, cast

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_specified_directive,
    is_specified_scalar_type,
)
from sqlalchemy import text

from schema import Schema, build_schema
from schema.context import Context
from schema.permissions import Authenticated, Public, Requires
from server.access.permissions import NARROWABLE
from server.actor import Actor, Permission, Scope
from server.database import Database
from server.events import Bus
from server.settings import Settings
from tests.factories import Factory, actor
from tests.schema.examples import EXAMPLES, NESTED, World

PUBLIC = {"login", "refresh", "logout", "invitationAccept"}
SIGNED_IN = {"me", "passwordChange"}
WHOLE_LISTS = {
    "permissions": "as many as code has",
    "planningMonths": "by ids, up to 500",
    "planningCells": "by ids, up to 500",
    "closedMonths": "of a span of months",
    "calendar": "of a span of days",
}
"""root fields that answer a list without pages, and what bounds it"""

CORE: GraphQLSchema = build_schema()._schema
ROOTS = [kind for kind in (CORE.query_type, CORE.mutation_type, CORE.subscription_type) if kind]
ROOT_NAMES = {kind.name for kind in ROOTS}


def guards(field: GraphQLField) -> list[Any]:
    definition = field.extensions["strawberry-definition"]
    return [each for each in definition.directives if isinstance(each, Requires | Authenticated | Public)]


def root_fields() -> Iterator[tuple[str, str, GraphQLField]]:
    for kind in ROOTS:
        for name, field in kind.fields.items():
            yield kind.name.lower(), name, field


def nested_fields() -> Iterator[tuple[str, str, GraphQLField]]:
    for kind in CORE.type_map.values():
        composite = isinstance(kind, GraphQLObjectType | GraphQLInterfaceType)
        if composite and kind.name not in ROOT_NAMES and not kind.name.startswith("__"):
            for name, field in cast("GraphQLObjectType", kind).fields.items():
                yield kind.name, name, field


def required(field: GraphQLField) -> Permission | None:
    return next((guard.permission for guard in guards(field) if isinstance(guard, Requires)), None)


GUARDED = [(kind, name) for kind, name, field in root_fields() if required(field)]
SCOPED = [name for kind, name, field in root_fields() if kind == "mutation" and required(field) in NARROWABLE]
NESTED_GUARDED = [(kind, name) for kind, name, field in nested_fields() if guards(field)]

SHOWN_TO_SELF = [
    (kind, name)
    for kind, name, field in nested_fields()
    if any(getattr(guard, "or_self", None) is True for guard in guards(field))
]


def field_of(kind: str, name: str) -> GraphQLField:
    return cast("GraphQLObjectType", CORE.get_type(kind.capitalize())).fields[name]


def permission_of(kind: str, name: str) -> Permission:
    permission = required(field_of(kind, name))
    assert permission
    return permission


# --- what the schema says ---


def badly_guarded() -> set[str]:
    """Root fields without exactly one guard, or with one that lets in more callers than the lists above name."""
    kinds = {Public: PUBLIC, Authenticated: SIGNED_IN}
    return {
        name
        for _, name, field in root_fields()
        if len(guards(field)) != 1
        or any((type(guards(field)[0]) is kind) != (name in named) for kind, named in kinds.items())
    }


def without_page_or_bound() -> set[str]:
    """Queries that answer a list as it is; a list within a page is bounded by the page."""
    lists = {
        name
        for kind, name, field in root_fields()
        if kind == "query" and isinstance(getattr(field.type, "of_type", field.type), GraphQLList)
    }
    return lists - WHOLE_LISTS.keys()


def misshaped() -> set[str]:
    """Mutations that take anything but one input of their own, or answer anything but a payload of their own."""
    found = set()
    for name, field in CORE.mutation_type.fields.items() if CORE.mutation_type else ():
        title = name[0].upper() + name[1:]
        payload = get_named_type(field.type)
        interfaces = {each.name for each in getattr(payload, "interfaces", ())}
        own = set(getattr(payload, "fields", ())) - {"problems", "warnings"}
        takes = {key: str(argument.type) for key, argument in field.args.items()}
        shape = (takes, str(field.type), "Payload" in interfaces, bool(own))
        if shape != ({"input": f"{title}Input!"}, f"{title}Payload!", True, True):
            found.add(name)
    return found


def reached_bare() -> set[str]:
    """Fields by which a type that has a permission of its own is in reach of holders of only another type's."""
    return {
        f"{kind}.{name}"
        for kind, name, field in nested_fields()
        if get_named_type(field.type).name in {"Contract", "Absence", "AuditEntry", "ApiToken", "Role"}
        and not guards(field)
        and not kind.endswith(("Page", "Payload", "Edge"))
    }


def undescribed() -> list[str]:
    return sorted(name for name, description in described_parts() if not description)


def test_every_root_field_has_one_guard_and_few_are_for_everyone() -> None:
    assert badly_guarded() == set()


def test_every_root_field_has_an_example_and_no_example_has_lost_its_field() -> None:
    fields = {name for _, name, _ in root_fields()} - PUBLIC
    assert fields == EXAMPLES.keys(), "add an example to tests/schema/examples.py"


def test_every_list_has_pages_or_a_bound() -> None:
    assert without_page_or_bound() == set()


def test_every_mutation_takes_one_input_and_answers_a_payload() -> None:
    assert misshaped() == set()


def test_what_is_not_for_everyone_is_reached_by_guarded_fields_only() -> None:
    assert reached_bare() == set()


def test_everything_has_a_description() -> None:
    assert undescribed() == []


def test_the_guarded_fields_of_other_types_are_those_with_an_example() -> None:
    """Both ways: a field that loses its guard still has its example."""
    assert set(NESTED_GUARDED) == NESTED.keys(), "add an example to tests/schema/examples.py"


def described_parts() -> Iterator[tuple[str, str | None]]:
    """(name, description) of every type, enum value and input field, of every field and argument, and of directives."""
    for kind in CORE.type_map.values():
        if kind.name.startswith("__") or is_specified_scalar_type(kind) or kind.name in ROOT_NAMES:
            continue
        yield kind.name, kind.description
        parts = kind.values if isinstance(kind, GraphQLEnumType) else {}
        parts = kind.fields if isinstance(kind, GraphQLInputObjectType) else parts
        yield from ((f"{kind.name}.{name}", part.description) for name, part in parts.items())
    for owner, name, field in [*root_fields(), *nested_fields()]:
        yield f"{owner}.{name}", field.description
        if owner != "mutation":  # its one argument is described by the argument's type
            yield from ((f"{owner}.{name}({key})", part.description) for key, part in field.args.items())
    for directive in CORE.directives:
        if not is_specified_directive(directive):
            yield f"@{directive.name}", directive.description


# --- the walk itself: what is taken away is missed ---


def part(path: str) -> Any:
    """Type.field, Type.field(argument) or Type.VALUE of our schema, as graphql-core holds it."""
    owner, _, name = path.partition(".")
    kind: Any = CORE.get_type(owner)
    name, _, argument = name.rstrip(")").partition("(")
    found = kind if not name else kind.values[name] if isinstance(kind, GraphQLEnumType) else kind.fields[name]
    return found.args[argument] if argument else found


@pytest.mark.parametrize("name", ["Query.users", "Mutation.monthClose", "Subscription.planningChanged", "Query.me"])
def test_a_root_field_that_loses_its_guard_is_found(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(part(name).extensions["strawberry-definition"], "directives", [])
    assert badly_guarded() == {name.partition(".")[2]}


def test_a_root_field_that_becomes_public_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part("Query.auditLog").extensions["strawberry-definition"], "directives", [Public()])
    assert badly_guarded() == {"auditLog"}


def test_a_nested_field_that_loses_its_guard_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part("User.roles").extensions["strawberry-definition"], "directives", [])
    assert reached_bare() == {"User.roles"}
    guarded = {(kind, name) for kind, name, field in nested_fields() if guards(field)}
    assert guarded ^ NESTED.keys() == {("User", "roles")}


@pytest.mark.parametrize(
    "path", ["User", "User.email", "User.months(from)", "AbsenceStatus.APPROVED", "UserCreateInput.firstName"]
)
def test_a_part_without_a_description_is_found(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(part(path), "description", "")
    assert undescribed() == [path]


def test_a_second_argument_and_a_foreign_payload_of_a_mutation_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(part("Mutation.monthClose").args, "month", part("User.months(from)"))
    monkeypatch.setattr(part("Mutation.monthReopen"), "type", part("Mutation.monthClose").type)
    assert misshaped() == {"monthClose", "monthReopen"}


def test_a_list_without_a_page_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part("Query.projects"), "type", part("PlanningPage.items").type)
    assert without_page_or_bound() == {"projects"}


# --- what callers get ---


def document(kind: str, name: str, given: Collection[str]) -> str:
    """A call of the field with the given arguments as variables, asking for codes of problems or for nothing."""
    field = field_of(kind, name)
    variables = ", ".join(f"${key}: {field.args[key].type}" for key in given)
    arguments = ", ".join(f"{key}: ${key}" for key in given)
    call = f"{name}({arguments})" if given else name
    return f"{kind} {f'({variables})' if given else ''} {{ {call} {selection(field)} }}"


def selection(field: GraphQLField) -> str:
    kind = get_named_type(field.type)
    if not isinstance(kind, GraphQLObjectType):
        return ""
    if "problems" not in kind.fields:
        return "{ __typename }"
    results = "results { problem { code } }" if "results" in kind.fields else ""
    return f"{{ problems {{ code detail }} {results} }}"


def codes(answer: Any) -> set[str]:
    """Every `code` in the answer's data, at any depth."""
    if isinstance(answer, dict):
        found = {answer["code"]} if isinstance(answer.get("code"), str) else set()
        return found.union(*map(codes, answer.values()))
    return set().union(*map(codes, answer)) if isinstance(answer, list) else set()


class Calls:
    """Makes calls on the schema, and compares what they leave behind."""

    def __init__(self, schema: Schema, database: Database, settings: Settings, bus: Bus, world: World) -> None:
        self.schema, self.database, self.settings, self.bus, self.world = schema, database, settings, bus, world

    def context(self, caller: Actor | None) -> Context:
        return Context(self.database, self.settings, self.bus, caller, request_id="test")

    async def caller(self, *permissions: Permission, scope: Scope = Scope.ALL, **values: Any) -> Actor:
        """Somebody of another unit than the world's."""
        elsewhere = await self.world.make.unit()
        person = await self.world.make.user(business_unit_id=elsewhere.id)
        return actor(*permissions, user=person, scope=scope, **values)

    async def run(self, text: str, caller: Actor | None, arguments: dict[str, Any]) -> Any:
        context = self.context(caller)
        if not text.startswith("subscription"):
            return await self.schema.execute(text, variable_values=arguments, context_value=context)
        results = await self.schema.subscribe(text, variable_values=arguments, context_value=context)
        if not hasattr(results, "__aiter__"):
            return results
        stream = cast("Any", results)
        try:
            return await anext(stream)
        finally:
            await stream.aclose()

    async def codes(self, text: str, caller: Actor | None, arguments: dict[str, Any]) -> list[str]:
        result = await self.run(text, caller, arguments)
        return [cast("dict[str, str]", error.extensions)["code"] for error in result.errors or []]

    async def rows(self) -> dict[str, str]:
        """A digest of every table but the audit log and the plan's marks, left by statements that change no row too."""
        async with self.database.reads.session() as session:
            names = await session.scalars(
                text(
                    "SELECT tablename FROM pg_tables WHERE schemaname = 'public' "
                    "AND tablename NOT IN ('audit_logs', 'plan_marks')"
                )
            )
            digests = " UNION ALL ".join(
                f"SELECT '{name}', md5(string_agg(t::text, ' ' ORDER BY t::text)) FROM \"{name}\" AS t"
                for name in names
            )
            return dict((await session.execute(text(digests))).all())

    async def audited(self) -> list[str]:
        async with self.database.reads.session() as session:
            return list(await session.scalars(text("SELECT action FROM audit_logs ORDER BY id")))


@pytest.fixture
async def calls(schema: Schema, database: Database, settings: Settings, bus: Bus, make: Factory) -> Calls:
    return Calls(schema, database, settings, bus, await World.build(make, database))


class TestGuardedFields:
    """Four callers, and a fifth who has to change the password first."""

    @pytest.mark.parametrize(("kind", "name"), [*GUARDED, ("query", "me"), ("mutation", "passwordChange")])
    async def test_refuse_whoever_is_not_signed_in(self, calls: Calls, kind: str, name: str) -> None:
        arguments = await EXAMPLES[name](calls.world)
        before = await calls.rows()
        assert await calls.codes(document(kind, name, arguments), None, arguments) == ["UNAUTHENTICATED"]
        assert await calls.rows() == before
        assert await calls.audited() == []

    @pytest.mark.parametrize(("kind", "name"), GUARDED)
    async def test_refuse_whoever_holds_every_permission_but_the_one(self, calls: Calls, kind: str, name: str) -> None:
        needed = permission_of(kind, name)
        arguments = await EXAMPLES[name](calls.world)
        caller = await calls.caller(*(set(Permission) - {needed}))
        before = await calls.rows()
        assert await calls.codes(document(kind, name, arguments), caller, arguments) == ["FORBIDDEN"]
        assert await calls.rows() == before
        assert await calls.audited() == ["access.refused"]

    @pytest.mark.parametrize(("kind", "name"), GUARDED)
    async def test_refuse_whoever_must_change_the_password_first(self, calls: Calls, kind: str, name: str) -> None:
        arguments = await EXAMPLES[name](calls.world)
        caller = await calls.caller(*Permission, must_change_password=True)
        before = await calls.rows()
        assert await calls.codes(document(kind, name, arguments), caller, arguments) == ["FORBIDDEN"]
        assert await calls.rows() == before

    @pytest.mark.parametrize(("kind", "name"), GUARDED)
    async def test_answer_whoever_holds_the_permission_and_no_other(self, calls: Calls, kind: str, name: str) -> None:
        arguments = await EXAMPLES[name](calls.world)
        caller = await calls.caller(permission_of(kind, name))
        before = await calls.rows()
        result = await calls.run(document(kind, name, arguments), caller, arguments)
        assert result.errors is None
        assert codes(result.data) == set()
        if kind == "mutation":
            assert await calls.rows() != before
            assert await calls.audited() != []
        else:
            assert await calls.rows() == before

    @pytest.mark.parametrize("name", SCOPED)
    async def test_refuse_whoever_reaches_another_unit_only(self, calls: Calls, name: str) -> None:
        arguments = await EXAMPLES[name](calls.world)
        caller = await calls.caller(permission_of("mutation", name), scope=Scope.UNIT)
        before = await calls.rows()
        result = await calls.run(document("mutation", name, arguments), caller, arguments)
        assert result.errors is None
        assert codes(result.data) == {"OUT_OF_SCOPE"}
        assert await calls.rows() == before


class TestGuardedFieldsOfOtherTypes:
    @pytest.mark.parametrize(("kind", "name"), NESTED_GUARDED)
    async def test_show_nothing_to_whoever_is_not_signed_in(self, calls: Calls, kind: str, name: str) -> None:
        nested = NESTED[kind, name]
        arguments = await nested.prepare(calls.world)
        assert await calls.codes(nested.document, None, arguments) == ["UNAUTHENTICATED"]

    @pytest.mark.parametrize(("kind", "name"), NESTED_GUARDED)
    async def test_are_null_or_forbidden_without_the_permission(self, calls: Calls, kind: str, name: str) -> None:
        nested = NESTED[kind, name]
        (guard,) = guards(cast("GraphQLObjectType", CORE.get_type(kind)).fields[name])
        arguments = await nested.prepare(calls.world)
        caller = await calls.caller(*(set(Permission) - {guard.permission}))
        result = await calls.run(nested.document, caller, arguments)
        if guard.or_null is True:
            assert result.errors is None
            assert value_at(result.data, nested.path) is None
        else:
            assert [error.extensions["code"] for error in result.errors] == ["FORBIDDEN"]

    @pytest.mark.parametrize(("kind", "name"), NESTED_GUARDED)
    async def test_are_shown_with_the_permission(self, calls: Calls, kind: str, name: str) -> None:
        nested = NESTED[kind, name]
        (guard,) = guards(cast("GraphQLObjectType", CORE.get_type(kind)).fields[name])
        arguments = await nested.prepare(calls.world)
        result = await calls.run(nested.document, await calls.caller(*nested.needs, guard.permission), arguments)
        assert result.errors is None
        assert value_at(result.data, nested.path) not in (None, [])

    @pytest.mark.parametrize(("kind", "name"), SHOWN_TO_SELF)
    async def test_are_shown_to_the_person_they_are_about(self, calls: Calls, kind: str, name: str) -> None:
        nested = NESTED[kind, name]
        arguments = await nested.prepare(calls.world)
        caller = replace(await calls.caller(*nested.needs), user_id=calls.world.person.id)
        result = await calls.run(nested.document, caller, arguments)
        assert result.errors is None
        assert value_at(result.data, nested.path) not in (None, [])


def value_at(data: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        data = data[step]
    return data


# --- limits ---


PAGE_ARGUMENTS = {"size", "page", "first", "last", "limit"}
PAGED = [
    (name, argument, value)
    for kind, name, field in root_fields()
    for argument, value in (("size", 201), ("size", 0), ("page", 0), ("first", 201), ("first", 0))
    if kind == "query" and argument in field.args
]


def test_every_page_argument_is_tried_out_of_its_bounds() -> None:
    tried = {(name, argument) for name, argument, _ in PAGED}
    arguments = {(name, key) for _, name, field in [*root_fields(), *nested_fields()] for key in field.args}
    assert {(name, key) for name, key in arguments if key in PAGE_ARGUMENTS} == tried | {("refusals", "first")}


@pytest.mark.parametrize("first", [0, 1001])
async def test_more_than_a_thousand_refusals_of_a_run_are_refused(calls: Calls, first: int) -> None:
    arguments = await EXAMPLES["syncRun"](calls.world)
    caller = await calls.caller(Permission.SYNC_READ)
    text = f"query ($id: UUID!) {{ syncRun(id: $id) {{ refusals(first: {first}) {{ code }} }} }}"
    assert await calls.codes(text, caller, arguments) == ["BAD_REQUEST"]


@pytest.mark.parametrize(("name", "argument", "value"), PAGED)
async def test_pages_out_of_bounds_are_refused(calls: Calls, name: str, argument: str, value: int) -> None:
    arguments = {**await EXAMPLES[name](calls.world), argument: value}
    caller = await calls.caller(permission_of("query", name))
    assert await calls.codes(document("query", name, arguments), caller, arguments) == ["BAD_REQUEST"]


async def test_without_the_maximum_a_page_out_of_bounds_would_be_answered(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The walk itself again: nothing but the maximum refuses what the test above tries."""
    monkeypatch.setattr("schema.pages.MAX_SIZE", 10_000)
    caller = await calls.caller(permission_of("query", "users"))
    assert await calls.codes(document("query", "users", ["size"]), caller, {"size": 201}) == []


@pytest.mark.parametrize(
    "name",
    [
        name
        for kind, name, field in root_fields()
        if kind == "query" and "ids" in field.args and isinstance(field.args["ids"].type, GraphQLNonNull)
    ],
)
async def test_more_than_500_ids_are_refused(calls: Calls, name: str) -> None:
    ids = [str(calls.world.person.id)] * 501
    caller = await calls.caller(permission_of("query", name))
    assert await calls.codes(document("query", name, ["ids"]), caller, {"ids": ids}) == ["BAD_REQUEST"]
