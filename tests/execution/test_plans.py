"""Plans: compiled once, for one schema only, and never with a resolver of yesterday."""

from __future__ import annotations

from typing import Any

from graphql import (
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLString,
    GraphQLUnionType,
    build_schema,
    execute,
    parse,
)

from execution import CompiledExecutor
from execution.documents import DocumentCache
from tests.execution.executors import answer, run_both

SDL = "type Query { a: String  b: String  row: Row } type Row { a: String }"


def run(schema: GraphQLSchema, document: Any, **arguments: Any) -> Any:
    return execute(schema, document, executor_class=CompiledExecutor, **arguments)


def test_a_document_is_compiled_once() -> None:
    schema, document = build_schema(SDL), parse("{ a }")
    before = CompiledExecutor.plans
    assert [run(schema, document, root_value={"a": letter}).data for letter in "xyz"] == [
        {"a": "x"},
        {"a": "y"},
        {"a": "z"},
    ]
    assert CompiledExecutor.plans == before + 1


def test_each_combination_of_conditions_is_compiled_once() -> None:
    schema = build_schema(SDL)
    document = parse("query ($x: Boolean!, $y: Boolean = true, $z: String) { a @skip(if: $x) b @include(if: $y) }")
    before = CompiledExecutor.plans
    for x in (True, False, True):
        for z in ("one", "other"):  # no condition depends on it
            data = run(schema, document, root_value={"a": "a", "b": "b"}, variable_values={"x": x, "z": z}).data
            assert data == ({"b": "b"} if x else {"a": "a", "b": "b"})
    assert CompiledExecutor.plans == before + 2


def test_two_schemas_share_no_plan() -> None:
    document = parse("{ a }")
    for value in ("one", "two"):
        schema = GraphQLSchema(
            GraphQLObjectType("Query", {"a": GraphQLField(GraphQLString, resolve=lambda *_, value=value: value)})
        )
        assert run(schema, document).data == {"a": value}


def test_two_schemas_that_share_their_types_share_no_plan() -> None:
    a, b = (GraphQLObjectType(name, {"x": GraphQLField(GraphQLString)}) for name in "AB")
    query = GraphQLObjectType("Query", {"a": GraphQLField(a)})
    document = parse("{ a { ... on U { x } } }")
    for members, expected in (([a], {"x": "x"}), ([b], {}), ([a, b], {"x": "x"})):
        schema = GraphQLSchema(query, types=[GraphQLUnionType("U", members)])
        assert run(schema, document, root_value={"a": {"x": "x"}}).data == {"a": expected}


def test_operations_of_one_document_have_plans_of_their_own() -> None:
    schema, document = build_schema(SDL), parse("query One { a } query Two { b }")
    root = {"a": "a", "b": "b"}
    assert run(schema, document, root_value=root, operation_name="One").data == {"a": "a"}
    assert run(schema, document, root_value=root, operation_name="Two").data == {"b": "b"}


def test_a_resolver_replaced_later_is_used() -> None:
    schema, document = build_schema(SDL), parse("{ row { a } }")
    assert run(schema, document, root_value={"row": {"a": "old"}}).data == {"row": {"a": "old"}}
    schema.type_map["Row"].fields["a"].resolve = lambda *_: "new"  # type: ignore[attr-defined]
    assert run(schema, document, root_value={"row": {"a": "old"}}).data == {"row": {"a": "new"}}


def test_the_default_resolvers_of_each_request_are_used() -> None:
    schema, document = build_schema(SDL), parse("{ a }")
    assert run(schema, document, root_value={"a": "root"}).data == {"a": "root"}
    assert run(schema, document, field_resolver=lambda *_: "own").data == {"a": "own"}
    assert run(schema, document, root_value={"a": "root"}).data == {"a": "root"}


def test_the_type_resolver_of_each_request_is_used() -> None:
    schema = build_schema(
        "interface I { a: String } type X implements I { a: String }"
        " type Y implements I { a: String } type Query { i: I }"
    )
    document = parse("{ i { __typename } }")
    for name in ("X", "Y"):
        data = run(schema, document, root_value={"i": {}}, type_resolver=lambda *_, name=name: name).data
        assert data == {"i": {"__typename": name}}


def test_the_cache_is_bounded() -> None:
    schema = build_schema(SDL)
    size = CompiledExecutor.documents.size
    for number in range(size + 20):
        assert run(schema, parse(f"{{ a{number}: a }}"), root_value={"a": "a"}).data == {f"a{number}": "a"}
    assert len(CompiledExecutor.documents) == size


def test_the_least_recently_used_document_is_forgotten_first() -> None:
    class Small(CompiledExecutor):
        documents = DocumentCache(2)

    schema = build_schema(SDL)
    first, second, third = (parse(f"{{ x{number}: a }}") for number in range(3))
    for document in (first, second, first, third):
        execute(schema, document, executor_class=Small)
    before = CompiledExecutor.plans
    execute(schema, first, executor_class=Small)
    assert CompiledExecutor.plans == before
    execute(schema, second, executor_class=Small)
    assert CompiledExecutor.plans == before + 1


def test_fragment_arguments_take_their_values_from_each_request() -> None:
    schema = build_schema("type Query { echo(text: String): String  yes: String }")
    text = """query ($v: String) { ...F(x: $v, on: true) }
        fragment F($x: String, $on: Boolean!) on Query { echo(text: $x) yes @include(if: $on) }"""
    document = parse(text, experimental_fragment_arguments=True)
    root = {"echo": lambda _info, text: text, "yes": "yes"}
    for value in ("one", "two"):
        result = run(schema, document, root_value=root, variable_values={"v": value})
        assert result == ({"echo": value, "yes": "yes"}, None)


async def test_a_condition_without_a_value_is_an_error() -> None:
    data, errors = await run_both(build_schema(SDL), "{ a row { a @include } }", root={"a": "a", "row": {"a": "x"}})
    assert data == {"a": "a", "row": None}
    assert errors == ["row: Argument 'if' of required type 'Boolean!' was not provided."]


async def test_unknown_fields_of_unvalidated_documents_are_left_out() -> None:
    data, errors = await run_both(build_schema(SDL), "{ a nothing row { nothing } }", root={"a": "a", "row": {}})
    assert (data, errors) == ({"a": "a", "row": {}}, [])


async def test_an_operation_without_a_root_type_is_refused() -> None:
    result = await answer(build_schema(SDL), "mutation { a }")
    assert result.data is None
    assert result.errors
    assert result.errors[0].message == "Schema is not configured to execute mutation operation."
