"""Strawberry's own test for the type of a value, told from one that a user wrote."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    from strawberry.schema.schema_converter import get_arguments
except ImportError:  # pragma: no cover - graphql-core alone
    CONVERTER = None
else:
    CONVERTER = get_arguments.__code__.co_filename

__all__ = ["CONVERTER", "ignores_info"]


def ignores_info(is_type_of: Callable[..., Any]) -> bool:
    """Tell whether the function is the one that Strawberry makes, which does not look at the resolve info."""
    code = getattr(is_type_of, "__code__", None)
    return code is not None and code.co_filename == CONVERTER and code.co_varnames[:2] == ("obj", "_info")
