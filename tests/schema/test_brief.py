"""Rows that are read with a few of their columns answer what the whole rows answer."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from schema.loaders import Loaders
from server.actor import Permission
from server.planning.repository.assignments import Period
from tests.factories import actor, admin

BRIEF = """query Brief { projects { items {
  __typename id code name status startDate endDate
  assignments { ...Given }
} } users { items { assignments { ...Given } } } }
fragment Given on Assignment {
  __typename id rate startDate endDate
  user { __typename id email firstName lastName } project { __typename id code name status startDate endDate }
}"""
FIELD = "__typename"


def _without(field: str, answer: Any) -> Any:
    if isinstance(answer, dict):
        return {key: _without(field, value) for key, value in answer.items() if key != field}
    return [_without(field, each) for each in answer] if isinstance(answer, list) else answer


async def test_brief_rows_answer_what_whole_rows_answer(graphql, make, statements):
    user = await make.user()
    project = await make.project(start_date=date(2026, 1, 5))
    await make.assignment(user, project, start_date=date(2026, 2, 1), end_date=date(2026, 3, 31))
    whole = await graphql(admin(), BRIEF.replace(FIELD, f"{FIELD} version"))
    assert any("version" in statement for statement in statements.texts)
    statements.clear()
    brief = await graphql(admin(), BRIEF)
    assert brief == _without("version", whole)
    [item] = [each for each in brief["projects"]["items"] if each["assignments"]]
    assert item["startDate"] == "2026-01-05"
    assert item["assignments"][0]["user"]["email"] == user.email
    assert item["assignments"][0]["project"]["id"] == str(project.id)
    of_them = [text for text in statements.texts if "FROM projects" in text or "FROM assignments" in text]
    assert len(of_them) == 4  # a page, a batch, and the assignments by either end
    assert not any("created_at" in text for text in of_them)


async def test_of_brief_people_too_everybody_sees_their_own_address_alone(graphql, make):
    """Their id is a text there, and the caller's is not."""
    ada, bob, project = await make.user(), await make.user(), await make.project()
    for user in (ada, bob):
        await make.assignment(user, project, start_date=date(2026, 2, 1), end_date=date(2026, 3, 31))
    caller = actor(Permission.PROJECTS_READ, Permission.PLANNING_READ, user=ada)
    document = "{ projects { items { assignments { user { id email } } } } }"
    for brief in (True, False):
        answer = await graphql(caller, document if brief else document.replace("email", "email version"))
        people = [each["user"] for item in answer["projects"]["items"] for each in item["assignments"]]
        assert {each["id"]: each["email"] for each in people} == {str(ada.id): ada.email, str(bob.id): None}


async def test_an_id_and_its_text_lead_to_the_same_rows_even_in_one_batch(database, make):
    """As where one operation asks for the same projects briefly and wholly."""
    user, project = await make.user(), await make.project()
    assignment = await make.assignment(user, project, start_date=date(2026, 2, 1), end_date=date(2026, 3, 31))
    await make.cell(user, project, date(2026, 2, 1), stated="4.00")
    loaders, keys = Loaders(database.reads), [project.id, str(project.id)]
    for brief in (True, False):
        found = await loaders.assignments_of_project(Period(), brief=brief).load_all(keys)
        assert [[str(row.id) for row in rows] for rows in found] == [[str(assignment.id)]] * 2
    months = await loaders.project_months(date(2026, 2, 1), date(2026, 2, 1)).load_all(keys)
    assert [[row.load for row in rows] for rows in months] == [[Decimal("4.00")]] * 2
    assert [row.id for row in await loaders.project.load_all(keys)] == [project.id] * 2
