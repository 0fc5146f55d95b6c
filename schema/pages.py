"""Pages of catalogues: items, page, size, and a total that is counted only when it is asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

import strawberry
from graphql import FieldNode, FragmentDefinitionNode, FragmentSpreadNode, InlineFragmentNode, SelectionSetNode

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
    return name in selected(info)


def selected(info: strawberry.Info[Any, Any], *path: str) -> set[str]:
    """The names of the fields that are selected below the field, or further down at a path of field names."""
    raw = info._raw_info
    nodes: list[FieldNode] = list(raw.field_nodes)
    for name in (*path, None):
        nodes = [each for node in nodes for each in _fields(node.selection_set, raw.fragments)]
        if name is not None:
            nodes = [node for node in nodes if node.name.value == name]
    return {node.name.value for node in nodes}


def _fields(selection: SelectionSetNode | None, fragments: Mapping[str, FragmentDefinitionNode]) -> Iterator[FieldNode]:
    for node in selection.selections if selection else ():
        if isinstance(node, FieldNode):
            yield node
        elif isinstance(node, InlineFragmentNode):
            yield from _fields(node.selection_set, fragments)
        elif isinstance(node, FragmentSpreadNode):
            yield from _fields(fragments[node.name.value].selection_set, fragments)
