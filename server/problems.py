"""Problems as HTTP answers: RFC 7807, `application/problem+json`."""

from __future__ import annotations

import orjson
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.responses import Response

from server.errors import Failure, Problem, Unavailable

DATABASE_AWAY = Unavailable("The database cannot be reached right now: try again in a moment.", retry_after=2)


# It shuts down, starts up, or has no connection left.
_AWAY_STATES = {"57P01", "57P02", "57P03", "53300"}


def is_database_away(error: BaseException | None) -> bool:
    """Whether PostgreSQL could not be reached, or hung up, rather than refused what was asked."""
    if isinstance(error, DBAPIError):
        return (
            error.connection_invalidated
            or getattr(error.orig, "sqlstate", None) in _AWAY_STATES
            or isinstance(error.orig and error.orig.__cause__, OSError)
        )
    return isinstance(error, OSError | PoolTimeout)


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
