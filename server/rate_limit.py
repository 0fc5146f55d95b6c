"""A leaky bucket of cost for each caller, in Redis for all processes together, in each of them while Redis is away."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any

from redis.asyncio import Redis

from server.redis_or_none import RedisOrNone

PREFIX = "plancharge:budget:"
WINDOW = 60
CALLERS = 10_000
"""callers remembered per process; the ones not heard of for longest are forgotten"""
ADVANCE = 200
"""Redis is asked for a whole two-hundredth of the budget at a time, since asking costs more than a small query does"""

# KEYS: the bucket. ARGV: capacity, drained per second, the least and the most to pour in. Redis's own clock, since
# those of the web servers differ. Answers what was poured in (0: refused) and the level.
POUR = """
local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
local bucket = redis.call('HMGET', KEYS[1], 'level', 'at')
local level = math.max(0, tonumber(bucket[1] or 0) - (now - tonumber(bucket[2] or now)) * ARGV[2])
local poured = 0
if level + ARGV[4] <= tonumber(ARGV[1]) then poured = tonumber(ARGV[4])
elseif level + ARGV[3] <= tonumber(ARGV[1]) then poured = tonumber(ARGV[3]) end
level = level + poured
redis.call('HSET', KEYS[1], 'level', level, 'at', now)
redis.call('EXPIRE', KEYS[1], 120)
return {tostring(poured), tostring(level)}
"""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a caller has left; `retry_after` seconds until the refused cost fits, None when it was granted."""

    limit: int
    remaining: int
    full_in: int
    retry_after: int | None = None

    def headers(self) -> dict[str, str]:
        """As in draft-ietf-httpapi-ratelimit-headers-10."""
        headers = {
            "ratelimit-policy": f'"cost";q={self.limit};w={WINDOW}',
            "ratelimit": f'"cost";r={self.remaining};t={self.full_in}',
        }
        if self.retry_after is not None:
            headers["retry-after"] = str(self.retry_after)
        return headers


@dataclass(slots=True)
class _Caller:
    advance: float = 0.0
    """poured into Redis's bucket and not used yet"""
    level: float = 0.0
    at: float = 0.0
    may_ask_from: float = 0.0
    """when what was refused last will fit"""


class RateLimit:
    """A caller may use `per_minute` at once; what is used drains away at the same rate, evenly."""

    def __init__(self, redis: Redis, per_minute: int) -> None:
        self.limit = per_minute
        self._rate = per_minute / WINDOW
        self._pour: Any = redis.register_script(POUR)
        self._redis = RedisOrNone("rate limit")
        self._callers: OrderedDict[str, _Caller] = OrderedDict()

    async def take(self, caller: str, cost: int) -> Budget:
        """Uses up `cost` of the caller's budget, or nothing where it does not fit."""
        known = self._known(caller)
        now = time.monotonic()
        if known.at < now - WINDOW:
            known.advance = 0.0  # drained away in Redis since
        if known.advance >= cost:
            known.advance -= cost
            return self._budget(known.level - (now - known.at) * self._rate - known.advance)
        arguments = [self.limit, self._rate, cost, max(cost, self.limit // ADVANCE)]
        answer = await self._redis.ask(lambda: self._pour(keys=[PREFIX + caller], args=arguments))
        if answer is None:
            return self._take_here(known, cost)
        poured, known.level = map(float, answer)
        known.at = time.monotonic()
        if not poured:
            return self._refused(known, cost)
        known.advance += poured - cost
        return self._budget(known.level - known.advance)

    def _take_here(self, known: _Caller, cost: int) -> Budget:
        now = time.monotonic()
        level = max(0.0, known.level - (now - known.at) * self._rate)
        fits = level + cost <= self.limit
        known.level, known.at = level + cost if fits else level, now
        return self._budget(known.level) if fits else self._refused(known, cost)

    def refusal(self, caller: str) -> Budget | None:
        """Says so again to who was told to wait, for as long as that was: for work that is to be spared until then.

        It costs nothing and asks nobody, so it knows of the refusals of this process alone.
        """
        known = self._callers.get(caller)
        if known is None or (left := known.may_ask_from - time.monotonic()) <= 0:
            return None
        level = known.level - (time.monotonic() - known.at) * self._rate
        return replace(self._budget(level), retry_after=math.ceil(left))

    def _refused(self, known: _Caller, cost: int) -> Budget:
        budget = self._budget(known.level, refused=cost)
        known.may_ask_from = known.at + (budget.retry_after or 0)
        return budget

    def _budget(self, level: float, *, refused: int | None = None) -> Budget:
        level = max(0.0, level)
        wait = None if refused is None else max(1, math.ceil((level + refused - self.limit) / self._rate))
        return Budget(self.limit, max(0, int(self.limit - level)), math.ceil(level / self._rate), wait)

    def _known(self, caller: str) -> _Caller:
        known = self._callers.setdefault(caller, _Caller())
        self._callers.move_to_end(caller)
        if len(self._callers) > CALLERS:
            self._callers.popitem(last=False)
        return known
