"""Finding what people typed in columns of text."""

from __future__ import annotations

from sqlalchemy import ColumnElement, false, or_
from sqlalchemy.orm import InstrumentedAttribute


def storable(text: str) -> bool:
    """Whether PostgreSQL can hold this text at all: it refuses NUL and halves of surrogate pairs."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def contains(text: str, *columns: ColumnElement[str] | InstrumentedAttribute[str]) -> ColumnElement[bool]:
    """Whether one of the columns contains this text, without regard to case; what cannot be stored is nowhere."""
    if not storable(text):
        return false()
    return or_(*(column.icontains(text.strip(), autoescape=True) for column in columns))
