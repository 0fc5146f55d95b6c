"""Values: scalars, enums, lists, abstract types, arguments, conditions, fragments and introspection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInt,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    GraphQLUnionType,
    build_schema,
    execute,
    get_introspection_query,
    parse,
)
from graphql.pyutils import Undefined

from execution import CompiledExecutor
from tests.execution.executors import run_both

LEAVES = build_schema("""
    type Query { ints: [Int]  floats: [Float]  texts: [String]  truths: [Boolean]  ids: [ID] }
""")


@pytest.mark.parametrize(
    ("field", "values", "expected"),
    [
        ("ints", [1, None, -5], [1, None, -5]),
        ("ints", [2**31 - 1, -(2**31)], [2**31 - 1, -(2**31)]),
        ("ints", [1, 2**31], [1, None]),
        ("ints", [True, "7", 3.0, Decimal(4)], [1, 7, 3, 4]),
        ("floats", [0.5, None, 2, Decimal("1.5")], [0.5, None, 2, 1.5]),
        ("floats", [1.0, float("nan"), float("inf")], [1.0, None, None]),
        ("floats", [1e308, 1e308], [1e308, 1e308]),
        ("texts", ["a", 5, True, None], ["a", "5", "true", None]),
        ("texts", ["a", {"no": "text"}], ["a", None]),
        ("truths", [True, 0, None, "x"], [True, False, None, None]),
        ("ids", ["a", 4, None, 1.5], ["a", "4", None, None]),
        ("ints", [Undefined, 1], [None, 1]),
    ],
)
async def test_built_in_scalars_are_serialised_as_by_graphql_core(field: str, values: list[Any], expected: Any) -> None:
    data, _ = await run_both(LEAVES, f"{{ {field} }}", root={field: values})
    assert data == {field: expected}


async def test_a_replaced_serialiser_is_used_at_once() -> None:
    upper = GraphQLScalarType("Upper", serialize=lambda value: value.upper())
    schema = GraphQLSchema(GraphQLObjectType("Query", {"text": GraphQLField(upper)}))
    assert await run_both(schema, "{ text }", root={"text": "a"}) == ({"text": "A"}, [])
    upper.coerce_output_value = lambda value: value * 2  # type: ignore[method-assign]
    assert await run_both(schema, "{ text }", root={"text": "a"}) == ({"text": "aa"}, [])


async def test_a_replaced_serialiser_of_a_built_in_scalar_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GraphQLString, "coerce_output_value", lambda value: f"<{value}>")
    data, _ = await run_both(LEAVES, "{ texts }", root={"texts": ["a", "b"]})
    assert data == {"texts": ["<a>", "<b>"]}


async def test_a_serialiser_that_fails_or_returns_nothing_is_an_error_per_value() -> None:
    calls: list[Any] = []

    def serialise(value: Any) -> Any:
        calls.append(value)
        if value == "bad":
            raise ValueError("bad value")
        return None if value == "nothing" else value

    scalar = GraphQLScalarType("Own", serialize=serialise)
    schema = GraphQLSchema(GraphQLObjectType("Query", {"list": GraphQLField(GraphQLList(scalar))}))
    data, errors = await run_both(schema, "{ list }", root={"list": ["a", "bad", "nothing", "b"]})
    assert data == {"list": ["a", None, None, "b"]}
    assert errors[0] == "list.1: bad value"
    assert errors[1].endswith("to return non-nullable value, returned: None")
    assert calls == ["a", "bad", "nothing", "b"] * 2


async def test_enums_are_serialised_by_name_and_unknown_values_refused() -> None:
    colour = GraphQLEnumType("Colour", {"RED": 1, "GREEN": (2,)})
    schema = GraphQLSchema(GraphQLObjectType("Query", {"list": GraphQLField(GraphQLList(colour))}))
    data, errors = await run_both(schema, "{ list }", root={"list": [1, (2,), 7, 1, [3]]})
    assert data == {"list": ["RED", "GREEN", None, "RED", None]}
    assert errors == [
        "list.2: Enum 'Colour' cannot represent value: 7",
        "list.4: Enum 'Colour' cannot represent value: [3]",
    ]


PETS = build_schema("""
    interface Pet { name: String }
    type Dog implements Pet { name: String  barks: Boolean }
    type Cat implements Pet { name: String  lives: Int }
    union Any = Dog | Cat
    type Query { pets: [Pet]  anything: [Any]  dog: Dog }
""")


async def test_abstract_types_are_resolved_per_value_in_place() -> None:
    rows = [
        {"__typename": "Dog", "name": "Rex", "barks": True},
        {"__typename": "Cat", "name": "Tom", "lives": 9},
        {"__typename": "Dog", "name": "Ben", "barks": False},
    ]
    text = """{
        pets { __typename name ... on Dog { barks } ...Lives }
        anything { ... on Pet { name } ... on Cat { lives } }
    } fragment Lives on Cat { lives }"""
    data, errors = await run_both(PETS, text, root={"pets": rows, "anything": rows})
    assert errors == []
    assert data["pets"] == [
        {"__typename": "Dog", "name": "Rex", "barks": True},
        {"__typename": "Cat", "name": "Tom", "lives": 9},
        {"__typename": "Dog", "name": "Ben", "barks": False},
    ]
    assert data["anything"] == [{"name": "Rex"}, {"name": "Tom", "lives": 9}, {"name": "Ben"}]


@pytest.mark.parametrize("name", [None, "Query", "Missing", 5])
async def test_a_wrong_runtime_type_is_an_error_of_that_value(name: Any) -> None:
    rows = [{"__typename": "Dog", "name": "Rex"}, {"__typename": name, "name": "?"}]
    data, errors = await run_both(PETS, "{ pets { name } }", root={"pets": rows})
    assert data == {"pets": [{"name": "Rex"}, None]}
    assert [error.split(":")[0] for error in errors] == ["pets.1"]


async def test_types_found_by_is_type_of_sync_and_async() -> None:
    async def is_cat(value: Any, _info: Any) -> bool:
        return value["kind"] == "cat"

    face = GraphQLInterfaceType("Face", {"kind": GraphQLField(GraphQLString)})
    dog = GraphQLObjectType(
        "Dog", {"kind": GraphQLField(GraphQLString)}, [face], lambda value, _info: value["kind"] == "dog"
    )
    cat = GraphQLObjectType("Cat", {"kind": GraphQLField(GraphQLString)}, [face], is_cat)
    union = GraphQLUnionType("Both", [dog, cat])
    query = GraphQLObjectType(
        "Query", {"faces": GraphQLField(GraphQLList(face)), "both": GraphQLField(GraphQLList(union))}
    )
    rows = [{"kind": "cat"}, {"kind": "dog"}, {"kind": "cow"}]
    text = "{ faces { __typename kind } both { __typename } }"
    data, errors = await run_both(GraphQLSchema(query, types=[dog, cat]), text, root={"faces": rows, "both": rows})
    assert data["faces"] == [{"__typename": "Cat", "kind": "cat"}, {"__typename": "Dog", "kind": "dog"}, None]
    assert len(errors) == 2


async def test_is_type_of_refuses_a_foreign_value() -> None:
    dog = GraphQLObjectType("Dog", {"name": GraphQLField(GraphQLString)}, is_type_of=lambda value, _info: value["dog"])
    schema = GraphQLSchema(GraphQLObjectType("Query", {"dogs": GraphQLField(GraphQLList(dog))}))
    root = {"dogs": [{"dog": True, "name": "Rex"}, {"dog": False, "name": "Tom"}]}
    data, errors = await run_both(schema, "{ dogs { name } }", root=root)
    assert data == {"dogs": [{"name": "Rex"}, None]}
    assert errors == ["dogs.1: Expected value of type 'Dog' but got: {'dog': False, 'name': 'Tom'}."]


async def test_parents_may_be_mappings_objects_and_both() -> None:
    @dataclass
    class Row:
        name: str

    class Lazy(Mapping[str, Any]):
        def __getitem__(self, key: str) -> Any:
            return {"name": "lazy"}[key]

        def __iter__(self) -> Any:
            return iter(["name"])

        def __len__(self) -> int:
            return 1

    class Called:
        def name(self, _info: Any) -> str:
            return "called"

    rows = [{"__typename": "Dog", "name": "dict"}, Row("object"), Lazy(), Called(), object()]
    schema = build_schema("type Dog { name: String } type Query { dogs: [Dog] }")
    data, _ = await run_both(schema, "{ dogs { name } }", root={"dogs": rows})
    assert [row["name"] for row in data["dogs"]] == ["dict", "object", "lazy", "called", None]


async def test_any_iterable_is_a_list_but_texts_and_mappings_are_not() -> None:
    schema = build_schema("type Query { lists: [[Int]] }")
    root = {"lists": [[1], (2,), {3}, range(2), {"a": 1}, "x", {"b": 2}.values()]}
    data, errors = await run_both(schema, "{ lists }", root=root)
    assert data == {"lists": [[1], [2], [3], [0, 1], None, None, [2]]}
    assert len(errors) == 2


ARGUMENTS = build_schema("""
    input Filter { from: Int = 3  names: [String!]  inner: Filter }
    type Query { echo(filter: Filter, number: Int = 7, list: [Int!]): String }
""")


@pytest.mark.parametrize(
    ("text", "variables", "expected"),
    [
        ("{ echo }", None, "{'number': 7}"),
        ("{ echo(number: null) }", None, "{'number': None}"),
        ("{ echo(filter: {}) }", None, "{'filter': {'from': 3}, 'number': 7}"),
        ("query ($n: Int) { echo(number: $n) }", {}, "{'number': 7}"),
        ("query ($n: Int = 9) { echo(number: $n) }", {}, "{'number': 9}"),
        ("query ($n: Int!) { echo(list: [1, $n]) }", {"n": 2}, "{'number': 7, 'list': [1, 2]}"),
        (
            'query ($s: String!) { echo(filter: {inner: {names: ["a", $s]}}) }',
            {"s": "b"},
            "{'filter': {'from': 3, 'inner': {'from': 3, 'names': ['a', 'b']}}, 'number': 7}",
        ),
    ],
)
async def test_arguments_are_coerced(text: str, variables: Any, expected: str) -> None:
    root = {"echo": lambda _info, **arguments: str(arguments)}
    data, errors = await run_both(ARGUMENTS, text, root=root, variable_values=variables)
    assert errors == []
    assert data == {"echo": expected}


async def test_conditions_take_their_values_from_each_request() -> None:
    schema = build_schema("type Query { a: Int  b: Int  c: Int }")
    text = "query ($a: Boolean!, $b: Boolean!) { a @include(if: $a) ...F @skip(if: $b) c } fragment F on Query { b }"
    document = parse(text)
    for a in (True, False):
        for b in (True, False):
            result: Any = execute(
                schema,
                document,
                {"a": 1, "b": 2, "c": 3},
                variable_values={"a": a, "b": b},
                executor_class=CompiledExecutor,
            )
            assert result.data == {**({"a": 1} if a else {}), **({} if b else {"b": 2}), "c": 3}


async def test_repeated_fields_are_merged_in_the_order_of_their_first_mention() -> None:
    text = "{ dog { name } ...D dog { again: name } } fragment D on Query { dog { barks } }"
    data, _ = await run_both(PETS, text, root={"dog": {"name": "Rex", "barks": True}})
    assert list(data["dog"].items()) == [("name", "Rex"), ("barks", True), ("again", "Rex")]


async def test_hundreds_of_aliases_are_answered() -> None:
    aliases = " ".join(f"a{number}: name" for number in range(400))
    data, _ = await run_both(PETS, f"{{ dog {{ {aliases} }} }}", root={"dog": {"name": "Rex"}})
    assert data["dog"] == {f"a{number}": "Rex" for number in range(400)}


async def test_an_empty_selection_is_an_empty_object() -> None:
    data, _ = await run_both(PETS, "{ dog { name @skip(if: true) } }", root={"dog": {}})
    assert data == {"dog": {}}


async def test_introspection() -> None:
    data, errors = await run_both(ARGUMENTS, get_introspection_query(descriptions=True, input_value_deprecation=True))
    assert errors == []
    assert data["__schema"]["queryType"]["name"] == "Query"


async def test_a_resolver_is_told_its_own_path() -> None:
    def resolve(_source: Any, info: Any) -> str:
        return ".".join(map(str, info.path.as_list())) + f" {info.parent_type} {info.return_type} {info.field_name}"

    row = GraphQLObjectType("Row", lambda: {"path": GraphQLField(GraphQLString, resolve=resolve)})
    lists = GraphQLField(GraphQLList(GraphQLList(row)), resolve=lambda *_: [[1, 2], [3]])
    schema = GraphQLSchema(GraphQLObjectType("Query", {"lists": lists, "number": GraphQLField(GraphQLInt)}))
    data, _ = await run_both(schema, "{ lists { other: path } }")
    assert data["lists"][1] == [{"other": "lists.1.0.other Row String path"}]
