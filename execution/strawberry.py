"""Strawberry's fields read without its wrappers, where nothing but the wrapper would be lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from inspect import isawaitable
from operator import attrgetter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from .column import collect
from .declare import Answer, OnceGuard
from .declared import Guarded, declared_source
from .kinds import AWAITABLE, FAILED, kinds_of, types_of
from .positions import FieldPositions
from .sources import Call, Mapped, Source, settle_unused
from .strawberry_types import CONVERTER

try:
    from strawberry.execution import optimized_is_awaitable
    from strawberry.extensions.field_extension import FieldExtension
    from strawberry.permission import PermissionExtension
    from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
    from strawberry.schema.schema_converter import get_arguments
    from strawberry.types.arguments import convert_arguments
    from strawberry.types.field import StrawberryField
except ImportError:  # pragma: no cover - graphql-core alone
    StrawberryField = None  # type: ignore[assignment, misc]

if TYPE_CHECKING:
    from graphql import GraphQLField, GraphQLResolveInfo, GraphQLSchema

    from .run import Run

__all__ = ["known_predicates", "resolve_info_builder", "strawberry_source"]

_NO_CODE = SimpleNamespace(co_filename="")

known_predicates: tuple[Callable[[Any], bool], ...] = () if StrawberryField is None else (optimized_is_awaitable,)
"""Predicates for awaitables that answer as graphql-core's own does."""


def resolve_info_builder(schema: GraphQLSchema) -> Callable[..., GraphQLResolveInfo[Any]] | None:
    """Return Strawberry's way to build the resolve info, for a schema that Strawberry made."""
    if StrawberryField is None or getattr(schema, "_strawberry_schema", None) is None:
        return None
    return StrawberryGraphQLCoreExecutionContext.build_resolve_info


def strawberry_source(schema: GraphQLSchema, definition: GraphQLField) -> Source | None:
    """Return how Strawberry's field gets its values, or None where its own resolver must be called."""
    if StrawberryField is None:
        return None
    field = definition.extensions.get("strawberry-definition")
    strawberry_schema = getattr(schema, "_strawberry_schema", None)
    if (
        not isinstance(field, StrawberryField)
        or strawberry_schema is None
        or type(field).get_result is not StrawberryField.get_result
        or field.is_subscription
        or _has_exception_handlers(strawberry_schema, field)
        # A resolver put in the place of Strawberry's must be called. Its code tells: functools.wraps copies names only.
        or getattr(definition.resolve, "__code__", _NO_CODE).co_filename != CONVERTER
    ):
        return None
    extensions = [extension for extension in field.extensions if extension.has_resolver]
    if any(type(extension).map_arguments is not FieldExtension.map_arguments for extension in field.extensions):
        return None
    if not all(map(_is_caller_only, extensions)):
        return None

    def info_of(at: FieldPositions) -> Any:
        return strawberry_schema.config.info_class(_raw_info=at.info(0), _field=field)

    source = _unguarded_source(strawberry_schema, field, info_of)
    # The last extension is the outermost, so it is asked first.
    for extension in extensions:
        marks = _marks_of(extension)
        is_sure = all(mark is True for mark in marks)
        applies = None if is_sure else partial(_all_decide_once, marks)
        source = Guarded(_guard_of(extension, field), source, info_of, applies)
    return source


def _has_exception_handlers(schema: Any, field: StrawberryField) -> bool:
    """Tell whether an error of this field may become one of its values: handlers concern only types that name them."""
    return bool(schema.exception_handlers and schema.schema_converter._get_field_exception_handlers(field))


def _marks_of(extension: FieldExtension) -> list[Any]:
    """Return the `__execution_once__` of an extension, or of all the permissions that it stands for."""
    marked = extension.permissions if isinstance(extension, PermissionExtension) else [extension]
    return [getattr(guard, "__execution_once__", False) for guard in marked]


def _is_caller_only(extension: FieldExtension) -> bool:
    marks = _marks_of(extension)
    return bool(marks) and all(marks)


def _all_decide_once(marks: list[Any], info: Any) -> bool:
    try:
        return all(mark is True or mark(info) is True for mark in marks)
    except Exception:  # the guard itself, asked row by row, will say what is wrong
        return False


def _unguarded_source(schema: Any, field: StrawberryField, info_of: Callable[[FieldPositions], Any]) -> Source:
    resolver = field.base_resolver
    if resolver is None:
        if field.default_resolver is getattr:
            return _PlainAttribute(field.python_name)
        name, read = field.python_name, field.default_resolver
        return Mapped(lambda source: read(source, name))
    function: Callable[..., Any] = resolver.wrapped_func  # type: ignore[assignment]
    declared = declared_source(function, partial(_prepare, schema, field, info_of))
    if declared is not None:
        return declared
    if field.arguments or resolver.info_parameter:
        return Call(_resolver_with_info(schema, field))
    names = {parameter.name for parameter in (resolver.parent_parameter, resolver.root_parameter) if parameter}
    if resolver.self_parameter:
        return Mapped(function if not names else lambda source: function(source, **dict.fromkeys(names, source)))
    return Mapped(lambda source: function(**dict.fromkeys(names, source)))


def _prepare(
    schema: Any,
    field: StrawberryField,
    info_of: Callable[[FieldPositions], Any],
    at: FieldPositions,
    arguments: dict[str, Any],
) -> tuple[Any, dict[str, Any]]:
    """Convert the arguments once for all rows."""
    info = info_of(at)
    converted = convert_arguments(
        arguments,
        field.arguments,
        scalar_registry=schema.schema_converter.scalar_registry,
        config=schema.config,
        info=info,
    )
    return info, converted


def _resolver_with_info(schema: Any, field: StrawberryField) -> Callable[..., Any]:
    config = schema.config
    registry = schema.schema_converter.scalar_registry

    def resolve(source: Any, raw_info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        info = config.info_class(_raw_info=raw_info, _field=field)
        positional, named = get_arguments(
            field=field, source=source, info=info, kwargs=arguments, config=config, scalar_registry=registry
        )
        return field.get_result(source, info=info, args=positional, kwargs=named)

    return resolve


class _PlainAttribute(Source):
    """A field without a resolver: an attribute that must be there."""

    __slots__ = ("attribute", "getter")

    def __init__(self, name: str) -> None:
        self.attribute = name
        self.getter = attrgetter(name)

    def values(self, run: Run, at: FieldPositions, arguments: dict[str, Any]) -> tuple[list[Any], set[type] | None]:  # noqa: ARG002
        values = collect(self.getter, at.frame.sources)
        return values, types_of(values)

    def plain_values(self, run: Run, at: FieldPositions) -> tuple[list[Any], set[type]] | None:
        values = collect(self.getter, at.frame.sources)
        types = types_of(values)
        if not kinds_of(types) & (FAILED | AWAITABLE):
            return values, types
        settle_unused(run, values, types)
        return None


class _NoSource:
    """Stands for the source where a guard answers for all of them; one that looks at it anyway fails and so denies."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{name}: a guard marked __execution_once__ must not look at the source")


_NO_SOURCE = _NoSource()
_ALLOWED = object()


async def _allowed_async(*_: Any, **__: Any) -> Any:
    return _ALLOWED


def _allowed(*_: Any, **__: Any) -> Any:
    return _ALLOWED


def _guard_of(extension: FieldExtension, field: StrawberryField) -> OnceGuard:
    """Ask an extension that depends on the caller alone what it would do, with a stand-in for what it guards.

    Whatever it returns in the place of the stand-in's value is its answer for all rows.
    """
    waits = field.is_async or not extension.supports_sync
    passes: Callable[[Any], bool] | None = getattr(extension, "__passes__", None)

    def guard(info: Any) -> Answer | Awaitable[Answer | None] | None:
        if passes is not None and passes(info) is True:
            return None
        source = info.root_value if info.path.prev is None else _NO_SOURCE
        if waits:
            return _answer_async(extension.resolve_async(_allowed_async, source, info))
        result = extension.resolve(_allowed, source, info)
        return _answer_async(result) if isawaitable(result) else _answer(result)

    return guard


def _answer(result: Any) -> Answer | None:
    return None if result is _ALLOWED else Answer(result)


async def _answer_async(result: Awaitable[Any]) -> Answer | None:
    return _answer(await result)
