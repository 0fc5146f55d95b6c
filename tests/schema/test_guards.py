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

from schema import build_schema
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

SCHEMA = build_schema()
CORE: GraphQLSchema = SCHEMA._schema
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


class TestEveryRootField:
    @pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, name, _ in root_fields()])
    def test_has_exactly_one_guard_and_is_public_only_by_name(self, kind: str, name: str) -> None:
        (guard,) = guards(field_of(kind, name))
        assert isinstance(guard, Public) == (name in PUBLIC)
        assert isinstance(guard, Authenticated) == (name in SIGNED_IN)

    def test_has_an_example(self) -> None:
        fields = {name for _, name, _ in root_fields()} - PUBLIC
        assert fields - EXAMPLES.keys() == set(), "add an example to tests/schema/examples.py"

    def test_that_lists_has_pages_or_a_bound(self) -> None:
        bare = {
            name
            for kind, name, field in root_fields()
            if kind == "query" and isinstance(getattr(field.type, "of_type", None), GraphQLList)
        }
        assert bare <= WHOLE_LISTS.keys()


class TestEveryMutation:
    MUTATIONS = sorted(CORE.mutation_type.fields) if CORE.mutation_type else []

    @pytest.mark.parametrize("name", MUTATIONS)
    def test_takes_one_input_and_answers_a_payload(self, name: str) -> None:
        field = field_of("mutation", name)
        title = name[0].upper() + name[1:]
        assert {key: str(argument.type) for key, argument in field.args.items()} == {"input": f"{title}Input!"}
        assert str(field.type) == f"{title}Payload!"
        payload = cast("GraphQLObjectType", get_named_type(field.type))
        assert "Payload" in {interface.name for interface in payload.interfaces}
        own = [field for key, field in payload.fields.items() if key not in ("problems", "warnings")]
        assert own, "a payload shows what was changed"


def test_every_guarded_field_of_other_types_has_an_example() -> None:
    assert set(NESTED_GUARDED) - NESTED.keys() == set(), "add an example to tests/schema/examples.py"


def test_what_is_not_for_everyone_is_reached_by_guarded_fields_only() -> None:
    """A type that has a permission of its own must not be in reach of callers who hold only another type's."""
    sensitive = {"Contract", "Absence", "AuditEntry", "ApiToken", "Role"}
    bare = {
        f"{kind}.{name}"
        for kind, name, field in nested_fields()
        if get_named_type(field.type).name in sensitive
        and not guards(field)
        and not kind.endswith(("Page", "Payload", "Edge"))
    }
    assert bare == set()


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


def test_everything_has_a_description() -> None:
    assert sorted(name for name, description in described_parts() if not description) == []


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

    def __init__(self, database: Database, settings: Settings, bus: Bus, world: World) -> None:
        self.database, self.settings, self.bus, self.world = database, settings, bus, world

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
            return await SCHEMA.execute(text, variable_values=arguments, context_value=context)
        results = await SCHEMA.subscribe(text, variable_values=arguments, context_value=context)
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
        """A digest of every table but the audit log."""
        async with self.database.reads.session() as session:
            names = await session.scalars(
                text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'audit_logs'")
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
async def calls(database: Database, settings: Settings, bus: Bus, make: Factory) -> Calls:
    return Calls(database, settings, bus, await World.build(make, database))


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


@pytest.mark.parametrize(
    ("name", "argument", "value"),
    [
        (name, argument, value)
        for kind, name, field in root_fields()
        for argument, value in (("size", 201), ("size", 0), ("page", 0), ("first", 201), ("first", 0))
        if kind == "query" and argument in field.args
    ],
)
async def test_pages_out_of_bounds_are_refused(calls: Calls, name: str, argument: str, value: int) -> None:
    arguments = {**await EXAMPLES[name](calls.world), argument: value}
    caller = await calls.caller(permission_of("query", name))
    assert await calls.codes(document("query", name, arguments), caller, arguments) == ["BAD_REQUEST"]


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
