"""What an administrator does from the command line: the first account, and checking the stored figures."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from server.access import service as access
from server.actor import system_actor
from server.connections import connected
from server.migrate import refuse_old_schema
from server.planning.service.verify import Difference
from server.planning.service.verify import verify as differences
from server.settings import Settings


async def create_admin(settings: Settings, email: str, first_name: str, last_name: str, password: str) -> None:
    """Raises Refused with what to correct."""
    async with connected(settings) as connections:
        await refuse_old_schema(connections.database)
        async with connections.database.transaction(system_actor("create-admin")) as tx:
            await access.create_admin(tx, settings, email, first_name, last_name, password)


async def verify(settings: Settings, progress: Callable[[int], None]) -> AsyncIterator[Difference]:
    """What is stored otherwise than computed anew, as it is found; `progress` hears how many people are done."""
    async with connected(settings) as connections:
        await refuse_old_schema(connections.database)
        async for difference in differences(connections.database, progress):
            yield difference
