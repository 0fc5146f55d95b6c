"""Declared loader fields: ordinary resolvers on graphql-core, one batch and one wake-up per level compiled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
import strawberry
from aiodataloader import DataLoader as AioDataLoader
from graphql import (
    GraphQLArgument,
    GraphQLDefaultInput,
    GraphQLField,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLString,
)
from strawberry.dataloader import DataLoader

from execution import BatchLoader, loader_field
from tests.execution.executors import answer, run_both, run_strawberry


@dataclass
class Store:
    """Projects by key, and the batches that were asked for."""

    batches: list[list[Any]] = field(default_factory=list)

    async def load(self, keys: list[Any]) -> list[Any]:
        self.batches.append(list(keys))
        await asyncio.sleep(0)
        return [ValueError(f"no {key}") if key == "bad" else {"name": f"project {key}"} for key in keys]


KINDS: dict[str, Callable[[Store], Any]] = {
    "strawberry": lambda store: DataLoader(load_fn=store.load),
    "aiodataloader": lambda store: AioDataLoader(store.load),
    "ours": lambda store: BatchLoader(store.load),
}


def schema_of(project_type: Any = None, key: Any = "project_id") -> GraphQLSchema:
    project = GraphQLObjectType("Project", {"name": GraphQLField(GraphQLString)})
    loaded = loader_field(lambda info: info.context.projects, key=key)
    cell = GraphQLObjectType(
        "Cell",
        {
            "project": GraphQLField(project_type(project) if project_type else project, resolve=loaded),
            "again": GraphQLField(project, resolve=loaded),
        },
    )
    return GraphQLSchema(GraphQLObjectType("Query", {"cells": GraphQLField(GraphQLList(cell))}))


@pytest.mark.parametrize("kind", KINDS)
async def test_the_keys_of_a_level_are_loaded_in_one_batch_without_repetition(kind: str) -> None:
    stores: list[Store] = []

    def context() -> Any:
        stores.append(Store())
        return SimpleNamespace(projects=KINDS[kind](stores[-1]))

    cells = [{"project_id": key} for key in ("a", "b", "a", "c")]
    outcomes = [
        await run_both(
            schema_of(), "{ cells { project { name } again { name } } }", root={"cells": cells}, context_value=context()
        )
    ]
    assert outcomes[0][0]["cells"][2] == {"project": {"name": "project a"}, "again": {"name": "project a"}}
    assert stores[0].batches == [["a", "b", "c"]]


async def test_a_null_key_gives_null_without_calling_the_loader() -> None:
    store = Store()
    context = SimpleNamespace(projects=DataLoader(load_fn=store.load))
    data, errors = await run_both(
        schema_of(), "{ cells { project { name } } }", root={"cells": [{"project_id": None}]}, context_value=context
    )
    assert (data, errors) == ({"cells": [{"project": None}]}, [])
    assert store.batches == []


async def test_a_null_key_of_a_non_null_field_is_an_error_of_its_row() -> None:
    context = SimpleNamespace(projects=DataLoader(load_fn=Store().load))
    cells = [{"project_id": None}, {"project_id": "a"}]
    data, errors = await run_both(
        schema_of(GraphQLNonNull), "{ cells { project { name } } }", root={"cells": cells}, context_value=context
    )
    assert data == {"cells": [None, {"project": {"name": "project a"}}]}
    assert errors == ["cells.0.project: Cannot return null for non-nullable field Cell.project."]


async def test_a_key_that_cannot_be_loaded_is_an_error_of_every_row_that_has_it() -> None:
    context = SimpleNamespace(projects=DataLoader(load_fn=Store().load))
    cells = [{"project_id": "bad"}, {"project_id": "a"}, {"project_id": "bad"}]
    data, errors = await run_both(
        schema_of(), "{ cells { project { name } } }", root={"cells": cells}, context_value=context
    )
    assert [cell["project"] for cell in data["cells"]] == [None, {"name": "project a"}, None]
    assert errors == ["cells.0.project: no bad", "cells.2.project: no bad"]


async def test_a_key_that_cannot_be_read_is_an_error_of_its_row() -> None:
    context = SimpleNamespace(projects=DataLoader(load_fn=Store().load))
    rows = [SimpleNamespace(project_id="a"), SimpleNamespace()]
    data, errors = await run_both(
        schema_of(), "{ cells { project { name } } }", root={"cells": rows}, context_value=context
    )
    assert data == {"cells": [{"project": {"name": "project a"}}, {"project": None}]}
    assert errors == ["cells.1.project: 'types.SimpleNamespace' object has no attribute 'project_id'"]


async def test_the_key_may_be_a_function_of_the_parent() -> None:
    context = SimpleNamespace(projects=DataLoader(load_fn=Store().load))
    schema = schema_of(key=lambda cell: (cell["user"], cell["month"]))
    data, _ = await run_both(
        schema, "{ cells { project { name } } }", root={"cells": [{"user": 1, "month": 2}]}, context_value=context
    )
    assert data["cells"][0]["project"]["name"] == "project (1, 2)"


async def test_a_loader_that_cannot_be_made_is_an_error_of_the_rows_that_need_it() -> None:
    cells = [{"project_id": None}, {"project_id": "a"}]
    data, errors = await run_both(
        schema_of(), "{ cells { project { name } } }", root={"cells": cells}, context_value=SimpleNamespace()
    )
    assert data == {"cells": [{"project": None}, {"project": None}]}
    assert errors == ["cells.1.project: 'types.SimpleNamespace' object has no attribute 'projects'"]


async def test_loaders_without_futures_are_awaited_or_taken_as_they_answer() -> None:
    class Mixed:
        def load(self, key: str) -> Any:
            return self.later(key) if key.startswith("later") else {"name": key}

        async def later(self, key: str) -> Any:
            return {"name": key}

    cells = [{"project_id": key} for key in ("now", "later", "now", "later")]
    data, errors = await run_both(
        schema_of(),
        "{ cells { project { name } } }",
        root={"cells": cells},
        context_value=SimpleNamespace(projects=Mixed()),
    )
    assert errors == []
    assert [cell["project"]["name"] for cell in data["cells"]] == ["now", "later", "now", "later"]


@pytest.mark.parametrize("is_declared", [True, False])
async def test_a_nulled_object_does_not_cancel_what_others_await(is_declared: bool) -> None:
    """graphql-core 3.3.2 cancels the shared future, and the operation with it."""
    failed = asyncio.Event()

    async def fail(_source: Any, _info: Any) -> str:
        failed.set()
        raise ValueError("fails")

    async def load(keys: list[str]) -> list[Any]:
        await failed.wait()
        for _ in range(10):
            await asyncio.sleep(0)
        return [{"name": key} for key in keys]

    def load_undeclared(_source: Any, info: Any) -> Any:
        return info.context.projects.load("a")

    project = GraphQLObjectType("Project", {"name": GraphQLField(GraphQLString)})
    declared = loader_field(lambda info: info.context.projects, key=lambda _source: "a")
    cell = GraphQLObjectType(
        "Cell",
        {
            "strict": GraphQLField(GraphQLNonNull(GraphQLString), resolve=fail),
            "project": GraphQLField(project, resolve=declared if is_declared else load_undeclared),
        },
    )
    schema = GraphQLSchema(GraphQLObjectType("Query", {"cell": GraphQLField(cell, resolve=lambda *_: {})}))
    result = await answer(
        schema,
        "{ one: cell { strict project { name } } two: cell { project { name } } }",
        context_value=SimpleNamespace(projects=DataLoader(load_fn=load)),
    )
    assert result.data == {"one": None, "two": {"project": {"name": "a"}}}
    assert [error.message for error in result.errors or ()] == ["fails"]


async def test_a_parent_that_carries_the_value_loads_nothing() -> None:
    store = Store()
    project = GraphQLObjectType("Project", {"name": GraphQLField(GraphQLString)})
    loaded = loader_field(
        lambda info: info.context.projects, key="project_id", given=lambda cell: cell.get("project_row")
    )
    cell = GraphQLObjectType("Cell", {"project": GraphQLField(project, resolve=loaded)})
    schema = GraphQLSchema(GraphQLObjectType("Query", {"cells": GraphQLField(GraphQLList(cell))}))
    carried = {"project_id": "x", "project_row": {"name": "carried"}}
    for cells, names, batches in (
        ([carried, {"project_id": "a"}, {"project_id": None}], ["carried", "project a", None], [["a"]] * 2),
        ([carried, carried], ["carried", "carried"], []),
    ):
        store.batches.clear()
        data, errors = await run_both(
            schema,
            "{ cells { project { name } } }",
            root={"cells": cells},
            make_context=lambda: SimpleNamespace(projects=DataLoader(load_fn=store.load)),
        )
        assert errors == []
        assert [cell["project"] and cell["project"]["name"] for cell in data["cells"]] == names
        assert store.batches == batches


async def test_the_arguments_of_the_field_choose_the_loader() -> None:
    made: list[Any] = []

    def loader(info: Any, *, first: int, last: int = 12) -> Any:
        made.append((first, last))

        async def load(keys: list[Any]) -> list[str]:
            return [f"{key} {first}–{last}" for key in keys]

        return info.context.setdefault((first, last), DataLoader(load_fn=load))

    month = GraphQLField(
        GraphQLString,
        args={
            "first": GraphQLArgument(GraphQLNonNull(GraphQLInt)),
            "last": GraphQLArgument(GraphQLInt, default=GraphQLDefaultInput(value=12)),
        },
        resolve=loader_field(loader, key="id"),
    )
    user = GraphQLObjectType("User", {"months": month})
    schema = GraphQLSchema(GraphQLObjectType("Query", {"users": GraphQLField(GraphQLList(user))}))
    text = "query ($n: Int!) { users { a: months(first: 1) b: months(first: $n, last: 3) } }"
    data, errors = await run_both(
        schema, text, root={"users": [{"id": 1}, {"id": 2}]}, variable_values={"n": 2}, make_context=dict
    )
    assert errors == []
    assert data["users"] == [{"a": "1 1–12", "b": "1 2–3"}, {"a": "2 1–12", "b": "2 2–3"}]
    assert made[4:] == [(1, 12), (2, 3)]


@strawberry.type
class Project:
    name: str


@strawberry.type
class Cell:
    project_id: strawberry.Private[str | None]
    project: Project | None = strawberry.field(
        resolver=loader_field(lambda info: info.context["projects"], key="project_id")
    )


def months_loader(
    info: strawberry.Info,
    first: Annotated[int, strawberry.argument(name="from")],
    names: list[str] | None = None,
) -> Any:
    async def load(keys: list[str]) -> list[str]:
        info.context["batches"].append(keys)
        return [f"{key} {first} {names}" for key in keys]

    return info.context.setdefault((first, tuple(names or [])), DataLoader(load_fn=load))


@strawberry.type
class User:
    id: str
    months: str = strawberry.field(resolver=loader_field(months_loader, key="id"))


@strawberry.type
class Query:
    @strawberry.field
    def users(self) -> list[User]:
        return [User(id=key) for key in "ab"]  # type: ignore[call-arg]

    @strawberry.field
    def cells(self) -> list[Cell]:
        return [Cell(project_id=key) for key in ("a", None, "b", "a")]  # type: ignore[call-arg]


async def test_strawberry_fields_are_declared_with_the_same_resolver() -> None:
    stores: list[Store] = []

    async def load(keys: list[str]) -> list[Project]:
        stores[-1].batches.append(keys)
        return [Project(name=key) for key in keys]

    def context() -> Any:
        stores.append(Store())
        return {"projects": DataLoader(load_fn=load)}

    data, errors = await run_strawberry(strawberry.Schema(Query), "{ cells { project { name } } }", context=context)
    assert errors == []
    assert [cell["project"] for cell in data["cells"]] == [{"name": "a"}, None, {"name": "b"}, {"name": "a"}]
    assert [store.batches for store in stores] == [[["a", "b"]], [["a", "b"]]]


async def test_strawberry_takes_the_arguments_from_the_loader() -> None:
    contexts: list[Any] = []

    def context() -> Any:
        contexts.append({"batches": []})
        return contexts[-1]

    schema = strawberry.Schema(Query)
    assert "months(from: Int!, names: [String!] = null): String!" in str(schema)
    text = '{ users { months(from: 3) other: months(from: 4, names: ["x"]) } }'
    data, errors = await run_strawberry(schema, text, context=context)
    assert errors == []
    assert data["users"][1] == {"months": "b 3 None", "other": "b 4 ['x']"}
    assert [sorted(made["batches"]) for made in contexts] == [[["a", "b"], ["a", "b"]]] * 2
