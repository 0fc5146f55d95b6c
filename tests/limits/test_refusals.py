"""What is over a limit is refused before anything runs, with the limit, the value, the maximum and what to do."""

from __future__ import annotations

import pytest

from schema.context import Context
from server.rate_limit import RateLimit
from tests.factories import admin
from tests.limits.test_analysis import GRID, doubling

ABORTED = "Too many validation errors, error limit reached. Validation aborted."


async def refused(graphql, document: str, **variables) -> list[str]:
    """The messages; every error must be TOO_COSTLY."""
    errors = await graphql(admin(), document, errors=True, **variables)
    assert {(each["extensions"]["code"], each["extensions"]["status"]) for each in errors} == {("TOO_COSTLY", 400)}
    return [each["message"] for each in errors]


async def test_nothing_runs_over_the_cost(graphql, statements):
    (message,) = await refused(graphql, GRID, size=10_000, to="2026-12")
    assert message == (
        "The operation costs 2540001 and the maximum is 100000: "
        "ask for smaller pages, fewer months or fewer nested lists."
    )
    assert len(statements) == 0


async def test_doubling_fragments_are_refused_before_validation(graphql):
    (message,) = await refused(graphql, doubling(20))
    assert message == (
        "The document has 4194304 fields with its fragments written out and the maximum is 5000: "
        "its fragments spread each other again and again: select each object once."
    )


async def test_fifteen_hundred_conflicting_aliases_end_with_one_error(graphql):
    conflicting = " ".join(f'a: __type(name: "T{n}") {{ name }}' for n in range(300))
    (aliases, root) = await refused(graphql, f"{{ {conflicting} }}")
    assert aliases == "The document has 300 aliases and the maximum is 60: split the operation."
    assert root == "The document has 300 fields at its root and the maximum is 20: split the operation."


async def test_conflicting_aliases_in_a_fragment_that_nothing_spreads_are_counted(graphql):
    conflicting = " ".join(f"a: f{n}" for n in range(1200))
    (message,) = await refused(graphql, f"{{ me {{ id }} }} fragment F on User {{ {conflicting} }}")
    assert message.startswith("The document has 1200 aliases")


@pytest.mark.parametrize(
    "many",
    [
        pytest.param(" ".join(f"nope{n}" for n in range(1500)), id="unknown fields"),
        pytest.param(" ".join(f"businessUnit(x: {n}) {{ id }}" for n in range(400)), id="conflicting arguments"),
        pytest.param(" ".join(f"... on Nothing{n} {{ id }}" for n in range(600)), id="unknown types"),
        pytest.param(" ".join(f"...Nothing{n}" for n in range(1500)), id="unknown fragments"),
    ],
)
async def test_what_the_schema_does_not_know_ends_early_with_twenty_errors(graphql, many):
    errors = await graphql(admin(), f"{{ me {{ {many} }} }}", errors=True)
    assert len(errors) <= 21
    assert errors[-1]["message"] in (ABORTED, "Validation aborted.")
    assert {each["extensions"]["code"] for each in errors} == {"GRAPHQL_VALIDATION_FAILED"}


async def test_unknown_directives_are_counted_before_they_are_looked_at(graphql):
    (message,) = await refused(graphql, f"{{ me {{ id {' '.join(f'@d{n}' for n in range(1500))} }} }}")
    assert message.startswith("The document has 1500 directives and the maximum is 50:")


async def test_deep_nesting_is_refused(graphql):
    deep = "{ businessUnit " * 40
    (message,) = await refused(graphql, f"{{ me {deep} {{ id }} {'}' * 40} }}")
    assert message.startswith("The document has 42 levels and the maximum is 12:")


async def test_a_document_of_too_many_tokens_is_not_parsed_to_its_end(graphql):
    (message,) = await refused(graphql, "{ me { " + "id " * 4000 + " } } this is never read {{{")
    assert message == "Syntax Error: Document contains more than 4000 tokens. Parsing aborted."


async def test_a_syntax_error_is_still_a_syntax_error(graphql):
    (error,) = await graphql(admin(), "{ me { ", errors=True)
    assert error["extensions"]["code"] == "GRAPHQL_PARSE_FAILED"


async def test_a_document_that_was_refused_once_is_refused_again(graphql):
    for _ in range(2):
        await refused(graphql, "{ me { " + "x: id " * 61 + " } }")


async def test_the_same_document_is_judged_by_its_variables(graphql):
    await refused(graphql, GRID, size=2**31 - 1, to="2026-12")
    assert (await graphql(admin(), GRID, size=1, to="2026-12"))["planning"] == {"items": []}


@pytest.mark.parametrize("field", ["businessUnit { id }", "code", "businessUnit(x: 1) { id }"])
async def test_comparing_fields_with_each_other_is_cut_short(graphql, field):
    errors = await graphql(admin(), f"{{ projects {{ items {{ {(field + ' ') * 390} }} }} }}", errors=True)
    assert errors[-1]["message"] in ("Validation aborted.", ABORTED)
    assert len(errors) <= 21


async def test_a_document_that_is_new_pays_for_its_validation_before_it_is_done(schema, database, settings, bus, redis):
    limit = RateLimit(redis, 100)
    context = Context(database=database, settings=settings, bus=bus, caller=None, rate_limit=limit)
    refused = await schema.execute("{ onlyHere }", context_value=context)  # 3 tokens
    assert refused.errors[0].extensions["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert 70 <= (await limit.take("address:unknown", 0)).remaining <= 80
    known = await schema.execute("{ onlyHere }", context_value=context)
    assert known.errors[0].extensions["code"] == "GRAPHQL_VALIDATION_FAILED"
    other = await schema.execute("{ a b c d e f g h }", context_value=context)
    assert other.errors[0].extensions["code"] == "RATE_LIMITED"
