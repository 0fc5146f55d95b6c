"""How a function is mapped over a column of values when some of the calls may fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["collect"]


def collect(function: Callable[[Any], Any], sources: list[Any], *, missing_is_null: bool = False) -> list[Any]:
    """Map a function over the sources; what it raises takes the place of its value.

    list.extend keeps what came before an exception and map goes on after it, so nothing is called twice and the loop
    itself runs in C.
    """
    values: list[Any] = []
    remaining = map(function, sources)
    count = len(sources)
    while len(values) < count:
        try:
            values.extend(remaining)
            if len(values) < count:  # extend took a StopIteration of the function for the end
                values.append(StopIteration())
        except Exception as error:
            values.append(None if missing_is_null and isinstance(error, AttributeError) else error)
    return values
