"""The rate that a client keeps by itself, below its provider's limit."""

import asyncio
import time


class TokenBucket:
    """At most `burst` calls at once, then `rate` a second, first come, first served.

    Kept as the moment at which the bucket is full again (the generic cell rate algorithm), so that it needs no task and
    no lock. In any span of T seconds it lets through at most burst + rate × T calls.
    """

    def __init__(self, rate: float, burst: int) -> None:
        if rate <= 0 or burst < 1:
            raise ValueError("A token bucket needs a rate above 0 and a burst of at least 1.")
        self._interval = 1 / rate
        self._tolerance = (burst - 1) / rate
        self._full_at = float("-inf")

    async def acquire(self) -> None:
        now = time.monotonic()
        start = max(self._full_at, now - self._tolerance)
        self._full_at = start + self._interval
        if start > now:
            await asyncio.sleep(start - now)
