"""What both simulated providers do alike: the key, the limit, the scenario's troubles, and the count of all that."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from clients.simulator.scenarios import Control

Item = TypeVar("Item")
Wire = dict[str, Any]


class BadArgumentError(Exception):
    """What the caller sent is not what the provider takes: 400."""


@dataclass
class Limit:
    """At most `requests` in any span of `seconds`."""

    requests: int
    seconds: float

    def __post_init__(self) -> None:
        self._times: deque[float] = deque()

    def take(self) -> bool:
        now = time.monotonic()
        while self._times and self._times[0] <= now - self.seconds:
            self._times.popleft()
        if len(self._times) >= self.requests:
            return False
        self._times.append(now)
        return True

    @property
    def remaining(self) -> int:
        return max(0, self.requests - len(self._times))


class CutResponse(Response):
    """A whole answer's headers and half of its body; the server then drops the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body[: len(self.body) // 2], "more_body": True})


class Provider:
    """Base of the two simulated providers; a subclass knows the shapes."""

    def __init__(self, control: Control, limit: Limit) -> None:
        self.control = control
        self.limit = limit
        self._selected: tuple[object, object, Sequence[Any]] | None = None

    def too_many(self, headers: dict[str, str]) -> Response:
        raise NotImplementedError

    def limit_headers(self) -> dict[str, str]:
        return {}

    async def answer(self, request: Request, endpoint: str, respond: Callable[[], Awaitable[Response]]) -> Response:
        """The answer to one call: 401, 429, 400, or what `respond` gives; counted."""
        control = self.control
        control.calls[endpoint] += 1
        if request_id := request.headers.get("X-Request-ID"):
            control.request_ids.append(request_id)
        if request.headers.get("Authorization") != f"Bearer {control.api_key}":
            response: Response = JSONResponse({"error": "Unauthorized"}, 401)
        elif not self.limit.take():
            response = self.too_many({})
        else:
            try:
                response = await respond()
            except BadArgumentError as error:
                response = JSONResponse({"message": str(error)}, 400)
        response.headers.update(self.limit_headers())
        control.answers[endpoint, response.status_code] += 1
        return response

    async def page(
        self, request: Request, endpoint: str, number: int, body: Callable[[], Wire], *, refused: Response | None = None
    ) -> Response:
        """One page of a list, or the trouble that the scenario has for it."""
        control, scenario = self.control, self.control.scenario
        if control.key_is_revoked():
            return JSONResponse({"error": "Unauthorized"}, 401)
        if refused is not None:
            return refused
        if not control.troubles(endpoint, number):
            return JSONResponse(body())
        if scenario.status == 429:
            soon = format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)
            return self.too_many({"Retry-After": soon} if scenario.dated else {})
        if scenario.status is not None:
            return JSONResponse({"message": f"Simulated {scenario.status}"}, scenario.status)
        if scenario.html:
            return Response("<html><title>Maintenance</title></html>", media_type="text/html")
        if scenario.cut:
            return CutResponse(JSONResponse(body()).body, media_type="application/json")
        if scenario.trickle:
            return StreamingResponse(self._trickle(request), media_type="application/json")
        await self._wait(request, scenario.seconds)
        return JSONResponse(body())

    def selected(self, key: object, select: Callable[[], Sequence[Item]]) -> Sequence[Item]:
        """What `select` gives for this key, kept from one page to the next: the last one only.

        The company is part of the key by identity, since it may be replaced while the simulator runs.
        """
        company, scenario = self.control.company, self.control.scenario
        whole_key = (key, self.control.scenario_name)
        if self._selected is None or self._selected[0] is not company or self._selected[1] != whole_key:
            items = select()
            if scenario.vanishing:
                items = [item for index, item in enumerate(items) if index % 10 != 9]
            self._selected = (company, whole_key, items)
        return self._selected[2]

    async def _wait(self, request: Request, seconds: float) -> None:
        """A slow answer, given up as soon as the caller hangs up."""
        await request.body()
        self.control.waiting += 1
        try:
            async with asyncio.timeout(seconds):
                while (await request.receive())["type"] != "http.disconnect":
                    pass
            self.control.abandoned += 1
        except TimeoutError:
            pass
        finally:
            self.control.waiting -= 1

    async def _trickle(self, request: Request) -> AsyncIterator[bytes]:
        while not await request.is_disconnected():
            yield b" "
            await asyncio.sleep(0.02)
        self.control.abandoned += 1


def broken(records: list[Wire], field: str, value: object) -> list[Wire]:
    """The page with its second record made malformed."""
    return [*records[:1], *({**one, field: value} for one in records[1:2]), *records[2:]]


async def error_as_json(_request: Request, error: Exception) -> Response:
    """Unknown paths (404) and wrong methods (405) in the providers' own dress."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"message": error.detail}, error.status_code, headers=error.headers)
