"""Column types and constraints that several tables share."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    ColumnElement,
    DateTime,
    Enum,
    Numeric,
    Text,
    TypeDecorator,
    Uuid,
    any_,
    bindparam,
    cast,
    func,
    literal,
    literal_column,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import InstrumentedAttribute, Mapped, mapped_column

from server.ids import new_id

Id = Annotated[UUID, mapped_column(primary_key=True, default=new_id)]
Month = date
"""A month is stored as its first day; `month_check()` holds it."""

Days = Numeric(7, 2)


def enum_column(kind: type[StrEnum], name: str) -> Enum:
    """Text with a CHECK: adding a value is an ordinary, reversible migration, unlike a native enum."""
    return Enum(
        kind,
        name=name,
        native_enum=False,
        create_constraint=True,
        length=32,
        values_callable=lambda members: [member.value for member in members],
    )


def month_check(column: str = "month") -> CheckConstraint:
    return CheckConstraint(f"extract(day from {column}) = 1", name=f"{column}_is_first_day")


class Timestamps:
    """`updated_at` is the start of the transaction that wrote, by PostgreSQL's clock: incremental reads rely on it."""

    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now(), onupdate=func.now()
    )


class Versioned:
    """Counts what people change; an update may say which version it expects."""

    version: Mapped[int] = mapped_column(server_default=text("1"), default=1)


def is_any(column: InstrumentedAttribute[Any], values: Collection[Any]) -> ColumnElement[bool]:
    """`column = ANY($1)`: one parameter and one statement text whatever the number of values, unlike IN."""
    return column == any_(literal(list(values), ARRAY(column.type)))


class _Joined(TypeDecorator[Collection[Any]]):
    """Values as one text, which the driver sends as it is: it would look at each item of an array several times."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Collection[Any] | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else ",".join(map(str, value))


def ids_given(name: str) -> ColumnElement[Any]:
    """The array of the ids, UUIDs or their texts, that come with the parameter of that name."""
    return cast(func.string_to_array(bindparam(name, type_=_Joined), literal_column("','")), ARRAY(Uuid))


def is_any_of(column: InstrumentedAttribute[Any], name: str) -> ColumnElement[bool]:
    """`is_any` for a statement that is compiled once: the ids come with the parameter of that name."""
    return column == any_(ids_given(name))


def eager() -> dict[str, Any]:
    """Mapper arguments: values made by PostgreSQL come back with the write itself."""
    return {"eager_defaults": True}
