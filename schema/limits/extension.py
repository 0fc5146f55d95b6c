"""The limits of every operation, over HTTP and over WebSocket: a document's, its cost's, and its caller's."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Iterator
from typing import Any

from graphql import GraphQLError
from strawberry.extensions import SchemaExtension
from strawberry.types.graphql import OperationType

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


class Limits(SchemaExtension):
    """Parses, checks and validates in place of Strawberry's caches: the order matters. The number of tokens is
    limited in the parser and what is too wide or too deep is refused before validation, whose rules take more than
    linear time; the cost is known after it. Nothing runs before all of it, and the caller's budget, admit it.
    """

    def __init__(self, documents: Documents) -> None:
        super().__init__()
        self._documents = documents
        self._prepared: Prepared | None = None
        self._cost: dict[str, int] | None = None

    def on_parse(self) -> Iterator[None]:
        """Raises the refusal, which the schema makes a result of any transport: later it would be parsed once more."""
        execution = self.execution_context
        text = execution.query or ""
        if not self._documents.knows(text) and (waiting := self._waiting()):
            raise waiting
        self._prepared = self._documents.prepared(execution.schema._schema, text, self._settings.max_tokens)
        execution.graphql_document = self._prepared.document
        yield

    def _waiting(self) -> GraphQLError | None:
        """Who is over the budget, and was told until when, has nothing parsed meanwhile."""
        context = self._context
        if context.rate_limit is None or (budget := context.rate_limit.refusal(caller_of(context))) is None:
            return None
        if context.headers is not None:
            context.headers.update(budget.headers())
        detail = f"You are over the budget of {budget.limit} a minute: try again in {budget.retry_after} s."
        return _error(Throttled(detail, retry_after=budget.retry_after))

    async def on_validate(self) -> AsyncIterator[None]:
        assert self._prepared is not None
        execution = self.execution_context
        execution.pre_execution_errors = await self._new(self._prepared) or await self._checked(self._prepared)
        yield

    async def _new(self, prepared: Prepared) -> list[GraphQLError]:
        """Pays for a document that is not known to be valid or not, before the work of finding it out."""
        if prepared.errors is not None:
            return []
        throttled = await self._charge(min(NEW_TOKEN * prepared.analysis.tokens, self._settings.max_cost))
        return [throttled] if throttled else []

    async def _checked(self, prepared: Prepared) -> list[GraphQLError]:
        errors = self._refusals(prepared)
        if errors:
            return errors
        cost = prepared.analysis.costs.of(self.execution_context.operation_name, self._variables)
        self._cost = {"requested": cost, "maximum": self._settings.max_cost}
        too_much = _beyond(cost, self._settings.max_cost)
        if too_much:
            return [too_much]
        throttled = await self._charge(cost)
        return [throttled] if throttled else []

    def get_results(self) -> dict[str, Any]:
        """Not with the events of a subscription: they would all repeat what its start has cost."""
        if self._cost is None or self.execution_context.operation_type is OperationType.SUBSCRIPTION:
            return {}
        return {"cost": self._cost}

    @property
    def _context(self) -> Context:
        context: Context = self.execution_context.context
        return context

    @property
    def _settings(self) -> Settings:
        return self._context.settings

    @property
    def _variables(self) -> dict[str, Any]:
        return self.execution_context.variables or {}

    def _refusals(self, prepared: Prepared) -> list[GraphQLError]:
        beyond = _beyond_limits(prepared.analysis, self._settings)
        if beyond:
            return beyond
        is_mutation = self.execution_context.operation_type is OperationType.MUTATION
        if is_mutation and self._context.idempotency_key is not None and prepared.analysis.root_fields > 1:
            return [
                _error(BadRequest("Idempotency-Key needs a request with one mutation: give each its own by input."))
            ]
        schema = self.execution_context.schema._schema
        return self._documents.validated(schema, prepared, hide_suggestions=self._settings.is_production)

    async def _charge(self, cost: int) -> GraphQLError | None:
        context = self._context
        if context.rate_limit is None:
            return None
        budget = await context.rate_limit.take(caller_of(context), cost)
        if self._cost is not None:
            self._cost |= {"remaining": budget.remaining, "perMinute": budget.limit, "fullInSeconds": budget.full_in}
        if context.headers is not None:
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


def _beyond(cost: int, maximum: int) -> GraphQLError | None:
    if cost <= maximum:
        return None
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
