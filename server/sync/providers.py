"""The clients of PayFit and Gryzzly as the settings have them: the real services, or simulators over demo data."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx
import stamina

from clients.gryzzly import Gryzzly
from clients.payfit import PayFit
from clients.simulator import Company, Control, gryzzly_app, payfit_app
from server.database import Database
from server.settings import Settings
from server.sync.demo import demo_company
from server.sync.models import Provider

_SIMULATED = "http://simulated"

# One line per call is the client's own; these two would write whole addresses, and a line for each retry.
logging.getLogger("httpx").setLevel(logging.WARNING)
stamina.instrumentation.set_on_retry_hooks([])


class Providers:
    """`connect(provider, run_id)` gives a client for the time of a run; the run's id goes out with every call."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings, self._database = settings, database

    @contextlib.asynccontextmanager
    async def connect(self, provider: Provider, run_id: UUID) -> AsyncIterator[Any]:
        make = self._payfit if provider is Provider.PAYFIT else self._gryzzly
        async with httpx.AsyncClient(transport=await self._transport(provider)) as http:
            yield make(http, str(run_id))

    def _payfit(self, http: httpx.AsyncClient, request_id: str) -> PayFit:
        settings = self._settings
        key = settings.payfit_api_key
        if settings.payfit_use_mock or key is None:
            return PayFit(
                http, api_key="simulated-key", api_url=_SIMULATED, oauth_url=_SIMULATED, request_id=request_id
            )
        return PayFit(
            http,
            api_key=key.get_secret_value(),
            api_url=settings.payfit_api_url,
            oauth_url=settings.payfit_oauth_url,
            request_id=request_id,
        )

    def _gryzzly(self, http: httpx.AsyncClient, request_id: str) -> Gryzzly:
        settings = self._settings
        key, size = settings.gryzzly_api_key, settings.gryzzly_page_size
        if settings.gryzzly_use_mock or key is None:
            return Gryzzly(http, api_key="simulated-key", api_url=f"{_SIMULATED}/v1", limit=size, request_id=request_id)
        return Gryzzly(
            http,
            api_key=key.get_secret_value(),
            api_url=settings.gryzzly_api_url,
            limit=size,
            request_id=request_id,
        )

    async def _transport(self, provider: Provider) -> httpx.AsyncBaseTransport | None:
        """None: the network."""
        payfit = provider is Provider.PAYFIT
        if not (self._settings.payfit_use_mock if payfit else self._settings.gryzzly_use_mock):
            return None
        today = datetime.now(self._settings.timezone).date()
        company: Company = await demo_company(self._database, today)
        control = Control(company, today=lambda: today)
        return httpx.ASGITransport(payfit_app(control) if payfit else gryzzly_app(control))
