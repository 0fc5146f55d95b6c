"""Plans by document: a bounded cache that no two schemas share."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
)
from graphql.execution.collect_fields import FragmentDetails
from graphql.pyutils import Undefined

from .plan import Plan

if TYPE_CHECKING:
    from graphql import Executor

__all__ = ["Document", "DocumentCache"]


class Document:
    """What must be known of an operation and its fragments before they run, and their plans."""

    __slots__ = ("_kept", "_plans", "condition_variables", "fragment_arguments", "incremental")

    MAX_PLANS = 64

    def __init__(self, schema: GraphQLSchema, operation: OperationDefinitionNode, fragments: FragmentMap) -> None:
        self._kept = (schema, operation, list(fragments.values()))
        self.incremental = False
        self.fragment_arguments = any(fragment.variable_signatures for fragment in fragments.values())
        variables: set[str] = set()
        for node in _selections_of(operation.selection_set, fragments):
            for directive in node.directives or ():
                name = directive.name.value
                if name in {"defer", "stream"}:
                    self.incremental = True
                elif name in {"skip", "include"}:
                    values = [argument.value for argument in directive.arguments or ()]
                    variables.update(value.name.value for value in values if isinstance(value, VariableNode))
        self.condition_variables = sorted(variables)
        self._plans: dict[tuple[Any, ...], Plan] = {}

    def plan(self, executor: Executor[Any], root_type: GraphQLObjectType) -> tuple[Plan, bool]:
        """Return the plan for the executor's variables, and whether it had to be compiled."""
        if self.fragment_arguments:
            # The values of fragment variables are part of the collected fields, so such a plan serves one request.
            return Plan(executor, root_type), True
        coerced = executor.variable_values.coerced
        key = (root_type, *(coerced.get(name, Undefined) for name in self.condition_variables))
        try:
            plan = self._plans.get(key)
        except TypeError:  # a schema with its own @skip may take values that cannot be hashed
            return Plan(executor, root_type), True
        if plan is not None:
            return plan, False
        plan = Plan(executor, root_type)
        if len(self._plans) >= self.MAX_PLANS:
            self._plans.clear()
        self._plans[key] = plan
        return plan, True


FragmentMap = Mapping[str, FragmentDetails]


def _selections_of(
    selection_set: SelectionSetNode, fragments: FragmentMap
) -> Iterator[FieldNode | InlineFragmentNode | FragmentSpreadNode]:
    """Walk all selections without recursion: a document may be nested deeper than the interpreter's stack."""
    waiting = [selection_set, *(fragment.definition.selection_set for fragment in fragments.values())]
    while waiting:
        for selection in waiting.pop().selections:
            if isinstance(selection, (FieldNode, InlineFragmentNode, FragmentSpreadNode)):
                yield selection
            if isinstance(selection, (FieldNode, InlineFragmentNode)) and selection.selection_set:
                waiting.append(selection.selection_set)


class DocumentCache:
    """The documents last used, by the identity of schema, operation and fragments.

    Identity and not text: two schemas may share a text, and a tool may change a tree and keep its source. Entries hold
    what their key names, so no identity is given twice. Whoever parses a text once and keeps the tree, as Strawberry's
    ParserCache does, compiles it once.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._documents: OrderedDict[tuple[int, ...], Document] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._documents)

    def document(self, executor: Executor[Any]) -> Document:
        """Return the executor's document, looked through at its first use."""
        fragments = executor.fragments
        key = (
            id(executor.schema),
            id(executor.operation),
            *(id(fragment.definition) for fragment in fragments.values()),
        )
        with self._lock:
            document = self._documents.get(key)
            if document is not None:
                self._documents.move_to_end(key)
                return document
        document = Document(executor.schema, executor.operation, fragments)
        with self._lock:
            self._documents[key] = document
            while len(self._documents) > self.size:
                self._documents.popitem(last=False)
        return document

    def clear(self) -> None:
        """Forget all documents."""
        with self._lock:
            self._documents.clear()
