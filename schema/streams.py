"""The first result of a stream: whether it is a refusal, which could still have a status of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from server.errors import BadRequest


def refused_with(result: Any) -> int | None:
    """The status of a result that is no more than a refusal to execute anything; None of any other."""
    errors = result.errors
    if result.data is not None or not errors or any(error.path for error in errors):
        return None
    return int((errors[0].extensions or {}).get("status", BadRequest.status))


async def from_first(first: Any, others: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
    async with aclosing(others):
        yield first
        async for each in others:
            yield each
