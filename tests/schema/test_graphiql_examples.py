"""The examples that GraphiQL opens with run on the schema as it is, compiled, without an error."""

from __future__ import annotations

from datetime import date

import pytest
from graphql import parse, validate

from execution import CompiledExecutor
from schema.examples import Example, load
from tests.factories import admin

EXAMPLES = load(date(2026, 11, 22))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
async def test_every_example_runs(example: Example, schema, graphql, make) -> None:
    user, project = await make.user(), await make.project()
    await make.contract(user)
    caller = admin(await make.user())
    assert validate(schema._schema, parse(example.document)) == []
    if "subscription" in example.document:  # runs over a real socket in tests/test_subscriptions.py
        return
    variables = {**example.variables}
    if "userId" in variables:
        variables |= {"userId": str(user.id), "projectId": str(project.id)}
    before = CompiledExecutor.fallbacks.total()
    data = await graphql(caller, example.document, **variables)
    assert all(answer is not None for answer in data.values())
    assert CompiledExecutor.fallbacks.total() == before
