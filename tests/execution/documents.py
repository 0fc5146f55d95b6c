"""Valid documents drawn at random for a schema: aliases, fragments, conditions, variables and arguments."""

from __future__ import annotations

from random import Random
from typing import Any

from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
)

VARIABLES = {"$yes": "Boolean = true", "$no": "Boolean!", "$number": "Int", "$text": "String!"}


class DocumentWriter:
    """Writes one operation and its fragments."""

    def __init__(self, schema: GraphQLSchema, random: Random, depth: int) -> None:
        self.schema = schema
        self.random = random
        self.depth = depth
        self.fragments: list[str] = []
        self.aliases = 0

    def write(self, operation: str) -> str:
        root: Any = self.schema.query_type if operation == "query" else self.schema.mutation_type
        body = self.selection_set(root, self.depth)
        text = "\n".join([body, *self.fragments])
        used = ", ".join(f"{name}: {type_}" for name, type_ in VARIABLES.items() if name in text)
        return f"{operation} Drawn{f'({used})' if used else ''} {text}"

    def selection_set(self, type_: Any, depth: int) -> str:
        selections = [self.selection(type_, depth) for _ in range(self.random.choice([1, 2, 3, 4]))]
        return "{ " + " ".join(filter(None, selections)) + " __typename }"

    def selection(self, type_: Any, depth: int) -> str:
        drawn = self.random.random()
        if drawn < 0.15 and depth > 0:
            condition = self.random.choice(self.types_within(type_))
            return f"... on {condition.name}{self.directives()} {self.selection_set(condition, depth - 1)}"
        if drawn < 0.25 and depth > 0:
            condition = self.random.choice(self.types_within(type_))
            name = f"F{len(self.fragments)}"
            self.fragments.append("")
            place = len(self.fragments) - 1
            self.fragments[place] = f"fragment {name} on {condition.name} {self.selection_set(condition, depth - 1)}"
            return f"...{name}{self.directives()}"
        if drawn < 0.3:
            return f"...{self.directives()} {self.selection_set(type_, depth - 1)}" if depth > 0 else "__typename"
        return self.field(type_, depth)

    def types_within(self, type_: Any) -> list[Any]:
        if isinstance(type_, GraphQLObjectType):
            return [type_, *type_.interfaces]
        return [type_, *self.schema.get_possible_types(type_)]

    def field(self, type_: Any, depth: int) -> str:
        if isinstance(type_, GraphQLUnionType):
            return "__typename"
        name = self.random.choice(list(type_.fields))
        definition = type_.fields[name]
        named = get_named_type(definition.type)
        is_leaf = not isinstance(named, (GraphQLObjectType, GraphQLInterfaceType, GraphQLUnionType))
        if not is_leaf and depth <= 0:
            return "__typename"
        # Every field has an alias of its own, except for plain repetitions, which must be merged.
        self.aliases += 1
        alias = "" if not definition.args and self.random.random() < 0.3 else f"a{self.aliases}: "
        if not alias and not self.mergeable(type_, name):
            alias = f"a{self.aliases}: "
        arguments = self.arguments() if definition.args else ""
        body = "" if is_leaf else " " + self.selection_set(named, depth - 1)
        return f"{alias}{name}{arguments}{self.directives()}{body}"

    def mergeable(self, type_: Any, name: str) -> bool:
        # The same response key of another type must have the same shape, which only the shared field is sure to have.
        return name == "shared" or type_.name == "Query"

    def arguments(self) -> str:
        number = self.random.choice(["number: 3", "number: $number", "", "number: null"])
        texts = self.random.choice(["", 'texts: ["a"]', "texts: [$text]", 'texts: ["b", $text]'])
        inner = " ".join(filter(None, [number, texts]))
        return f"({inner})" if inner else ""

    def directives(self) -> str:
        return self.random.choice(
            ["", "", "", "", " @include(if: $yes)", " @skip(if: $no)", " @include(if: $no)", " @skip(if: false)"]
        )


def draw_document(schema: GraphQLSchema, random: Random, depth: int = 4) -> str:
    """Return the text of a query or mutation."""
    return DocumentWriter(schema, random, depth).write(random.choice(["query", "query", "query", "mutation"]))


def draw_variables(random: Random) -> dict[str, Any]:
    """Return values for the variables that every drawn document declares."""
    variables: dict[str, Any] = {"no": random.random() < 0.3, "text": random.choice(["t", ""])}
    if random.random() < 0.5:
        variables["yes"] = random.random() < 0.7
    if random.random() < 0.5:
        variables["number"] = random.choice([None, 5])
    return variables
