"""What a resolver may declare of itself: that its value is loaded by a key, or that its guard looks at the caller only.

Both declarations are ordinary resolvers under graphql-core and Strawberry; CompiledExecutor recognises them and does
the work once for a whole list of rows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter, Signature, isawaitable, signature
from typing import Any, Protocol

from graphql import default_field_resolver

__all__ = [
    "Answer",
    "Loader",
    "LoaderDeclaration",
    "LoadsAll",
    "OnceGuard",
    "Read",
    "caller_only",
    "loader_field",
    "read_from",
]


Read = str | Callable[[Any], Any]
"""The name of an attribute or mapping key of the parent, or a function of the parent."""


class Loader(Protocol):
    """A dataloader: Strawberry's, aiodataloader's or another with the same method."""

    def load(self, key: Any, /) -> Any:
        """Return a future of the value; loads of one turn of the event loop go out as one batch."""


class LoadsAll(Protocol):
    """A loader that can be asked for all the keys of a level at once, as BatchLoader: one awaitable, not one a key."""

    def load_all(self, keys: Sequence[Any], /) -> Awaitable[list[Any]]:
        """Return the values, or exceptions, in the order of the keys, which are distinct; it may raise for all."""


@dataclass(frozen=True, slots=True)
class LoaderDeclaration:
    """What `loader_field` leaves on its resolver as `__loader__`."""

    loader: Callable[..., Loader]
    key: Read
    given: Read | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A guard's answer in the place of the field's values, such as null for a caller who may not see them."""

    value: Any


Decision = Answer | None
_BY_NAME = Parameter.POSITIONAL_OR_KEYWORD
OnceGuard = Callable[[Any], Decision | Awaitable[Decision]]


def read_from(source: Any, read: Read) -> Any:
    """Read an attribute, a mapping's key or what a function finds."""
    if callable(read):
        return read(source)
    return source[read] if isinstance(source, Mapping) else getattr(source, read)


def loader_field(loader: Callable[..., Loader], key: Read, given: Read | None = None) -> Callable[..., Any]:
    """Return a resolver whose value is `loader(info).load(key of the parent)`, or null where the key is null.

    `loader` is called with the resolve info (Strawberry's Info under Strawberry) and the field's arguments, which are
    its further parameters: under Strawberry they are annotated as a resolver's. It must depend on the info's context
    and the arguments alone, since CompiledExecutor calls it once for all rows. `given` names what the parent may carry
    already: where that is not null it is the value, and nothing is loaded. Works as `GraphQLField(type, resolve=...)`
    and as `strawberry.field(resolver=...)`.
    """

    def resolve(root: Any, info: Any, **arguments: Any) -> Any:
        value = None if given is None else read_from(root, given)
        if value is not None:
            return value
        wanted = read_from(root, key)
        return None if wanted is None else loader(info, **arguments).load(wanted)

    # Strawberry takes a field's arguments from its resolver's signature, and their annotations from its module.
    own = [Parameter("root", _BY_NAME), Parameter("info", _BY_NAME, annotation="strawberry.Info")]
    resolve.__signature__ = Signature([*own, *list(signature(loader).parameters.values())[1:]])  # type: ignore[attr-defined]
    resolve.__module__ = loader.__module__
    resolve.__loader__ = LoaderDeclaration(loader, key, given)  # type: ignore[attr-defined]
    return resolve


def caller_only(
    guard: Callable[[Any], Awaitable[None] | None], resolve: Callable[..., Any] = default_field_resolver
) -> Callable[..., Any]:
    """Return a resolver guarded by a check that depends on the caller alone.

    `guard` is given the resolve info, raises to deny and returns nothing; it may be async. CompiledExecutor asks it
    once per field and operation, graphql-core for every row. This is for plain graphql-core; under Strawberry mark a
    field extension with `__execution_once__ = True` instead.
    """

    def resolver(source: Any, info: Any, **arguments: Any) -> Any:
        decision = check_guard(guard(info))
        if not isawaitable(decision):
            return resolve(source, info, **arguments)

        async def when_allowed() -> Any:
            await decision
            value = resolve(source, info, **arguments)
            return await value if isawaitable(value) else value

        return when_allowed()

    resolver.__execution_once__ = lambda info: check_guard(guard(info))  # type: ignore[attr-defined]
    resolver.__wrapped__ = resolve  # type: ignore[attr-defined]
    return resolver


def check_guard(result: Any) -> Awaitable[None] | None:
    """Refuse a guard that answers instead of raising: False would otherwise let everybody in."""
    if result is None:
        return None
    if isawaitable(result):

        async def checked() -> None:
            check_guard(await result)

        return checked()
    raise TypeError(f"A guard raises to deny and returns nothing, but it returned {result!r}.")
