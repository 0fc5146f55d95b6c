"""The tree of expected errors, each with a stable code; the members are those of RFC 7807.

ExpectedError
├── Refused            data of a payload: the client can correct the input and try again
└── Failure            a top-level error: the call as such cannot be answered
    ├── Unauthenticated 401   Forbidden 403   NotFound 404   BadRequest 400
    └── Throttled 429         Unavailable and its TryAgain, OutcomeUnknown 503   TimedOut 504
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

TYPE_PREFIX = "urn:plancharge:problem:"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong at one place of the input; `path` starts below the `input` argument."""

    path: tuple[str, ...]
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Problem:
    """RFC 7807 plus a stable `code` and the places it concerns. `detail` says what to do."""

    code: str
    title: str
    status: int
    detail: str
    errors: tuple[FieldError, ...] = ()
    instance: str | None = None

    @property
    def type(self) -> str:
        return TYPE_PREFIX + self.code.lower().replace("_", "-")

    def members(self) -> dict[str, Any]:
        """As JSON: the body of a REST error and the `extensions` of a GraphQL one."""
        return {
            "type": self.type,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": self.instance,
            "code": self.code,
            "errors": [{"path": list(e.path), "code": e.code, "message": e.message} for e in self.errors],
        }


TITLES: dict[str, tuple[str, int]] = {
    "INVALID_INPUT": ("The input is not valid", 422),
    "VERSION_CONFLICT": ("Someone else changed this first", 409),
    "DUPLICATE": ("This already exists", 409),
    "UNKNOWN_ID": ("No such object", 404),
    "OUT_OF_SCOPE": ("Not yours to change", 403),
    "MONTH_CLOSED": ("The month is closed", 409),
    "PROJECT_CLOSED": ("The project takes no new load", 409),
    "ARCHIVED": ("Archived, not deleted", 200),
    "OVERALLOCATED": ("More load than capacity", 200),
    "RECOMPUTING": ("A large change is still being worked in", 409),
    "NOT_APPLIED": ("Refused with the rest of the call", 409),
    "CLOSED_MONTHS": ("Closed months stay as they are", 200),
    "NO_CONTRACT": ("No contract in this period", 200),
    "CONTRACT_OVERLAP": ("Contracts of one person never overlap", 409),
    "MANAGED_ELSEWHERE": ("Another system owns this", 409),
    "IN_USE": ("Still in use", 409),
    "LAST_ADMIN": ("Someone must remain who can administer", 409),
    "READ_ONLY": ("This cannot be changed", 409),
    "PERMISSION_NOT_HELD": ("Nobody grants a permission they lack", 403),
    "LINK_NOT_VALID": ("The link does not work any more", 410),
    "SYNC_RUNNING": ("A sync of this provider is under way", 409),
    "SYNC_ENDED": ("The run has ended", 409),
    "NOT_CONFIGURED": ("The provider is not configured", 409),
    "ALREADY_MAPPED": ("Already somebody else's", 409),
    "IDEMPOTENCY_KEY_REUSED": ("The idempotency key was used for another request", 409),
}


class ExpectedError(Exception):
    """Anything we raise on purpose; what is not one of these is a bug and is masked."""


class Refused(ExpectedError):
    """The call was understood and changes nothing; its problems are data in the payload.

    `current` is the object as it stands, for a version conflict.
    """

    def __init__(self, problems: Sequence[Problem], current: object | None = None) -> None:
        super().__init__("; ".join(problem.detail for problem in problems))
        self.problems = tuple(problems)
        self.current = current


def problem(code: str, detail: str, *path: str | int, field_code: str | None = None) -> Problem:
    """A problem of one code, located at one path of the input (none when it concerns the whole call)."""
    title, status = TITLES[code]
    errors = (FieldError(tuple(map(str, path)), field_code or code, detail),) if path else ()
    return Problem(code=code, title=title, status=status, detail=detail, errors=errors)


def refuse(code: str, detail: str, *path: str | int, current: object | None = None) -> Refused:
    """`raise refuse("UNKNOWN_ID", "There is no project with this id.", "projectId")`"""
    return Refused([problem(code, detail, *path)], current)


def invalid(errors: Sequence[FieldError]) -> Refused:
    """Several places of one input are wrong: one problem that lists them all."""
    title, status = TITLES["INVALID_INPUT"]
    detail = " ".join(error.message for error in errors)
    return Refused([Problem("INVALID_INPUT", title, status, detail, tuple(errors))])


@dataclass
class Failure(ExpectedError):
    """A call that cannot be answered at all. `retry_after` in seconds, where trying again may help."""

    detail: str
    retry_after: int | None = None
    errors: tuple[FieldError, ...] = field(default=())

    code: ClassVar[str] = "INTERNAL"
    title: ClassVar[str] = "Something went wrong on our side"
    status: ClassVar[int] = 500

    def __str__(self) -> str:
        return self.detail

    def __hash__(self) -> int:
        return id(self)

    @property
    def problem(self) -> Problem:
        return Problem(self.code, self.title, self.status, self.detail, self.errors)

    @property
    def extensions(self) -> dict[str, Any]:
        """graphql-core copies an original error's `extensions` into the GraphQL error."""
        members = self.problem.members()
        if self.retry_after is not None:
            members["retryAfter"] = self.retry_after
        return members


class Unauthenticated(Failure):
    code, title, status = "UNAUTHENTICATED", "Not signed in", 401


class Forbidden(Failure):
    code, title, status = "FORBIDDEN", "Not allowed", 403


class NotFound(Failure):
    code, title, status = "NOT_FOUND", "Not found", 404


class BadRequest(Failure):
    code, title, status = "BAD_REQUEST", "The request is not valid", 400


class TooCostly(Failure):
    code, title, status = "TOO_COSTLY", "The request asks for too much", 400


class Throttled(Failure):
    code, title, status = "RATE_LIMITED", "Too many requests", 429


class Unavailable(Failure):
    code, title, status = "UNAVAILABLE", "Temporarily unavailable", 503


class TryAgain(Unavailable):
    """The same may work now: nothing was kept."""

    code, title = "TRY_AGAIN", "Others were writing the same"


class OutcomeUnknown(Unavailable):
    """Nobody knows whether it was kept."""

    code, title = "OUTCOME_UNKNOWN", "It may have been kept"


class TimedOut(Failure):
    code, title, status = "TIMED_OUT", "This takes too long", 504
