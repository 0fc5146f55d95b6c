"""Brings a database to the newest schema and writes what code decides into it: permissions, roles, settings."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text

from server.access.roles import write_shipped_roles
from server.actor import system_actor
from server.connections import connected
from server.database import Database
from server.planning.service.settings import ensure_settings
from server.settings import Settings

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"


class NotMigrated(Exception):
    """The database's schema is older than this code; the message says what to run."""


def alembic_config(database_url: str | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(year)d-%%(month).2d-%%(day).2d_%%(slug)s")
    config.attributes["url"] = database_url
    return config


def upgrade(database_url: str, revision: str = "head") -> None:
    command.upgrade(alembic_config(database_url), revision)


def downgrade(database_url: str, revision: str) -> None:
    command.downgrade(alembic_config(database_url), revision)


async def migrate(settings: Settings) -> None:
    """`plancharge migrate`: running it again changes nothing."""
    await asyncio.to_thread(upgrade, settings.database_url)
    async with connected(settings) as connections, connections.database.transaction(system_actor("migrate")) as tx:
        await write_shipped_roles(tx)
        await ensure_settings(tx, datetime.now(settings.timezone).date())


async def refuse_old_schema(database: Database) -> None:
    """Raises NotMigrated before a server starts on a schema that lacks what it needs.

    A revision that this code does not know is a newer one: the old version still runs while the new one is rolled out.
    """
    async with database.reads.session() as session:
        exists = await session.scalar(text("SELECT to_regclass('alembic_version') IS NOT NULL"))
        current = await session.scalar(text("SELECT version_num FROM alembic_version")) if exists else None
    scripts = ScriptDirectory.from_config(alembic_config())
    known = {script.revision for script in scripts.walk_revisions()}
    if current is None or (current in known and current != scripts.get_current_head()):
        raise NotMigrated("The database has not the newest schema: run `plancharge migrate` first.")
