"""What somebody who reads the printed schema relies on."""

from __future__ import annotations

from graphql import GraphQLInputObjectType, GraphQLObjectType, Undefined

from schema import build_schema

SCHEMA = build_schema()._schema


def test_every_type_has_a_description() -> None:
    named = SCHEMA.type_map.values()
    assert [each.name for each in named if not each.name.startswith("__") and not each.description] == []


def test_no_default_is_null() -> None:
    fields = [
        (f"{each.name}.{name}", one)
        for each in SCHEMA.type_map.values()
        if isinstance(each, GraphQLInputObjectType)
        for name, one in each.fields.items()
    ]
    arguments = [
        (f"{each.name}.{name}({argument})", one)
        for each in SCHEMA.type_map.values()
        if isinstance(each, GraphQLObjectType)
        for name, field in each.fields.items()
        for argument, one in field.args.items()
    ]
    assert [name for name, one in fields + arguments if one.default_value is None] == []
    assert dict(fields)["ForecastsWriteInput.dryRun"].default_value is False
    assert dict(fields)["ProjectFilter.search"].default_value is Undefined


def test_the_part_of_the_contract_that_programs_rely_on() -> None:
    cell = SCHEMA.type_map["Cell"]
    assert isinstance(cell, GraphQLObjectType)
    types = {name: str(field.type) for name, field in cell.fields.items()}
    expected = {"stated": "Decimal", "expected": "Decimal!", "actual": "Decimal!", "version": "Int!"}
    assert types.items() >= expected.items()
