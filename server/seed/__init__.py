"""The demo company: people, contracts, projects and a plan that look like real ones, the same for the same wishes."""

from server.seed.demo import DEMO_ACCOUNTS, Demo, SeedRefused
from server.seed.writing import is_empty, write

__all__ = ["DEMO_ACCOUNTS", "Demo", "SeedRefused", "is_empty", "write"]
