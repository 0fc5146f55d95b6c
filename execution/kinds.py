"""What the types of a column of values tell before any single value is looked at.

A column usually holds one or two types, so asking each type once replaces asking every value whether it is null, an
exception, awaitable or callable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import GeneratorType
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from graphql.pyutils import Undefined

__all__ = [
    "AWAITABLE",
    "CALLABLE",
    "FAILED",
    "MAPPING",
    "NULL",
    "PLAIN",
    "Promises",
    "kinds_of",
    "promises_of",
    "types_of",
]

NULL = 1
FAILED = 2
AWAITABLE = 4
CALLABLE = 8
MAPPING = 16

NoneType = type(None)

PLAIN: frozenset[type] = frozenset(
    {
        str,
        int,
        float,
        bool,
        NoneType,
        list,
        tuple,
        bytes,
        Decimal,
        date,
        datetime,
        time,
        timedelta,
        UUID,
        set,
        frozenset,
    }
)
"""Types whose values are never callable, awaitable, failed or a mapping."""

Promises = Mapping[str, tuple[int, frozenset[type]]]
"""attribute -> its index in the object, and the types one of which is exactly its value's"""

_known: dict[type, int] = {**dict.fromkeys(PLAIN, 0), NoneType: NULL, type(Undefined): NULL, dict: MAPPING}
_seen: WeakKeyDictionary[type, int] = WeakKeyDictionary()


def kinds_of(types: Iterable[type]) -> int:
    """Return the flags of all the given types, or-ed."""
    flags = 0
    for type_ in types:
        known = _known.get(type_)
        if known is None:
            known = _seen.get(type_)
            if known is None:
                known = _seen[type_] = _look_at(type_)
        flags |= known
    return flags


def _look_at(type_: type) -> int:
    flags = 0
    if issubclass(type_, Exception):
        flags |= FAILED
    if hasattr(type_, "__await__") or issubclass(type_, GeneratorType):
        flags |= AWAITABLE
    # hasattr(type_, "__call__") would find the metaclass's method and hold every class for callable.
    if any("__call__" in base.__dict__ for base in type_.__mro__):
        flags |= CALLABLE
    if issubclass(type_, Mapping):
        flags |= MAPPING
    return flags


def types_of(values: Iterable[Any]) -> set[type]:
    """Return the distinct types of the values."""
    return set(map(type, values))


def promises_of(types: set[type]) -> Promises | None:
    """Return what the class of all the values promises; a subclass of it may read its attributes otherwise."""
    if len(types) != 1:
        return None
    (only,) = types
    promises: Promises | None = only.__dict__.get("__promises__")
    return promises
