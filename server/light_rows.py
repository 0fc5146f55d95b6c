"""Hot reads without the ORM: SQLAlchemy compiles the statement, the driver's records become small tuples with names.

Making mapped objects takes longer than everything else about a page of a few hundred rows, and of the rest half goes
into making decimals, dates and moments that are only printed again. So the rows are such tuples, in which those three
come as PostgreSQL's own exact text; the scalars of schema/ print it. Ids are UUIDs, and in rows of a few columns only,
which lists have by the hundred, their text: it is hashed in a quarter of the time. Enums come as their texts, which
their members equal. What is read here is never changed through a session.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from inspect import get_annotations
from time import perf_counter
from types import NoneType, UnionType
from typing import Any, ClassVar, Generic, Self, TypeVar, cast, get_args

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy import Boolean, CompoundSelect, Date, DateTime, Numeric, Select, String, Text, TextClause, Uuid
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql.asyncpg import dialect as asyncpg_dialect
from sqlalchemy.exc import MissingGreenlet, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import QueuePool
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.util import LRUCache, greenlet_spawn

from server.observability import STATEMENT_SECONDS, STATEMENTS

R = TypeVar("R")
Row = TypeVar("Row", bound=DeclarativeBase)
Statement = Select[*tuple[Any, ...]] | CompoundSelect[*tuple[Any, ...]]
Make = Callable[[Any], Any]
"""record -> row"""

statement_listeners: list[Callable[[str], None]] = []
"""are told each statement that is run here, which SQLAlchemy's events do not see"""

_SELECTS, _SELECT_SECONDS = STATEMENTS.labels("SELECT"), STATEMENT_SECONDS.labels("SELECT")
_DIALECT = asyncpg_dialect()  # type: ignore[no-untyped-call]
_COMPILED: LRUCache[Any, Any] = LRUCache(500)


_PROMISED = {str, bool, NoneType}


class LightRow(tuple[Any, ...]):
    """A tuple whose items have names: the annotations of a class that is derived from this one, in their order.

    It is made of one iterable of its values, in half the time of a named tuple. What is annotated as `str` or `bool`,
    or None beside them, is exactly that in all its rows: execution.CompiledExecutor relies on it and does not look.
    """

    __slots__ = ()
    __promises__: ClassVar[dict[str, tuple[int, frozenset[type]]]]

    def __init_subclass__(cls) -> None:
        annotations = get_annotations(cls, eval_str=True)
        # For its items' readers. It is held by a name, or the collector may clear its dictionary meanwhile.
        named = namedtuple(cls.__name__, annotations)  # type: ignore[misc]
        cls.__promises__ = {}
        for place, (name, annotation) in enumerate(annotations.items()):
            setattr(cls, name, vars(named)[name])
            types = frozenset(get_args(annotation) if isinstance(annotation, UnionType) else (annotation,))
            if types <= _PROMISED:
                cls.__promises__[name] = place, types


def light(
    row: type[Row], *, without: Sequence[str] = (), only: Sequence[str] | None = None
) -> tuple[list[Any], type[Row]]:
    """The columns of a mapped class, or some of them, and a light row with its attributes to read them into.

    For GraphQL it is what the mapped class is, and so it is typed as that; it has no session and cannot be changed.
    """
    names = only or [name for name in row.__mapper__.columns.keys() if name not in without]  # noqa: SIM118 — no dict
    printed = (Date, DateTime, Numeric, Uuid) if only else (Date, DateTime, Numeric)
    columns = {name: _printed(getattr(row, name), printed) for name in names}
    annotations = {name: _annotation(column, getattr(row, name).nullable) for name, column in columns.items()}
    kind = type(row.__name__, (LightRow,), {"__slots__": (), "__annotations__": annotations})
    return [column.label(name) for name, column in columns.items()], cast("type[Row]", kind)


def _printed(column: Any, kinds: tuple[type, ...]) -> Any:
    return sql_cast(column, Text) if isinstance(column.type, kinds) else column


_EXACT = {Text: str, String: str, Boolean: bool}
"""of SQLAlchemy's own types themselves: an enum's is a kind of String, and its values are not always texts"""


def _annotation(column: Any, nullable: bool) -> Any:
    exact = _EXACT.get(type(column.type), object)
    return exact | None if nullable else exact


class Light(Generic[R]):
    """A statement that is compiled once; its values are the bound parameters that it names.

    Without a row's class it returns the driver's records.
    """

    def __init__(self, statement: Statement | TextClause, row: type[R] | None = None) -> None:
        self.statement = statement
        self.compiled = statement.compile(dialect=_DIALECT)
        self.make = row and _make(row)

    async def rows(self, connection: LightConnection, **values: Any) -> list[R]:
        return await connection.run(self.compiled, self.compiled.construct_params(values), self.make)

    async def of(self, source: Source, **values: Any) -> list[R]:
        """From either source; a session is for those who write, too."""
        if isinstance(source, LightConnection):
            return await self.rows(source, **values)
        found = await source.execute(self.statement, values)
        return list(found if self.make is None else map(self.make, found))


class LightConnection:
    """A connection of the pool in AUTOCOMMIT, for an `async with` block: one round trip per statement.

    It is of the engine's own pool, so that there is one bound on connections.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._held: Any = None
        self._driver: Any = None
        self._failed = False
        """Nobody knows what the driver still waits for then, and the next user of it would be told."""
        self._lost: Exception | None = None
        """by which it was noticed that the server has closed the connection, and so perhaps all of the pool's"""

    async def __aenter__(self) -> Self:
        self._held = _idle(self._engine) or await self._connected()
        self._driver = self._held.driver_connection
        return self

    async def _connected(self) -> Any:
        dbapi: Any = self._engine.dialect.loaded_dbapi
        try:
            return await self._engine.raw_connection()
        except dbapi.Error as error:  # as it is: of a raw connection SQLAlchemy translates none
            raise OperationalError("connect", None, error) from error

    async def __aexit__(self, *_: object) -> None:
        # Invalidated in a greenlet, SQLAlchemy closes it in good order: cut off, it would leave PostgreSQL at the
        # statement of a client that has left.
        if self._lost is not None:
            await greenlet_spawn(self._engine.pool._invalidate, self._held, self._lost)
        elif self._failed:
            await greenlet_spawn(self._held.invalidate)
        elif _is_full(self._engine):  # and so closes it
            await greenlet_spawn(self._held.close)
        else:
            self._held.close()

    async def rows(self, statement: Statement, row: type[R]) -> list[R]:
        """What a statement finds that is put together anew each time."""
        compiled, extracted, _, _ = statement._compile_w_cache(_DIALECT, compiled_cache=_COMPILED, column_keys=[])
        assert isinstance(compiled, SQLCompiler)
        return await self.run(compiled, compiled.construct_params(extracted_parameters=extracted), _make(row))

    async def run(self, compiled: SQLCompiler, values: Any, make: Make | None) -> list[Any]:
        for listener in statement_listeners:
            listener(compiled.string)
        processors: Any = compiled._bind_processors
        arguments = [
            processors[name](values[name]) if name in processors else values[name]
            for name in compiled.positiontup or ()
        ]
        try:
            self._failed = True
            started = perf_counter()
            records = await self._driver.fetch(compiled.string, *arguments)
            _SELECTS.inc()
            _SELECT_SECONDS.observe(perf_counter() - started)
            self._failed = False
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            away = self._driver.is_closed()
            self._failed = away or not isinstance(error, asyncpg.PostgresError)  # else it refused, and is as it was
            self._lost = error if away else None
            raise OperationalError(compiled.string, None, error, connection_invalidated=away) from error
        return list(records if make is None else map(make, records))


# The pool's connections are taken and given back without a greenlet where nothing has to be waited for: two of them
# take longer than a small statement. In AUTOCOMMIT there is nothing to roll back.


def _idle(engine: AsyncEngine) -> Any:
    """A connection of the pool that waits for work; None where there is none, or it is due to be made anew."""
    if cast("QueuePool", engine.pool).checkedin():
        with suppress(MissingGreenlet):
            return engine.sync_engine.raw_connection()
    return None


def _is_full(engine: AsyncEngine) -> bool:
    pool = cast("QueuePool", engine.pool)
    return pool.checkedin() >= pool.size()


def _make(row: type[R]) -> Make:
    return row if issubclass(row, LightRow) else partial(tuple.__new__, cast("Any", row))


Source = AsyncSession | LightConnection
"""what a sentence reads from that writers ask within their transaction, too"""


async def read(source: Source, statement: Statement, row: type[R]) -> list[R]:
    if isinstance(source, LightConnection):
        return await source.rows(statement, row)
    return list(map(_make(row), await source.execute(statement)))
