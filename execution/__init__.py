"""A compiled executor for graphql-core and Strawberry: same answers and errors, many times the speed on lists."""

from .batches import BatchLoader
from .declare import Loader, caller_only, loader_field
from .executor import CompiledExecutor

__all__ = ["BatchLoader", "CompiledExecutor", "Loader", "caller_only", "loader_field"]
