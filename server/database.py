"""Sessions: one per loader batch or root resolver to read, one transaction per mutation field or job to write."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Protocol, Self
from uuid import UUID

import asyncpg  # type: ignore[import-untyped]
import orjson
from sqlalchemy import MetaData, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from server.actor import Actor
from server.events import Event
from server.ids import new_id
from server.light_rows import LightConnection
from server.settings import Settings

COMMIT_SECONDS = 2.0
"""that a COMMIT has left to come to its end when its caller is cancelled"""

CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=CONVENTION)


@dataclass(frozen=True, slots=True)
class Job:
    """A job to run after the commit: its name in server/worker.py and JSON-able arguments (ids only)."""

    name: str
    arguments: tuple[Any, ...] = ()


class Publisher(Protocol):
    async def publish(self, events: Sequence[Event]) -> None: ...


class Enqueuer(Protocol):
    async def enqueue(self, jobs: Sequence[Job]) -> None: ...


def _dumps(value: object) -> str:
    return orjson.dumps(value, default=str).decode()


# Behind a pooler in transaction mode each transaction may be on another server connection, so a statement with a name
# is missing there, or is somebody else's. Unnamed ones are parsed and run before the connection is let go: asyncpg
# sends no Sync in between. Names that never repeat, which SQLAlchemy advises, need a pooler that follows them
# (PgBouncer 1.21).
UNNAMED_STATEMENTS: dict[str, Any] = {
    "statement_cache_size": 0,
    "prepared_statement_cache_size": 0,
    "prepared_statement_name_func": lambda: "",
}


class _Connecting:
    """A connection that is begun when it is awaited. asyncpg's own coroutine would complain where the pool is asked
    outside of a greenlet (see light_rows), finds that it must connect, and leaves it to who can wait."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._connect = partial(asyncpg.connect, *arguments, **options)

    def __await__(self) -> Generator[Any, None, asyncpg.Connection]:
        return self._connect().__await__()  # type: ignore[no-any-return]


def _connect_arguments(settings: Settings) -> dict[str, Any]:
    # Light rows hold dates and moments as PostgreSQL prints them, in its own zone.
    server_settings = {"application_name": "plancharge", "timezone": "UTC", "datestyle": "ISO"}
    arguments: dict[str, Any] = {"timeout": 5, "server_settings": server_settings, "async_creator_fn": _Connecting}
    if settings.database_pooler == "transaction":
        # PgBouncer refuses the timeouts as parameters of a connection; there the role or the database has them.
        return {**arguments, **UNNAMED_STATEMENTS}
    server_settings["statement_timeout"] = str(settings.statement_timeout_ms)
    server_settings["idle_in_transaction_session_timeout"] = "60000"
    return arguments


def create_engine(settings: Settings, **options: Any) -> AsyncEngine:
    """The pool of this process. Times out rather than waits for ever: for a connection, a statement or an answer."""
    return create_async_engine(
        settings.database_url,
        pool_size=settings.database_pool_size,
        max_overflow=settings.database_pool_overflow,
        pool_timeout=5,
        pool_pre_ping=False,
        pool_recycle=1800,
        hide_parameters=True,  # they hold names, addresses and hashes, and an unexpected error's text goes into the log
        json_serializer=_dumps,
        json_deserializer=orjson.loads,
        connect_args=_connect_arguments(settings),
        **options,
    )


class Database:
    """The engine with its two doors: `reads()` and `transaction(actor)`."""

    def __init__(self, engine: AsyncEngine, publisher: Publisher, enqueuer: Enqueuer) -> None:
        self.engine = engine
        self._autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._publisher = publisher
        self._enqueuer = enqueuer

    @property
    def reads(self) -> Reads:
        return Reads(self._autocommit)

    def transaction(self, actor: Actor) -> Transaction:
        return Transaction(self.engine, actor, self._publisher, self._enqueuer)

    async def close(self) -> None:
        await self.engine.dispose()


class Reads:
    """Opens a session per use on an AUTOCOMMIT connection: one round trip per statement, nothing held in between."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        async with AsyncSession(self._engine, expire_on_commit=False, autoflush=False) as session:
            yield session

    def light(self) -> LightConnection:
        """For hot reads of many rows, which need no session."""
        return LightConnection(self._engine)


class CommitLost(DBAPIError):
    """The connection broke while a COMMIT was under way, so that it may have been kept: never run again by itself."""


class Transaction:
    """One write: everything in it is committed together, then its events are published and its jobs enqueued.

    On an exception, or after `roll_back()` (a dry run), none of the three happens.
    """

    def __init__(self, engine: AsyncEngine, actor: Actor, publisher: Publisher, enqueuer: Enqueuer) -> None:
        self.actor = actor
        self.session = AsyncSession(engine, expire_on_commit=False)
        self._publisher = publisher
        self._enqueuer = enqueuer
        self._events: list[Event] = []
        self._jobs: list[Job] = []
        self._keep = True

    def publish(self, event: Event) -> None:
        self._events.append(event)

    def enqueue(self, name: str, *arguments: Any) -> None:
        self._jobs.append(Job(name, arguments))

    def roll_back(self) -> None:
        """Leave nothing behind when the block ends: what a dry run wants."""
        self._keep = False

    async def audit(
        self,
        action: str,
        resource_type: str,
        resource_id: UUID | None = None,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        **metadata: Any,
    ) -> None:
        """One row in the audit log, in this transaction. Never give it secrets, hashes or absence types."""
        if before is not None:
            metadata["before"] = dict(before)
        if after is not None:
            metadata["after"] = dict(after)
        origin = self.actor.origin
        await self.session.execute(
            _INSERT_AUDIT,
            {
                "id": new_id(),
                "actor_id": self.actor.user_id,
                "token_id": self.actor.token_id,
                "action": action,
                "resource_type": resource_type,
                "resource_id": resource_id,
                "address": origin.address,
                "user_agent": origin.user_agent,
                "request_id": origin.request_id,
                "metadata": _dumps(metadata),
            },
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is not None or not self._keep:
                # A rollback empties the session's rows; a refusal shows the one it was about.
                self.session.expunge_all()
                await self.session.rollback()
                return
            await self.session.flush()
            await _to_the_end(self._commit())
        finally:
            await self.session.close()

    async def _commit(self) -> None:
        try:
            await self.session.commit()
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            raise CommitLost("COMMIT", None, error.orig or error, connection_invalidated=True) from error
        if self._events:
            await self._publisher.publish(self._events)
        if self._jobs:
            await self._enqueuer.enqueue(self._jobs)


async def _to_the_end(commit: Coroutine[Any, Any, None]) -> None:
    """Also when the caller is cancelled: what is kept is told to those who listen."""
    work = asyncio.ensure_future(commit)
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        _, unended = await asyncio.wait({work}, timeout=COMMIT_SECONDS)
        if unended:  # PostgreSQL stands still: nobody knows what will become of it, and its connection is given up
            work.cancel()
            await asyncio.wait({work})
        raise


_INSERT_AUDIT = text(
    "INSERT INTO audit_logs (id, actor_id, token_id, action, resource_type, resource_id, address, user_agent,"
    " request_id, metadata) VALUES (:id, :actor_id, :token_id, :action, :resource_type, :resource_id,"
    " CAST(CAST(:address AS text) AS inet), :user_agent, :request_id, CAST(CAST(:metadata AS text) AS jsonb))"
)
