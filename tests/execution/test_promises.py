"""Rows whose class promises the types of its attributes: the same answers, and what is promised is not looked at."""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType
from typing import Any, ClassVar

import pytest
import strawberry
from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLError,
    GraphQLField,
    GraphQLID,
    GraphQLInt,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    GraphQLUnionType,
    execute,
    parse,
)
from graphql.execution.incremental import IncrementalExecutor

from execution import BatchLoader, CompiledExecutor, caller_only, loader_field
from tests.execution.executors import answer, run_both, run_strawberry

NAMES = ("id", "name", "note", "open", "number")


class Row(tuple[Any, ...]):
    """Counts what is read by name."""

    __promises__: ClassVar[Any] = {
        "id": (0, frozenset({str})),
        "name": (1, frozenset({str})),
        "note": (2, frozenset({str, NoneType})),
        "open": (3, frozenset({bool})),
        "number": (4, frozenset({int})),
    }
    read = 0

    def __getattr__(self, name: str) -> Any:
        if name not in NAMES:
            raise AttributeError(name)
        Row.read += 1
        return self[NAMES.index(name)]


class Brief(Row):
    """A subclass may read otherwise, and so promises nothing unless it says so itself."""

    @property
    def name(self) -> str:
        return "brief"


class Other(Row):
    __promises__: ClassVar[Any] = {"name": (0, frozenset({str}))}

    @property
    def name(self) -> str:
        return self[0]  # type: ignore[no-any-return]


ROWS = [Row(["a", "Ada", "first", True, 1]), Row(["b", "Bob", None, False, 2])]


def schema_of(fields: dict[str, Any] | None = None, **named: Any) -> GraphQLSchema:
    """`{ rows { … } }` over rows of these fields."""
    row = GraphQLObjectType(
        "Row",
        {
            "id": GraphQLField(GraphQLNonNull(GraphQLID)),
            "name": GraphQLField(GraphQLNonNull(GraphQLString)),
            "note": GraphQLField(GraphQLString),
            "open": GraphQLField(GraphQLBoolean),
            "number": GraphQLField(GraphQLInt),
            **(fields or {}),
            **named,
        },
    )
    return GraphQLSchema(GraphQLObjectType("Query", {"rows": GraphQLField(GraphQLList(row))}))


async def reads(schema: GraphQLSchema, text: str, **arguments: Any) -> int:
    """Return how many attributes the compiled operation read by name."""
    Row.read = 0
    await answer(schema, text, **arguments)
    return Row.read


@pytest.mark.parametrize(
    ("selection", "read"),
    [
        ("id name note open", 0),
        ("note a: name b: name name id", 0),
        ("open number name", 2),
        ("id __typename name @include(if: true) note @skip(if: true)", 0),
        ("... on Row { id } ...F", 0),
        (" ".join(f"a{number}: name" for number in range(300)), 600),
    ],
)
async def test_promised_attributes_are_taken_from_the_row_itself(selection: str, read: int) -> None:
    schema, fragment = schema_of(), "fragment F on Row { id name }" if "...F" in selection else ""
    text = f"{{ rows {{ {selection} }} }} {fragment}"
    data, errors = await run_both(schema, text, root={"rows": ROWS})
    assert len(data["rows"]) == 2
    assert errors == []
    assert await reads(schema, text, root_value={"rows": ROWS}) == read


async def test_the_order_of_keys_is_the_selection_s() -> None:
    fields = {"upper": GraphQLField(GraphQLString, resolve=lambda row, _info: row[1].upper())}
    result = await answer(schema_of(fields), "{ rows { upper id number name } }", root_value={"rows": ROWS})
    assert list(result.data["rows"][0].items()) == [("upper", "ADA"), ("id", "a"), ("number", 1), ("name", "Ada")]


async def test_a_null_that_the_field_does_not_admit_is_an_error() -> None:
    schema = schema_of(note=GraphQLField(GraphQLNonNull(GraphQLString)))
    data, errors = await run_both(schema, "{ rows { id note } }", root={"rows": ROWS})
    assert data == {"rows": [{"id": "a", "note": "first"}, None]}
    assert errors == ["rows.1.note: Cannot return null for non-nullable field Row.note."]


async def test_numbers_are_looked_at() -> None:
    data, errors = await run_both(schema_of(), "{ rows { number } }", root={"rows": [Row(["", "", "", True, 2**40])]})
    assert data == {"rows": [{"number": None}]}
    assert len(errors) == 1


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        ([ROWS[0], Brief(ROWS[1])], ["Ada", "brief"]),
        ([Brief(ROWS[1])], ["brief"]),
        ([ROWS[0], {"name": "mapping"}], ["Ada", "mapping"]),
        ([ROWS[0], None], ["Ada", None]),
    ],
    ids=["of a subclass beside it", "of a subclass", "beside a mapping", "beside null"],
)
async def test_only_rows_of_the_one_class_keep_its_promises(rows: list[Any], names: list[Any]) -> None:
    data, errors = await run_both(schema_of(), "{ rows { name } }", root={"rows": rows})
    assert ([row and row["name"] for row in data["rows"]], errors) == (names, [])


def test_a_selection_meets_one_class_after_the_other() -> None:
    schema, document = schema_of(), parse("{ rows { name } }")
    for rows, names in (([ROWS[0]], ["Ada"]), ([Other(["own"])], ["own"]), ([ROWS[1]], ["Bob"])):
        result: Any = execute(schema, document, {"rows": rows}, executor_class=CompiledExecutor)
        assert [row["name"] for row in result.data["rows"]] == names


def _denied(_info: Any) -> None:
    raise PermissionError("not for you")


@pytest.mark.parametrize(
    ("guard", "expected"), [(_denied, None), (lambda _info: None, "Ada")], ids=["denied", "allowed"]
)
async def test_guarded_fields_are_asked_for(guard: Callable[[Any], None], expected: str | None) -> None:
    schema = schema_of(secret=GraphQLField(GraphQLString, resolve=caller_only(guard, lambda row, _info: row[1])))
    data, errors = await run_both(schema, "{ rows { secret name } }", root={"rows": ROWS})
    assert data["rows"][0] == {"secret": expected, "name": "Ada"}
    assert len(errors) == (0 if expected else 2)


async def test_arguments_that_cannot_be_coerced_are_errors() -> None:
    def parse(value: Any) -> Any:
        raise GraphQLError(f"no: {value}")

    strict = GraphQLScalarType("Strict", parse_value=parse)
    schema = schema_of(name=GraphQLField(GraphQLString, args={"strict": GraphQLArgument(strict)}))
    text = "query ($v: Strict) { rows { a: name(strict: $v) b: name(strict: 1) c: name id } }"
    data, errors = await run_both(schema, text, root={"rows": ROWS})
    assert data["rows"][0] == {"a": "Ada", "b": None, "c": "Ada", "id": "a"}
    assert len(errors) == 2


def test_what_is_replaced_later_is_asked() -> None:
    shout = GraphQLScalarType("Shout", serialize=str)
    schema, document = schema_of(note=GraphQLField(shout)), parse("{ rows { id name note } }")

    def run() -> Any:
        first, second = (
            execute(schema, document, {"rows": ROWS[:1]}, executor_class=executor)
            for executor in (IncrementalExecutor, CompiledExecutor)
        )
        assert first == second
        return second.data["rows"]  # type: ignore[union-attr, index]

    assert run() == [{"id": "a", "name": "Ada", "note": "first"}]
    schema.type_map["Row"].fields["name"].resolve = lambda row, _info: row[1].upper()  # type: ignore[attr-defined]
    assert run() == [{"id": "a", "name": "ADA", "note": "first"}]
    shout.coerce_output_value = lambda value: f"{value}!"  # type: ignore[method-assign]
    assert run() == [{"id": "a", "name": "ADA", "note": "first!"}]


async def test_a_field_resolver_of_the_caller_s_is_called() -> None:
    def resolve(_source: Any, info: Any) -> Any:
        return ROWS if info.field_name == "rows" else info.field_name

    data, _ = await run_both(schema_of(), "{ rows { id name } }", field_resolver=resolve)
    assert data == {"rows": [{"id": "id", "name": "name"}] * 2}


@pytest.mark.parametrize("shared", [1, 3], ids=["a row each", "three rows to one"])
async def test_rows_that_are_loaded_beside_failures(shared: int) -> None:
    async def fetch(keys: list[str]) -> list[Any]:
        return [KeyError(key) if key == "b" else Row([key, f"name of {key}", None, True, 0]) for key in keys]

    fields: dict[str, Any] = {}
    schema = schema_of(fields)
    row = schema.type_map["Row"]
    row.fields["friend"] = GraphQLField(  # type: ignore[attr-defined]
        row,  # type: ignore[arg-type]
        resolve=loader_field(lambda info: info.context, key=lambda source: source[0]),
    )
    data, errors = await run_both(
        schema,
        "{ rows { id friend { name note id } name } }",
        root={"rows": [row for row in ROWS for _ in range(shared)]},
        make_context=lambda: BatchLoader(fetch),
    )
    assert data["rows"][0] == {
        "id": "a",
        "friend": {"name": "name of a", "note": None, "id": "a"},
        "name": "Ada",
    }
    assert data["rows"][-1] == {"id": "b", "friend": None, "name": "Bob"}
    assert errors == [f"rows.{shared + number}.friend: 'b'" for number in range(shared)]


@pytest.mark.parametrize("abstract", ["Face", "Both"])
async def test_rows_of_several_types_keep_their_own_promises(abstract: str) -> None:
    field = {"name": GraphQLField(GraphQLString)}
    face = GraphQLInterfaceType("Face", field)
    types = [
        GraphQLObjectType(
            name, field, interfaces=[face], is_type_of=lambda value, _info, kind=kind: type(value) is kind
        )
        for name, kind in (("A", Row), ("B", Other))
    ]
    both = GraphQLUnionType("Both", types)
    drawn = GraphQLField(GraphQLList(face if abstract == "Face" else both))
    schema = GraphQLSchema(GraphQLObjectType("Query", {"rows": drawn}), types=types)
    data, errors = await run_both(
        schema,
        "{ rows { ... on A { name } ... on B { b: name } __typename } }",
        root={"rows": [ROWS[0], Other(["own"]), None, ROWS[1]]},
    )
    assert errors == []
    assert data["rows"] == [
        {"name": "Ada", "__typename": "A"},
        {"b": "own", "__typename": "B"},
        None,
        {"name": "Bob", "__typename": "A"},
    ]


async def test_a_strawberry_field_is_taken_from_the_row_under_its_python_name() -> None:
    @strawberry.type
    class Thing:
        id: strawberry.ID
        is_open: bool
        free_text: str | None

    class Stored(tuple[Any, ...]):
        __slots__ = ()
        __promises__: ClassVar[Any] = {
            "id": (0, frozenset({str})),
            "is_open": (1, frozenset({bool})),
            "free_text": (2, frozenset({str, NoneType})),
        }
        id, is_open, free_text = (property(lambda self, place=place: self[place]) for place in range(3))

    @strawberry.type
    class Query:
        @strawberry.field(graphql_type=list[Thing])
        def things(self) -> Any:
            return [Stored(["a", True, None]), Stored(["b", False, "text"])]

    schema = strawberry.Schema(Query, execution_context_class=CompiledExecutor)
    data, errors = await run_strawberry(schema, "{ things { freeText isOpen id } }")
    assert data == {
        "things": [
            {"freeText": None, "isOpen": True, "id": "a"},
            {"freeText": "text", "isOpen": False, "id": "b"},
        ]
    }
    assert errors == []


async def test_a_broken_promise_is_answered_as_it_is() -> None:
    """As README.md says; nothing looks at the value, which is what makes the promise worth anything."""
    result = await answer(schema_of(), "{ rows { name } }", root_value={"rows": [Row(["a", 5, None, True, 1])]})
    assert result.data == {"rows": [{"name": 5}]}
