"""Writes that PostgreSQL breaks off because they crossed another one: run anew, from their start, a few times."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import structlog
from sqlalchemy.exc import DBAPIError

from server.errors import TryAgain

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger(__name__)

TRIES = 4
FIRST_PAUSE_SECONDS = 0.02
# serialization_failure and deadlock_detected: PostgreSQL has rolled the transaction back and says that the same may
# work now. Of a connection that breaks during COMMIT nobody knows whether it was kept: that is never run again here.
CONFLICTS = {"40001", "40P01"}
CROSSED = "Others were writing the same rows at this moment, and nothing of yours was kept: send it again."


def is_conflict(error: BaseException) -> bool:
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in CONFLICTS


async def again(work: Callable[[], Awaitable[T]]) -> T:
    """Runs `work`, which opens its transaction itself, until it crosses no other. Raises TryAgain after four times."""
    for tried in range(1, TRIES + 1):
        try:
            return await work()
        except DBAPIError as error:
            if not is_conflict(error):
                raise
            log.warning("write_crossed", tried=tried, sqlstate=getattr(error.orig, "sqlstate", None))
            if tried == TRIES:
                raise TryAgain(CROSSED, retry_after=1) from error
        # Of two that met, one should come back later than the other.
        await asyncio.sleep(random.uniform(0, FIRST_PAUSE_SECONDS * 2**tried))  # noqa: S311 — no secret  # nosec B311
    raise AssertionError("unreachable")


def retried(write: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """For a function that is one transaction, or does no harm when it is run twice."""

    @wraps(write)
    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return await again(lambda: write(*args, **kwargs))

    return run
