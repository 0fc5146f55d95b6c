"""Edges of the graph that lead from a row to another by a key: one batch for all rows of a level, not a task a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import strawberry

from execution import Loader, loader_field
from schema.context import Context

Key = str | Callable[[Any], Any]
"""an attribute of the parent, or a function of it; null leads nowhere"""


def to_user(key: Key, given: str | None = None) -> Callable[..., Any]:
    """`given` names the row that the parent may carry already."""

    def users(info: strawberry.Info[Context, None]) -> Loader:
        return info.context.loaders.user

    return loader_field(users, key, given)


def to_project(key: Key, given: str | None = None) -> Callable[..., Any]:
    def projects(info: strawberry.Info[Context, None]) -> Loader:
        return info.context.loaders.project

    return loader_field(projects, key, given)


def to_business_unit(key: Key = "business_unit_id") -> Callable[..., Any]:
    def units(info: strawberry.Info[Context, None]) -> Loader:
        return info.context.loaders.business_unit

    return loader_field(units, key)
