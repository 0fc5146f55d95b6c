"""Pages of catalogues: items, page, size, and a total that is counted only when it is asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

import strawberry
from graphql import FieldNode, FragmentSpreadNode, InlineFragmentNode, SelectionSetNode

from server.errors import BadRequest

T = TypeVar("T")

MAX_SIZE = 200
MAX_DEPTH = 10_000

PageNumber = Annotated[int, strawberry.argument(description="Which page, from 1.")]
PageSize = Annotated[int, strawberry.argument(description="How many items a page, 1 to 200.")]


def window(page: int, size: int) -> tuple[int, int]:
    """(offset, limit) of a page. Raises BadRequest: page from 1, size 1 to 200, page × size at most 10,000."""
    if page < 1 or not 1 <= size <= MAX_SIZE:
        raise BadRequest(f"page starts at 1 and size goes from 1 to {MAX_SIZE}; got page {page}, size {size}.")
    if page * size > MAX_DEPTH:
        raise BadRequest(f"page × size may be at most {MAX_DEPTH}: filter further, or read incrementally.")
    return (page - 1) * size, size


@strawberry.type(description="One page of a catalogue.")
class Page(Generic[T]):
    items: list[T] = strawberry.field(description="The page's items, in the order asked for.")
    page: int = strawberry.field(description="Which page this is, from 1.")
    size: int = strawberry.field(description="How many items a page has at most.")
    count: strawberry.Private[Callable[[], Awaitable[int]]]

    @strawberry.field(description="How many items there are on all pages; counted only when selected.")
    async def total(self) -> int:
        return await self.count()


@strawberry.type(description="One page of a catalogue that can be read incrementally.")
class IncrementalPage(Page[T], Generic[T]):
    next_updated_after: datetime | None = strawberry.field(
        description="Pass it as `filter.updatedAfter` to the next incremental read: nothing is missed. "
        "Never later than the start of the oldest write still open; overlaps are possible, gaps are not."
    )


def selects(info: strawberry.Info[Any, Any], name: str) -> bool:
    """Whether the field's selection asks for `name`: for work that must be done before the rows are read."""
    raw = info._raw_info

    def visit(selection: SelectionSetNode | None) -> bool:
        for node in selection.selections if selection else ():
            if isinstance(node, FieldNode) and node.name.value == name:
                return True
            if isinstance(node, InlineFragmentNode) and visit(node.selection_set):
                return True
            if isinstance(node, FragmentSpreadNode) and visit(raw.fragments[node.name.value].selection_set):
                return True
        return False

    return any(visit(node.selection_set) for node in raw.field_nodes)
