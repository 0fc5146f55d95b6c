"""Problems as HTTP answers: RFC 7807, `application/problem+json`."""

from __future__ import annotations

import asyncpg  # type: ignore[import-untyped]
import orjson
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.responses import Response

from server.database import CommitLost
from server.errors import Failure, OutcomeUnknown, Problem, TimedOut, TryAgain, Unavailable
from server.retries import CROSSED, is_conflict

DATABASE_AWAY = Unavailable("The database cannot be reached right now: try again in a moment.", retry_after=2)
COMMIT_LOST = OutcomeUnknown(
    "The database was lost while it was keeping this change: look whether it did before you send it again. Under an "
    "idempotency key, sending it again is safe.",
    retry_after=2,
)
STATEMENT_TIMED_OUT = TimedOut("The database took too long over a part of this and stopped: ask for less at a time.")
_QUERY_CANCELED = "57014"


# It shuts down, starts up, lost its disk, or has become a standby that cannot write. And the classes of broken
# connections, and of what it lacks: connections, room on the disk, memory.
_AWAY_STATES = {"57P01", "57P02", "57P03", "58030", "25006"}
_AWAY_CLASSES = ("08", "53")
# The driver's own error: it has read that the server shuts down, and not yet that it hung up.
_HUNG_UP = OSError | asyncpg.InternalClientError


def is_database_away(error: BaseException | None) -> bool:
    """Whether PostgreSQL could not be reached, hung up, or has no room, rather than refused what was asked."""
    if isinstance(error, DBAPIError):
        state = getattr(error.orig, "sqlstate", None) or ""
        return (
            error.connection_invalidated
            or state in _AWAY_STATES
            or state.startswith(_AWAY_CLASSES)
            or isinstance(error.orig and error.orig.__cause__, _HUNG_UP)
        )
    return isinstance(error, _HUNG_UP | PoolTimeout)


def failure_of(error: BaseException | None) -> Failure | None:
    """What a client is told of an error of the database that is no mistake of ours. None: it is one."""
    if isinstance(error, CommitLost):
        return COMMIT_LOST
    if is_database_away(error):
        return DATABASE_AWAY
    if isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) == _QUERY_CANCELED:
        return STATEMENT_TIMED_OUT
    if error is not None and is_conflict(error):
        return TryAgain(CROSSED, retry_after=1)
    return None


def problem_response(problem: Problem, *, retry_after: int | None = None) -> Response:
    headers = {"cache-control": "no-store"}
    if retry_after is not None:
        headers["retry-after"] = str(retry_after)
    if problem.status == 401:
        headers["www-authenticate"] = "Bearer"
    return Response(
        orjson.dumps(problem.members()), problem.status, headers=headers, media_type="application/problem+json"
    )


def failure_response(failure: Failure) -> Response:
    return problem_response(failure.problem, retry_after=failure.retry_after)
