"""Sentences about mappings and people of providers, as people look at them and change them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.columns import is_any
from server.search import contains
from server.sync.models import ExternalPersonRow, PersonState, Provider, UserMappingRow

_M, _P = UserMappingRow, ExternalPersonRow


@dataclass(frozen=True, slots=True)
class MappingFilter:
    """All that is given must hold; lists mean any of. `unmapped_at`: who is nobody yet at that provider."""

    user_ids: Sequence[UUID] | None = None
    unmapped_at: Provider | None = None


@dataclass(frozen=True, slots=True)
class PersonFilter:
    """All that is given must hold; lists mean any of. `unmapped`: who is nobody of ours yet, or is."""

    ids: Sequence[UUID] | None = None
    providers: Sequence[Provider] | None = None
    states: Sequence[PersonState] | None = None
    unmapped: bool | None = None
    search: str | None = None


async def mappings(session: AsyncSession, wanted: MappingFilter, offset: int, limit: int) -> Sequence[UserMappingRow]:
    statement = select(_M).where(*_of_mappings(wanted)).order_by(_M.user_id).offset(offset).limit(limit)
    return (await session.scalars(statement)).all()


async def count_mappings(session: AsyncSession, wanted: MappingFilter) -> int:
    return int((await session.scalars(select(func.count()).select_from(_M).where(*_of_mappings(wanted)))).one())


async def of_users(session: AsyncSession, user_ids: Sequence[UUID]) -> Sequence[UserMappingRow]:
    return (await session.scalars(select(_M).where(is_any(_M.user_id, user_ids)))).all()


def _of_mappings(wanted: MappingFilter) -> list[Any]:
    found: list[Any] = []
    if wanted.user_ids is not None:
        found.append(is_any(_M.user_id, wanted.user_ids))
    if wanted.unmapped_at is not None:
        column = _M.payfit_employee_id if wanted.unmapped_at is Provider.PAYFIT else _M.gryzzly_user_id
        found.append(column.is_(None))
    return found


async def locked_mapping(session: AsyncSession, user_id: UUID) -> UserMappingRow | None:
    return (await session.scalars(select(_M).where(_M.user_id == user_id).with_for_update())).one_or_none()


async def people(session: AsyncSession, wanted: PersonFilter, offset: int, limit: int) -> Sequence[ExternalPersonRow]:
    order = (_P.provider, func.lower(_P.last_name), func.lower(_P.first_name), _P.id)
    statement = select(_P).where(*_of_people(wanted)).order_by(*order).offset(offset).limit(limit)
    return (await session.scalars(statement)).all()


async def count_people(session: AsyncSession, wanted: PersonFilter) -> int:
    return int((await session.scalars(select(func.count()).select_from(_P).where(*_of_people(wanted)))).one())


def _of_people(wanted: PersonFilter) -> list[Any]:
    found: list[Any] = []
    for column, values in ((_P.id, wanted.ids), (_P.provider, wanted.providers), (_P.state, wanted.states)):
        if values is not None:
            found.append(is_any(column, values))
    if wanted.unmapped is not None:
        linked = _P.state == PersonState.LINKED
        found.append(~linked if wanted.unmapped else linked)
    if wanted.search:
        found.append(contains(wanted.search, _P.first_name, _P.last_name, func.coalesce(_P.email, "")))
    return found


async def locked_person(session: AsyncSession, person_id: UUID) -> ExternalPersonRow | None:
    return (await session.scalars(select(_P).where(_P.id == person_id).with_for_update())).one_or_none()


async def set_person_state(session: AsyncSession, provider: Provider, external_id: str, state: PersonState) -> None:
    """`given` goes, so that the next sync compares anew with whoever it is then."""
    values = {"state": state, "proposed_user_id": None, "score": None, "given": None}
    await session.execute(
        update(_P)
        .where(_P.provider == provider, _P.external_id == external_id)
        .values(**values)
        .execution_options(synchronize_session=False)
    )
