"""Only what the marks cover is kept: every table that such an answer reads has the trigger."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from graphql import get_named_type, is_composite_type, is_required_argument, parse
from sqlalchemy import text

from schema.kept_responses import OVERHEAD, KeptResponses, kept
from schema.response_cache import KEPT_TYPES, ROOTS, identity, may_be_kept
from server.actor import Actor, Permission, Scope
from server.ids import new_id
from server.rate_limit import RateLimit
from server.tables import metadata
from tests.access.people import actions
from tests.factories import actor, admin
from tests.response_cache.conftest import GRID

RANGE = 'from: "2026-01", to: "2026-03"'
CLOCKS = re.compile(r"\b(now|random|clock_timestamp|statement_timestamp)\s*\(|current_", re.IGNORECASE)
FILTERS = (
    'search: "Ada"', "overallocated: false", "hasConflict: true", "includeLeft: true",
    'projectIds: ["{project}"]', 'businessUnitIds: ["{unit}"]', 'userIds: ["{user}"]',
)  # fmt: skip


def fields_of(schema: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The kept fields of a kept type, with their types; a field of a type that is not kept cannot be selected."""
    for field, definition in schema.type_map[name].fields.items():
        inner = get_named_type(definition.type)
        if field not in KEPT_TYPES[name] and (not is_composite_type(inner) or inner.name in KEPT_TYPES):
            yield field, definition


def written(field: str, definition: Any) -> str:
    required = [name for name, argument in definition.args.items() if is_required_argument(argument)]
    assert set(required) <= {"from", "to"}, f"say in this test what to give for {field}"
    return f"{field}({RANGE})" if required else field


def selection(schema: Any, name: str, depth: int) -> str:
    """Every field of the type, and so on for what it leads to, as deep as that."""
    parts = []
    for field, definition in fields_of(schema, name):
        inner = get_named_type(definition.type)
        if not is_composite_type(inner):
            parts.append(written(field, definition))
        elif depth:
            parts.append(f"{written(field, definition)} {{ {selection(schema, inner.name, depth - 1)} }}")
    return " ".join(parts)


def documents(schema: Any) -> Iterator[str]:
    """Whole walks through the types from both roots; then each filter, and each way to group."""
    yield f"{{ planning({RANGE}) {{ {selection(schema, 'PlanningPage', 5)} }} }}"
    groups = ("USER", "BUSINESS_UNIT", "PROJECT", "MONTH")
    for group in groups:
        page = selection(schema, "UtilisationPage", 3)
        yield f"{{ utilisation({RANGE}, groupBy: {group}, formula: TACE) {{ {page} }} }}"
    for each in FILTERS:
        yield f"{{ planning({RANGE}, filter: {{{each}}}) {{ total items {{ user {{ id }} }} }} }}"
        for group in groups:
            yield f"{{ utilisation({RANGE}, groupBy: {group}, filter: {{{each}}}) {{ total items {{ load }} }} }}"


async def covered(database: Any) -> set[str]:
    """The tables whose every write leaves a mark, also of those who switch ordinary triggers off."""
    statement = (
        "SELECT relname, bit_or(tgtype::int) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid"
        " JOIN pg_proc p ON p.oid = tgfoid WHERE proname = 'mark_plan' AND tgenabled = 'A' GROUP BY 1"
    )
    async with database.reads.session() as session:
        rows = (await session.execute(text(statement))).all()
    every = 4 | 8 | 16 | 32  # INSERT, DELETE, UPDATE, TRUNCATE
    return {name for name, events in rows if events & every == every}


async def test_every_table_that_a_kept_answer_reads_leaves_a_mark(plan, schema, database, graphql, statements):
    boss = admin(plan.bob)
    reached: set[str] = set()
    for document in documents(schema._schema):
        names = {"project": plan.engine.id, "unit": plan.unit.id, "user": plan.ada.id}
        for name, value in names.items():
            document = document.replace(f'"{{{name}}}"', f'"{value}"')
        assert may_be_kept(schema._schema, parse(document), None)
        statements.clear()
        await graphql(boss, document)
        for statement in statements.texts:
            assert not CLOCKS.search(statement)
            reached |= {table for table in metadata.tables if re.search(rf"\b{table}\b", statement)}
    assert reached <= await covered(database)
    assert reached >= {"absences", "assignments", "business_units", "calendar_days", "capacities", "closed_months",
                       "company_settings", "contracts", "forecasts", "projects", "stale_users", "users"}  # fmt: skip


async def test_the_walk_reaches_every_kept_type(schema):
    every = " ".join(documents(schema._schema))
    for name in KEPT_TYPES:
        for field, _ in fields_of(schema._schema, name):
            assert re.search(rf"\b{field}\b", every), f"{name}.{field} is in no document of this test"


NOT_KEPT = {
    "another root field": f"{{ planning({RANGE}) {{ total }} me {{ id }} }}",
    "another root field in a fragment": "{ ...f } fragment f on Query { me { id } }",
    "roles, which the marks do not cover": f"{{ planning({RANGE}) {{ items {{ user {{ roles {{ name }} }} }} }} }}",
    "sign-ins": f"{{ planning({RANGE}) {{ items {{ user {{ ...u }} }} }} }} fragment u on User {{ lastLoginAt }}",
    "sign-ins, inline": f"{{ planning({RANGE}) {{ items {{ user {{ ... on User {{ a: lastLoginAt }} }} }} }} }}",
    "other queries": "{ users { total } }",
    "introspection": f"{{ planning({RANGE}) {{ total }} __schema {{ queryType {{ name }} }} }}",
    "writes": 'mutation { monthClose(input: {month: "2026-01"}) { closed } }',
    "subscriptions": f"subscription {{ planningChanged({RANGE}) {{ kind }} }}",
}


@pytest.mark.parametrize("what", NOT_KEPT)
def test_not_kept_is(what, schema):
    assert not may_be_kept(schema._schema, parse(NOT_KEPT[what]), None)


def test_kept_are_both_roots_by_any_name_and_way_of_writing(schema):
    document = f"""query A($x: Boolean!) {{ __typename a: planning({RANGE}) {{ ...p }} ... @include(if: $x) {{
        utilisation({RANGE}, groupBy: USER) {{ total }} }} }}
        query B {{ users {{ total }} }} fragment p on PlanningPage {{ items {{ user {{ id }} ...q }} }}
        fragment q on PlanningRow {{ months {{ ... {{ load }} }} }}"""
    assert may_be_kept(schema._schema, parse(document), "A")
    assert not may_be_kept(schema._schema, parse(document), "B")
    assert {"planning", "utilisation"} == ROOTS


def test_a_chain_of_a_thousand_fragments_is_walked(schema):
    chain = " ".join(f"fragment f{n} on PlanningPage {{ ...f{n + 1} }}" for n in range(1000))
    document = f"{{ planning({RANGE}) {{ ...f0 }} }} {chain} fragment f1000 on PlanningPage {{ total }}"
    assert may_be_kept(schema._schema, parse(document), None)


async def test_a_hit_costs_one_statement_whatever_the_size(plan, worker, statements):
    boss = admin(plan.bob)
    for document in (GRID, GRID.replace("total", "total ")):
        await worker.answer(boss, document)
        statements.clear()
        assert (await worker.answer(boss, document))[1] == "hit"
        assert len(statements) == 1


async def test_hits_use_up_the_caller_s_budget(plan, worker, redis):
    worker.rate_limit = RateLimit(redis, 100_000)
    outcomes = [(await worker.answer(admin(plan.bob)))[1] for _ in range(40)]
    assert outcomes[:3] == ["miss", "hit", "hit"]
    assert outcomes[-1] == "error"


async def test_a_refusal_is_audited_each_time(plan, worker, database):
    nobody = actor(Permission.USERS_READ, user=plan.bob)
    for count in (1, 2):
        refusal, outcome = await worker.answer(nobody)
        assert (outcome, b"FORBIDDEN" in refusal) == ("error", True)
        assert (await actions(database)).count("access.refused") == count


def test_what_is_kept_stays_within_its_bound_and_the_longest_unused_goes_first():
    memory = KeptResponses(10 * (OVERHEAD + 1001))
    for number in range(100):
        memory.keep(bytes([number]), kept("s", b"x" * 1000))
        assert memory.find(b"\0", "s") is not None  # used again and again
        assert memory.size <= memory.limit
    assert len(memory) == 10
    assert memory.find(bytes([91]), "s") is not None
    assert memory.find(bytes([90]), "s") is None
    memory.keep(b"\0", kept("s", b"x" * 100_000))  # larger than all of it: not kept, nor what it replaces
    assert (len(memory), memory.find(b"\0", "s")) == (9, None)
    assert memory.size == 9 * (OVERHEAD + 1001)


def test_another_state_finds_nothing():
    memory = KeptResponses(10_000)
    memory.keep(b"k", kept("before", b"1"))
    assert memory.find(b"k", "after") is None


CALLER = Actor(new_id(), {Permission.PLANNING_READ: Scope.ALL})


@pytest.mark.parametrize(
    "change",
    [
        {"user_id": new_id()},
        {"token_id": new_id()},
        {"business_unit_id": new_id()},
        {"is_superuser": True},
        {"must_change_password": True},
        {"grants": {Permission.PLANNING_READ: Scope.UNIT}},
        {"grants": {Permission.PLANNING_READ: Scope.ALL, Permission.ABSENCES_READ: Scope.ALL}},
    ],
    ids=["user", "token", "unit", "superuser", "password", "narrower", "wider"],
)
def test_callers_who_differ_in_anything_share_nothing(change):
    values = {"user_id": CALLER.user_id, "grants": CALLER.grants}
    assert identity(Actor(**{**values, **change})) != identity(CALLER)
    assert identity(Actor(**values, session_id=new_id())) == identity(CALLER)
