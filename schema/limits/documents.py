"""Documents that were parsed, analysed and validated before: kept, within a bound on their size together."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    parse,
    specified_rules,
    validate,
)
from graphql.validation.rules import overlapping_fields_can_be_merged
from strawberry.schema.exceptions import CannotGetOperationTypeError
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from schema.limits.analysis import Analysis, analyse
from server import observability
from server.settings import Settings

KEPT_TOKENS = 100_000
"""of all documents together, half a kilobyte each and so 50 MB: a bound on their number would let the largest ones fill
the memory"""
MOST_ERRORS = 20
# A tenth of graphql-core's own: the rule compares the fields of one level with each other, for a second and more.
overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET = 50_000
RULES = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)


@dataclass(slots=True)
class Prepared:
    document: DocumentNode
    analysis: Analysis
    errors: list[GraphQLError] | None = None
    """None until it is validated, which is after the static limits"""
    within: Settings | None = None
    """whose static limits it has been found to keep"""

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """The one of that name, the first without one. Raises CannotGetOperationTypeError where there is none."""
        for definition in self.document.definitions:
            if isinstance(definition, OperationDefinitionNode) and (
                name is None or (definition.name is not None and definition.name.value == name)
            ):
                return definition
        raise CannotGetOperationTypeError(name)

    @property
    def is_ambiguous(self) -> bool:
        """Whether an operation must be named: Strawberry and `operation` would take the first."""
        return sum(isinstance(definition, OperationDefinitionNode) for definition in self.document.definitions) > 1


class Documents:
    """Parsing takes milliseconds where running a kept document takes microseconds."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Prepared] = OrderedDict()
        self._tokens = 0

    def knows(self, text: str) -> bool:
        return text in self._kept

    def prepared(self, schema: GraphQLSchema, text: str, max_tokens: int) -> Prepared:
        """Raises GraphQLSyntaxError, also for more tokens than that."""
        kept = self._kept.get(text)
        if kept is not None:
            self._kept.move_to_end(text)
            observability.DOCUMENTS.labels("known").inc()
            return kept
        observability.DOCUMENTS.labels("new").inc()
        document = parse(text, max_tokens=max_tokens)
        prepared = Prepared(document, analyse(schema, document))
        self._kept[text] = prepared
        self._tokens += document.token_count
        while self._tokens > KEPT_TOKENS:
            self._tokens -= self._kept.popitem(last=False)[1].document.token_count
        observability.KEPT_DOCUMENTS.set(len(self._kept))
        observability.KEPT_TOKENS.set(self._tokens)
        return prepared

    def validated(self, schema: GraphQLSchema, prepared: Prepared, *, hide_suggestions: bool) -> list[GraphQLError]:
        if prepared.errors is None:
            prepared.errors = validate(schema, prepared.document, RULES, MOST_ERRORS, hide_suggestions)
        return prepared.errors
