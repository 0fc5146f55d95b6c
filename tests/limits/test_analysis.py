"""What the one walk over a document finds, and that it is one walk: nodes are counted, never seconds."""

from __future__ import annotations

from datetime import date

import pytest
from graphql import DocumentNode, GraphQLSchema, get_introspection_query, parse

from schema.examples import load
from schema.limits.analysis import Analysis, analyse
from server.settings import Settings

GRID = """
query Grid($to: Month!, $size: Int!) {
  planning(from: "2026-01", to: $to, size: $size) {
    items { user { firstName } months { month load cells { days project { code } } } }
  }
}
"""


@pytest.fixture(scope="module")
def core(schema) -> GraphQLSchema:
    return schema._schema


def analysed(core: GraphQLSchema, text: str) -> Analysis:
    return analyse(core, parse(text))


def cost(core: GraphQLSchema, text: str, **variables) -> int:
    return analysed(core, text).costs.of(None, variables)


def doubling(levels: int, field: str = "businessUnit { name }") -> str:
    spreads = [f"fragment F{n} on Project {{ {field} ...F{n + 1} ...F{n + 1} }}" for n in range(levels)]
    return f"{{ projects {{ items {{ ...F0 }} }} }} {' '.join(spreads)} fragment F{levels} on Project {{ {field} }}"


def nodes(document: DocumentNode) -> int:
    """Definitions and selections, counted by graphql-core's own visitor."""
    from graphql import Visitor, visit

    class Counting(Visitor):
        seen = 0

        def enter(self, node, *_):
            kinds = ("operation_definition", "fragment_definition", "field", "inline_fragment", "fragment_spread")
            self.seen += node.kind in kinds

    counting = Counting()
    visit(document, counting)
    return counting.seen


def test_fragments_worth_two_to_the_twenty_are_counted_by_visiting_each_node_once(core):
    text = doubling(20)
    found = analysed(core, text)
    assert found.visited == nodes(parse(text)) == 107
    assert found.fields == 2 + (2**21 - 1) * 2
    assert found.costs.of(None, {}) == 1 + 50 * (1 + 2**21 - 1)
    assert found.costs.visited == 2 + 21  # projects, items, and one business unit in each fragment


def test_visits_grow_as_the_document_does(core):
    visited = [analysed(core, doubling(levels)).visited for levels in (100, 200, 400)]
    assert visited == [507, 1007, 2007]


def test_expansions_beyond_measure_are_counted_up_to_a_thousand_million(core):
    assert analysed(core, doubling(400)).fields == 10**9
    assert cost(core, doubling(400)) == 10**9


def test_a_chain_of_a_thousand_fragments_needs_no_deep_recursion(core):
    chain = " ".join(f"fragment F{n} on Query {{ ...F{n + 1} }}" for n in range(1000))
    assert analysed(core, f"{{ ...F0 }} {chain} fragment F1000 on Query {{ me {{ id }} }}").fields == 2


def test_fragments_that_spread_themselves_and_unknown_things_do_not_stop_it(core):
    text = "{ nope { nothing } me { ...A } ...Missing } fragment A on User { ...B } fragment B on User { id ...A }"
    found = analysed(core, f"{text} fragment C on Nowhere {{ what {{ ever }} }}")
    assert (found.depth, found.root_fields) == (2, 2)


def test_depth_counts_levels_of_fields_through_fragments(core):
    text = "{ projects { items { ...A ... on Project { code } } } } fragment A on Project { businessUnit { name } }"
    assert analysed(core, text).depth == 4


def test_depth_is_not_counted_below_introspection(core):
    assert analysed(core, "{ __schema { types { fields { type { ofType { name } } } } } me { id } }").depth == 2


def test_aliases_are_counted_where_fragments_repeat_them_and_where_nothing_spreads_them(core):
    assert analysed(core, "{ a: me { b: id } c: me { ...F } d: me { ...F } } fragment F on User { e: id }").aliases == 6
    assert analysed(core, "{ me { id } } fragment F on User { a: id b: id }").aliases == 2


def test_directives_are_counted_wherever_they_stand(core):
    text = "query ($a: Int @x) @y { me @z { ... @u { id } ...F @v } } fragment F on User @w { id }"
    assert analysed(core, text).directives == 6


def test_root_fields_are_counted_through_fragments(core):
    assert analysed(core, "{ me { id } ...F ...F } fragment F on Query { a: me { id } }").root_fields == 3


@pytest.mark.parametrize(
    ("size", "to", "expected"), [(200, "2026-12", 50_801), (1, "2026-01", 24), (50, "2026-02", 2201)]
)
def test_cost_multiplies_rows_by_months_by_cells(core, size, to, expected):
    """1 page, and per row: the row, its user, and for each month itself and 10 cells with their projects."""
    assert expected == 1 + size * (2 + {"2026-12": 12, "2026-01": 1, "2026-02": 2}[to] * 21)
    assert cost(core, GRID, size=size, to=to) == expected


def test_a_page_size_is_taken_from_the_literal_the_variable_its_default_and_the_schema(core):
    assert cost(core, "{ users(size: 7) { items { id } } }") == 8
    text = "query ($n: Int! = 9) { users(size: $n) { items { id } } }"
    assert (cost(core, text), cost(core, text, n=3)) == (10, 4)
    assert cost(core, "{ users { items { id } } }") == 51
    assert cost(core, "{ auditLog(first: 5) { edges { node { action } } } }") == 1 + 5 * 2


def test_one_document_with_other_variables_costs_otherwise(core):
    found = analysed(core, GRID)
    costs = [found.costs.of(None, {"size": size, "to": "2026-01"}) for size in (1, 2, 1)]
    assert costs == [24, 47, 24]
    assert found.costs.visited == 2 * 6  # the third was known


@pytest.mark.parametrize("size", [10**30, 1e300, 2**31])
def test_a_huge_page_size_by_variable_costs_accordingly(core, size):
    assert cost(core, GRID, size=size, to="2026-12") > 10**8


def test_a_number_of_five_thousand_digits_is_only_a_large_number(core):
    assert cost(core, f"{{ users(size: {'9' * 5000}) {{ items {{ id }} }} }}") == 10**9


@pytest.mark.parametrize("size", [None, "many", True, [], -5, 0])
def test_a_page_size_that_is_none_never_makes_the_cost_negative(core, size):
    assert cost(core, GRID, size=size, to="2026-12") >= 255


@pytest.mark.parametrize(("to", "months"), [("2025-01", 1), ("nonsense", 12), ("9999-12", 95_688)])
def test_months_that_make_no_span_are_bounded(core, to, months):
    assert cost(core, GRID, size=1, to=to) == 1 + 2 + months * 21


def test_ids_count_as_many_objects_as_they_are(core):
    text = "query ($ids: [UUID!]!) { planningCells(ids: $ids) { days project { code } } }"
    assert cost(core, text, ids=["a"] * 300) == 600


def test_a_calendar_counts_days(core):
    assert cost(core, '{ calendar(from: "2026-01-01", to: "2026-02-28") { day } }') == 62


def test_what_is_written_costs_more_than_what_is_read(core):
    text = "mutation ($input: ForecastsWriteInput!) { forecastsWrite(input: $input) { results { outcome } } }"
    assert cost(core, text, input={"cells": [{}] * 500}) == 1 + 500 + 10 * 500
    assert cost(core, 'mutation { monthClose(input: {month: "2026-01"}) { closed } }') == 11
    hidden = 'mutation { ...F } fragment F on Mutation { monthClose(input: {month: "2026-01"}) { closed } }'
    assert cost(core, hidden) == 11


def test_a_cost_is_at_least_one(core):
    assert cost(core, "{ __typename }") == 1


def test_nested_introspection_is_multiplied(core):
    nested = "fields { type { fields { type { fields { type { fields { name } } } } } } }"
    assert cost(core, f"{{ __schema {{ types {{ {nested} }} }} }}") > 100_000


def test_the_defaults_admit_the_full_grid_graphiql_and_every_example(core, settings: Settings):
    full = parse(get_introspection_query(input_value_deprecation=True, schema_description=True))
    found = [(analyse(core, full), {})]
    found += [(analysed(core, each.document), each.variables) for each in load(date(2026, 3, 1))]
    found += [(analysed(core, GRID), {"size": 200, "to": "2026-12"})]
    assert len(found) == 9
    for each, variables in found:
        for name in ("tokens", "depth", "aliases", "directives", "fields", "root_fields"):
            assert getattr(each, name) <= getattr(settings, f"max_{name}")
        assert each.costs.of(None, variables) <= settings.max_cost
