"""The limits of every operation, over HTTP and over WebSocket: a document's, its cost's, and its caller's."""

from __future__ import annotations

import ipaddress
from typing import Any

from graphql import GraphQLError, GraphQLSchema, OperationDefinitionNode, OperationType

from schema.context import Context
from schema.limits.analysis import Analysis
from schema.limits.documents import Documents, Prepared
from server.errors import BadRequest, Failure, Throttled, TooCostly
from server.rate_limit import Budget
from server.settings import Settings

NEW_TOKEN = 10
"""what each token costs of a document that this process has not validated yet: that takes longer than to run most"""
ADVICE = {
    "depth": "select fewer levels, or read what lies deeper by a second operation",
    "aliases": "split the operation",
    "directives": "leave out those that are not needed, or split the document",
    "root_fields": "split the operation",
    "fields": "its fragments spread each other again and again: select each object once",
}
TEXTS = {"depth": "levels", "root_fields": "fields at its root", "fields": "fields with its fragments written out"}


class Admission:
    """Parses, checks and validates one operation. The order matters: the number of tokens is limited in the parser,
    what is too wide or too deep is refused before validation, whose rules take more than linear time, and the cost is
    known after it. Nothing runs before all of it, and the caller's budget, admit it.
    """

    __slots__ = ("_context", "_documents", "_schema", "cost")

    def __init__(self, schema: GraphQLSchema, documents: Documents, context: Context) -> None:
        self._schema, self._documents, self._context = schema, documents, context
        self.cost: dict[str, int] | None = None
        """what the answer tells of it, once it is known"""

    def parsed(self, text: str) -> Prepared:
        """Raises GraphQLError: of the syntax, or Throttled for a caller who was told to wait and has nothing parsed
        meanwhile."""
        context = self._context
        if not self._documents.knows(text) and context.rate_limit is not None:
            budget = context.rate_limit.refusal(caller_of(context))
            if budget is not None:
                context.headers.update(budget.headers())
                detail = f"You are over the budget of {budget.limit} a minute: try again in {budget.retry_after} s."
                raise _error(Throttled(detail, retry_after=budget.retry_after))
        return self._documents.prepared(self._schema, text, context.settings.max_tokens)

    async def refusals(
        self, prepared: Prepared, operation: OperationDefinitionNode, variables: dict[str, Any]
    ) -> list[GraphQLError]:
        """Why the operation is not run, or nothing."""
        settings = self._context.settings
        if prepared.errors is None:  # a document that is not known to be valid pays before the work of finding it out
            throttled = await self._charged(min(NEW_TOKEN * prepared.analysis.tokens, settings.max_cost))
            if throttled:
                return [throttled]
        errors = self._errors_of(prepared, operation)
        if errors:
            return errors
        cost = prepared.analysis.costs.of(operation.name.value if operation.name else None, variables)
        self.cost = {"requested": cost, "maximum": settings.max_cost}
        if cost > settings.max_cost:
            return [_too_much(cost, settings.max_cost)]
        throttled = await self._charged(cost)
        return [throttled] if throttled else []

    def _errors_of(self, prepared: Prepared, operation: OperationDefinitionNode) -> list[GraphQLError]:
        context = self._context
        if prepared.within is not context.settings:
            beyond = _beyond_limits(prepared.analysis, context.settings)
            if beyond:
                return beyond
            prepared.within = context.settings
        is_mutation = operation.operation is OperationType.MUTATION
        if is_mutation and context.idempotency_key is not None and prepared.analysis.root_fields > 1:
            return [
                _error(BadRequest("Idempotency-Key needs a request with one mutation: give each its own by input."))
            ]
        return self._documents.validated(self._schema, prepared, hide_suggestions=context.settings.is_production)

    async def _charged(self, cost: int) -> GraphQLError | None:
        context = self._context
        if context.rate_limit is None:
            return None
        budget = await context.rate_limit.take(caller_of(context), cost)
        if self.cost is not None:
            self.cost |= {"remaining": budget.remaining, "perMinute": budget.limit, "fullInSeconds": budget.full_in}
        context.headers.update(budget.headers())
        return None if budget.retry_after is None else _error(_throttled(budget, cost))


def caller_of(context: Context) -> str:
    """Whose budget it is: an API token's, a person's, an address's; of IPv6 the network, which is one subscriber's."""
    caller = context.caller
    if caller is not None:
        return f"token:{caller.token_id}" if caller.token_id else f"user:{caller.user_id}"
    try:
        address = ipaddress.ip_address(context.origin.address or "")
    except ValueError:
        return "address:unknown"
    if address.version == 6:
        return f"address:{ipaddress.ip_network((address, 64), strict=False)}"
    return f"address:{address}"


def _beyond_limits(analysis: Analysis, settings: Settings) -> list[GraphQLError]:
    errors = []
    for name, advice in ADVICE.items():
        value, maximum = getattr(analysis, name), getattr(settings, f"max_{name}")
        if value > maximum:
            what = TEXTS.get(name, name)
            detail = f"The document has {_shown(value)} {what} and the maximum is {maximum}: {advice}."
            errors.append(_error(TooCostly(detail)))
    return errors


def _too_much(cost: int, maximum: int) -> GraphQLError:
    advice = "ask for smaller pages, fewer months or fewer nested lists"
    return _error(TooCostly(f"The operation costs {_shown(cost)} and the maximum is {maximum}: {advice}."))


def _shown(value: int) -> str:
    return "more than a thousand million" if value >= 10**9 else str(value)


def _throttled(budget: Budget, cost: int) -> Throttled:
    detail = (
        f"This costs {cost} and you have {budget.remaining} of {budget.limit} a minute left: "
        f"try again in {budget.retry_after} s, or ask for less."
    )
    return Throttled(detail, retry_after=budget.retry_after)


def _error(failure: Failure) -> GraphQLError:
    return GraphQLError(str(failure), original_error=failure)
