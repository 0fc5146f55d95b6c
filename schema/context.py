"""What a resolver may reach: the caller, the database's two doors, fresh loaders, settings and the event bus."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import strawberry

from schema.idempotency import joined, joining
from schema.kept_responses import KeptResponses
from schema.loaders import Loaders
from schema.persisted import PersistedDocuments
from server.actor import Actor, Origin
from server.authentication import Authenticator
from server.database import Database, Reads, Transaction
from server.errors import Unauthenticated
from server.events import Bus
from server.rate_limit import RateLimit
from server.settings import Settings


@dataclass
class Context:
    """One per HTTP request; one per socket for subscriptions, whose loaders are forgotten after each event."""

    database: Database
    settings: Settings
    bus: Bus
    caller: Actor | None
    origin: Origin = field(default_factory=Origin)
    authenticator: Authenticator | None = None
    request_id: str | None = None
    connection_params: dict[str, Any] | None = None
    rate_limit: RateLimit | None = None
    documents: PersistedDocuments | None = None
    kept_responses: KeptResponses | None = None
    """None where answers are not kept: over WebSocket, and where the setting turns it off"""
    headers: dict[str, str] = field(default_factory=dict)
    """of the answer, in lower case; nobody sends them over WebSocket"""
    idempotency_key: str | None = None
    """the header's, for the one mutation of the request"""

    async def authenticate(self, authorization: str | None) -> Actor | None:
        """The caller behind an Authorization header, or None without one. Raises Unauthenticated for a bad one."""
        if self.authenticator is None:
            raise Unauthenticated("This server takes no credentials here.")
        return await self.authenticator.actor(authorization, self.origin)

    @property
    def actor(self) -> Actor | None:
        return self.caller

    @property
    def signed_in(self) -> Actor:
        """The caller, for resolvers behind a guard. Raises Unauthenticated when there is none."""
        if self.caller is None:
            raise Unauthenticated("Sign in first.")
        return self.caller

    @property
    def reads(self) -> Reads:
        return self.database.reads

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        outer = joined()
        return joining(outer) if outer is not None else self.database.transaction(self.signed_in)

    @cached_property
    def loaders(self) -> Loaders:
        return Loaders(self.database.reads)

    def forget(self) -> None:
        """Drop what the loaders hold: after a write, and after each event of a subscription."""
        self.__dict__.pop("loaders", None)

    async def audit_refusal(self, field_name: str, code: str) -> None:
        """A refusal leaves a trace, in a transaction of its own."""
        if self.caller is None:
            return
        async with self.database.transaction(self.caller) as tx:
            await tx.audit("access.refused", "field", field=field_name, code=code)


Info = strawberry.Info[Context, None]
