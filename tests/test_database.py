"""What the engine keeps to itself."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from server.database import Database


async def test_an_error_of_the_database_does_not_tell_the_values_that_were_sent(database: Database) -> None:
    with pytest.raises(DBAPIError) as caught:
        async with database.reads.session() as session:
            await session.execute(text("SELECT CAST(:name AS text) FROM nowhere"), {"name": "ada@example.test"})
    assert "nowhere" in str(caught.value)
    assert "ada@example.test" not in str(caught.value)
