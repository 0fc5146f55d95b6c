"""Compares execution alone, in memory: graphql-core's executor against execution.CompiledExecutor, in one run.

`python -m benchmarks.executor [--rounds 15]` alternates the two on the same documents and data, checks that their
answers are equal and prints the median of each with their ratio. Parsing and validation are outside the measurement.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import platform
import statistics
import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import strawberry
from graphql import (
    Executor,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLString,
    execute,
    get_introspection_query,
    parse,
)
from graphql.execution.incremental import IncrementalExecutor
from strawberry.dataloader import DataLoader
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from execution import CompiledExecutor, loader_field

USERS, MONTHS, CELLS, PROJECTS = 100, 12, 3, 60


@dataclass(slots=True)
class Row:
    """One row of any kind, with all the attributes that the documents ask for."""

    id: str = ""
    name: str = ""
    code: str = ""
    email: str = ""
    first_name: str = ""
    last_name: str = ""
    month: str = ""
    capacity: float = 0.0
    load: float = 0.0
    days: float = 0.0
    project_id: str | None = None
    user: Any = None
    months: Any = None
    cells: Any = None
    users: Any = None


def _project(number: int) -> Row:
    return Row(id=f"p{number}", name=f"Project {number}", code=f"P-{number:03}")


def _user(number: int) -> Row:
    return Row(
        id=f"u{number}", email=f"u{number}@example.test", first_name=f"First {number}", last_name=f"Last {number}"
    )


def _grid() -> list[Row]:
    def cell(user: int, month: int, number: int) -> Row:
        project = (user * 7 + month * 3 + number) % PROJECTS
        return Row(id=f"c{user}-{month}-{number}", days=1.0 + number, project_id=f"p{project}")

    def month_of(user: int, month: int) -> Row:
        cells = [cell(user, month, number) for number in range(CELLS)]
        return Row(month=f"2026-{month + 1:02}", capacity=18.5, load=6.0, cells=cells)

    return [Row(user=_user(user), months=[month_of(user, month) for month in range(MONTHS)]) for user in range(USERS)]


GRID = _grid()
PROJECT_ROWS = {row.id: row for row in map(_project, range(PROJECTS))}


async def load_projects(keys: list[str]) -> list[Row]:
    return [PROJECT_ROWS[key] for key in keys]


projects_of = loader_field(lambda info: info.context.projects, key="project_id")


async def _awaited_project(self: Any, info: strawberry.Info) -> Any:
    return await info.context.projects.load(self.project_id)


def strawberry_schema(executor: type[Executor[Any]], project_resolver: Any) -> strawberry.Schema:
    @strawberry.type
    class Project:
        id: strawberry.ID
        name: str
        code: str

    @strawberry.type
    class User:
        id: strawberry.ID
        email: str
        first_name: str
        last_name: str

    @strawberry.type
    class Cell:
        id: strawberry.ID
        days: float
        project: Project = strawberry.field(resolver=project_resolver)

    @strawberry.type
    class Month:
        month: str
        capacity: float
        load: float
        cells: list[Cell]

    @strawberry.type
    class PlanningRow:
        user: User
        months: list[Month]

    async def read_planning() -> list[PlanningRow]:
        return GRID  # type: ignore[return-value]

    async def read_me() -> User:
        return GRID[0].user  # type: ignore[no-any-return]

    @strawberry.type
    class Query:
        planning: list[PlanningRow] = strawberry.field(resolver=read_planning)
        me: User = strawberry.field(resolver=read_me)

    for local in (Project, User, Cell, Month, PlanningRow):
        globals()[local.__name__] = local  # Strawberry resolves the annotations of nested classes here
    return strawberry.Schema(query=Query, execution_context_class=executor)


def plain_schema() -> GraphQLSchema:
    def required(type_: Any) -> GraphQLField:
        return GraphQLField(GraphQLNonNull(type_))

    def many(type_: Any) -> GraphQLField:
        return required(GraphQLList(GraphQLNonNull(type_)))

    def read(name: str, type_: Any) -> GraphQLField:
        return GraphQLField(GraphQLNonNull(type_), resolve=lambda source, _info: getattr(source, name))

    project = GraphQLObjectType(
        "Project", {"id": required(GraphQLID), "name": required(GraphQLString), "code": required(GraphQLString)}
    )
    user = GraphQLObjectType(
        "User",
        {
            "id": required(GraphQLID),
            "email": required(GraphQLString),
            "firstName": read("first_name", GraphQLString),
            "lastName": read("last_name", GraphQLString),
        },
    )
    cell = GraphQLObjectType(
        "Cell",
        {
            "id": required(GraphQLID),
            "days": required(GraphQLFloat),
            "project": GraphQLField(GraphQLNonNull(project), resolve=projects_of),
        },
    )
    month = GraphQLObjectType(
        "Month",
        {
            "month": required(GraphQLString),
            "capacity": required(GraphQLFloat),
            "load": required(GraphQLFloat),
            "cells": many(cell),
        },
    )
    row = GraphQLObjectType("PlanningRow", {"user": required(user), "months": many(month)})
    query = GraphQLObjectType(
        "Query",
        {
            "planning": GraphQLField(
                GraphQLNonNull(GraphQLList(GraphQLNonNull(row))), resolve=lambda _source, _info: GRID
            ),
            "me": GraphQLField(GraphQLNonNull(user), resolve=lambda _source, _info: GRID[0].user),
        },
    )
    return GraphQLSchema(query)


DOCUMENTS = {
    "small": "{ me { id email firstName lastName } }",
    "grid": """{ planning { user { id email firstName lastName }
        months { month capacity load cells { id days project { id name code } } } } }""",
    "introspection": get_introspection_query(),
}


async def _run(schema: GraphQLSchema, document: Any, executor: type[Executor[Any]], options: dict[str, Any]) -> Any:
    context = SimpleNamespace(projects=DataLoader(load_fn=load_projects))
    started = execute(schema, document, context_value=context, executor_class=executor, **options)
    result = await started if inspect.isawaitable(started) else started
    if result.errors:
        raise SystemExit(f"The benchmark's query failed: {result.errors[0]}")
    return result.data


async def compare(label: str, rounds: int, text: str, contenders: dict[str, tuple[Any, Any, dict[str, Any]]]) -> None:
    document = parse(text)
    answers = [await _run(schema, document, executor, options) for schema, executor, options in contenders.values()]
    if any(answer != answers[0] for answer in answers):
        raise SystemExit(f"{label}: the answers differ")
    repeat = 200 if label.endswith("small") else 1
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, (schema, executor, options) in contenders.items():
            start = time.perf_counter()
            for _ in range(repeat):
                await _run(schema, document, executor, options)
            times[name].append((time.perf_counter() - start) / repeat * 1000)
    medians = {name: statistics.median(values) for name, values in times.items()}
    compiled = medians["compiled"]
    for name, median in medians.items():
        spread = f"{min(times[name]):.3f}–{max(times[name]):.3f}"
        print(f"{label:24} {name:12} {median:9.3f} ms  ({spread})  {median / compiled:6.1f}×")


async def main(rounds: int) -> None:
    stock_options = {"is_awaitable": optimized_is_awaitable, "operation_extensions": None}
    plain = plain_schema()
    declared = strawberry_schema(CompiledExecutor, projects_of)._schema
    idiomatic = strawberry_schema(CompiledExecutor, _awaited_project)._schema
    stock = StrawberryGraphQLCoreExecutionContext
    print(f"Python {platform.python_version()}, {rounds} alternating rounds, medians; × is against compiled")
    for label, text in DOCUMENTS.items():
        await compare(
            f"plain {label}",
            rounds,
            text,
            {"graphql-core": (plain, IncrementalExecutor, {}), "compiled": (plain, CompiledExecutor, {})},
        )
        await compare(
            f"Strawberry {label}",
            rounds,
            text,
            {
                "idiomatic": (idiomatic, stock, stock_options),
                "graphql-core": (declared, stock, stock_options),
                "compiled": (declared, CompiledExecutor, stock_options),
            },
        )
    fallbacks = dict(CompiledExecutor.fallbacks)
    print(f"compiled {CompiledExecutor.compiled}, plans {CompiledExecutor.plans}, fallbacks {fallbacks}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    asyncio.run(main(parser.parse_args().rounds))
