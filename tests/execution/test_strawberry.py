"""Strawberry schemas: the same answers through Strawberry's own execute, synchronously too, and on subscriptions."""

from __future__ import annotations

import asyncio
import enum
import functools
from collections.abc import AsyncGenerator
from datetime import date
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import pytest
import strawberry
from strawberry import relay
from strawberry.extensions import FieldExtension, SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from execution import CompiledExecutor
from tests.execution.executors import comparable, run_strawberry


@strawberry.enum
class Status(enum.Enum):
    OPEN = "open"
    CLOSED = "closed"


@strawberry.interface
class Named:
    name: str


@strawberry.type
class Person(Named):
    id: strawberry.ID
    status: Status
    rate: Decimal
    since: date
    key: UUID
    note: str | None = None
    boss_name: strawberry.Private[str] = "nobody"

    @strawberry.field
    def upper(self) -> str:
        return self.name.upper()

    @strawberry.field
    async def later(self) -> str:
        await asyncio.sleep(0)
        return self.boss_name

    @strawberry.field
    def with_info(self, info: strawberry.Info) -> str:
        return f"{info.field_name} {'.'.join(map(str, info.path.as_list()))} {info.python_name} {info.return_type}"

    @strawberry.field
    def fails(self) -> str | None:
        raise ValueError(f"{self.name} fails")

    @strawberry.field
    def add(self, number: int, to: list[int] | None = None) -> int:
        return number + sum(to or [])

    @strawberry.field
    def by_parent(parent: strawberry.Parent[Any]) -> str:
        return str(parent.name)

    @strawberry.field
    def by_root(root: Any) -> str:
        return str(root.name)


@strawberry.type
class Robot(Named):
    version: int


@strawberry.input
class Filter:
    names: list[str]
    status: Status = Status.OPEN


@strawberry.type
class Leaf(relay.Node):
    code: relay.NodeID[str]
    text: str

    @classmethod
    def resolve_nodes(cls, *, info: Any, node_ids: Any, required: bool = False) -> Any:
        return [Leaf(code=code, text=f"leaf {code}") for code in node_ids]


class Shout(FieldExtension):
    def resolve(self, next_: Any, source: Any, info: Any, **kwargs: Any) -> Any:
        return f"{next_(source, info, **kwargs)}!"


def person(name: str) -> Person:
    return Person(
        name=name,
        id=strawberry.ID(name),
        status=Status.OPEN if name < "b" else Status.CLOSED,
        rate=Decimal("1.50"),
        since=date(2026, 1, 31),
        key=UUID(int=7),
    )


@strawberry.type
class Query:
    node: relay.Node = relay.node()

    @relay.connection(relay.ListConnection[Leaf])
    def leaves(self) -> list[Leaf]:
        return [Leaf(code=code, text=code) for code in "abc"]

    @strawberry.field
    def people(self) -> list[Person]:
        return [person(name) for name in ("ada", "bob")]

    @strawberry.field
    async def people_later(self) -> list[Person]:
        return [person(name) for name in ("ada", "bob")]

    @strawberry.field
    def named(self) -> list[Named]:
        return [person("ada"), Robot(name="r2", version=2)]

    @strawberry.field
    def anyone(self) -> list[Annotated[Person | Robot, strawberry.union("Anyone")]]:
        return [Robot(name="r2", version=2), person("ada")]

    @strawberry.field
    def filtered(self, filter: Filter, limit: int | None = strawberry.UNSET) -> str:
        return f"{filter.names} {filter.status} {limit is strawberry.UNSET}"

    @strawberry.field(extensions=[Shout()])
    def shouted(self, text: str = "hey") -> str:
        return text

    @strawberry.field
    def extensions_seen(self, info: strawberry.Info) -> str:
        return str(info.input_extensions)


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def rename(self, name: str) -> Person:
        return person(name)

    @strawberry.mutation
    def refuse(self) -> str | None:
        raise ValueError("refused")


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def people(self, names: list[str]) -> AsyncGenerator[Person, None]:
        for name in names:
            yield person(name)


SCHEMA = strawberry.Schema(Query, Mutation, Subscription, types=[Robot])


DOCUMENTS = [
    "{ people { id name status rate since key note upper byParent byRoot } }",
    "{ people { withInfo other: withInfo add(number: 1) more: add(number: 1, to: [2, 3]) } }",
    "{ people { name fails } }",
    "{ named { __typename name ... on Robot { version } ...P } } fragment P on Person { status }",
    "{ anyone { __typename ... on Named { name } ... on Person { upper } } }",
    '{ filtered(filter: {names: ["a"]}) other: filtered(filter: {names: [], status: CLOSED}, limit: 3) }',
    '{ shouted other: shouted(text: "no") extensionsSeen }',
    "{ leaves(first: 2) { pageInfo { hasNextPage endCursor } edges { cursor node { id text __typename } } } }",
    '{ node(id: "TGVhZjph") { id ... on Leaf { text } } }',
    "mutation { refuse }",
    "{ __schema { types { name fields { name isDeprecated args { name type { name } } } } directives { name } } }",
    '{ __type(name: "Filter") { isOneOf inputFields { name defaultValue } } }',
]
LATER = [
    "{ peopleLater { name later } people { later } }",
    'mutation { first: rename(name: "x") { name later } second: rename(name: "y") { name } }',
]


@pytest.mark.parametrize("text", DOCUMENTS + LATER)
async def test_documents_are_answered_as_by_strawberry(text: str) -> None:
    await run_strawberry(SCHEMA, text)


@pytest.mark.parametrize("text", DOCUMENTS)
async def test_documents_are_answered_synchronously(text: str) -> None:
    await run_strawberry(SCHEMA, text, sync=True)


async def test_variables_reach_the_resolvers() -> None:
    text = "query ($names: [String!]!, $limit: Int) { filtered(filter: {names: $names}, limit: $limit) }"
    data, _ = await run_strawberry(SCHEMA, text, variable_values={"names": ["x"]})
    assert data == {"filtered": "['x'] Status.OPEN True"}


async def test_operation_extensions_reach_the_resolvers() -> None:
    data, _ = await run_strawberry(SCHEMA, "{ extensionsSeen }", operation_extensions={"trace": 1})
    assert data == {"extensionsSeen": "{'trace': 1}"}


async def test_subscription_events_run_compiled() -> None:
    text = 'subscription { people(names: ["a", "b"]) { name later fails } }'
    outcomes = []
    for executor, events in ((StrawberryGraphQLCoreExecutionContext, 0), (CompiledExecutor, 2)):
        compiled = CompiledExecutor.compiled
        SCHEMA.execution_context_class = executor
        stream: Any = await SCHEMA.subscribe(text)
        outcomes.append([comparable(event) async for event in stream])
        assert CompiledExecutor.compiled == compiled + events
    assert outcomes[0] == outcomes[1]
    assert len(outcomes[1]) == 2


@strawberry.type
class Plain:
    @strawberry.field
    def upper(self) -> str:
        return "ADA"

    @strawberry.field
    async def numbers(self) -> strawberry.Streamable[int]:
        for number in range(3):
            yield number


async def test_an_async_generator_is_a_list_on_graphql_core() -> None:
    before = CompiledExecutor.fallbacks["list from an async iterable"]
    result = await strawberry.Schema(Plain, execution_context_class=CompiledExecutor).execute("{ upper numbers }")
    assert result.data == {"upper": "ADA", "numbers": [0, 1, 2]}
    assert CompiledExecutor.fallbacks["list from an async iterable"] == before + 1


async def test_a_resolver_wrapped_by_an_instrumentation_is_called() -> None:
    called: list[str] = []
    schema = strawberry.Schema(Plain, execution_context_class=CompiledExecutor)
    field = schema._schema.type_map["Plain"].fields["upper"]  # type: ignore[attr-defined]
    inner = field.resolve

    @functools.wraps(inner)
    def instrumented(source: Any, info: Any, **arguments: Any) -> Any:
        called.append(info.field_name)
        return inner(source, info, **arguments)

    field.resolve = instrumented
    result = await schema.execute("{ upper }")
    assert result.data == {"upper": "ADA"}
    assert called == ["upper"]


async def test_a_schema_extension_that_resolves_sends_the_operation_to_graphql_core() -> None:
    class Trace(SchemaExtension):
        def resolve(self, _next: Any, root: Any, info: Any, *args: Any, **kwargs: Any) -> Any:
            return _next(root, info, *args, **kwargs)

    before = CompiledExecutor.fallbacks["resolve middleware"]
    schema = strawberry.Schema(Plain, execution_context_class=CompiledExecutor, extensions=[Trace])
    result = await schema.execute("{ upper }")
    assert result.data == {"upper": "ADA"}
    assert CompiledExecutor.fallbacks["resolve middleware"] == before + 1


class OutOfStock(Exception):
    pass


@strawberry.type
class Refusal:
    reason: str


@strawberry.type
class Order:
    number: int


class Refuse(strawberry.ExceptionHandler[OutOfStock, Refusal]):
    def handle(self, exception: OutOfStock, *, field: Any, info: Any) -> Refusal:
        return Refusal(reason=f"{info.field_name}: {exception}")


@strawberry.type
class Shop:
    name: str = "shop"

    @strawberry.field
    def order(self, number: int) -> Order | Refusal:
        if number > 1:
            raise OutOfStock("none left")
        return Order(number=number)

    @strawberry.field
    def plain(self) -> str | None:
        raise OutOfStock("not handled")


async def test_exception_handlers_turn_errors_into_values() -> None:
    text = """{ name plain one: order(number: 1) { ...F } two: order(number: 2) { ...F } }
        fragment F on OrderRefusal { __typename ... on Order { number } ... on Refusal { reason } }"""
    schema = strawberry.Schema(Shop, exception_handlers=[Refuse()])
    data, errors = await run_strawberry(schema, text, root_value=Shop())
    assert data["two"] == {"__typename": "Refusal", "reason": "order: none left"}
    assert data["one"] == {"__typename": "Order", "number": 1}
    assert errors == ["plain: not handled"]


@strawberry.type
class Thing:
    name: str


@strawberry.type
class Things:
    @strawberry.field
    def things(self) -> list[Thing | None]:
        return [object(), Thing(name="x")]  # type: ignore[list-item]


async def test_a_field_without_its_attribute_is_an_error() -> None:
    data, errors = await run_strawberry(strawberry.Schema(Things), "{ things { name } }")
    assert data == {"things": [None, {"name": "x"}]}
    assert errors == ["things.0.name: 'object' object has no attribute 'name'"]


async def test_an_own_default_resolver_is_used() -> None:
    config = StrawberryConfig(default_resolver=lambda source, name: f"{name} of {type(source).__name__}")
    data, _ = await run_strawberry(strawberry.Schema(Things, config=config), "{ things { name } }")
    assert data == {"things": [{"name": "name of object"}, {"name": "name of Thing"}]}
