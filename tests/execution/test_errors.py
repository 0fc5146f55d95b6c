"""Errors: where they are reported, in which order, and what they null."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import ExecutionResult, GraphQLError, build_schema, execute, parse

from execution import CompiledExecutor
from tests.execution.executors import run_both

SCHEMA = build_schema("""
    type Query { row: Row  rows: [Row]  strict: [Row!]  must: Row!  matrix: [[Int!]]
                 number: Int  text(number: Int!): String }
    type Row { a: String  b: String!  child: Row  mustChild: Row!  numbers: [Int]  strictNumbers: [Int!]! }
    type Mutation { first: String  second: String!  third: String }
""")


def failing(message: str = "broken") -> Any:
    def resolve(_info: Any) -> Any:
        raise ValueError(message)

    return resolve


async def test_a_failing_nullable_field_is_null_and_located() -> None:
    data, errors = await run_both(SCHEMA, "{ row { a b } }", root={"row": {"a": failing(), "b": "b"}})
    assert data == {"row": {"a": None, "b": "b"}}
    assert errors == ["row.a: broken"]


async def test_a_failing_non_null_field_nulls_its_object() -> None:
    data, errors = await run_both(
        SCHEMA, "{ row { a b } number }", root={"row": {"a": "a", "b": failing()}, "number": 1}
    )
    assert data == {"row": None, "number": 1}
    assert errors == ["row.b: broken"]


async def test_null_in_a_non_null_field_is_an_error() -> None:
    data, errors = await run_both(SCHEMA, "{ row { b } }", root={"row": {}})
    assert data == {"row": None}
    assert errors == ["row.b: Cannot return null for non-nullable field Row.b."]


async def test_null_propagates_through_non_null_parents_to_the_next_nullable() -> None:
    root = {"row": {"mustChild": {"mustChild": {"b": None}}}}
    data, errors = await run_both(SCHEMA, "{ row { mustChild { mustChild { b } } } }", root=root)
    assert data == {"row": None}
    assert errors == ["row.mustChild.mustChild.b: Cannot return null for non-nullable field Row.b."]


async def test_null_propagates_to_the_whole_answer() -> None:
    data, errors = await run_both(SCHEMA, "{ number must { b } }", root={"number": 1, "must": {"b": failing()}})
    assert data is None
    assert errors == ["must.b: broken"]


async def test_a_failing_item_of_a_nullable_list_is_null_alone() -> None:
    data, errors = await run_both(SCHEMA, "{ rows { b } }", root={"rows": [{"b": "x"}, {"b": None}, {"b": "z"}]})
    assert data == {"rows": [{"b": "x"}, None, {"b": "z"}]}
    assert errors == ["rows.1.b: Cannot return null for non-nullable field Row.b."]


async def test_a_failing_item_of_a_strict_list_nulls_the_list_and_hides_later_errors() -> None:
    root = {"strict": [{"a": failing("first"), "b": "x"}, {"b": None}, {"a": failing("later"), "b": None}]}
    data, errors = await run_both(SCHEMA, "{ strict { a b } }", root=root)
    assert data == {"strict": None}
    assert errors == ["strict.0.a: first", "strict.1.b: Cannot return null for non-nullable field Row.b."]


async def test_errors_in_lists_of_lists_have_both_indices() -> None:
    data, errors = await run_both(SCHEMA, "{ matrix }", root={"matrix": [[1, 2], [3, "x"], []]})
    assert data == {"matrix": [[1, 2], None, []]}
    assert errors == ["matrix.1.1: Int cannot represent non-integer value: 'x'"]


async def test_errors_come_in_the_order_of_a_depth_first_walk() -> None:
    row = {"a": failing("a"), "b": "b", "child": {"a": failing("child"), "b": ""}, "numbers": ["x", 1]}
    data, errors = await run_both(SCHEMA, "{ rows { child { a } a numbers } number }", root={"rows": [row, row]})
    assert data["rows"][0] == {"child": {"a": None}, "a": None, "numbers": [None, 1]}
    assert [error.split(":")[0] for error in errors] == [
        "rows.0.child.a",
        "rows.0.a",
        "rows.0.numbers.0",
        "rows.1.child.a",
        "rows.1.a",
        "rows.1.numbers.0",
    ]


async def test_an_alias_is_the_key_in_the_path() -> None:
    _, errors = await run_both(SCHEMA, "{ other: row { renamed: a } }", root={"row": {"a": failing()}})
    assert errors == ["other.renamed: broken"]


async def test_an_exception_that_is_returned_counts_as_raised() -> None:
    data, errors = await run_both(
        SCHEMA, "{ rows { a } }", root={"rows": [{"a": ValueError("returned")}, KeyError("x")]}
    )
    assert data == {"rows": [{"a": None}, None]}
    assert errors == ["rows.0.a: returned", "rows.1: 'x'"]


async def test_an_error_keeps_its_extensions_and_original() -> None:
    def resolve(_info: Any) -> Any:
        raise GraphQLError("coded", extensions={"code": "CODED"})

    result: Any = execute(SCHEMA, parse("{ number }"), {"number": resolve}, executor_class=CompiledExecutor)
    assert isinstance(result, ExecutionResult)
    assert result.errors
    assert result.errors[0].extensions == {"code": "CODED"}
    assert result.errors[0].original_error


async def test_an_argument_that_cannot_be_coerced_is_an_error_of_its_field() -> None:
    data, errors = await run_both(SCHEMA, "{ number text }", root={"number": 1, "text": lambda _info, number: number})
    assert data == {"number": 1, "text": None}
    assert errors == ["text: Argument 'number' of required type 'Int!' was not provided."]


async def test_a_value_that_is_no_list_is_an_error() -> None:
    data, errors = await run_both(SCHEMA, "{ rows { a } }", root={"rows": "text"})
    assert data == {"rows": None}
    assert errors == ["rows: Expected Iterable, but did not find one for field 'Query.rows'."]


async def test_an_iterator_that_breaks_off_nulls_its_list_behind_the_errors_of_its_items() -> None:
    def items() -> Any:
        yield {"a": failing("item")}
        raise ValueError("broke off")

    data, errors = await run_both(SCHEMA, "{ rows { a } number }", root=lambda: {"rows": items(), "number": 1})
    assert data == {"rows": None, "number": 1}
    assert errors == ["rows.0.a: item", "rows: broke off"]


async def test_mutations_stop_at_a_failed_non_null_root_field() -> None:
    ran: list[str] = []

    def step(name: str, error: Exception | None = None) -> Any:
        def resolve(_info: Any) -> str:
            ran.append(name)
            if error:
                raise error
            return name

        return resolve

    root = {"first": step("first"), "second": step("second", ValueError("no")), "third": step("third")}
    data, errors = await run_both(SCHEMA, "mutation { first second third }", root=root)
    assert data is None
    assert errors == ["second: no"]
    assert ran == ["first", "second"] * 2


async def test_mutations_run_one_after_another() -> None:
    log: list[str] = []

    def step(name: str) -> Any:
        async def resolve(_info: Any) -> str:
            log.append(f"{name} begins")
            log.append(f"{name} ends")
            return name

        return resolve

    root = {name: step(name) for name in ("first", "second", "third")}
    data, _ = await run_both(SCHEMA, "mutation { first third second }", root=root)
    assert list(data) == ["first", "third", "second"]
    assert log[6:] == ["first begins", "first ends", "third begins", "third ends", "second begins", "second ends"]


@pytest.mark.parametrize("depth", [20, 90])
async def test_deep_selections_are_answered(depth: int) -> None:
    row: dict[str, Any] = {"b": "bottom"}
    for _ in range(depth):
        row = {"child": row}
    text = "{ row { " + "child { " * depth + "b" + " }" * depth + " } }"
    result: Any = execute(SCHEMA, parse(text), {"row": row}, executor_class=CompiledExecutor)
    assert result.errors is None
    for _ in range(depth):
        result = result.data["row"] if isinstance(result, ExecutionResult) else result
        result = result["child"]
    assert result == {"b": "bottom"}


def test_selections_beyond_the_stack_are_an_error_and_no_crash() -> None:
    fragments = " ".join(f"fragment F{i} on Row {{ child {{ ...F{i + 1} }} }}" for i in range(3000))
    row: dict[str, Any] = {}
    row["child"] = row
    document = parse(f"{{ row {{ ...F0 }} number }} {fragments} fragment F3000 on Row {{ a }}", no_location=True)
    result: Any = execute(SCHEMA, document, {"row": row, "number": 4}, executor_class=CompiledExecutor)
    assert result.data["number"] == 4
    assert result.errors[0].message.startswith("maximum recursion depth exceeded")


async def test_work_begun_on_the_way_to_the_end_of_the_stack_is_not_lost() -> None:
    async def later(_info: Any) -> str:
        return "a"

    fragments = " ".join(f"fragment F{i} on Row {{ a child {{ ...F{i + 1} }} }}" for i in range(3000))
    row: dict[str, Any] = {"a": later}
    row["child"] = row
    document = parse(f"{{ row {{ ...F0 }} number }} {fragments} fragment F3000 on Row {{ a }}", no_location=True)
    result: Any = await execute(SCHEMA, document, {"row": row, "number": 4}, executor_class=CompiledExecutor)  # type: ignore[misc]
    assert result.data["number"] == 4
    assert result.data["row"]["child"]["child"]["a"] == "a"
    assert result.errors[0].message.startswith("maximum recursion depth exceeded")
