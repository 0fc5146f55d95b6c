"""A page of records as a client yields it, and the parsing that refuses a malformed record without losing its page."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import to_json

Record = TypeVar("Record")

# Strict, so that a number is never taken for a date or a truth value for a rate; unknown fields are let go unread.
STRICT = ConfigDict(strict=True, extra="ignore")
STRICT_CAMEL = ConfigDict(strict=True, extra="ignore", alias_generator=to_camel)


def _id_as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _text_of_day(value: object) -> object:
    """ "2026-03-31", or that day's midnight in UTC; another time is refused, since its day depends on a time zone."""
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d(T00:00(:00(\.0+)?)?(Z|\+00:?00)?)?", value):
        raise ValueError("a date is written as 2026-03-31")
    return value[:10]


ExternalId = Annotated[str, BeforeValidator(_id_as_text), Field(min_length=1)]
IsoDate = Annotated[date, BeforeValidator(_text_of_day), Field(strict=False)]
Rate = Annotated[Decimal, Field(ge=0, le=1)]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that could not be read: its id where it has one, and why, naming fields and never their content."""

    external_id: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Page(Generic[Record]):
    """One answer of a provider.

    `next_token` resumes after this page and is None on the last; `total` is the provider's count of the whole list,
    where it gives one. `skipped` names the users whom Gryzzly does not answer for.
    """

    items: tuple[Record, ...]
    refused: tuple[Refusal, ...] = ()
    next_token: str | None = None
    total: int | None = None
    skipped: tuple[str, ...] = ()


def parse_records(
    adapter: TypeAdapter[Record], records: Sequence[object]
) -> tuple[tuple[Record, ...], tuple[Refusal, ...]]:
    """The readable records and the refusals, each in the order received.

    Each record is parsed from JSON text again, because only there does strict mode take decimals and nested
    objects. A field that is null counts as absent.
    """
    items: list[Record] = []
    refused: list[Refusal] = []
    for record in records:
        try:
            items.append(adapter.validate_json(to_json(_without_nulls(record))))
        except ValidationError as error:
            refused.append(Refusal(_external_id(record), _reason(error)))
    return tuple(items), tuple(refused)


def _without_nulls(record: object) -> object:
    return {name: value for name, value in record.items() if value is not None} if isinstance(record, dict) else record


def _external_id(record: Any) -> str | None:
    if not isinstance(record, dict):
        return None
    value = record.get("id", record.get("contractId"))
    return str(value)[:200] if isinstance(value, str | int) and not isinstance(value, bool) else None


def _reason(error: ValidationError) -> str:
    """ "startDate.date: Field required"; without the input, which may be personal."""
    details = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, one['loc'])) or 'record'}: {one['msg']}" for one in details)
