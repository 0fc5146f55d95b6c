"""What our light rows promise of their attributes holds for what is read from the database, by either source."""

from __future__ import annotations

import gc
from datetime import date
from types import NoneType
from typing import Any, get_args

import pytest
from sqlalchemy import select

from server import light_rows
from server.database import Database
from server.light_rows import LightConnection, LightRow, read
from server.planning.repository import assignments
from server.planning.repository.glance import GlanceCell, GlanceMonth, glance
from server.projects import repository as projects
from server.users import repository as users
from tests.factories import Factory

LIGHT = [
    users.LIGHT,
    users.LIGHT_BRIEF,
    (users._UNIT_COLUMNS, users.UnitLight),
    projects._LIGHT,
    projects._LIGHT_BRIEF,
    assignments._LIGHT,
    assignments._LIGHT_BRIEF,
]
MONTHS = [date(2026, 1, 1), date(2026, 2, 1)]


@pytest.fixture
async def seeded(make: Factory) -> Any:
    """Each kind of row with all that may be null given, and with none of it."""
    day = date(2026, 1, 1)
    unit = await make.unit()
    user = await make.user(business_unit_id=unit.id)
    await make.user(email=None)
    project = await make.project(start_date=day, end_date=day, business_unit_id=unit.id)
    await make.assignment(user, await make.project())
    await make.assignment(user, project, note="a note")
    await make.capacity(user, MONTHS[0])
    await make.cell(user, project, MONTHS[0], stated="5.00")
    return user


def kept(rows: list[Any]) -> type:
    """Hold rows against what their class promises and return it."""
    (kind,) = set(map(type, rows))
    for name, (place, types) in kind.__promises__.items():
        assert all(row[place] is getattr(row, name) for row in rows)
        assert {type(getattr(row, name)) for row in rows} <= types, f"{kind.__name__}.{name}"
        assert NoneType not in types or any(getattr(row, name) is None for row in rows), f"{name} is never null"
    return kind


async def test_every_light_row_is_what_its_class_promises(seeded: Any, database: Database) -> None:
    checked = set()
    for columns, kind in LIGHT:
        async with database.reads.light() as connection, database.reads.session() as session:
            for source in (connection, session):
                assert kept(await read(source, select(*columns), kind)) is kind
        checked.add(kind)
    async with database.reads.light() as connection:
        [months] = await _glance(connection, seeded)
    checked |= {kept(months), kept([cell for month in months for cell in month.cells])}
    assert {GlanceMonth, GlanceCell} < checked
    ours = {kind for kind in LightRow.__subclasses__() if kind.__module__.startswith("server.")}
    assert checked == ours, "a light row that nobody holds against its promise"


async def _glance(connection: LightConnection, user: Any) -> list[list[Any]]:
    return await glance(connection, [user.id], MONTHS)


def test_texts_and_bools_alone_are_promised() -> None:
    class Drawn(LightRow):
        __slots__ = ()
        text: str
        perhaps: bool | None
        number: int
        texts: list[str]
        either: str | int
        kind = "drawn"

    assert Drawn.__promises__ == {"text": (0, {str}), "perhaps": (1, {bool, NoneType})}
    row = Drawn(["a", None, 1, [], 2])
    assert (row.text, row.perhaps, row.number, row.texts, row.either, row.kind) == ("a", None, 1, [], 2, "drawn")


def test_a_row_class_can_be_made_while_garbage_is_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    """What its readers are taken from is a class in a cycle, which the collector clears when nobody holds it."""

    def while_collecting(annotation: Any) -> Any:
        gc.collect()
        return get_args(annotation)

    monkeypatch.setattr(light_rows, "get_args", while_collecting)

    class Made(LightRow):
        __slots__ = ()
        note: str | None
        name: str

    assert (Made((None, "a")).name, Made(("b", "a")).note) == ("a", "b")
