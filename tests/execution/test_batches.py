"""BatchLoader: one future per batch, each key once, and objects that many rows lead to completed once."""

from __future__ import annotations

import asyncio
import gc
import weakref
from types import SimpleNamespace
from typing import Any

import pytest
from graphql import (
    GraphQLField,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLString,
)

from execution import BatchLoader, loader_field
from tests.execution.executors import answer, run_both


class Store:
    """Values by key, the batches that were asked for, and how often each was cancelled."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.cancelled = 0
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def fetch(self, keys: list[Any]) -> list[Any]:
        self.batches.append(list(keys))
        try:
            await self.may_go_on.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if "broken" in keys:
            raise ValueError("the whole batch is broken")
        return [KeyError(key) if key == "bad" else f"value of {key}" for key in keys]


async def test_what_is_asked_for_in_one_turn_is_one_batch_and_no_key_is_fetched_twice() -> None:
    store = Store()
    loader = BatchLoader(store.fetch)
    found = await asyncio.gather(loader.load_all(["a", "b"]), loader.load_all(["b", "c"]), loader.load("a"))
    assert found == [["value of a", "value of b"], ["value of b", "value of c"], "value of a"]
    assert await loader.load_all(["c", "d", "a"]) == ["value of c", "value of d", "value of a"]
    assert store.batches == [["a", "b", "c"], ["d"]]


async def test_a_key_s_error_is_its_own_and_a_batch_s_is_everybody_s() -> None:
    loader = BatchLoader(Store().fetch)
    good, bad = await loader.load_all(["a", "bad"])
    assert (good, type(bad)) == ("value of a", KeyError)
    with pytest.raises(KeyError):
        await loader.load("bad")
    with pytest.raises(ValueError, match="the whole batch"):
        await loader.load_all(["broken", "z"])
    with pytest.raises(ValueError, match="the whole batch"):
        await loader.load("z")


async def test_a_batch_goes_on_while_somebody_waits_for_it_and_is_cancelled_when_nobody_does() -> None:
    store = Store()
    store.may_go_on.clear()
    loader = BatchLoader(store.fetch)
    first, second = asyncio.create_task(loader.load_all(["a"])), asyncio.create_task(loader.load_all(["a"]))
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.sleep(0.01)
    assert store.cancelled == 0
    second.cancel()
    await asyncio.sleep(0.01)
    assert store.cancelled == 1


async def waiting_for_two(store: Store) -> tuple[asyncio.Task[Any], asyncio.Task[Any], asyncio.Task[Any]]:
    """Who waits for one batch, who for another, and who for both."""
    loader = BatchLoader(store.fetch)
    first = asyncio.create_task(loader.load_all(["a"]))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(loader.load_all(["b"]))
    await asyncio.sleep(0.01)
    both = asyncio.create_task(loader.load_all(["a", "b"]))
    await asyncio.sleep(0.01)
    return first, second, both


async def test_who_waits_for_two_batches_keeps_both() -> None:
    store = Store()
    store.may_go_on.clear()
    _, second, both = await waiting_for_two(store)
    second.cancel()
    await asyncio.sleep(0.01)
    store.may_go_on.set()
    assert await asyncio.wait_for(both, 1) == ["value of a", "value of b"]
    assert (store.batches, store.cancelled) == ([["a"], ["b"]], 0)


async def test_who_leaves_while_waiting_for_two_batches_leaves_both() -> None:
    store = Store()
    store.may_go_on.clear()
    first, second, both = await waiting_for_two(store)
    first.cancel()
    second.cancel()
    await asyncio.sleep(0.01)
    assert store.cancelled == 0
    both.cancel()
    await asyncio.sleep(0.01)
    assert store.cancelled == 2


@pytest.mark.parametrize("turns", [1, 3])
async def test_a_batch_that_was_cancelled_is_not_joined_by_who_asks_next(turns: int) -> None:
    """Whether it had begun or not."""
    store = Store()
    store.may_go_on.clear()
    loader = BatchLoader(store.fetch)
    alone = asyncio.create_task(loader.load_all(["a"]))
    for _ in range(turns):
        await asyncio.sleep(0)
    alone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await alone
    store.may_go_on.set()
    assert await asyncio.wait_for(loader.load_all(["a", "b"]), 1) == ["value of a", "value of b"]
    assert store.batches[-1] == ["a", "b"]


def schema(name: Any = GraphQLString) -> GraphQLSchema:
    unit = GraphQLObjectType("Unit", {"code": GraphQLField(GraphQLString)})
    project = GraphQLObjectType(
        "Project",
        lambda: {
            "name": GraphQLField(name),
            "size": GraphQLField(GraphQLInt),
            "where": GraphQLField(GraphQLInt, resolve=lambda _source, info: info.path.prev.prev.key),
            "unit": GraphQLField(unit, resolve=loader_field(lambda info: info.context.units, key="unit_id")),
        },
    )
    loaded = loader_field(lambda info: info.context.projects, key="project_id")
    cell = GraphQLObjectType("Cell", {"project": GraphQLField(project, resolve=loaded)})
    return GraphQLSchema(GraphQLObjectType("Query", {"cells": GraphQLField(GraphQLList(cell))}))


def context(projects: dict[str, Any]) -> Any:
    async def fetch(keys: list[Any]) -> list[Any]:
        return [projects[key] for key in keys]

    async def units(keys: list[Any]) -> list[Any]:
        return [{"code": f"unit {key}"} for key in keys]

    return SimpleNamespace(projects=BatchLoader(fetch), units=BatchLoader(units))


CELLS = [{"project_id": "ab"[number % 2]} for number in range(12)]
PROJECTS: dict[str, Any] = {
    "a": SimpleNamespace(name="A", size=1, unit_id=1),
    "b": SimpleNamespace(name="B", size=2, unit_id=None),
}


@pytest.mark.parametrize(
    "selection",
    ["name size", "__typename name", "name n: name", "name where", "name unit { code }", "size @include(if: false)"],
)
async def test_rows_that_lead_to_few_objects_are_answered_as_by_graphql_core(selection: str) -> None:
    text = f"{{ cells {{ project {{ {selection} }} }} }}"
    _, errors = await run_both(schema(), text, root={"cells": CELLS}, make_context=lambda: context(PROJECTS))
    assert errors == []


async def test_an_operation_leaves_nothing_for_the_garbage_collector() -> None:
    """What it has read would else stay until the collector runs, and be most of what that has to look through."""

    class Project:
        name = "A"

    read: list[weakref.ref[Project]] = []

    async def fetch(keys: list[Any]) -> list[Any]:
        found = [Project() for _ in keys]
        read.extend(map(weakref.ref, found))
        return found

    gc.disable()
    try:
        await answer(
            schema(),
            "{ cells { project { name } } }",
            root_value={"cells": CELLS},
            context_value=SimpleNamespace(projects=BatchLoader(fetch)),
        )
        await asyncio.sleep(0)  # the batch's task has been let go then
        assert [each() for each in read] == [None, None]
    finally:
        gc.enable()


async def test_an_object_of_plain_values_is_completed_once_for_all_its_rows() -> None:
    read = []

    class Project:
        @property
        def name(self) -> str:
            read.append(1)
            return "A"

    result = await answer(
        schema(),
        "{ cells { project { name } } }",
        root_value={"cells": [{"project_id": "a"}] * 12},
        context_value=context({"a": Project()}),
    )
    assert (len(result.data["cells"]), len(read)) == (12, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        SimpleNamespace(name=None),
        SimpleNamespace(name=ValueError("no name")),
        SimpleNamespace(name={"not": "text"}),
        SimpleNamespace(name=lambda _info: "called"),
        SimpleNamespace(),
        None,
        ValueError("not loaded"),
    ],
)
async def test_what_is_wrong_with_a_shared_object_is_told_of_every_row(wrong: Any) -> None:
    _, errors = await run_both(
        schema(GraphQLNonNull(GraphQLString)),
        "{ cells { project { name } } }",
        root={"cells": CELLS},
        make_context=lambda: context({**PROJECTS, "b": wrong}),
    )
    fails = wrong is not None and not callable(getattr(wrong, "name", None))
    assert len(errors) == (6 if fails else 0)


async def test_an_awaitable_of_a_shared_object_is_awaited_in_each_of_its_rows() -> None:
    class Project:
        @property
        def name(self) -> Any:
            async def later() -> str:
                return "later"

            return later()

    data, errors = await run_both(
        schema(),
        "{ cells { project { name } } }",
        root={"cells": CELLS},
        make_context=lambda: context({**PROJECTS, "b": Project()}),
    )
    assert errors == []
    assert {cell["project"]["name"] for cell in data["cells"]} == {"A", "later"}
