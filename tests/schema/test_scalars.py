"""What the custom scalars read: exactly what their descriptions promise, and nothing that Python reads besides."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from graphql import GraphQLError

from schema.scalars import SCALARS, Month


@pytest.mark.parametrize(
    ("kind", "written", "read"),
    [
        (Month, "2026-03", date(2026, 3, 1)),
        (date, "2026-03-31", date(2026, 3, 31)),
        (datetime, "2026-03-31T10:15:00+02:00", datetime(2026, 3, 31, 8, 15, tzinfo=UTC)),
        (Decimal, "12.50", Decimal("12.50")),
        (Decimal, "-0.5", Decimal("-0.5")),
        (Decimal, "1E+1", Decimal(10)),
    ],
)
def test_a_value_is_read(kind: object, written: str, read: object) -> None:
    assert SCALARS[kind].parse_value(written) == read  # type: ignore[misc]


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        (Month, "2026-13"),
        (Month, "2026W01"),
        (Month, 202601),
        (date, "2026-02-30"),
        (date, "2026-W01-1"),
        (date, "20260101"),
        (datetime, "2026-03-31T10:15:00"),
        (datetime, "0001-01-01T00:00:00+14:00"),
        (datetime, "9999-12-31T23:59:59-14:00"),
        (Decimal, "1_0"),
        (Decimal, " 1"),
        (Decimal, "NaN"),
        (Decimal, "Infinity"),
        (Decimal, "1E+999999999"),
        (Decimal, "0E-999999"),
        (Decimal, 12.5),
    ],
)
def test_anything_else_is_refused_with_a_code(kind: object, written: object) -> None:
    with pytest.raises(GraphQLError) as caught:
        SCALARS[kind].parse_value(written)  # type: ignore[misc]
    name = {Month: "MONTH", date: "DATE", datetime: "DATETIME", Decimal: "DECIMAL"}[kind]  # type: ignore[index]
    assert caught.value.extensions == {"code": f"INVALID_{name}"}
