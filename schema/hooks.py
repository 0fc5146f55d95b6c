"""Strawberry's extension hooks, looked up once per class: it does so four times for each extension and operation."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import asynccontextmanager, contextmanager
from functools import cache, partial
from inspect import isasyncgenfunction, isgeneratorfunction
from typing import Any

from strawberry.extensions import SchemaExtension
from strawberry.extensions.context import (
    ExecutingContextManager,
    ExtensionContextManagerBase,
    OperationContextManager,
    ParsingContextManager,
    ValidationContextManager,
    WrappedHook,
)
from strawberry.extensions.runner import SchemaExtensionsRunner
from strawberry.types import ExecutionContext


@cache
def _hook(kind: type[SchemaExtension], name: str) -> tuple[Callable[..., Any], bool] | None:
    """The hook as a context manager and whether it is asynchronous; None of a class that has none of its own."""
    hook: Any = getattr(kind, name)
    if hook is getattr(SchemaExtension, name):
        return None
    if isasyncgenfunction(hook):
        return asynccontextmanager(hook), True
    if isgeneratorfunction(hook):
        return contextmanager(hook), False
    raise TypeError(f"{kind.__name__}.{name} must yield once, where the operation goes on.")


class _Known(ExtensionContextManagerBase):
    __slots__ = ()

    def get_hook(self, extension: SchemaExtension) -> WrappedHook | None:
        known = _hook(type(extension), self.HOOK_NAME)  # type: ignore[arg-type]  # a class can be hashed
        return None if known is None else WrappedHook(extension, partial(known[0], extension), known[1])


class _Operation(_Known, OperationContextManager):
    pass


class _Parsing(_Known, ParsingContextManager):
    pass


class _Validation(_Known, ValidationContextManager):
    pass


class _Executing(_Known, ExecutingContextManager):
    pass


class HooksRunner(SchemaExtensionsRunner):
    def operation(self) -> OperationContextManager:
        return _Operation(self.extensions)

    def parsing(self) -> ParsingContextManager:
        return _Parsing(self.extensions)

    def validation(self) -> ValidationContextManager:
        return _Validation(self.extensions)

    def executing(self) -> ExecutingContextManager:
        return _Executing(self.extensions)

    async def get_extensions_results(self, ctx: ExecutionContext) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for extension in self.extensions:
            if type(extension).get_results is not SchemaExtension.get_results:
                found.update(extension.get_results())  # type: ignore[arg-type]  # ours are not coroutines
        return found | ctx.extensions_results
