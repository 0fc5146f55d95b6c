"""Alembic's environment and the versions: dated, reversible, with a lock timeout."""
