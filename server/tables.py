"""Imports every models.py, so that Base.metadata knows all tables: for Alembic and for the seeds."""

import server.access.models
import server.audit.models
import server.planning.models
import server.projects.models
import server.sync.models
import server.users.models
from server.database import Base

__all__ = ["metadata", "server"]

metadata = Base.metadata
