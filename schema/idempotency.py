"""Mutations that may be sent again: the key by input or by header, and the first answer kept with what it wrote."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import orjson
import strawberry
from sqlalchemy import inspect as state_of
from sqlalchemy import select
from strawberry.extensions import FieldExtension
from strawberry.types.field import StrawberryField

from server.database import Base, Transaction
from server.idempotency import attempt

_JOINED: ContextVar[Transaction | None] = ContextVar("joined", default=None)


@strawberry.input(description="What may be sent again.")
class Idempotent:
    idempotency_key: str | None = strawberry.field(
        default=None,
        description="Makes it safe to send the call again: within 24 h the same key gets the first call's answer. "
        "The header Idempotency-Key does the same for a request with one mutation.",
    )


def joined() -> Transaction | None:
    """The transaction that the key and the answer are in, where the mutation that asks runs under a key."""
    return _JOINED.get()


@asynccontextmanager
async def joining(tx: Transaction) -> AsyncIterator[Transaction]:
    """A part of a larger transaction: whoever opened that one commits it, and an exception leaves both."""
    yield tx


class KeepsAnswer(FieldExtension):
    """Runs a mutation under its key, if it has one: the key, what it writes and its answer are committed together."""

    def apply(self, field: StrawberryField) -> None:
        self._field = field

    async def resolve_async(self, next_: Any, source: Any, info: Any, **arguments: Any) -> Any:
        # A copy without the key, so that services get what they always do.
        given = copy.copy(arguments["input"])
        key = vars(given).pop("idempotency_key", None)
        arguments["input"] = given
        if key is None:
            key = info.context.idempotency_key
        if key is None:
            return await _awaited(next_(source, info, **arguments))
        async with info.context.transaction() as tx:
            tried = await attempt(tx, info.field_name, key, _canonical(given))
            if tried.answer is not None:
                return await _Reader(tx).payload(self._field.type, orjson.loads(tried.answer))
            token = _JOINED.set(tx)
            try:
                payload = await _awaited(next_(source, info, **arguments))
            finally:
                _JOINED.reset(token)
            await tx.session.flush()
            await tried.store(orjson.dumps(_fields(payload)))
            return payload


async def _awaited(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


def _canonical(value: Any) -> Any:
    """All of the input that decides what the call does."""
    if dataclasses.is_dataclass(value):
        return {name: _canonical(each) for name, each in vars(value).items() if each is not strawberry.UNSET}
    return [_canonical(each) for each in value] if isinstance(value, list | tuple) else value


def _fields(value: Any) -> dict[str, Any]:
    return {each.name: _kept(getattr(value, each.name)) for each in dataclasses.fields(value)}


SCALARS: dict[str, Callable[[str], Any]] = {
    "UUID": UUID,
    "Decimal": Decimal,
    "date": date.fromisoformat,
    "datetime": datetime.fromisoformat,
}


def _kept(value: Any) -> Any:
    """JSON with the types that JSON lacks. Of a row only which one it is: what it holds may not be kept twice (hashes,
    reasons of absences), and who asks again wants to know how it stands."""
    if value is None or type(value) in (str, int, bool, float):
        return value
    if isinstance(value, list | tuple):
        return [_kept(each) for each in value]
    if isinstance(value, Base):
        return {
            "row": type(value).__name__,
            "id": [_kept(each) for each in state_of(value).mapper.primary_key_from_instance(value)],
        }
    if isinstance(value, Enum):
        return {"enum": _path(type(value)), "value": value.value}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {"object": _path(type(value)), "fields": _fields(value)}
    if type(value).__name__ in SCALARS:
        return {"scalar": type(value).__name__, "text": str(value)}
    raise TypeError(f"{type(value).__name__} cannot be kept as an answer")


def _path(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _class(path: str) -> Any:
    module, _, name = path.partition(":")
    if not module.startswith(("server.", "schema.")):
        raise ValueError(f"{module} is not ours")
    return getattr(importlib.import_module(module), name)


class _Reader:
    """Makes a payload of a kept answer, its rows read anew: one statement for each kind of row."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._rows: dict[tuple[str, tuple[Any, ...]], Any] = {}

    async def payload(self, kind: Any, kept: dict[str, Any]) -> Any:
        wanted: dict[str, set[Any]] = {}
        self._collect(kept, wanted)
        models = {mapper.class_.__name__: mapper for mapper in Base.registry.mappers}
        for name, ids in wanted.items():
            mapper = models[name]
            (column,) = mapper.primary_key
            for row in await self._tx.session.scalars(select(mapper.class_).where(column.in_(ids))):
                self._rows[name, tuple(mapper.primary_key_from_instance(row))] = row
        return kind(**{name: self._read(value) for name, value in kept.items()})

    def _collect(self, kept: Any, wanted: dict[str, set[Any]]) -> None:
        if isinstance(kept, list):
            for each in kept:
                self._collect(each, wanted)
        elif isinstance(kept, dict) and "row" in kept:
            wanted.setdefault(kept["row"], set()).update(self._read(each) for each in kept["id"])
        elif isinstance(kept, dict):
            for each in kept.values():
                self._collect(each, wanted)

    def _read(self, kept: Any) -> Any:
        if isinstance(kept, list):
            return [self._read(each) for each in kept]
        if not isinstance(kept, dict):
            return kept
        if "row" in kept:
            return self._rows.get((kept["row"], tuple(self._read(each) for each in kept["id"])))
        if "enum" in kept:
            return _class(kept["enum"])(kept["value"])
        if "object" in kept:
            return _class(kept["object"])(**{name: self._read(value) for name, value in kept["fields"].items()})
        return SCALARS[kept["scalar"]](kept["text"])
