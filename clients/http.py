"""One HTTP call to a provider: time-outs, retries, own rate limit, request id, one log line, metrics, three errors."""

import asyncio
import copy
import logging
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import ClassVar, Self, TypeVar
from urllib.parse import quote
from uuid import uuid4

import httpx
import stamina
from prometheus_client import Counter, Histogram
from pydantic_core import from_json

from clients.errors import Cause, ProviderError, Rejected, Unauthorized, Unavailable
from clients.rate_limit import TokenBucket

logger = logging.getLogger(__name__)

CALLS = Counter(
    "provider_client_calls", "Calls to a provider, retries not counted.", ["provider", "endpoint", "outcome"]
)
RETRIES = Counter("provider_client_retries", "Repeated attempts within calls.", ["provider", "endpoint"])
SECONDS = Histogram(
    "provider_client_call_seconds",
    "Duration of a call with its waits and retries.",
    ["provider", "endpoint", "outcome"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)

NOTHING: Mapping[str, str] = MappingProxyType({})
Failure = TypeVar("Failure", bound=ProviderError)
REPEATABLE_STATUSES = {408, 425, 429}  # and every 5xx


@dataclass(frozen=True)
class Timeouts:
    """Seconds. `total` bounds one attempt: `read` alone starts anew with every byte that a trickling server sends."""

    connect: float = 5.0
    read: float = 30.0
    total: float = 60.0


@dataclass(frozen=True)
class RetryPolicy:
    """How a call that is safe to repeat is retried; seconds. The n-th wait is min(max, initial × base^(n-1) + jitter).

    A `Retry-After` replaces the computed wait; above `retry_after_max` the call fails at once with `retry_after` set,
    since a job that is started again later is better than one that sleeps on its lease.
    """

    attempts: int = 6
    timeout: float = 180.0
    wait_initial: float = 0.5
    wait_max: float = 30.0
    wait_jitter: float = 1.0
    wait_exp_base: float = 2.0
    retry_after_max: float = 60.0


@dataclass
class _Observation:
    """What one call's log line and metrics are made from."""

    attempts: int = 0
    status: int | None = None


class ProviderClient:
    """The base of each provider's client. It does not own `http`: whoever opened it closes it."""

    provider: ClassVar[str]

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        api_key: str,
        rate_limit: TokenBucket,
        retry: RetryPolicy | None = None,
        timeouts: Timeouts | None = None,
        request_id: str | None = None,
    ) -> None:
        """`request_id` is sent as X-Request-ID with every call of this client; without it each call makes its own."""
        # A line break, as a secret read from a file often ends with, would come back in httpx's error, key and all.
        if not api_key or not api_key.isascii() or not api_key.isprintable() or " " in api_key:
            raise ValueError(
                f"The key of {self.provider} is empty, or holds a blank or a line break; configure it anew."
            )
        self._http = http
        self._authorization = f"Bearer {api_key}"
        self._rate_limit = rate_limit
        self._retry = retry or RetryPolicy()
        self._timeouts = timeouts or Timeouts()
        self._request_id = request_id

    def with_request_id(self, request_id: str) -> Self:
        """The same client, connections and rate limit, for one run or one call with its own request id."""
        clone = copy.copy(self)
        clone._request_id = request_id
        return clone

    async def _call(
        self,
        method: str,
        base_url: str,
        path: str,
        *,
        ids: Mapping[str, str] = NOTHING,
        params: Mapping[str, str] = NOTHING,
        body: Mapping[str, object] | None = None,
        repeatable: bool,
    ) -> dict[str, object]:
        """The JSON object that the provider answers. `path` is a template; logs, metrics and errors name only that."""
        endpoint = f"{method} {path}"
        url = base_url.rstrip("/") + path.format_map({name: quote(value, safe="") for name, value in ids.items()})
        headers = {
            "Authorization": self._authorization,
            "Accept": "application/json",
            "X-Request-ID": self._request_id or uuid4().hex,
        }
        timeout = httpx.Timeout(self._timeouts.read, connect=self._timeouts.connect)
        try:
            request = self._http.build_request(method, url, params=params, json=body, headers=headers, timeout=timeout)
        except httpx.InvalidURL as error:
            message = f"The address configured for {self.provider} is not a URL; correct it."
            raise self._error(Rejected, message, endpoint, Cause.REFUSED) from error
        with self._observed(endpoint, headers["X-Request-ID"]) as seen:
            async for attempt in self._attempts(repeatable):
                with attempt:
                    seen.attempts = attempt.num
                    await self._rate_limit.acquire()
                    seen.status = None
                    response = await self._send(request, endpoint)
                    seen.status = response.status_code
                    return self._read(response, endpoint)
        raise AssertionError("stamina ends with an answer or an error")

    def _attempts(self, repeatable: bool) -> AsyncIterator[stamina.Attempt]:
        policy = self._retry
        return stamina.retry_context(
            on=self._wait_before_repeating,
            attempts=policy.attempts if repeatable else 1,
            timeout=policy.timeout,
            wait_initial=policy.wait_initial,
            wait_max=policy.wait_max,
            wait_jitter=policy.wait_jitter,
            wait_exp_base=policy.wait_exp_base,
        )

    def _wait_before_repeating(self, error: Exception) -> bool | float:
        """For stamina: no, yes with its own wait, or the seconds that the provider asked for."""
        if not isinstance(error, Unavailable):
            return False
        if error.retry_after is None:
            return True
        return error.retry_after if error.retry_after <= self._retry.retry_after_max else False

    async def _send(self, request: httpx.Request, endpoint: str) -> httpx.Response:
        try:
            async with asyncio.timeout(self._timeouts.total):
                # A redirect would carry the key to an address that nobody configured: it is refused below.
                return await self._http.send(request, follow_redirects=False)
        except (TimeoutError, httpx.TimeoutException) as error:
            message = f"{self.provider} did not answer {endpoint} in time; try again later."
            raise self._error(Unavailable, message, endpoint, Cause.TIMEOUT) from error
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
            message = f"{endpoint} could not be sent to {self.provider}; check the configured address and key."
            raise self._error(Rejected, message, endpoint, Cause.REFUSED) from error
        except httpx.RequestError as error:
            message = f"{self.provider} could not be reached for {endpoint}; try again later."
            raise self._error(Unavailable, message, endpoint, Cause.CONNECTION) from error

    def _read(self, response: httpx.Response, endpoint: str) -> dict[str, object]:
        status = response.status_code
        if status in REPEATABLE_STATUSES or status >= 500:
            raise self._unavailable(response, endpoint)
        if status in (401, 403):
            cause, advice = (
                (Cause.TOKEN_REFUSED, "does not accept the key (any more); replace it")
                if status == 401
                else (Cause.FORBIDDEN, "forbids this to the key; give the key the missing scope")
            )
            raise self._error(Unauthorized, f"{self.provider} {advice}: {endpoint}.", endpoint, cause, status)
        if not response.is_success:
            cause = Cause.NOT_FOUND if status == 404 else Cause.REFUSED
            message = f"{self.provider} refused {endpoint} with {status}; check the configured address and arguments."
            raise self._error(Rejected, message, endpoint, cause, status)
        try:
            answer = from_json(response.content)
        except ValueError as error:
            raise self._unreadable(endpoint, "is not JSON") from error
        if not isinstance(answer, dict):
            raise self._unreadable(endpoint, "is not a JSON object")
        return answer

    def _unavailable(self, response: httpx.Response, endpoint: str) -> Unavailable:
        status = response.status_code
        cause = {408: Cause.TIMEOUT, 425: Cause.TIMEOUT, 429: Cause.RATE_LIMITED}.get(status, Cause.SERVER_ERROR)
        message = f"{self.provider} answered {endpoint} with {status}; try again later."
        return self._error(Unavailable, message, endpoint, cause, status, retry_after_seconds(response.headers))

    def _unreadable(self, endpoint: str, what: str, cause: Cause = Cause.UNREADABLE) -> Rejected:
        message = f"The answer of {self.provider} to {endpoint} {what}; report it to the provider if it persists."
        return self._error(Rejected, message, endpoint, cause, 200)

    def _error(
        self,
        kind: type[Failure],
        message: str,
        endpoint: str,
        cause: Cause,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> Failure:
        return kind(
            message, provider=self.provider, endpoint=endpoint, cause=cause, status=status, retry_after=retry_after
        )

    @contextmanager
    def _observed(self, endpoint: str, request_id: str) -> Iterator[_Observation]:
        seen, start, outcome = _Observation(), time.perf_counter(), "failed"
        try:
            yield seen
            outcome = "ok"
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        except ProviderError as error:
            outcome = type(error).__name__.lower()
            raise
        finally:
            seconds = time.perf_counter() - start
            CALLS.labels(self.provider, endpoint, outcome).inc()
            SECONDS.labels(self.provider, endpoint, outcome).observe(seconds)
            if seen.attempts > 1:
                RETRIES.labels(self.provider, endpoint).inc(seen.attempts - 1)
            fields = {
                "provider": self.provider,
                "endpoint": endpoint,
                "outcome": outcome,
                "status": seen.status,
                "attempts": seen.attempts,
                "duration_ms": round(seconds * 1000),
                "request_id": request_id,
            }
            text = "provider call " + " ".join(f"{name}={value}" for name, value in fields.items())
            logger.log(logging.INFO if outcome == "ok" else logging.WARNING, text, extra=fields)


def retry_after_seconds(headers: httpx.Headers) -> float | None:
    """Seconds of a Retry-After in either form (RFC 9110 §10.2.3), None if absent or unreadable, never below 0.

    A date is read against the answer's own Date: the clocks of the two machines need not agree.
    """
    value = headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        until = _http_date(value)
    except ValueError:
        return None
    try:
        now = _http_date(headers.get("Date", ""))
    except ValueError:
        now = datetime.now(UTC)
    return max(0.0, (until - now).total_seconds())


def _http_date(value: str) -> datetime:
    parsed = parsedate_to_datetime(value)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
