"""One walk over a document, before it is validated: how deep, how wide, and where its lists come from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
    is_composite_type,
)

from schema.limits.cost import Costs, Selected

MANY = 10**9
"""Where counting stops: fragments that double would otherwise make numbers of hundreds of digits."""
INTROSPECTION = {"__schema", "__type"}


@dataclass(slots=True)
class Spread:
    name: str
    depth: int | None
    """of its place; None below introspection, where depth is not counted"""


@dataclass(slots=True)
class Definition:
    """An operation or a fragment: first what is written in it, then also what its spreads stand for."""

    depth: int = 0
    fields: int = 0
    aliases: int = 0
    top: int = 0
    """fields of the first level"""
    spreads: list[Spread] = field(default_factory=list)
    selected: Selected = field(default_factory=Selected)

    def expand(self, fragments: dict[str, Definition]) -> None:
        for spread in self.spreads:
            other = fragments.get(spread.name)
            if other is None:
                continue  # validation will name it
            if spread.depth is not None:
                self.depth = max(self.depth, spread.depth + other.depth)
            self.fields = min(self.fields + other.fields, MANY)
            self.aliases = min(self.aliases + other.aliases, MANY)
            if spread.depth == 0:
                self.top = min(self.top + other.top, MANY)


@dataclass(slots=True)
class Analysis:
    """The largest of its operations each. `visited`: the definitions and selections looked at, each of them once."""

    tokens: int
    depth: int = 0
    aliases: int = 0
    directives: int = 0
    fields: int = 0
    root_fields: int = 0
    visited: int = 0
    costs: Costs = field(default_factory=Costs)


def analyse(schema: GraphQLSchema, document: DocumentNode) -> Analysis:
    """Linear in the size of the document. Of what it does not understand (unknown fields, types and fragments, and
    fragments that spread themselves) it counts what it sees: validation comes later and refuses them."""
    walk = _Walk(schema, document.token_count)
    fragments: dict[str, Definition] = {}
    operations: list[Definition] = []
    for node in document.definitions:
        if isinstance(node, FragmentDefinitionNode):
            on = schema.type_map.get(node.type_condition.name.value)
            fragments[node.name.value] = walk.definition(node, on)
        elif isinstance(node, OperationDefinitionNode):
            operation = walk.definition(node, schema.get_root_type(node.operation))
            walk.analysis.directives += sum(len(each.directives or ()) for each in node.variable_definitions or ())
            walk.analysis.costs.add(node, operation.selected)
            operations.append(operation)
    return _combined(walk.analysis, operations, fragments)


def _combined(analysis: Analysis, operations: list[Definition], fragments: dict[str, Definition]) -> Analysis:
    # Validation compares what is written in fragments that nothing spreads, too.
    analysis.aliases = sum(each.aliases for each in (*operations, *fragments.values()))
    for name in _spread_first(fragments):
        fragments[name].expand(fragments)
        analysis.costs.fragments[name] = fragments[name].selected
    for operation in operations:
        operation.expand(fragments)
        analysis.depth = max(analysis.depth, operation.depth)
        analysis.aliases = max(analysis.aliases, operation.aliases)
        analysis.fields = max(analysis.fields, operation.fields)
        analysis.root_fields = max(analysis.root_fields, operation.top)
    return analysis


class _Walk:
    def __init__(self, schema: GraphQLSchema, tokens: int) -> None:
        self.schema = schema
        self.analysis = Analysis(tokens)

    def definition(
        self, node: OperationDefinitionNode | FragmentDefinitionNode, on: GraphQLNamedType | None
    ) -> Definition:
        self.analysis.visited += 1
        self.analysis.directives += len(node.directives or ())
        definition = Definition()
        self._selections(node.selection_set, on, 0, definition, definition.selected)
        return definition

    def _selections(
        self,
        node: SelectionSetNode,
        on: GraphQLNamedType | None,
        depth: int | None,
        definition: Definition,
        selected: Selected,
    ) -> None:
        """Recursion is safe: graphql-core's parser refuses what is nested more than 200 deep."""
        for each in node.selections:
            self.analysis.visited += 1
            self.analysis.directives += len(each.directives or ())
            if isinstance(each, FieldNode):
                self._field(each, on, depth, definition, selected)
            elif isinstance(each, InlineFragmentNode):
                condition = each.type_condition
                inner = self.schema.type_map.get(condition.name.value) if condition else on
                self._selections(each.selection_set, inner, depth, definition, selected)
            elif isinstance(each, FragmentSpreadNode):
                definition.spreads.append(Spread(each.name.value, depth))
                selected.spreads.append(each.name.value)

    def _field(
        self,
        node: FieldNode,
        on: GraphQLNamedType | None,
        depth: int | None,
        definition: Definition,
        selected: Selected,
    ) -> None:
        definition.fields += 1
        definition.aliases += node.alias is not None
        if depth is not None:
            definition.top += depth == 0
            depth += 1
            definition.depth = max(definition.depth, depth)
            if node.name.value in INTROSPECTION:
                depth = None  # bounded by graphql-core's own rule; GraphiQL's query goes 14 deep
        if node.selection_set is None:
            return  # a value costs what its object costs
        known = self._known(on, node.name.value)
        is_write = on is self.schema.mutation_type
        below = self.analysis.costs.objects(node, known, selected, is_write=is_write) if known else Selected()
        named = get_named_type(known.type) if known else None
        self._selections(node.selection_set, named, depth, definition, below)

    def _known(self, on: GraphQLNamedType | None, name: str) -> GraphQLField | None:
        return self.schema.get_field(on, name) if on is not None and is_composite_type(on) else None


def _spread_first(fragments: dict[str, Definition]) -> Iterator[str]:
    """The fragments, each after those that it spreads; without recursion, since hundreds may form one chain."""
    seen: set[str] = set()
    for root in fragments:
        if root in seen:
            continue
        seen.add(root)
        path = [(root, iter(fragments[root].spreads))]
        while path:
            name, spreads = path[-1]
            following = next((s.name for s in spreads if s.name in fragments and s.name not in seen), None)
            if following is None:
                path.pop()
                yield name
            else:
                seen.add(following)
                path.append((following, iter(fragments[following].spreads)))
