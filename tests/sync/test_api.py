"""Syncs through GraphQL: who may do what, what is answered, and at what cost."""

from __future__ import annotations

import asyncio

import pytest

from schema.context import Context
from server.actor import Permission
from server.sync.models import ConflictResource, Provider, SyncConflictRow, SyncState
from tests.factories import actor, admin
from tests.sync.conftest import until

PAYFIT = Provider.PAYFIT
RUN = "id provider state phase progress counts { kind read created skipped refused } cause message"
START = (
    "mutation ($provider: Provider!) { syncStart(input: {provider: $provider})"
    f" {{ run {{ {RUN} }} problems {{ code errors {{ path }} }} }} }}"
)
CANCEL = "mutation ($id: UUID!) { syncCancel(input: {id: $id}) { run { state } problems { code } } }"


@pytest.fixture
def ask(schema, database, keys, bus):
    async def execute(caller, document, **variables):
        context = Context(database=database, settings=keys, bus=bus, caller=caller, request_id="test")
        result = await schema.execute(document, variable_values=variables, context_value=context)
        assert not result.errors, result.errors
        return result.data

    return execute


async def test_starting_answers_the_queued_run_and_a_second_start_the_one_under_way(ask, sync, make):
    who = admin(await make.user())
    first = (await ask(who, START, provider="PAYFIT"))["syncStart"]
    assert (first["run"]["state"], first["problems"]) == ("QUEUED", [])
    second = (await ask(who, START, provider="PAYFIT"))["syncStart"]
    assert second["problems"] == [{"code": "SYNC_RUNNING", "errors": [{"path": ["provider"]}]}]
    assert second["run"]["id"] == first["run"]["id"]


async def test_a_run_that_has_ended_is_not_cancelled(ask, sync, make):
    who = admin(await make.user())
    run = await sync.start(PAYFIT)
    assert (await ask(who, CANCEL, id=str(run.id)))["syncCancel"] == {"run": {"state": "CANCELLED"}, "problems": []}
    again = (await ask(who, CANCEL, id=str(run.id)))["syncCancel"]
    assert again == {"run": {"state": "CANCELLED"}, "problems": [{"code": "SYNC_ENDED"}]}
    unknown = (await ask(who, CANCEL, id="00000000-0000-0000-0000-000000000000"))["syncCancel"]
    assert unknown == {"run": None, "problems": [{"code": "UNKNOWN_ID"}]}


async def test_a_run_shows_its_counts_and_refusals(ask, sync, make):
    sync.simulated.switch("malformed-absence")
    run = await sync(PAYFIT)
    document = (
        f"query ($id: UUID!) {{ syncRun(id: $id) {{ {RUN} refusals(first: 2) {{ kind code reason records }} }} }}"
    )
    shown = (await ask(actor(Permission.SYNC_READ), document, id=str(run.id)))["syncRun"]
    assert (shown["state"], shown["progress"], shown["phase"]) == ("SUCCEEDED", 100.0, None)
    assert [one["kind"] for one in shown["counts"]] == ["PERSON", "CONTRACT", "ABSENCE"]
    assert shown["counts"][0] == {"kind": "PERSON", "read": 40, "created": 39, "skipped": 0, "refused": 1}
    assert shown["refusals"][0] == {
        "kind": "PERSON", "code": "MALFORMED", "reason": "lastName: Field required", "records": 1
    }  # fmt: skip


async def test_the_list_of_runs_costs_the_same_however_many(ask, sync, statements):
    document = "{ syncRuns { total items { id refusals(first: 5) { reason } startedBy { id } } } }"
    who, costs = actor(Permission.SYNC_READ, Permission.USERS_READ), []
    for _ in range(2):
        sync.simulated.switch("malformed-absence")
        for _ in range(2):
            await sync(PAYFIT)
        statements.clear()
        await ask(who, document)
        costs.append(len(statements))
    assert costs[0] == costs[1]


async def test_the_subscription_sends_the_state_and_each_change_until_the_run_ends(schema, database, keys, bus, sync):
    run = await sync.start(PAYFIT)
    context = Context(database=database, settings=keys, bus=bus, caller=actor(Permission.SYNC_READ))
    document = f"subscription ($id: UUID!) {{ syncStatus(runId: $id) {{ {RUN} }} }}"
    results = await schema.subscribe(document, variable_values={"id": str(run.id)}, context_value=context)
    seen = []

    async def follow():
        async for result in results:
            assert not result.errors, result.errors
            seen.append(result.data["syncStatus"])

    task = asyncio.create_task(follow())
    await until(lambda: seen)
    await sync.go_on(run.id)
    async with asyncio.timeout(10):
        await task
    assert seen[0]["state"] == "QUEUED"
    assert seen[-1]["state"] == "SUCCEEDED"
    assert "APPLYING" in {one["phase"] for one in seen}


async def test_conflicts_hide_addresses_from_those_who_may_not_see_them(ask, sync, make):
    user = await make.user()
    for field in ("email", "last_name"):
        await make.add(
            SyncConflictRow(provider=PAYFIT, resource=ConflictResource.USER, resource_id=user.id, field=field,
                            local_value="ours", external_value="theirs")
        )  # fmt: skip
    document = "{ syncConflicts { items { field localValue externalValue state } } }"
    shown = (await ask(actor(Permission.SYNC_READ), document))["syncConflicts"]["items"]
    values = {one["field"]: (one["localValue"], one["externalValue"]) for one in shown}
    assert values == {"email": (None, None), "last_name": ("ours", "theirs")}
    everything = (await ask(admin(user), document))["syncConflicts"]["items"]
    assert {one["localValue"] for one in everything} == {"ours"}


async def test_a_conflict_is_resolved_with_the_rights_to_change_what_it_is_about(ask, sync, make):
    user = await make.user(last_name="King")
    conflict = await make.add(
        SyncConflictRow(provider=PAYFIT, resource=ConflictResource.USER, resource_id=user.id, field="last_name",
                        local_value="King", external_value="Lovelace")
    )  # fmt: skip
    document = (
        "mutation ($id: UUID!) { syncConflictResolve(input: {id: $id, resolution: TAKE})"
        " { conflict { state } problems { code } } }"
    )
    refused = await ask(actor(Permission.SYNC_WRITE, user=user), document, id=str(conflict.id))
    assert [one["code"] for one in refused["syncConflictResolve"]["problems"]] == ["OUT_OF_SCOPE"]
    done = await ask(admin(user), document, id=str(conflict.id))
    assert done["syncConflictResolve"] == {"conflict": {"state": "TAKEN"}, "problems": []}
    assert await sync.one("SELECT last_name FROM users WHERE id = :id", id=user.id) == "Lovelace"


async def test_people_are_mapped_and_reading_that_leaves_a_trace(ask, sync, make):
    user = await make.user()
    await sync(PAYFIT)
    who = admin(user)
    people = "{ externalPeople(filter: {unmapped: false}, size: 1) { total items { id externalId state score } } }"
    shown = (await ask(who, people))["externalPeople"]
    assert (shown["total"], shown["items"][0]["state"]) == (40, "LINKED")
    document = (
        "mutation ($user: UUID!, $id: String) { userMappingSet(input: {userId: $user, gryzzlyUserId: $id})"
        " { mapping { user { id } gryzzlyUserId payfitEmployeeId version } problems { code errors { path } } } }"
    )
    done = (await ask(who, document, user=str(user.id), id="gz-1"))["userMappingSet"]
    assert done["mapping"]["gryzzlyUserId"] == "gz-1"
    mapped = await sync.one("SELECT user_id FROM user_mappings WHERE payfit_employee_id IS NOT NULL LIMIT 1")
    taken = (await ask(who, document, user=str(mapped), id="gz-1"))["userMappingSet"]
    assert taken["problems"] == [{"code": "ALREADY_MAPPED", "errors": [{"path": ["gryzzlyUserId"]}]}]
    assert await sync.one("SELECT count(*) FROM audit_logs WHERE action = 'external_people.read'") == 1
    assert (await ask(who, "{ userMappings(filter: {unmappedAt: PAYFIT}) { total } }"))["userMappings"]["total"] == 1


async def test_a_person_is_confirmed_as_somebody_new(ask, sync, make):
    await make.user()
    sync.simulated.limit = 200
    await sync(Provider.GRYZZLY)
    person = await sync.one("SELECT id FROM external_people ORDER BY external_id LIMIT 1")
    document = (
        "mutation ($id: UUID!) { userMappingConfirm(input: {externalPersonId: $id, createUser: true})"
        " { mapping { user { lastName } } problems { code detail } } }"
    )
    done = (await ask(admin(await make.user()), document, id=str(person)))["userMappingConfirm"]
    assert done["problems"] == []
    assert done["mapping"]["user"]["lastName"]
    assert (await sync(Provider.GRYZZLY)).state is SyncState.SUCCEEDED
