"""The custom scalars: each parsed strictly, with a message that says what a right value looks like."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NewType
from uuid import UUID

import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

Month = NewType("Month", date)

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
"""of ISO 8601's ways to write a day the one that everybody reads: no week dates, no digits without hyphens"""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?", re.ASCII)
"""what Decimal reads without Python's own extras (underscores, spaces, NaN), and no exponent that fills the memory"""


def _reject(scalar: str, expected: str) -> GraphQLError:
    return GraphQLError(f"{scalar} must be {expected}.", extensions={"code": f"INVALID_{scalar.upper()}"})


def _strict(scalar: str, expected: str, parse: Callable[[str], Any]) -> Callable[[Any], Any]:
    def parse_value(value: Any) -> Any:
        if not isinstance(value, str):
            raise _reject(scalar, expected)
        try:
            return parse(value)
        except (ValueError, InvalidOperation, OverflowError) as error:
            raise _reject(scalar, expected) from error

    return parse_value


def _month(value: str) -> date:
    return _date(f"{value}-01")


def _date(value: str) -> date:
    if not _DAY.fullmatch(value):
        raise ValueError(value)
    return date.fromisoformat(value)


def _datetime(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(value)
    return moment.astimezone(UTC)


def _decimal(value: str) -> Decimal:
    if len(value) > 40 or not _NUMBER.fullmatch(value):
        raise ValueError(value)
    return Decimal(value)


def _uuid(value: str) -> UUID:
    if len(value) != 36:
        raise ValueError(value)
    return UUID(value)


def _or_text(serialise: Callable[[Any], str]) -> Callable[[Any], str]:
    """Also of PostgreSQL's text for such a value, as server/light_rows.py reads it: passed on as it is."""

    def printed(value: Any) -> str:
        return value if type(value) is str else serialise(value)

    printed.__passes_text__ = True  # type: ignore[attr-defined]  # for execution.CompiledExecutor
    return printed


def _print_datetime(value: datetime | str) -> str:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _print_decimal(value: Decimal) -> str:
    text = str(value)  # which is three times as fast, and the same but for very small and very large numbers
    return format(value, "f") if "E" in text else text


def _scalar(
    name: str,
    description: str,
    expected: str,
    parse: Callable[[str], Any],
    serialise: Callable[[Any], str],
    url: str | None,
) -> ScalarDefinition:
    return strawberry.scalar(
        name=name,
        description=description,
        serialize=serialise,
        parse_value=_strict(name, expected, parse),
        specified_by_url=url,
    )


SCALARS: dict[object, ScalarDefinition] = {
    UUID: _scalar(
        "UUID",
        "A UUID in its 36-character form.",
        'a UUID such as "0190b3f0-5d1c-7cc3-8c2b-5f0a3c1e9d10"',
        _uuid,
        str,
        "https://www.rfc-editor.org/rfc/rfc9562",
    ),
    date: _scalar(
        "Date",
        "A day, ISO 8601: `2026-03-31`.",
        'an ISO 8601 day such as "2026-03-31"',
        _date,
        _or_text(date.isoformat),
        None,
    ),
    datetime: _scalar(
        "DateTime",
        "A moment in UTC, ISO 8601 with Z: `2026-03-31T08:15:00Z`. Input may carry another offset.",
        'an ISO 8601 moment with its offset such as "2026-03-31T08:15:00Z"',
        _datetime,
        _print_datetime,
        "https://www.rfc-editor.org/rfc/rfc3339",
    ),
    Month: _scalar(
        "Month",
        "A calendar month: `2026-03`.",
        'a month such as "2026-03"',
        _month,
        _or_text(lambda value: value.isoformat()[:7]),
        None,
    ),
    Decimal: _scalar(
        "Decimal",
        'An exact decimal number as a string: days with two places ("12.50"), ratios with four ("0.8333").',
        'a decimal number in a string, such as "12.50"',
        _decimal,
        _or_text(_print_decimal),
        None,
    ),
}
