"""Both simulators over real sockets, and clients that retry at once and as often as they like."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from clients.errors import ProviderError
from clients.gryzzly import Gryzzly
from clients.http import RetryPolicy
from clients.payfit import PayFit
from clients.rate_limit import TokenBucket
from clients.simulator import Control, Limit, gryzzly_app, payfit_app, running, sample_company

Failure = TypeVar("Failure", bound=ProviderError)
TODAY = date(2026, 11, 23)
QUICK = RetryPolicy(attempts=5, wait_initial=0.01, wait_max=0.02, wait_jitter=0.01)


@dataclass
class Simulated:
    """A running simulator: its address and its controls, and clients of it with whatever a test wants different."""

    url: str
    control: Control
    http: httpx.AsyncClient

    def payfit(self, **options: Any) -> PayFit:
        defaults = {"api_url": self.url, "oauth_url": self.url, "page_size": 5}
        return PayFit(self.http, **{**self._defaults(), **defaults, **options})

    def gryzzly(self, **options: Any) -> Gryzzly:
        defaults = {"api_url": f"{self.url}/v1", "limit": 5}
        return Gryzzly(self.http, **{**self._defaults(), **defaults, **options})

    def _defaults(self) -> dict[str, Any]:
        return {"api_key": self.control.api_key, "retry": QUICK, "rate_limit": TokenBucket(rate=10_000, burst=1000)}


class Switchboard:
    """The application of the test that runs now, behind a server that is started once."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


class Answering:
    """A server that answers what a test tells it, and remembers the paths that it was asked for."""

    def __init__(self, *answers: Response) -> None:
        self.answers = list(answers)
        self.paths: list[str] = []
        self.app = Starlette(routes=[Route("/{path:path}", self.answer, methods=["GET", "POST"])])

    async def answer(self, request: Request) -> Response:
        self.paths.append(request.scope["raw_path"].decode())
        return self.answers.pop(0)


@pytest.fixture(scope="session")
async def switchboard() -> AsyncIterator[tuple[Switchboard, str]]:
    switchboard = Switchboard()
    async with running(switchboard) as url:
        yield switchboard, url


@pytest.fixture(scope="session")
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as client:
        yield client


@pytest.fixture
def control() -> Control:
    return Control(sample_company(seed=1, people=42, projects=4, today=TODAY, declared_days=10), today=lambda: TODAY)


@pytest.fixture
def payfit_server(control: Control, http: httpx.AsyncClient, switchboard: tuple[Switchboard, str]) -> Simulated:
    switchboard[0].app = payfit_app(control, limit=Limit(10_000, 1.0))
    return Simulated(switchboard[1], control, http)


@pytest.fixture
def gryzzly_server(control: Control, http: httpx.AsyncClient, switchboard: tuple[Switchboard, str]) -> Simulated:
    switchboard[0].app = gryzzly_app(control, limit=Limit(10_000, 1.0))
    return Simulated(switchboard[1], control, http)


async def read_all(pages: AsyncIterator[Any]) -> list[Any]:
    """Every page, in a list."""
    return [page async for page in pages]


async def items_of(pages: AsyncIterator[Any]) -> list[Any]:
    """Every record of every page."""
    return [item async for page in pages for item in page.items]


async def read_until(kind: type[Failure], pages: AsyncIterator[Any]) -> tuple[list[Any], Failure]:
    """The pages that came before the error, and the error."""
    read: list[Any] = []
    try:
        async with asyncio.timeout(20):  # pages that never end fail the test
            async for page in pages:
                read.append(page)  # noqa: PERF401 - a comprehension would lose them when the error comes
    except kind as error:
        return read, error
    raise AssertionError(f"{kind.__name__} did not come in {len(read)} pages")
