"""Problems as HTTP answers: RFC 7807, `application/problem+json`."""

from __future__ import annotations

import orjson
from starlette.responses import Response

from server.errors import Failure, Problem


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
