"""The audit log: append-only, read newest first, and a read of it is in it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from server.actor import Actor, Origin, Permission, system_actor
from server.audit import repository, service
from server.database import Database
from server.ids import cell_id, new_id
from server.users.models import UserRow
from tests.conftest import Execute
from tests.factories import Factory, actor, moment

LOG = """query ($first: Int! = 50, $after: String, $filter: AuditFilter) {
  auditLog(first: $first, after: $after, filter: $filter) {
    edges { cursor node { id at action resourceType resourceId address userAgent requestId actor { id } } }
    pageInfo { hasNextPage endCursor } } }"""
WITH_METADATA = "query ($filter: AuditFilter) { auditLog(filter: $filter) { edges { node { metadata } } } }"


async def write(database: Database, by: Actor, action: str, **facts: Any) -> None:
    async with database.transaction(by) as tx:
        await tx.audit(action, facts.pop("resource_type", "thing"), facts.pop("resource_id", None), **facts)


async def actions(graphql: Execute, caller: Actor, **variables: Any) -> list[str]:
    edges = (await graphql(caller, LOG, **variables))["auditLog"]["edges"]
    return [edge["node"]["action"] for edge in edges]


@pytest.fixture
async def reader(make: Factory) -> UserRow:
    return await make.user()


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_logs SET action = 'x'", "DELETE FROM audit_logs", "TRUNCATE audit_logs"]
)
async def test_what_is_written_stays_as_it_is(database: Database, statement: str) -> None:
    await write(database, system_actor("test"), "thing.done")
    with pytest.raises(DBAPIError, match="the audit log is append-only"):
        async with database.transaction(system_actor("test")) as tx:
            await tx.session.execute(text(statement))
    async with database.reads.session() as session:
        kept = await repository.newest(session, repository.AuditFilter(), before=None, limit=10)
    assert [row.action for row in kept] == ["thing.done"]


async def test_an_entry_says_who_did_what_to_which_thing_from_where(
    database: Database, graphql: Execute, reader: UserRow
) -> None:
    thing = new_id()
    origin = Origin(address="2001:db8::7", user_agent="curl/8", request_id="r-1")
    await write(database, Actor(reader.id, origin=origin), "thing.changed", resource_id=thing)
    edges = (await graphql(actor(Permission.AUDIT_READ, user=reader), LOG))["auditLog"]["edges"]
    node = edges[0]["node"]
    assert edges[0]["cursor"] == node.pop("id")
    assert node.pop("at").endswith("Z")
    assert node == {
        "action": "thing.changed",
        "resourceType": "thing",
        "resourceId": str(thing),
        "address": "2001:db8::7",
        "userAgent": "curl/8",
        "requestId": "r-1",
        "actor": {"id": str(reader.id)},
    }


async def test_the_server_itself_is_nobody(database: Database, graphql: Execute, reader: UserRow) -> None:
    await write(database, system_actor("test"), "thing.done")
    node = (await graphql(actor(Permission.AUDIT_READ, user=reader), LOG))["auditLog"]["edges"][0]["node"]
    assert (node["actor"], node["address"], node["userAgent"]) == (None, None, "plancharge test")


async def test_before_and_after_are_for_who_may_see_them(database: Database, graphql: Execute, reader: UserRow) -> None:
    await write(database, system_actor("test"), "thing.changed", before={"name": "A"}, after={"name": "B"})
    seeing = actor(Permission.AUDIT_READ, Permission.AUDIT_READ_METADATA, user=reader)
    for caller, shown in (
        (actor(Permission.AUDIT_READ, user=reader), None),
        (seeing, {"before": {"name": "A"}, "after": {"name": "B"}}),
    ):
        data = await graphql(caller, WITH_METADATA, filter={"actions": ["thing.changed"]})
        assert data["auditLog"]["edges"] == [{"node": {"metadata": shown}}]


async def test_pages_go_from_the_newest_to_the_oldest_without_gap_or_overlap(
    database: Database, graphql: Execute, reader: UserRow
) -> None:
    for number in range(5):
        await write(database, system_actor("test"), f"thing.{number}")
    caller = actor(Permission.AUDIT_READ, user=reader)
    seen, after, more = [], None, True
    while more:
        page = (await graphql(caller, LOG, first=2, after=after, filter={"resourceType": "thing"}))["auditLog"]
        seen.append([edge["node"]["action"] for edge in page["edges"]])
        more, after = page["pageInfo"]["hasNextPage"], page["pageInfo"]["endCursor"]
    assert seen == [["thing.4", "thing.3"], ["thing.2", "thing.1"], ["thing.0"]]


async def test_an_empty_page_has_no_cursor(graphql: Execute, reader: UserRow) -> None:
    page = (await graphql(actor(Permission.AUDIT_READ, user=reader), LOG))["auditLog"]
    assert page == {"edges": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}


async def test_is_filtered_by_all_that_is_given(
    database: Database, make: Factory, graphql: Execute, reader: UserRow
) -> None:
    other, thing = await make.user(), new_id()
    await write(database, Actor(other.id), "thing.first", resource_id=thing)
    await write(database, Actor(reader.id), "thing.second", resource_id=thing)
    await write(database, Actor(other.id), "item.third", resource_type="item")
    caller = actor(Permission.AUDIT_READ, user=reader)
    assert await actions(graphql, caller, filter={"actorIds": [str(other.id)]}) == ["item.third", "thing.first"]
    assert await actions(graphql, caller, filter={"actions": ["thing.first", "x"]}) == ["thing.first"]
    assert await actions(graphql, caller, filter={"resourceType": "item"}) == ["item.third"]
    assert await actions(graphql, caller, filter={"resourceId": str(thing)}) == ["thing.second", "thing.first"]
    both = {"resourceId": str(thing), "actorIds": [str(other.id)]}
    assert await actions(graphql, caller, filter=both) == ["thing.first"]


async def test_is_filtered_by_time_from_included_to_excluded(
    database: Database, graphql: Execute, reader: UserRow
) -> None:
    async with database.transaction(system_actor("test")) as tx:
        for day in (1, 2, 3):
            await tx.session.execute(
                text("INSERT INTO audit_logs (id, at, action, resource_type) VALUES (:id, :at, :action, 'thing')"),
                {"id": new_id(), "at": moment(f"2026-03-0{day}"), "action": f"day.{day}"},
            )
    caller = actor(Permission.AUDIT_READ, user=reader)
    span = {"from": "2026-03-02T00:00:00Z", "to": "2026-03-03T00:00:00Z"}
    assert await actions(graphql, caller, filter=span) == ["day.2"]
    assert await actions(graphql, caller, filter={"to": span["to"]}) == ["day.2", "day.1"]


async def test_one_cells_history_is_found_by_an_index(
    database: Database, make: Factory, graphql: Execute, reader: UserRow
) -> None:
    project = await make.project()
    cell = cell_id(reader.id, project.id, moment("2026-03-01").date())
    await write(database, system_actor("test"), "cells.written", cells=[str(cell), str(new_id())])
    await write(database, system_actor("test"), "cells.written", cells=[str(new_id())])
    caller = actor(Permission.AUDIT_READ, Permission.AUDIT_READ_METADATA, user=reader)
    data = await graphql(caller, WITH_METADATA, filter={"cellId": str(cell)})
    assert [edge["node"]["metadata"]["cells"][0] for edge in data["auditLog"]["edges"]] == [str(cell)]
    async with database.transaction(system_actor("test")) as tx:
        await tx.session.execute(text("SET LOCAL enable_seqscan = off"))
        await tx.session.execute(text("SET LOCAL enable_indexscan = off"))
        found = await tx.session.execute(
            text(
                "EXPLAIN SELECT * FROM audit_logs WHERE (metadata -> 'cells') @> jsonb_build_array(CAST(:id AS text))"
            ),
            {"id": str(cell)},
        )
        assert "ix_audit_logs_cells" in " ".join(found.scalars())


async def test_the_filter_by_cell_is_written_as_the_index_has_it(statements: Any, database: Database) -> None:
    async with database.reads.session() as session:
        await repository.newest(session, repository.AuditFilter(cell_id=new_id()), before=None, limit=1)
    assert "(audit_logs.metadata -> " in statements.texts[-1]
    assert ") @> " in statements.texts[-1]


@pytest.mark.parametrize(
    "variables",
    [
        {"first": 0},
        {"first": -1},
        {"first": 201},
        {"after": "nonsense"},
        {"after": ""},
        {"filter": {"actions": ["\0"]}},
        {"filter": {"resourceType": "\ud800"}},
        {"filter": {"from": "2026-03-02T00:00:00Z", "to": "2026-03-01T23:59:59Z"}},
    ],
)
async def test_bad_arguments_are_refused(graphql: Execute, reader: UserRow, variables: dict[str, Any]) -> None:
    errors = await graphql(actor(Permission.AUDIT_READ, user=reader), LOG, errors=True, **variables)
    assert [error["extensions"]["code"] for error in errors] == ["BAD_REQUEST"]


async def test_reading_it_is_noted_in_it(database: Database, graphql: Execute, reader: UserRow) -> None:
    for number in range(3):
        await write(database, system_actor("test"), f"thing.{number}")
    caller = actor(Permission.AUDIT_READ, Permission.AUDIT_READ_METADATA, user=reader)
    assert await actions(graphql, caller, first=2, filter={"resourceType": "thing"}) == ["thing.2", "thing.1"]
    async with database.reads.session() as session:
        noted = (await repository.newest(session, repository.AuditFilter(), before=None, limit=1))[0]
    assert (noted.action, noted.resource_type, noted.actor_id) == ("audit_log.read", "audit_log", reader.id)
    assert noted.details == {"filter": {"resource_type": "thing"}, "entries": 2}


async def test_a_sensitive_read_is_noted_whatever_becomes_of_the_call(database: Database, reader: UserRow) -> None:
    await service.record_read(database, Actor(reader.id), "absence_types", users=[str(reader.id)])
    async with database.reads.session() as session:
        noted = (await repository.newest(session, repository.AuditFilter(), before=None, limit=1))[0]
    assert (noted.action, noted.resource_type, noted.details) == (
        "absence_types.read",
        "absence_types",
        {"users": [str(reader.id)]},
    )


async def test_a_refusal_is_noted(database: Database, graphql: Execute, reader: UserRow) -> None:
    errors = await graphql(actor(Permission.USERS_READ, user=reader), LOG, errors=True)
    assert [error["extensions"]["code"] for error in errors] == ["FORBIDDEN"]
    async with database.reads.session() as session:
        noted = (await repository.newest(session, repository.AuditFilter(), before=None, limit=1))[0]
    assert (noted.action, noted.details) == ("access.refused", {"field": "auditLog", "code": "FORBIDDEN"})


async def test_takes_the_same_number_of_statements_whatever_its_length(
    database: Database, make: Factory, graphql: Execute, reader: UserRow, statements: Any
) -> None:
    caller = actor(Permission.AUDIT_READ, Permission.AUDIT_READ_METADATA, user=reader)
    query = "{ auditLog(first: 200) { edges { node { action metadata actor { firstName } } } } }"
    counts = []
    for wanted in (10, 300):
        people: list[UUID] = [(await make.user()).id for _ in range(10)]
        async with database.transaction(system_actor("test")) as tx:
            await tx.session.execute(
                text("INSERT INTO audit_logs (id, actor_id, action, resource_type) VALUES (:id, :actor, 'a', 'b')"),
                [{"id": new_id(), "actor": people[number % 10]} for number in range(wanted)],
            )
        statements.clear()
        assert len((await graphql(caller, query))["auditLog"]["edges"]) >= min(wanted, 200)
        counts.append(len(statements))
    assert counts == [3, 3]
