"""Rows of the answer, put together from columns and, where their types are promised, from the sources themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from graphql import default_field_resolver

from .kinds import Promises
from .leaves import Leaf

if TYPE_CHECKING:
    from graphql import Executor

    from .plan import Field

__all__ = ["Assembly"]

Build = Callable[[list[Any], list[list[Any]]], list[dict[str, Any]]]
"""(sources, columns) -> rows"""

_MOST = 256
"""keys of a row; a display of thousands of aliases is not worth keeping"""


class Assembly:
    """How the rows of a selection set are put together.

    Where the sources promise what an attribute is, and the field's scalar passes that as it is, the row takes the value
    straight from the source: nothing is read, looked at or completed.
    """

    __slots__ = ("build", "columns", "passed", "promises")

    def __init__(self, fields: Sequence[Field], promises: Promises | None = None) -> None:
        self.promises = promises
        places = [_place(field, promises) if promises and len(fields) <= _MOST else None for field in fields]
        self.columns = [field for field, place in zip(fields, places, strict=True) if place is None]
        self.passed = [
            (field.definition, field.resolve, field.value.type, field.value.serialiser)
            for field, place in zip(fields, places, strict=True)
            if place is not None and isinstance(field.value, Leaf)
        ]
        self.build = _builder(tuple(field.key for field in fields), tuple(places))

    def holds(self, executor: Executor[Any]) -> bool:
        """Tell whether nothing was replaced since that the values pass by."""
        if executor.field_resolver is not default_field_resolver:
            return False
        for definition, resolve, type_, serialiser in self.passed:
            if definition.resolve is not resolve or type_.coerce_output_value is not serialiser:
                return False
        return True


def _place(field: Field, promises: Promises) -> int | None:
    """Return the index in the source of what is the field's value as it is, if there is such a thing."""
    name, value = field.source.attribute, field.value
    if name is None or name not in promises or field.has_arguments or not isinstance(value, Leaf):
        return None
    index, types = promises[name]
    return index if value.passes(types) else None


@lru_cache(maxsize=1024)
def _builder(keys: tuple[str, ...], places: tuple[int | None, ...]) -> Build:
    """Return a function that makes rows of the columns of some keys and of the places in the sources of the others.

    A comprehension over a dict display is more than twice as fast as dict(zip(keys, row)); the text that is evaluated
    holds nothing but numbers, numbered names and the repr of the response keys.
    """
    if len(keys) > _MOST:
        return lambda _, columns: [dict(zip(keys, row, strict=True)) for row in zip(*columns, strict=True)]
    if not keys:
        return lambda sources, _: [{} for _ in sources]
    names = [f"v{number}" for number, place in enumerate(places) if place is None]
    values = [f"v{number}" if place is None else f"source[{place}]" for number, place in enumerate(places)]
    pairs = ", ".join(f"{key!r}: {value}" for key, value in zip(keys, values, strict=True))
    if len(names) < len(keys):
        names.insert(0, "source")
    each = f"{', '.join(names)}, in zip({'sources, ' if 'source' in names else ''}*columns)"
    build: Build = eval(f"lambda sources, columns: [{{{pairs}}} for {each}]", {"zip": zip})  # noqa: S307 - as said above  # nosec B307
    return build
