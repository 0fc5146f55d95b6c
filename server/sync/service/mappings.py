"""What people decide about who of a provider is whom of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from server.actor import Permission
from server.changes import broken_constraint, check_version, refuse_violations
from server.database import Transaction
from server.errors import refuse
from server.sync.models import ExternalPersonRow, PersonState, Provider, UserMappingRow
from server.sync.repository import mappings as repository
from server.users import repository as users
from server.users import service as people
from server.users.models import UserRow

COLUMNS = {Provider.PAYFIT: "payfit_employee_id", Provider.GRYZZLY: "gryzzly_user_id"}
FIELDS = {Provider.PAYFIT: "payfitEmployeeId", Provider.GRYZZLY: "gryzzlyUserId"}
ID_LENGTH = 200


@dataclass(frozen=True, slots=True)
class MappingChange:
    """`external_ids` holds the providers to change; None takes a link away, those left out stay as they are."""

    user_id: UUID
    external_ids: Mapping[Provider, str | None] = field(default_factory=dict)
    expected_version: int | None = None


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The external person is this user; `user_id` None: the proposed one. `create_user`: somebody new.

    Names are for a new user whose provider does not tell first from last; None takes the provider's.
    """

    external_person_id: UUID
    user_id: UUID | None = None
    create_user: bool = False
    first_name: str | None = None
    last_name: str | None = None


async def set_mapping(tx: Transaction, change: MappingChange) -> UserMappingRow | None:
    """The mapping as it is then; None when the last link was taken away, after which no sync makes it again."""
    given = {one: (value.strip() if value is not None else None) for one, value in change.external_ids.items()}
    refuse_violations(
        [
            (FIELDS[one], "INVALID_ID", f"Give an id of 1 to {ID_LENGTH} printable characters, or null.")
            for one, value in given.items()
            if value is not None and not (0 < len(value) <= ID_LENGTH and value.isprintable())
        ]
    )
    await _reach(tx, change.user_id, "userId")
    row = await repository.locked_mapping(tx.session, change.user_id)
    if row is not None:
        check_version(row, change.expected_version)
    before = {column: getattr(row, column, None) for column in COLUMNS.values()}
    after = {**before, **{COLUMNS[one]: value for one, value in given.items()}}
    if before == after:
        return row
    row = await _write(tx, change.user_id, row, after)
    for provider, column in COLUMNS.items():
        if before[column] != after[column]:
            await _follow(tx, provider, before[column], after[column])
    await tx.audit("mapping.set", "user_mapping", row.id if row else None, before=before, after=after,
                   user_id=change.user_id)  # fmt: skip
    return row


async def _write(
    tx: Transaction, user_id: UUID, row: UserMappingRow | None, after: Mapping[str, str | None]
) -> UserMappingRow | None:
    try:
        async with tx.session.begin_nested():
            if not any(after.values()):
                await tx.session.delete(row)
                return None
            if row is None:
                row = UserMappingRow(user_id=user_id, details={}, created_by_id=tx.actor.user_id, **after)
                tx.session.add(row)
            else:
                row.payfit_employee_id = after["payfit_employee_id"]
                row.gryzzly_user_id = after["gryzzly_user_id"]
                row.version += 1
    except IntegrityError as error:
        constraint = broken_constraint(error) or ""
        for provider, column in COLUMNS.items():
            if column in constraint:
                detail = "Another person is mapped to this id already: take that link away first."
                raise refuse("ALREADY_MAPPED", detail, FIELDS[provider]) from error
        if "user_id" in constraint:
            detail = "Somebody else mapped this person at the same moment: look again."
            raise refuse("VERSION_CONFLICT", detail, "userId") from error
        raise
    return row


async def _follow(tx: Transaction, provider: Provider, before: str | None, after: str | None) -> None:
    if before is not None:
        state = PersonState.SET_ASIDE if after is None else PersonState.UNMATCHED
        await repository.set_person_state(tx.session, provider, before, state)
    if after is not None:
        await repository.set_person_state(tx.session, provider, after, PersonState.LINKED)


async def confirm(tx: Transaction, wanted: Confirmation) -> UserMappingRow:
    """Links an external person to the proposed user, to another one, or to a new one."""
    person = await repository.locked_person(tx.session, wanted.external_person_id)
    if person is None:
        raise refuse("UNKNOWN_ID", "There is no external person with this id.", "externalPersonId")
    if person.state is PersonState.LINKED:
        raise refuse("ALREADY_MAPPED", "This person is mapped already.", "externalPersonId")
    user_id = (await _new_user(tx, person, wanted)).id if wanted.create_user else wanted.user_id
    user_id = user_id or person.proposed_user_id
    if user_id is None:
        raise refuse("INVALID_INPUT", "Nobody is proposed: choose a user, or ask for a new one.", "userId")
    if wanted.create_user and wanted.user_id is not None:
        raise refuse("INVALID_INPUT", "Either choose a user or ask for a new one.", "createUser")
    mapping = await repository.locked_mapping(tx.session, user_id)
    if mapping is not None and getattr(mapping, COLUMNS[person.provider]) is not None:
        detail = f"This user is somebody else of {person.provider.value} already: take that link away first."
        raise refuse("ALREADY_MAPPED", detail, "userId")
    row = await set_mapping(tx, MappingChange(user_id, {person.provider: person.external_id}))
    assert row is not None
    return row


async def _new_user(tx: Transaction, person: ExternalPersonRow, wanted: Confirmation) -> UserRow:
    """Gryzzly has one string for the name: its first word is taken for the first name unless the caller knows."""
    first, last = person.first_name, person.last_name
    if not first and " " in last:
        first, _, last = last.partition(" ")
    draft = people.UserDraft(
        first_name=first if wanted.first_name is None else wanted.first_name,
        last_name=last if wanted.last_name is None else wanted.last_name,
        email=person.email,
    )
    if not tx.actor.can(Permission.USERS_WRITE):
        raise refuse("OUT_OF_SCOPE", "Making a user needs the permission USERS_WRITE.", "createUser")
    return await people.create(tx, draft)


async def _reach(tx: Transaction, user_id: UUID, path: str) -> UserRow:
    row = await users.by_id_for_update(tx.session, user_id)
    if row is None or row.is_service:
        raise refuse("UNKNOWN_ID", "There is no person with this id.", path)
    if not tx.actor.reaches_user(Permission.MAPPINGS_WRITE, row.id, row.business_unit_id):
        raise refuse("OUT_OF_SCOPE", "You may map people of your own business unit only.", path)
    return row
