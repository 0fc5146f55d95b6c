"""Strawberry's extension hooks, found once for a set of extensions and driven without a stack of context managers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from functools import cache
from inspect import isasyncgenfunction, isgeneratorfunction
from types import TracebackType
from typing import Any

from strawberry.extensions import SchemaExtension
from strawberry.extensions.runner import SchemaExtensionsRunner
from strawberry.types import ExecutionContext

Running = Generator[None, None, None] | AsyncGenerator[None, None]
Hook = tuple[int, Callable[[SchemaExtension], Any], bool]
"""which extension, its hook and whether that is asynchronous"""


@cache
def _hooks(kinds: tuple[type[SchemaExtension], ...], name: str) -> tuple[Hook, ...]:
    """Those of the extensions that have one of their own."""
    hooks: list[Hook] = []
    for place, kind in enumerate(kinds):
        hook: Any = getattr(kind, name)
        if hook is getattr(SchemaExtension, name):
            continue
        if not isasyncgenfunction(hook) and not isgeneratorfunction(hook):
            raise TypeError(f"{kind.__name__}.{name} must yield once, where the operation goes on.")
        hooks.append((place, hook, isasyncgenfunction(hook)))
    return tuple(hooks)


class _Stage:
    """What lies between the two halves of the hooks. They are entered in order and left in reverse; what one of them
    raises, the next to be left is told in place of what it replaced."""

    __slots__ = ("_entered", "_extensions", "_hooks")

    def __init__(self, extensions: Sequence[SchemaExtension], hooks: tuple[Hook, ...]) -> None:
        self._extensions, self._hooks = extensions, hooks
        self._entered: list[tuple[Any, bool]] = []

    async def __aenter__(self) -> None:
        for place, hook, is_async in self._hooks:
            running = hook(self._extensions[place])
            try:
                if is_async:
                    await anext(running)
                else:
                    next(running)
            except BaseException as error:
                await self._leave(error)
                raise
            self._entered.append((running, is_async))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return await self._leave(error)

    async def _leave(self, error: BaseException | None) -> bool:
        """Raises what the hooks make of the error, if that is another one; True where they made nothing of it."""
        given = error
        while self._entered:
            running, is_async = self._entered.pop()
            try:
                if error is not None:
                    await running.athrow(error) if is_async else running.throw(error)
                elif is_async:
                    await anext(running)
                else:
                    next(running)
            except (StopIteration, StopAsyncIteration):
                error = None
            except BaseException as raised:
                error = raised
            else:
                error = RuntimeError(f"{running.__qualname__} must yield no more than once.")
        if error is not None and error is not given:
            raise error
        return error is None and given is not None


class HooksRunner(SchemaExtensionsRunner):
    def __init__(self, execution_context: ExecutionContext, extensions: list[SchemaExtension]) -> None:
        super().__init__(execution_context, extensions)
        self._kinds = tuple(map(type, extensions))

    def _stage(self, name: str) -> Any:
        return _Stage(self.extensions, _hooks(self._kinds, name))

    def operation(self) -> Any:
        return self._stage("on_operation")

    def parsing(self) -> Any:
        return self._stage("on_parse")

    def validation(self) -> Any:
        return self._stage("on_validate")

    def executing(self) -> Any:
        return self._stage("on_execute")

    async def get_extensions_results(self, ctx: ExecutionContext) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for extension in self.extensions:
            if type(extension).get_results is not SchemaExtension.get_results:
                found.update(extension.get_results())  # type: ignore[arg-type]  # ours are not coroutines
        return found | ctx.extensions_results
