"""Problems as data in payloads, and the masking of errors that nobody expected."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Any

import strawberry
import structlog
from graphql import GraphQLError, GraphQLSyntaxError
from strawberry.extensions import FieldExtension
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.field import StrawberryField

from schema.context import Context
from server import errors
from server.errors import Failure, Refused
from server.problems import failure_of

log = structlog.get_logger(__name__)


@strawberry.type(description="One thing that is wrong at one place of the input.")
class FieldError:
    path: list[str] = strawberry.field(description="Where, from below `input`: for example `[cells, 3, days]`.")
    code: str = strawberry.field(description="A stable code for programs.")
    message: str = strawberry.field(description="What to do, for people.")


@strawberry.type(description="Why something was refused, or what to know about it: RFC 7807 plus a stable code.")
class Problem:
    type: str = strawberry.field(description="A URN that names this kind of problem.")
    title: str = strawberry.field(description="This kind of problem in a few words.")
    status: int = strawberry.field(description="The HTTP status that a REST call would have answered with.")
    detail: str = strawberry.field(description="What happened here and what to do about it.")
    instance: str | None = strawberry.field(description="The request's id, where one can be looked up in the logs.")
    code: str = strawberry.field(description="A stable code for programs.")
    errors: list[FieldError] = strawberry.field(description="The places of the input that it concerns.")


@strawberry.interface(description="What every mutation answers.")
class Payload:
    problems: list[Problem] = strawberry.field(
        default_factory=list, description="Why nothing, or not all, was changed. Empty when all went well."
    )
    warnings: list[Problem] = strawberry.field(
        default_factory=list, description="What was done all the same and is worth knowing, such as an over-allocation."
    )


def shown(row: object) -> Any:
    """A row or domain object where GraphQL shows a type: its attributes carry the same names, so it passes as it is."""
    return row


NOT_ALLOWED = {"OUT_OF_SCOPE", "PERMISSION_NOT_HELD"}
"""refusals that leave a trace in the audit log, as FORBIDDEN does"""


class ProblemsAsData(FieldExtension):
    """Turns a Refused raised by the service into the mutation's payload, with the current object on a conflict."""

    def apply(self, field: StrawberryField) -> None:
        self._field = field

    async def resolve_async(self, next_: Any, source: Any, info: Any, **kwargs: Any) -> Any:
        try:
            result = next_(source, info, **kwargs)
            return await result if inspect.isawaitable(result) else result
        except Refused as refused:
            if codes := NOT_ALLOWED & {problem.code for problem in refused.problems}:
                await info.context.audit_refusal(info.field_name, min(codes))
            payload: Any = self._field.type
            subject = next(
                f for f in payload.__strawberry_definition__.fields if f.name not in ("problems", "warnings")
            )
            answer = {"problems": list(refused.problems)}
            if refused.current is not None:
                answer[subject.python_name] = refused.current  # type: ignore[assignment]
            return payload(**answer)
        finally:
            # What loaders hold was read before this write.
            info.context.forget()


def all_masked(found: Sequence[GraphQLError], context: Context) -> list[GraphQLError]:
    """Gives every error a code; an unexpected one is logged and shows a request id and nothing else."""
    if context.settings.is_production:
        found = [_without_suggestion(error) for error in found]
    return [masked(error, context.request_id) for error in found]


def masked(error: GraphQLError, request_id: str | None) -> GraphQLError:
    """The error as a client may see it: the members of RFC 7807 and a stable code, nothing of an unexpected cause.

    A new error: that of an invalid document is cached, and other requests get it too.
    """
    cause: BaseException | None = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    message = error.message
    if isinstance(cause, Failure):
        members = cause.extensions
    elif isinstance(cause, Refused):
        members = cause.problems[0].members()
    elif failure := failure_of(cause):
        log.warning("database_failed", code=failure.code, error=type(cause).__name__)
        message, members = str(failure), failure.extensions
    elif isinstance(cause, InvalidOperationTypeError):
        message = "This kind of operation cannot be run over this transport."
        members = errors.BadRequest(message).extensions
    elif isinstance(cause, CannotGetOperationTypeError):
        message = cause.as_http_error_reason()
        members = errors.BadRequest(message).extensions
    elif isinstance(cause, GraphQLError):
        members = _of_the_document(error, cause).members()
    else:
        log.error("unexpected_error", path=error.path, exc_info=cause)
        message = f"Something went wrong on our side; quote request {request_id} when you report it."
        members = Failure(message).extensions
    extensions = {**members, "instance": f"urn:request:{request_id}" if request_id else None}
    return GraphQLError(message, error.nodes, error.source, error.positions, error.path, extensions=extensions)


_SUGGESTION = re.compile(r" Did you mean [^?]*\?")


def _without_suggestion(error: GraphQLError) -> GraphQLError:
    """Of errors in variables: Strawberry cannot tell graphql-core to leave suggestions out of those."""
    if not isinstance(error.original_error, GraphQLError | None) or " Did you mean " not in error.message:
        return error
    return GraphQLError(
        _SUGGESTION.sub("", error.message),
        error.nodes,
        error.source,
        error.positions,
        error.path,
        error.original_error,
        error.extensions,
    )


_PLACE = re.compile(
    r"Variable '\$(?P<name>\w+)' (?:got|has) invalid value(?: at (?P<path>\S+))?: (?P<message>.*)", re.DOTALL
)


def _places(code: str, message: str) -> tuple[errors.FieldError, ...]:
    """Where in which variable a value is wrong. graphql-core keeps the place in the words of its message only."""
    found = _PLACE.match(message)
    if found is None:
        return ()
    path = re.findall(r"\w+", found["path"] or "") or [found["name"]]
    return (errors.FieldError(tuple(path), code, found["message"]),)


def _of_the_document(error: GraphQLError, cause: GraphQLError) -> errors.Problem:
    """What graphql-core itself found wrong: the syntax, the document against the schema, a value against its type."""
    if isinstance(cause, GraphQLSyntaxError) and "Parsing aborted" in cause.message:  # the parser's limit on tokens
        return errors.TooCostly(f"{error.message} Split the document.").problem
    if isinstance(cause, GraphQLSyntaxError):
        return errors.Problem("GRAPHQL_PARSE_FAILED", "The document is not GraphQL", 400, error.message)
    code = (cause.extensions or {}).get("code")
    if code or error.path or error.message.startswith("Variable "):
        code = code or "INVALID_INPUT"
        return errors.Problem(code, "The input is not valid", 400, error.message, _places(code, error.message))
    return errors.Problem("GRAPHQL_VALIDATION_FAILED", "The document does not fit the schema", 400, error.message)
