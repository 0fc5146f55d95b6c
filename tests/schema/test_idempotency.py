"""Mutations sent twice under one key, by input and by header: done once, answered alike."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import func, select

from schema import build_schema
from schema.context import Context
from server.access.models import IdempotencyKeyRow
from server.actor import Permission
from server.audit.models import AuditLogRow
from server.projects.models import ProjectRow
from tests.factories import actor, admin
from tests.schema.examples import EXAMPLES, World

CREATE = """
mutation ($input: ProjectCreateInput!) {
  projectCreate(input: $input) { project { id code name version } problems { code errors { path } } }
}
"""
RENAME = """
mutation ($input: ProjectUpdateInput!) { projectUpdate(input: $input) { project { name version } problems { code } } }
"""


async def count(database, model) -> int:
    async with database.reads.session() as session:
        return await session.scalar(select(func.count()).select_from(model))


@pytest.fixture
async def caller(make):
    return actor(Permission.PROJECTS_WRITE, Permission.PROJECTS_READ, user=await make.user())


@pytest.fixture
def send(schema, database, settings, bus):
    """Runs a document with the header Idempotency-Key."""

    async def run(caller, document, key, **variables):
        context = Context(database=database, settings=settings, bus=bus, caller=caller, idempotency_key=key)
        return await schema.execute(document, variable_values=variables, context_value=context)

    return run


async def test_the_second_call_under_a_key_does_nothing_and_gets_the_first_answer(graphql, database, caller):
    wanted = {"code": "ONE", "name": "Once", "idempotencyKey": "k1"}
    first = await graphql(caller, CREATE, input=wanted)
    assert first["projectCreate"]["problems"] == []
    assert await graphql(caller, CREATE, input=wanted) == first
    assert (await count(database, ProjectRow), await count(database, AuditLogRow)) == (1, 1)


async def test_the_header_does_the_same_as_the_input(send, graphql, database, caller):
    wanted = {"code": "ONE", "name": "Once"}
    first = await send(caller, CREATE, "k1", input=wanted)
    again = await send(caller, CREATE, "k1", input=wanted)
    by_input = await graphql(caller, CREATE, input={**wanted, "idempotencyKey": "k1"})
    assert first.errors is None
    assert again.data == first.data == by_input
    assert await count(database, ProjectRow) == 1


async def test_the_input_s_key_wins_over_the_header(send, database, caller):
    for header in ("h1", "h2"):
        answer = await send(caller, CREATE, header, input={"code": "ONE", "name": "Once", "idempotencyKey": "k1"})
        assert answer.data["projectCreate"]["problems"] == []
    assert await count(database, ProjectRow) == 1


async def test_another_body_under_the_same_key_is_a_conflict(graphql, database, caller):
    await graphql(caller, CREATE, input={"code": "ONE", "name": "Once", "idempotencyKey": "k1"})
    answer = await graphql(caller, CREATE, input={"code": "TWO", "name": "Twice", "idempotencyKey": "k1"})
    problem = {"code": "IDEMPOTENCY_KEY_REUSED", "errors": [{"path": ["idempotencyKey"]}]}
    assert answer["projectCreate"] == {"project": None, "problems": [problem]}
    assert await count(database, ProjectRow) == 1


async def test_five_at_once_run_once(graphql, database, caller):
    wanted = {"code": "ONE", "name": "Once", "idempotencyKey": "k1"}
    answers = await asyncio.gather(*(graphql(caller, CREATE, input=wanted) for _ in range(5)))
    assert all(each == answers[0] for each in answers)
    assert await count(database, ProjectRow) == 1


async def test_a_refusal_leaves_the_key_free_for_the_same_call_when_it_can_succeed(graphql, database, make, caller):
    row = await make.project(code="ONE")
    wanted = {"code": "ONE", "name": "Once", "idempotencyKey": "k1"}
    refused = await graphql(caller, CREATE, input=wanted)
    assert refused["projectCreate"]["problems"][0]["code"] == "DUPLICATE"
    assert await count(database, IdempotencyKeyRow) == 0
    async with database.transaction(caller) as tx:
        (await tx.session.get_one(ProjectRow, row.id)).code = "OLD"
    assert (await graphql(caller, CREATE, input=wanted))["projectCreate"]["project"]["code"] == "ONE"


async def test_a_replay_shows_the_object_as_it_is_now_and_changes_nothing(graphql, make, caller):
    row = await make.project(name="Before")
    wanted = {"id": str(row.id), "name": "Mine", "expectedVersion": row.version, "idempotencyKey": "k1"}
    assert (await graphql(caller, RENAME, input=wanted))["projectUpdate"]["problems"] == []
    await graphql(caller, RENAME, input={"id": str(row.id), "name": "Theirs"})
    again = (await graphql(caller, RENAME, input=wanted))["projectUpdate"]
    assert (again["project"]["name"], again["problems"]) == ("Theirs", [])


async def test_a_replay_needs_the_permission_still(graphql, caller):
    wanted = {"code": "ONE", "name": "Once", "idempotencyKey": "k1"}
    await graphql(caller, CREATE, input=wanted)
    demoted = actor(Permission.PROJECTS_READ, user=type("User", (), {"id": caller.user_id, "business_unit_id": None}))
    (error,) = await graphql(demoted, CREATE, input=wanted, errors=True)
    assert error["extensions"]["code"] == "FORBIDDEN"


@pytest.mark.parametrize("key", ["", "  ", "x" * 256])
async def test_a_key_that_is_none_is_refused(graphql, database, caller, key):
    answer = await graphql(caller, CREATE, input={"code": "ONE", "name": "Once", "idempotencyKey": key})
    assert answer["projectCreate"]["problems"][0]["code"] == "INVALID_INPUT"
    assert await count(database, ProjectRow) == 0


async def test_warnings_and_lists_are_kept_too(graphql, make):
    caller = admin(await make.user())
    person, project = await make.user(), await make.project()
    await make.contract(person)
    split = """mutation ($input: AssignmentSplitInput!) { assignmentSplit(input: $input) {
      assignment { id endDate } assignments { id startDate user { id } } warnings { code } problems { code } } }"""
    row = await make.assignment(person, project)
    middle = row.start_date.replace(day=15).isoformat()
    wanted = {"id": str(row.id), "at": middle, "idempotencyKey": "k1"}
    first = await graphql(caller, split, input=wanted)
    assert first["assignmentSplit"]["problems"] == []
    assert first["assignmentSplit"]["assignments"]
    assert await graphql(caller, split, input=wanted) == first


async def test_nothing_of_a_row_but_its_id_is_kept(graphql, database, caller):
    await graphql(caller, CREATE, input={"code": "ONE", "name": "Very secret", "idempotencyKey": "k1"})
    async with database.reads.session() as session:
        answer = await session.scalar(select(IdempotencyKeyRow.answer))
    assert b"ProjectRow" in answer
    assert b"secret" not in answer


async def test_the_header_needs_a_request_with_one_mutation(send, database, caller):
    document = """mutation { a: projectCreate(input: {code: "A", name: "A"}) { problems { code } }
                             b: projectCreate(input: {code: "B", name: "B"}) { problems { code } } }"""
    answer = await send(caller, document, "k1")
    assert answer.errors[0].extensions["code"] == "BAD_REQUEST"
    assert await count(database, ProjectRow) == 0


async def test_a_capacity_s_rehearsal_does_not_use_up_the_key(graphql, database, make):
    caller, person = admin(await make.user()), await make.user()
    await make.contract(person)
    document = """mutation ($input: CapacitiesWriteInput!) { capacitiesWrite(input: $input) {
      results { outcome capacity { override } } problems { code } } }"""
    wanted = {
        "capacities": [{"userId": str(person.id), "month": "2026-03", "override": "10.00"}],
        "idempotencyKey": "k",
    }
    rehearsed = await graphql(caller, document, input={**wanted, "dryRun": True})
    assert rehearsed["capacitiesWrite"]["results"][0]["outcome"] == "APPLIED"
    assert await count(database, IdempotencyKeyRow) == 0
    first = await graphql(caller, document, input=wanted)
    assert first["capacitiesWrite"]["results"] == [{"outcome": "APPLIED", "capacity": {"override": "10.00"}}]
    assert await graphql(caller, document, input=wanted) == first


KEEPING = [
    name
    for name, each in build_schema()._schema.mutation_type.fields.items()
    if "idempotencyKey" in each.args["input"].type.of_type.fields and name in EXAMPLES
]


@pytest.mark.parametrize("name", KEEPING)
async def test_each_mutation_s_answer_can_be_kept_and_read_again(graphql, database, make, name):
    arguments = await EXAMPLES[name](await World.build(make, database))
    wanted = {**arguments["input"], "idempotencyKey": "k1"}
    kind = f"{name[0].upper()}{name[1:]}Input"
    document = f"mutation ($input: {kind}!) {{ {name}(input: $input) {{ problems {{ code }} warnings {{ code }} }} }}"
    caller = admin(await make.user())
    first = await graphql(caller, document, input=wanted)
    assert first[name]["problems"] == []
    assert await count(database, IdempotencyKeyRow) == 1
    before = await count(database, AuditLogRow)
    assert await graphql(caller, document, input=wanted) == first
    assert await count(database, AuditLogRow) == before


def test_every_mutation_takes_a_key_but_those_whose_answer_is_a_secret(schema):
    mutations = schema._schema.mutation_type.fields
    without = {
        name for name, each in mutations.items() if "idempotencyKey" not in each.args["input"].type.of_type.fields
    }
    secrets = {"login", "refresh", "logout", "invitationAccept", "passwordChange", "userInvite", "apiTokenCreate"}
    assert without == secrets
