"""A compiled operation: its selection sets and their fields, each ready to run for a list of objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    default_field_resolver,
)
from graphql.execution.collect_fields import (
    CollectedFields,
    FieldDetailsList,
    GroupedFieldSet,
    collect_fields,
    collect_subfields,
)
from graphql.execution.executor import SELECTIONS_NESTED_TOO_DEEPLY
from graphql.execution.values import get_argument_values
from graphql.type.introspection import TypeNameMetaFieldDef

from .completion import Value
from .declared import declared_source
from .leaves import Leaf
from .positions import FieldPositions, Frame, Positions
from .rows import Assembly
from .sources import Attribute, Call, Source, TypeName
from .strawberry import strawberry_source
from .values import value_of

if TYPE_CHECKING:
    from graphql import Executor

    from .run import Run

__all__ = ["Field", "Plan", "Selection"]


def _prepare(at: FieldPositions, arguments: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return at.info(0), arguments


def source_of(schema: GraphQLSchema, definition: GraphQLField, name: str) -> Source:
    """Find how the values of a field are obtained."""
    resolve = definition.resolve
    if definition is TypeNameMetaFieldDef:
        return TypeName()
    if resolve is None or resolve is default_field_resolver:
        return Attribute(name)
    return declared_source(resolve, _prepare) or strawberry_source(schema, definition) or Call(resolve)


class Field:
    """One response key of a selection set, ready to run for a list of parents."""

    __slots__ = (
        "definition",
        "details",
        "has_arguments",
        "index",
        "key",
        "name",
        "nodes",
        "parent_type",
        "resolve",
        "schema",
        "shares_info",
        "source",
        "value",
    )

    def __init__(
        self,
        schema: GraphQLSchema,
        parent_type: GraphQLObjectType,
        definition: GraphQLField,
        key: str,
        index: int,
        details: FieldDetailsList,
    ) -> None:
        node = details[0].node
        self.schema = schema
        self.parent_type = parent_type
        self.key = key
        self.index = index
        self.name = node.name.value
        self.details = details
        self.nodes: list[FieldNode] = [detail.node for detail in details]
        # Introspection resolvers look at nothing that differs from one row to the next.
        self.shares_info = parent_type.name.startswith("__")
        self.definition = definition
        self.resolve = definition.resolve
        self.has_arguments = bool(definition.args or node.arguments)
        self.source: Source = source_of(schema, definition, self.name)
        self.value: Value = value_of(definition.type, self)

    def current(self) -> Field:
        """Return this field, or one compiled anew when the schema's resolver was replaced since."""
        if self.definition.resolve is self.resolve:
            return self
        return Field(self.schema, self.parent_type, self.definition, self.key, self.index, self.details)

    def arguments(self, run: Run) -> dict[str, Any]:
        """Coerce the arguments once for all rows."""
        if not self.has_arguments:
            return {}
        executor = run.executor
        detail = self.details[0]
        return get_argument_values(
            self.definition,
            detail.node,
            executor.variable_values,
            detail.fragment_variable_values,
            executor.hide_suggestions,
        )

    def column(self, run: Run, frame: Frame) -> list[Any]:
        """Resolve and complete the field for every row of the frame."""
        return self.source.column(run, FieldPositions(frame, self))


class Selection:
    """The collected fields of one selection set for one object type."""

    __slots__ = ("_by_columns", "_by_promises", "fields")

    def __init__(self, schema: GraphQLSchema, parent_type: GraphQLObjectType, grouped: GroupedFieldSet) -> None:
        self.fields: list[Field] = []
        for key, details in grouped.items():
            definition = schema.get_field(parent_type, details[0].node.name.value)
            if definition is not None:  # an unvalidated document may ask for a field that does not exist
                self.fields.append(Field(schema, parent_type, definition, key, len(self.fields), details))
        self._by_columns = self._by_promises = Assembly(self.fields)

    def rows(
        self, run: Run, positions: Positions | None, sources: list[Any], types: set[type] | None = None
    ) -> list[dict[str, Any]]:
        """Run the selection set for all the sources at once."""
        frame = Frame(run, self, positions, sources, types)
        assembly = self._assembly(frame)
        columns = [field.current().column(run, frame) for field in assembly.columns]
        frame.rows = assembly.build(sources, columns)
        return frame.rows

    def _assembly(self, frame: Frame) -> Assembly:
        promises = frame.promises
        if promises is None:
            return self._by_columns
        assembly = self._by_promises  # one is enough: a selection set seldom meets rows of two classes
        if assembly.promises is not promises:
            assembly = self._by_promises = Assembly(self.fields, promises)
        return assembly if assembly.holds(frame.run.executor) else self._by_columns

    def plain_rows(self, run: Run, positions: Positions, sources: list[Any]) -> list[dict[str, Any]] | None:
        """Run a selection of nothing but plain values, which is the same wherever a source stands in the answer.

        Returns None, and has done nothing, where something else is selected or a value is wrong.
        """
        frame = Frame(run, self, positions, sources)
        assembly = self._assembly(frame)
        fields = [field.current() for field in assembly.columns]
        if not self.fields or not all(isinstance(field.value, Leaf) and not field.has_arguments for field in fields):
            return None
        columns: list[list[Any]] = []
        mark = run.failures.mark()
        for field in fields:
            at = FieldPositions(frame, field)
            found = field.source.plain_values(run, at)
            completed = None if found is None else field.value.complete(run, at, *found)
            if completed is None or run.failures.mark() != mark:
                run.failures.forget_since(mark)
                return None
            columns.append(completed)
        return assembly.build(sources, columns)


class Plan:
    """A compiled operation; selection sets below the root are compiled when they first run."""

    __slots__ = ("_selections", "root")

    def __init__(self, executor: Executor[Any], root_type: GraphQLObjectType) -> None:
        collected: CollectedFields | None
        try:
            collected = collect_fields(
                executor.schema,
                executor.fragments,
                executor.variable_values,
                root_type,
                executor.operation,
                executor.hide_suggestions,
            )
        except RecursionError:
            collected = None
        # Raised outside of the handler, or the recursion's frames would live on as this error's context.
        if collected is None:
            raise GraphQLError(SELECTIONS_NESTED_TOO_DEEPLY, executor.operation)
        self.root = Selection(executor.schema, root_type, collected.grouped_field_set)
        self._selections: dict[tuple[GraphQLObjectType, int], tuple[FieldDetailsList, Selection]] = {}

    def selection(self, executor: Executor[Any], type_: GraphQLObjectType, details: FieldDetailsList) -> Selection:
        """Return the selection set that the field selects on the type."""
        key = (type_, id(details))
        known = self._selections.get(key)
        if known is None:
            collected = collect_subfields(
                executor.schema,
                executor.fragments,
                executor.variable_values,
                executor.operation,
                type_,
                details,
                executor.hide_suggestions,
            )
            # The details are kept beside the selection, so that their id is not given to another list.
            known = self._selections[key] = (details, Selection(executor.schema, type_, collected.grouped_field_set))
        return known[1]
