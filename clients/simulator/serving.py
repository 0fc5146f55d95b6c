"""Running a simulator: in this event loop on a free port, or in the foreground until it is stopped."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

from clients.simulator.company import Company
from clients.simulator.differences import with_differences
from clients.simulator.gryzzly import gryzzly_app
from clients.simulator.payfit import payfit_app
from clients.simulator.sample import sample_company
from clients.simulator.scenarios import Control

LOOPBACK = "127.0.0.1"
PROVIDERS: Mapping[str, Callable[[Control], Starlette]] = {"payfit": payfit_app, "gryzzly": gryzzly_app}


class QuietServer(uvicorn.Server):
    """A server that leaves the signals to the program around it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def running(app: ASGIApp, *, port: int = 0) -> AsyncIterator[str]:
    """The address ("http://127.0.0.1:54321") of this application, served in the running loop over a real socket."""
    # Named as TCP, or asyncio leaves Nagle's algorithm on and every answer takes 40 ms longer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((LOOPBACK, port))
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="critical",
        access_log=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=1,
    )
    server = QuietServer(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            if serving.done():
                serving.result()
                raise RuntimeError(f"The simulator could not start on port {port}.")
            await asyncio.sleep(0.01)
        yield f"http://{LOOPBACK}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving
        listener.close()


def example_company() -> Company:
    """60 people and 20 projects as of today, with every difference."""
    today = datetime.now(UTC).date()
    return with_differences(sample_company(seed=1, people=60, projects=20, today=today), today)


def serve(provider: str, port: int, scenario: str = "normal", *, company: Company | None = None) -> None:
    """Serve "payfit" or "gryzzly" on the loopback address until it is interrupted; ValueError for an unknown name.

    Without a company it serves `example_company()`. The key that it takes is Control's: "simulated-key".
    """
    if provider not in PROVIDERS:
        raise ValueError(f"No provider is called {provider}; there are {', '.join(PROVIDERS)}.")
    control = Control(company or example_company(), scenario)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.run(
            PROVIDERS[provider](control),
            host=LOOPBACK,
            port=port,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=1,
        )
