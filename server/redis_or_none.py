"""Asking Redis for what a request can do without: a short wait, and none at all for a while after it was in vain."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

ANSWER_SECONDS = 0.25
AWAY_SECONDS = 2.0


class RedisOrNone:
    def __init__(self, purpose: str) -> None:
        self._purpose = purpose
        self._ask_again = 0.0

    async def ask(self, command: Callable[[], Awaitable[Any]]) -> Any:
        """The answer, or None while Redis is away."""
        if time.monotonic() < self._ask_again:
            return None
        if self._ask_again:  # it was away: one call finds out how it is, the others do not wait with it
            self._ask_again = time.monotonic() + AWAY_SECONDS
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await command()
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("redis_away", purpose=self._purpose, error=type(error).__name__)
            self._ask_again = time.monotonic() + AWAY_SECONDS
            return None
        self._ask_again = 0.0
        return answer
