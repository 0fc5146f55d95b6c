"""The examples that GraphiQL opens with run on the schema as it is, compiled, without an error."""

from __future__ import annotations

from datetime import date

import pytest
from graphql import parse, validate

from schema.context import Context
from schema.examples import Example, load
from tests.factories import admin

EXAMPLES = load(date(2026, 11, 22))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
async def test_every_example_runs(example: Example, schema, graphql, make, database, settings, bus) -> None:
    user, project = await make.user(), await make.project()
    await make.contract(user)
    caller = admin(await make.user())
    assert validate(schema._schema, parse(example.document)) == []
    if "subscription" in example.document:
        context = Context(database, settings, bus, caller)
        results = await schema.subscribe(example.document, variable_values=example.variables, context_value=context)
        assert (await anext(results)).errors is None
        await results.aclose()
        return
    variables = {**example.variables}
    if "userId" in variables:
        variables |= {"userId": str(user.id), "projectId": str(project.id)}
    data = await graphql(caller, example.document, **variables)
    assert all(answer is not None for answer in data.values())
