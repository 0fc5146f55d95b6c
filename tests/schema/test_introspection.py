"""Who may read the schema, and that a document of several operations names the one to run."""

from __future__ import annotations

from typing import Any

import pytest

from schema.context import Context
from server.database import Database
from server.events import Bus
from server.settings import Settings
from tests.factories import admin

TYPES = "{ __schema { queryType { name } } }"
TWO = "query A { a: __typename } query B { b: __typename }"


@pytest.mark.parametrize("document", [TYPES, '{ __type(name: "User") { name } }'])
async def test_nobody_reads_the_schema_where_the_setting_is_off(
    schema: Any, database: Database, settings: Settings, bus: Bus, document: str
) -> None:
    off = settings.model_copy(update={"introspection": False})
    context = Context(database=database, settings=off, bus=bus, caller=admin())
    result = await schema.execute(document, context_value=context)
    assert result.data is None
    assert result.errors[0].extensions["code"] == "FORBIDDEN"


async def test_a_refusal_of_one_caller_is_not_kept_for_the_next(graphql: Any) -> None:
    (refused,) = await graphql(None, TYPES, errors=True)
    assert refused["extensions"]["code"] == "UNAUTHENTICATED"
    assert await graphql(admin(), TYPES) == {"__schema": {"queryType": {"name": "Query"}}}


NAMED = 'query ($n: String! = "User") { __type(name: $n) { name } }'


async def test_a_type_is_hidden_by_whatever_way_it_is_named_and_no_type_is_null(graphql: Any) -> None:
    for variables in ({"n": "User"}, {}):
        (refused,) = await graphql(None, NAMED, errors=True, **variables)
        assert refused["extensions"]["code"] == "UNAUTHENTICATED"
    assert await graphql(None, NAMED, n="Nothing") == {"__type": None}


async def test_of_several_operations_the_named_one_runs_and_none_without_a_name(
    schema: Any, graphql: Any, database: Database, settings: Settings, bus: Bus
) -> None:
    (refused,) = await graphql(admin(), TWO, errors=True)
    assert refused["extensions"]["code"] == "BAD_REQUEST"
    context = Context(database=database, settings=settings, bus=bus, caller=admin())
    result = await schema.execute(TWO, operation_name="B", context_value=context)
    assert result.data == {"b": "Query"}
