"""Sentences about people of providers, and about who of them is whom of ours."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from server.sync.domain.matching import Match
from server.sync.models import Provider

# A UUID v7 as server/ids.py makes them, for rows that a statement inserts by the thousand.
NEW_ID = (
    "CAST(lpad(to_hex(CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)), 12, '0') || '7'"
    " || substr(replace(CAST(gen_random_uuid() AS text), '-', ''), 14) AS uuid)"
)
COLUMN = {Provider.PAYFIT: "payfit_employee_id", Provider.GRYZZLY: "gryzzly_user_id"}

_PUT = text(
    "INSERT INTO external_people AS p (id, provider, external_id, first_name, last_name, email, state)"  # noqa: S608 - own constants only; values are bound  # nosec B608
    f" SELECT {NEW_ID}, :provider, external_id, data->>'first_name', data->>'last_name', data->>'email', 'UNMATCHED'"
    " FROM sync_staging WHERE run_id = :run_id AND kind = 'PERSON' ORDER BY external_id"
    " ON CONFLICT (provider, external_id) DO UPDATE SET first_name = excluded.first_name,"
    " last_name = excluded.last_name, email = excluded.email, updated_at = now()"
    " WHERE (p.first_name, p.last_name, p.email) IS DISTINCT FROM"
    " (excluded.first_name, excluded.last_name, excluded.email)"
)
_UNLINK = {
    provider: text(
        "UPDATE external_people SET state = 'UNMATCHED', given = NULL, updated_at = now() WHERE provider = :provider"  # noqa: S608 - own constants only; values are bound  # nosec B608
        f" AND state = 'LINKED' AND NOT EXISTS (SELECT FROM user_mappings WHERE {column} = external_id)"
    )
    for provider, column in COLUMN.items()
}
_UNMAPPED = text(
    "SELECT p.external_id, p.first_name, p.last_name, p.email FROM external_people p JOIN sync_staging s"
    " ON s.external_id = p.external_id AND s.run_id = :run_id AND s.kind = 'PERSON'"
    " WHERE p.provider = :provider AND p.state IN ('UNMATCHED', 'PROPOSED') ORDER BY p.external_id"
)
_CANDIDATES = {
    provider: text(
        "SELECT u.id, u.first_name, u.last_name, u.email FROM users u WHERE NOT u.is_service AND NOT EXISTS"  # noqa: S608 - own constants only; values are bound  # nosec B608
        f" (SELECT FROM user_mappings m WHERE m.user_id = u.id AND m.{column} IS NOT NULL) ORDER BY u.id"
    )
    for provider, column in COLUMN.items()
}


async def put_staged(session: AsyncSession, provider: Provider, run_id: UUID) -> None:
    """Everybody as the provider knows them now; who was unlinked since may be matched anew."""
    await session.execute(_PUT, {"provider": provider.value, "run_id": run_id})
    await session.execute(_UNLINK[provider], {"provider": provider.value})


async def unmapped(session: AsyncSession, provider: Provider, run_id: UUID) -> Sequence[Any]:
    """(external_id, first_name, last_name, email) of those whom this run read and who are nobody yet."""
    return (await session.execute(_UNMAPPED, {"provider": provider.value, "run_id": run_id})).all()


async def candidates(session: AsyncSession, provider: Provider) -> Sequence[Any]:
    """(id, first_name, last_name, email) of the users who are nobody yet at the provider."""
    return (await session.execute(_CANDIDATES[provider])).all()


_LINK = {
    provider: text(
        f"INSERT INTO user_mappings AS m (id, user_id, {column}, metadata, created_by_id)"  # noqa: S608 - own constants only; values are bound  # nosec B608
        f" SELECT {NEW_ID}, user_id, external_id, CAST(details AS jsonb), :created_by_id FROM unnest("
        "CAST(:user_ids AS uuid[]), CAST(:external_ids AS text[]), CAST(:details AS text[]))"
        " AS new (user_id, external_id, details) ORDER BY user_id"
        f" ON CONFLICT (user_id) DO UPDATE SET {column} = excluded.{column}, version = m.version + 1,"
        f" metadata = m.metadata || excluded.metadata, updated_at = now() WHERE m.{column} IS NULL"
    )
    for provider, column in COLUMN.items()
}
_STATE = text(
    "UPDATE external_people p SET state = new.state, proposed_user_id = new.user_id, score = new.score,"
    " updated_at = now() FROM unnest(CAST(:external_ids AS text[]), CAST(:states AS text[]),"
    " CAST(:user_ids AS uuid[]), CAST(:scores AS numeric[])) AS new (external_id, state, user_id, score)"
    " WHERE p.provider = :provider AND p.external_id = new.external_id"
    " AND (p.state, p.proposed_user_id, p.score) IS DISTINCT FROM (new.state, new.user_id, new.score)"
)


async def link(session: AsyncSession, provider: Provider, links: Sequence[Match], created_by_id: UUID | None) -> None:
    details = [orjson.dumps({provider.value: {"by": one.by, "score": str(one.score)}}).decode() for one in links]
    values = {
        "user_ids": [one.user_id for one in links],
        "external_ids": [one.external_id for one in links],
        "details": details,
        "created_by_id": created_by_id,
    }
    await session.execute(_LINK[provider], values)
    states = {one.external_id: ("LINKED", None, one.score) for one in links}
    await set_states(session, provider, states)


async def set_states(
    session: AsyncSession, provider: Provider, states: Mapping[str, tuple[str, UUID | None, Any]]
) -> None:
    """external_id -> (state, proposed user, score)."""
    if not states:
        return
    columns = list(zip(*states.values(), strict=True))
    names = ("states", "user_ids", "scores")
    values = {name: list(column) for name, column in zip(names, columns, strict=True)}
    await session.execute(_STATE, {"provider": provider.value, "external_ids": list(states), **values})


@dataclass(frozen=True, slots=True)
class NewUser:
    id: UUID
    first_name: str
    last_name: str
    email: str | None


# An address that somebody has already is left out; the person is made all the same.
_ADD_USERS = text(
    "INSERT INTO users (id, first_name, last_name, email, status, is_active)"
    " SELECT id, first_name, last_name, CASE WHEN EXISTS (SELECT FROM users u WHERE lower(u.email) = lower(new.email))"
    " THEN NULL ELSE new.email END, 'ACTIVE', true FROM unnest(CAST(:id AS uuid[]), CAST(:first_name AS text[]),"
    " CAST(:last_name AS text[]), CAST(:email AS text[])) AS new (id, first_name, last_name, email) ORDER BY id"
)


async def add_users(session: AsyncSession, people: Sequence[NewUser]) -> None:
    await session.execute(_ADD_USERS, columns(people))


def columns(rows: Sequence[Any]) -> dict[str, list[Any]]:
    """One list per field, as `unnest` takes them."""
    dicts = [asdict(row) for row in rows]
    return {name: [one[name] for one in dicts] for name in dicts[0]} if dicts else {}


_COMPARED = text(
    "SELECT u.id, u.first_name, u.last_name, u.email, p.id AS person_id, p.given, s.data FROM sync_staging s"
    " JOIN user_mappings m ON m.payfit_employee_id = s.external_id JOIN users u ON u.id = m.user_id"
    " JOIN external_people p ON p.provider = 'PAYFIT' AND p.external_id = s.external_id"
    " WHERE s.run_id = :run_id AND s.kind = 'PERSON' AND (p.given IS DISTINCT FROM s.data"
    " OR u.first_name <> s.data->>'first_name' OR u.last_name <> s.data->>'last_name'"
    " OR (s.data->>'email' IS NOT NULL AND u.email IS DISTINCT FROM s.data->>'email')) ORDER BY u.id FOR UPDATE OF u"
)
_GIVEN = text(
    "UPDATE external_people p SET given = s.data FROM sync_staging s WHERE s.run_id = :run_id AND s.kind = 'PERSON'"
    " AND p.provider = :provider AND p.external_id = s.external_id AND p.state = 'LINKED'"
    " AND p.given IS DISTINCT FROM s.data"
)
_UPDATE_USERS = text(
    "UPDATE users u SET first_name = new.first_name, last_name = new.last_name, email = new.email,"
    " version = u.version + 1, updated_at = now() FROM unnest(CAST(:id AS uuid[]), CAST(:first_name AS text[]),"
    " CAST(:last_name AS text[]), CAST(:email AS text[])) AS new (id, first_name, last_name, email)"
    " WHERE u.id = new.id"
)
_TAKEN = text("SELECT lower(email) FROM users WHERE lower(email) = ANY(CAST(:emails AS text[]))")


async def compared(session: AsyncSession, run_id: UUID) -> Sequence[Any]:
    """PayFit's people beside the users that they are, where anything differs; locked."""
    return (await session.execute(_COMPARED, {"run_id": run_id})).all()


async def remember_given(session: AsyncSession, provider: Provider, run_id: UUID) -> None:
    await session.execute(_GIVEN, {"run_id": run_id, "provider": provider.value})


async def update_users(session: AsyncSession, people: Sequence[NewUser]) -> None:
    await session.execute(_UPDATE_USERS, columns(people))


async def emails_taken(session: AsyncSession, emails: Collection[str]) -> set[str]:
    return set((await session.scalars(_TAKEN, {"emails": [email.lower() for email in emails]})).all())
