"""Edges of the graph that lead from a row to another by a key: one batch for all rows of a level, not a task a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import strawberry
from strawberry.utils.str_converters import to_camel_case

from execution import Loader, loader_field
from schema.context import Context
from schema.pages import selected
from server.planning.repository import assignments
from server.projects import repository as projects_read
from server.users import repository as users_read

Key = str | Callable[[Any], Any]
"""an attribute of the parent, or a function of it; null leads nowhere"""


def _fields_of(columns: Sequence[str]) -> frozenset[str]:
    """The fields that a row with nothing but these columns can answer: they themselves, and the edges by their ids."""
    return frozenset({"__typename", *(to_camel_case(name.removesuffix("_id")) for name in columns)})


BRIEF_USER, BRIEF_PROJECT, BRIEF_ASSIGNMENT = map(
    _fields_of, (users_read.BRIEF, projects_read.BRIEF, assignments.BRIEF)
)


def to_user(key: Key, given: str | None = None) -> Callable[..., Any]:
    """`given` names the row that the parent may carry already."""

    def users(info: strawberry.Info[Context, None]) -> Loader:
        loaders = info.context.loaders
        return loaders.brief_user if selected(info) <= BRIEF_USER else loaders.user

    return loader_field(users, key, given)


def to_project(key: Key, given: str | None = None) -> Callable[..., Any]:
    def projects(info: strawberry.Info[Context, None]) -> Loader:
        loaders = info.context.loaders
        return loaders.brief_project if selected(info) <= BRIEF_PROJECT else loaders.project

    return loader_field(projects, key, given)


def to_business_unit(key: Key = "business_unit_id") -> Callable[..., Any]:
    def units(info: strawberry.Info[Context, None]) -> Loader:
        return info.context.loaders.business_unit

    return loader_field(units, key)
