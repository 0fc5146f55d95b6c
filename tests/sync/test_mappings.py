"""Deciding who is whom: uniqueness, proposals, new users, and links that stay away once they were taken away."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from clients.simulator import Company
from clients.simulator.company import Declaration, Project, Task, User
from server.actor import Permission, Scope
from server.errors import Refused
from server.sync.models import PersonState, Provider, SyncState
from server.sync.repository import mappings as repository
from server.sync.repository.mappings import MappingFilter, PersonFilter
from server.sync.service import mappings
from server.sync.service.mappings import Confirmation, MappingChange
from tests.factories import actor
from tests.sync.conftest import SYSTEM

GRYZZLY, PAYFIT = Provider.GRYZZLY, Provider.PAYFIT
INDIRA = User("u9", "Indira Libre", "indira@libre.test")


@pytest.fixture
def company() -> Company:
    return Company("co", "Company", users=[INDIRA])


async def set_mapping(sync, user, who=SYSTEM, version=None, **ids):
    given = {Provider[name.upper()]: value for name, value in ids.items()}
    async with sync.database.transaction(who) as tx:
        return await mappings.set_mapping(tx, MappingChange(user.id, given, version))


async def confirm(sync, **values):
    person_id = await sync.one("SELECT id FROM external_people")
    async with sync.database.transaction(SYSTEM) as tx:
        return await mappings.confirm(tx, Confirmation(person_id, **values))


async def person(sync):
    return (await sync.rows("SELECT state, proposed_user_id, score FROM external_people"))[0]


async def run(sync):
    done = await sync(GRYZZLY)
    assert done.state is SyncState.SUCCEEDED, done.message
    return done


async def test_a_likely_person_is_proposed_and_confirmed(sync, make):
    user = await make.user(first_name="Indira", last_name="Libre", email="i.libre@example.test")
    await run(sync)
    proposed = await person(sync)
    assert (proposed.state, proposed.proposed_user_id, str(proposed.score)) == ("PROPOSED", user.id, "0.85")
    row = await confirm(sync)
    assert (row.user_id, row.gryzzly_user_id, row.payfit_employee_id) == (user.id, "u9", None)
    assert tuple(await person(sync)) == ("LINKED", None, None)


async def test_a_new_user_is_made_from_an_external_person(sync):
    await run(sync)
    row = await confirm(sync, create_user=True)
    (user,) = await sync.rows("SELECT id, first_name, last_name, email, password_hash FROM users")
    assert tuple(user) == (row.user_id, "Indira", "Libre", "indira@libre.test", None)
    with pytest.raises(Refused) as refused:
        await confirm(sync, create_user=True)
    assert refused.value.problems[0].code == "ALREADY_MAPPED"


async def test_nobody_is_proposed_and_nobody_chosen_is_refused(sync):
    await run(sync)
    with pytest.raises(Refused) as refused:
        await confirm(sync)
    assert refused.value.problems[0].errors[0].path == ("userId",)


async def test_one_external_id_belongs_to_one_person_even_for_two_callers_at_once(sync, make):
    people = [await make.user() for _ in range(4)]
    results = await asyncio.gather(*(set_mapping(sync, one, gryzzly="u9") for one in people), return_exceptions=True)
    refused = [one for one in results if isinstance(one, Refused)]
    assert len(refused) == 3
    assert {(one.problems[0].code, one.problems[0].errors[0].path) for one in refused} == {
        ("ALREADY_MAPPED", ("gryzzlyUserId",))
    }
    assert await sync.one("SELECT count(*) FROM user_mappings") == 1


async def test_both_providers_stand_in_one_mapping_and_versions_are_checked(sync, make):
    user = await make.user()
    await set_mapping(sync, user, gryzzly="u9")
    row = await set_mapping(sync, user, payfit="p1", version=1)
    assert (row.gryzzly_user_id, row.payfit_employee_id, row.version) == ("u9", "p1", 2)
    with pytest.raises(Refused) as refused:
        await set_mapping(sync, user, payfit="p2", version=1)
    assert refused.value.problems[0].code == "VERSION_CONFLICT"


async def test_a_link_that_was_taken_away_does_not_come_back_by_itself(sync, make):
    user = await make.user(email="indira@libre.test")
    await run(sync)
    assert (await person(sync)).state == PersonState.LINKED
    assert await set_mapping(sync, user, gryzzly=None) is None
    done = await run(sync)
    assert (await person(sync)).state == PersonState.SET_ASIDE
    assert done.counts["PERSON"]["updated"] == 0
    assert (await set_mapping(sync, user, gryzzly="u9")).gryzzly_user_id == "u9"


async def test_mapping_needs_to_reach_the_person(sync, make):
    unit, other = await make.unit(), await make.unit()
    user = await make.user(business_unit_id=other.id)
    caller = actor(Permission.MAPPINGS_WRITE, user=await make.user(business_unit_id=unit.id), scope=Scope.UNIT)
    with pytest.raises(Refused) as refused:
        await set_mapping(sync, user, who=caller, gryzzly="u9")
    assert refused.value.problems[0].code == "OUT_OF_SCOPE"
    assert await sync.one("SELECT count(*) FROM user_mappings") == 0


@pytest.mark.parametrize("bad", ["", "  ", "x" * 201, "a\nb"])
async def test_an_unusable_id_is_refused_at_its_field(sync, make, bad):
    with pytest.raises(Refused) as refused:
        await set_mapping(sync, await make.user(), payfit=bad)
    assert refused.value.problems[0].errors[0].path == ("payfitEmployeeId",)


async def test_the_unmapped_are_found(sync, make):
    user = await make.user()
    await set_mapping(sync, user, payfit="p1")
    sync.simulated.serve(replace(sync.simulated.gryzzly.company, users=[INDIRA]))
    await run(sync)
    async with sync.database.reads.session() as session:
        people = await repository.people(session, PersonFilter(unmapped=True, search="libre"), 0, 10)
        assert [one.external_id for one in people] == ["u9"]
        assert await repository.count_people(session, PersonFilter(unmapped=False)) == 0
        found = await repository.mappings(session, MappingFilter(unmapped_at=GRYZZLY), 0, 10)
        assert [one.user_id for one in found] == [user.id]
        assert await repository.count_mappings(session, MappingFilter(unmapped_at=PAYFIT)) == 0


async def test_somebody_mapped_to_another_takes_their_time_along(sync, make):
    """Declared time follows who declared it, once a person corrects the link."""
    wrong, right = await make.user(email="indira@libre.test"), await make.user()
    day = sync.today.replace(day=3)
    held = {"u9": [Declaration("d1", "u9", "t1", day, 25_200)]}
    sync.simulated.serve(
        Company("co", "C", users=[INDIRA], projects=[Project("g1", "P", "P")], tasks=[Task("t1", "g1", "T")],
                declarations=held)
    )  # fmt: skip
    await run(sync)
    await set_mapping(sync, wrong, gryzzly=None)
    await set_mapping(sync, right, gryzzly="u9")
    await run(sync)
    rows = await sync.rows("SELECT user_id, actual FROM forecasts")
    assert {row.user_id: row.actual and str(row.actual) for row in rows} == {wrong.id: None, right.id: "1.00"}
